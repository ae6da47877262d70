//! The Management API (`/v1/**`, and `/api/v1/**` as Studio calls it): what `supabase` tooling and SDKs ask of projects.

mod api_keys;
mod database;
mod health;
mod projects;

use crate::route::Route;

/// A route under both of its paths.
macro_rules! v1 {
    ($method:ident $path:literal, $rule:expr, $handler:expr) => {
        [
            Route::new(Method::$method, concat!("/v1", $path), $rule, $handler),
            Route::new(Method::$method, concat!("/api/v1", $path), $rule, $handler),
        ]
    };
}

use v1;

/// All routes of this surface.
pub(crate) fn all() -> impl Iterator<Item = Route> {
    projects::ROUTES
        .iter()
        .chain(api_keys::ROUTES)
        .chain(health::ROUTES)
        .chain(database::ROUTES)
        .flatten()
        .cloned()
}
