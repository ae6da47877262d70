//! Organizations that are closed: no project is created for them any more.

use freehold_core::{OrganizationId, store::NewProject};
use sqlx::{PgConnection, PgPool};

use crate::{
    error::{During, Result},
    rows::parse,
    transaction,
};

/// Whoever creates a project of an organization holds this together with others who do, until its transaction ends.
const SHARE: &str =
    "SELECT pg_advisory_xact_lock_shared(hashtextextended('freehold/organization/' || $1, 0))";
/// Whoever closes it holds it alone: it sees all projects, and whoever creates another after it sees that it is closed.
const HOLD: &str = "SELECT pg_advisory_xact_lock(hashtextextended('freehold/organization/' || $1, 0))";
const LEFT: &str = "SELECT name FROM freehold.projects WHERE organization = $1 AND status <> 'REMOVED' \
    ORDER BY id LIMIT 1";
const CLOSE: &str = "INSERT INTO freehold.closed_organizations (id) VALUES ($1) ON CONFLICT DO NOTHING";

/// Keeps an organization from being closed until the transaction ends. Whether it was closed before, a statement after
/// this one sees.
pub(crate) async fn keep_open(connection: &mut PgConnection, organization: &OrganizationId) -> Result<()> {
    sqlx::query(SHARE)
        .bind(organization.as_str())
        .execute(connection)
        .await
        .during("keep an organization open")?;
    Ok(())
}

/// Closes an organization that has no project.
pub(crate) async fn close(pool: &PgPool, organization: &OrganizationId) -> Result<()> {
    const VERB: &str = "close an organization";
    let mut transaction = transaction::begin(pool, VERB).await?;
    let work = async {
        let id = organization.as_str();
        sqlx::query(HOLD).bind(id).execute(&mut *transaction).await.during(VERB)?;
        let left = sqlx::query_scalar(LEFT).bind(id).fetch_optional(&mut *transaction).await;
        let left: Option<String> = left.during(VERB)?;
        if let Some(name) = left {
            return Err(NewProject::left(organization, &parse("name", &name)?).into());
        }
        sqlx::query(CLOSE).bind(id).execute(&mut *transaction).await.during(VERB)?;
        Ok(())
    };
    let work = work.await;
    transaction::end(transaction, work, VERB).await
}
