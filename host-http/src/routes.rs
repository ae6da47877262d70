//! Every route there is, a group a file.

pub(crate) mod commands;
pub(crate) mod doctor;
pub(crate) mod events;
pub(crate) mod observation;
pub(crate) mod operations;
pub(crate) mod operators;
pub(crate) mod organizations;
pub(crate) mod projects;
pub(crate) mod targets;

use crate::route::Route;

/// All routes.
pub(crate) fn all() -> impl Iterator<Item = Route> {
    own().chain(crate::studio::all()).chain(crate::management::all())
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
        organizations::ROUTES,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::{At, Rule};

    #[test]
    fn what_names_a_project_or_an_organization_is_for_those_who_may_see_it() {
        for route in all() {
            let right = match route.rule {
                Rule::May(_, _, At::Project) => route.path.contains("{ref}"),
                Rule::May(_, _, At::Operation) => route.path.contains("/operations/{id}"),
                Rule::Member | Rule::May(_, _, At::Organization) => route.path.contains("{slug}"),
                Rule::May(_, _, At::OrganizationIn(_)) => route.path.ends_with("/projects"),
                Rule::Invited => route.path.ends_with("/invitations/{token}"),
                Rule::Anyone | Rule::Known | Rule::Superuser => {
                    !["{ref}", "{slug}"].iter().any(|parameter| route.path.contains(parameter))
                }
            };
            assert!(right, "{} {}: {:?}", route.method, route.path, route.rule);
        }
    }

    #[test]
    fn nobody_reaches_anything_without_a_credential_but_health_signing_in_and_studios_flags() {
        let open: Vec<_> =
            all().filter(|route| !route.rule.needs_credential()).map(|route| route.path).collect();
        let expected = [
            "/healthz",
            "/readyz",
            "/api/platform/signup",
            "/api/platform/reset-password",
            "/api/platform/telemetry/feature-flags",
            "/api/platform/telemetry/feature-flags/track",
            "/api/platform/telemetry/reset",
        ];
        assert_eq!(open, expected);
    }

    #[test]
    fn no_route_stands_behind_another_of_the_same_method_and_shape() {
        let mut seen = std::collections::BTreeSet::new();
        for route in all() {
            let shape: Vec<_> =
                route.path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
            assert!(seen.insert((route.method.to_string(), shape)), "{} {}", route.method, route.path);
        }
    }
}
