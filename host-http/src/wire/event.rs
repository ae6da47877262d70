//! An event as callers see it.

use freehold_core::{Fact, OrganizationId, ProjectRef};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// One fact about one project. Numbers are dense: whoever has seen number n misses nothing by reading after n.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Event {
    /// Its number, from 1 on.
    pub sequence: u64,
    /// When it was written.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The project that it is about.
    #[serde(rename = "ref")]
    #[schema(value_type = String, pattern = "^[a-z]{20}$")]
    pub project: ProjectRef,
    /// Whose project that is.
    #[schema(value_type = String)]
    pub organization: OrganizationId,
    /// What happened: an object with `type` (`status_changed`, `operation_changed`, `cancel_requested`, `amended`,
    /// `revived`, `swept`, `ports_moved`) and what belongs to it. What a newer host wrote comes as it was written.
    #[schema(
        value_type = Object,
        example = json!({"type": "status_changed", "from": "COMING_UP", "to": "ACTIVE_HEALTHY"})
    )]
    pub fact: Fact,
}

/// Some events in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventPage {
    /// The events.
    pub events: Vec<Event>,
    /// The number to read after next.
    pub next: u64,
}

impl Event {
    /// The name of what happened: the fact's `type`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self.fact {
            Fact::StatusChanged { .. } => "status_changed",
            Fact::OperationChanged { .. } => "operation_changed",
            Fact::CancelRequested { .. } => "cancel_requested",
            Fact::Amended { .. } => "amended",
            Fact::Revived { .. } => "revived",
            Fact::Swept { .. } => "swept",
            Fact::PortsMoved { .. } => "ports_moved",
            // Fact::Unknown, or a fact of a newer core than this host was written for.
            _ => "message",
        }
    }
}

impl From<freehold_core::Event> for Event {
    fn from(event: freehold_core::Event) -> Self {
        Self {
            sequence: event.sequence,
            at: event.at,
            project: event.project,
            organization: event.organization,
            fact: event.fact,
        }
    }
}

impl From<freehold_core::EventPage> for EventPage {
    fn from(page: freehold_core::EventPage) -> Self {
        Self { events: page.events.into_iter().map(Event::from).collect(), next: page.next }
    }
}
