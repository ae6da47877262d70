//! Notes when projects were last seen.

use freehold_core::ProjectRef;
use sqlx::PgPool;

use crate::{
    error::{During, Result},
    rows::texts,
};

/// A row that somebody is changing at this moment is left out: it is seen again soon, and nobody waits for it.
const OBSERVED: &str = "UPDATE freehold.projects SET observed_at = clock_timestamp() WHERE reference IN \
    (SELECT reference FROM freehold.projects WHERE reference = ANY ($1) FOR NO KEY UPDATE SKIP LOCKED)";

pub(crate) async fn observed(pool: &PgPool, projects: &[ProjectRef]) -> Result<()> {
    sqlx::query(OBSERVED).bind(texts(projects)).execute(pool).await.during("note what was observed")?;
    Ok(())
}
