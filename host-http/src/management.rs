//! The Management API (`/v1/**`, and `/api/v1/**` as Studio calls it): what `supabase` tooling and SDKs ask of projects.

mod absent;
mod api_keys;
mod database;
mod health;
mod migrations;
mod network;
mod organizations;
mod projects;
mod settings;

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
    [
        organizations::ROUTES,
        projects::ROUTES,
        api_keys::ROUTES,
        health::ROUTES,
        database::ROUTES,
        migrations::ROUTES,
        settings::ROUTES,
        network::ROUTES,
        absent::ROUTES,
    ]
    .into_iter()
    .flatten()
    .flatten()
    .cloned()
}
