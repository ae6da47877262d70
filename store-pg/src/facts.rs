//! Facts as they are written: unnumbered, in the transaction that they tell of.

use freehold_core::{Fact, OrganizationId, ProjectRef, store::Wake};
use sqlx::PgConnection;

use crate::{
    error::{During, Result},
    listen::wake,
    rows::json,
};

const WRITE: &str = "INSERT INTO freehold.events (project, organization, fact) VALUES ($1, $2, $3)";

/// Writes facts about one project, in their order, and wakes who numbers them. The project's row is locked meanwhile,
/// which makes the order of writing within a project the order of its commits.
pub(crate) async fn write(
    connection: &mut PgConnection,
    project: &ProjectRef,
    organization: &OrganizationId,
    facts: &[Fact],
) -> Result<()> {
    for fact in facts {
        sqlx::query(WRITE)
            .bind(project.as_str())
            .bind(organization.as_str())
            .bind(json("a fact", fact)?)
            .execute(&mut *connection)
            .await
            .during("write an event")?;
    }
    if !facts.is_empty() {
        wake(connection, Wake::Written).await?;
    }
    Ok(())
}
