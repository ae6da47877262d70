//! What a backend would do to bring a project to where it is wished.

use serde::{Deserialize, Serialize};

/// Where a project is wished to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Running.
    Active,
    /// Stopped, with its data kept.
    Paused,
}

/// What a backend would do, in order. Empty if the project is as it is wished. It never holds a secret's value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The changes.
    pub changes: Vec<PlannedChange>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// One change that a backend would make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// What would be done.
    pub action: Action,
    /// To what kind of thing: `container`, `volume`, `network`, `file`, `process`, …
    pub resource: String,
    /// Its name on the engine.
    pub name: String,
    /// Of which service; empty if of the whole project.
    pub service: String,
    /// Why, with the files and keys that differ and never their values.
    pub reason: String,
}

/// What would be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is not there and would be made.
    Create,
    /// It is there, differs, and would be made anew.
    Replace,
    /// It is there and would be started.
    Start,
    /// It would be stopped.
    Stop,
    /// It would be removed.
    Remove,
}
