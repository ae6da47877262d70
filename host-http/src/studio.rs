//! What an unforked Studio calls (`/api/platform/**`): a translation onto the control plane and the accounts, a group of
//! routes a file.

mod absent;
mod access_tokens;
mod audit;
pub(crate) mod config;
pub(crate) mod create;
pub(crate) mod custom_content;
mod data_api;
mod invitations;
pub(crate) mod keys;
pub(crate) mod lifecycle;
mod members;
pub(crate) mod meta;
pub(crate) mod organizations;
mod permissions;
mod profile;
pub(crate) mod projects;
mod proxied;
mod regions;
pub(crate) mod roles;
pub(crate) mod services;
mod settings;
mod sign_in;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod storage;
mod users;
pub(crate) mod variables;
pub(crate) mod view;
mod wizard;

use warp::{http::StatusCode, reply::Response};

pub use self::wizard::check_defaults;
use crate::route::Route;

/// All routes of this surface.
pub(crate) fn all() -> impl Iterator<Item = Route> {
    [
        sign_in::ROUTES,
        profile::ROUTES,
        access_tokens::ROUTES,
        audit::ROUTES,
        absent::ROUTES,
        organizations::ROUTES,
        members::ROUTES,
        invitations::ROUTES,
        // Before the projects, whose refs stand in the same place.
        regions::ROUTES,
        projects::ROUTES,
        create::ROUTES,
        lifecycle::ROUTES,
        settings::ROUTES,
        sql::ROUTES,
        storage::ROUTES,
        users::ROUTES,
        data_api::ROUTES,
    ]
    .iter()
    .chain(config::ROUTES)
    .copied()
    .flatten()
    .cloned()
}

/// A reply without a body. It says `Content-Length: 0`, without which Studio takes it for broken JSON.
fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Default::default());
    *response.status_mut() = status;
    response
}

/// A moment as Studio reads it.
pub(crate) fn moment(at: time::OffsetDateTime) -> String {
    // Formatting a moment of our own to RFC 3339 cannot fail before the year 10,000.
    at.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}
