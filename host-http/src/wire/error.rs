//! How a failure looks on the wire.

use freehold_core::Detail;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a request was not answered as it was meant to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What the caller can do about it, for programs: `invalid_input`, `not_found`, `conflict`, …
    pub code: String,
    /// What happened, for people. Of a fault inside it says only where to look for it.
    pub message: String,
    /// The request, as the host's log knows it.
    pub request_id: String,
    /// What exactly it was, where a program may want to act on it: an object with `type` and what belongs to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, example = json!({"type": "protected"}))]
    pub detail: Option<Detail>,
}
