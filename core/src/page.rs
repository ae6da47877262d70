//! Lists, page by page.

use serde::{Deserialize, Serialize};

/// Which page of a list a caller wants. Pages follow each other without gaps or repetitions while rows change, because
/// lists are ordered by what never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PageRequest {
    /// Only rows after this cursor: the `next` of the page before.
    pub after: Option<String>,
    /// How many rows at most: 1 to [`PageRequest::MAX`].
    pub limit: u32,
}

impl PageRequest {
    /// The most rows that one page may have.
    pub const MAX: u32 = 1000;

    /// The first page of `limit` rows, cut to what a page may have.
    #[must_use]
    pub fn first(limit: u32) -> Self {
        Self { after: None, limit: limit.clamp(1, Self::MAX) }
    }

    /// The page after a cursor.
    #[must_use]
    pub fn after(mut self, cursor: impl Into<String>) -> Self {
        self.after = Some(cursor.into());
        self
    }
}

impl Default for PageRequest {
    fn default() -> Self {
        Self::first(100)
    }
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page begins: opaque text for [`PageRequest::after`]. `None` on the last page.
    pub next: Option<String>,
}
