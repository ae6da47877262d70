//! The settings of a project's services: read from what the project and its stack say, changed by a reconfigure.

pub(crate) mod auth;
pub(crate) mod pooler;
pub(crate) mod postgrest;
mod realtime;
pub(crate) mod storage;

use crate::route::Route;

/// All routes of these.
pub(super) const ROUTES: &[&[Route]] =
    &[auth::ROUTES, pooler::ROUTES, postgrest::ROUTES, realtime::ROUTES, storage::ROUTES];
