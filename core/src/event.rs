//! Facts about projects, in order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    lifecycle::Status,
    names::{OrganizationId, TargetName},
    operation::{OperationId, OperationKind, OperationState},
    project_ref::ProjectRef,
};

/// One fact, numbered densely: a reader that has seen number n misses nothing if it reads from n on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its number, from 1 on, without gaps.
    pub sequence: u64,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The project that it is about.
    #[serde(rename = "ref")]
    pub project: ProjectRef,
    /// Whose project that is.
    pub organization: OrganizationId,
    /// The fact.
    pub fact: Fact,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fact {
    /// The project moved from one status to another.
    StatusChanged {
        /// Where it stood; `None` when it was created.
        from: Option<Status>,
        /// Where it stands.
        to: Status,
        /// The operation that moved it, or `None` for the watcher.
        operation: Option<OperationId>,
        /// Why, in a sentence, where there is something to say.
        reason: Option<String>,
    },
    /// An operation was recorded, begun, handed back or ended.
    OperationChanged {
        /// The operation.
        operation: OperationId,
        /// What it does.
        kind: OperationKind,
        /// How far it is.
        state: OperationState,
        /// In which attempt.
        attempt: u32,
        /// Why, where there is something to say.
        reason: Option<String>,
    },
    /// The end of an operation was asked for.
    CancelRequested {
        /// The operation.
        operation: OperationId,
    },
    /// Its name, annotations or protection changed.
    Amended {
        /// Which of them: `name`, `annotations`, `protected`.
        fields: Vec<String>,
    },
    /// It was found down though it is meant to run, and is started again.
    Revived {
        /// What was found.
        reason: String,
    },
    /// Things of it were found on its engine after it was removed, and are being removed.
    Swept {
        /// Where.
        target: TargetName,
        /// How many things of which kind.
        resources: BTreeMap<String, u32>,
    },
    /// A port that it was given is held by a stranger; it got another block.
    PortsMoved {
        /// The port that was taken.
        taken: u16,
        /// The first port of the new block.
        first: u16,
    },
    /// What only a newer program knows, as it was written.
    #[serde(untagged)]
    Unknown(serde_json::Value),
}

/// A fact that is about to be written. The store adds the number and the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// The project.
    pub project: ProjectRef,
    /// Whose project that is.
    pub organization: OrganizationId,
    /// The fact.
    pub fact: Fact,
}

/// Some events in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// The number to read after next; the number asked for if there is nothing new.
    pub next: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_that_only_a_newer_program_knows_is_shown_as_it_was_written() {
        for text in [
            r#"{"type":"forked","into":"abcdefghijklmnopqrst"}"#,
            // A known fact of an operation that nobody here knows.
            r#"{"attempt":1,"kind":"snapshot","operation":"00000000-0000-0000-0000-000000000000","type":"operation_changed"}"#,
        ] {
            let fact: Fact = serde_json::from_str(text).unwrap();
            assert!(matches!(fact, Fact::Unknown(_)), "{fact:?}");
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_value(&fact).unwrap(), value);
        }
        let known = Fact::Revived { reason: "it was down".into() };
        let text = serde_json::to_string(&known).unwrap();
        assert_eq!(text, r#"{"type":"revived","reason":"it was down"}"#);
        assert_eq!(serde_json::from_str::<Fact>(&text).unwrap(), known);
    }
}
