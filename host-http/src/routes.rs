//! Every route there is, a group a file.

pub(crate) mod commands;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod observation;
pub(crate) mod operations;
pub(crate) mod operators;
pub(crate) mod projects;
pub(crate) mod targets;

use crate::route::Route;

/// All routes.
pub(crate) fn all() -> impl Iterator<Item = Route> {
    own().chain(crate::studio::all())
}

/// Those of Freehold's own surface, which the OpenAPI document describes.
pub(crate) fn own() -> impl Iterator<Item = Route> {
    [
        operators::ROUTES,
        projects::ROUTES,
        commands::ROUTES,
        observation::ROUTES,
        operations::ROUTES,
        events::ROUTES,
        targets::ROUTES,
        doctor::ROUTES,
    ]
    .into_iter()
    .flatten()
    .cloned()
}

/// The routes as `METHOD /path`, and whether each needs a credential: for the tests of the document.
#[cfg(test)]
pub(crate) fn rules() -> std::collections::BTreeMap<String, bool> {
    own().map(|route| (format!("{} {}", route.method, route.path), route.rule.needs_credential())).collect()
}
