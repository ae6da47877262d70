//! Facts as they are written: unnumbered, in the transaction that they tell of.

use freehold_core::{Fact, OrganizationId, ProjectRef};
use sqlx::PgConnection;

use crate::{
    error::{During, Result},
    rows::json,
};

/// In their order: whoever numbers them goes by `written`.
const WRITE: &str = "INSERT INTO freehold.events (project, organization, fact) \
    SELECT $1, $2, fact FROM unnest($3::jsonb[]) WITH ORDINALITY AS facts (fact, place) ORDER BY place";

const WRITE_EACH: &str = "INSERT INTO freehold.events (project, organization, fact) \
    SELECT project, organization, fact FROM unnest($1::text[], $2::text[], $3::jsonb[]) \
        WITH ORDINALITY AS facts (project, organization, fact, place) ORDER BY place";

/// Writes one fact about each of several projects, whose rows are locked meanwhile.
pub(crate) async fn write_each(
    connection: &mut PgConnection,
    written: &[(ProjectRef, OrganizationId, Fact)],
) -> Result<()> {
    let projects: Vec<_> = written.iter().map(|(project, _, _)| project.as_str()).collect();
    let organizations: Vec<_> = written.iter().map(|(_, organization, _)| organization.as_str()).collect();
    let facts = written.iter().map(|(_, _, fact)| json("a fact", fact)).collect::<Result<Vec<_>>>()?;
    sqlx::query(WRITE_EACH)
        .bind(projects)
        .bind(organizations)
        .bind(facts)
        .execute(connection)
        .await
        .during("write events")?;
    Ok(())
}

/// Writes facts about one project, in their order. The project's row is locked meanwhile, which makes the order of
/// writing within a project the order of its commits.
pub(crate) async fn write(
    connection: &mut PgConnection,
    project: &ProjectRef,
    organization: &OrganizationId,
    facts: &[Fact],
) -> Result<()> {
    if facts.is_empty() {
        return Ok(());
    }
    let facts = facts.iter().map(|fact| json("a fact", fact)).collect::<Result<Vec<_>>>()?;
    sqlx::query(WRITE)
        .bind(project.as_str())
        .bind(organization.as_str())
        .bind(facts)
        .execute(connection)
        .await
        .during("write events")?;
    Ok(())
}
