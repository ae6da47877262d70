//! What is on an engine, whether or not a store knows of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{names::InstallationId, project_ref::ProjectRef};

/// What one project has on an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holding {
    /// The project.
    #[serde(rename = "ref")]
    pub project: ProjectRef,
    /// The installation that all of it was made for, by what stands on it ([`Runtime::installation`]). `None` if
    /// anything says nothing, or another one: then nobody can tell whose it is.
    ///
    /// [`Runtime::installation`]: crate::Runtime::installation
    pub installation: Option<InstallationId>,
    /// How many things of which kind: `{"container": 3, "volume": 1}`.
    pub resources: BTreeMap<String, u32>,
    /// When the oldest of them was made.
    #[serde(with = "time::serde::rfc3339")]
    pub oldest: OffsetDateTime,
}
