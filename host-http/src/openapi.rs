//! The documents that describe the API, made from the routes' own descriptions: one for Freehold's own surface, one for
//! what Studio calls, one for the Management API.

mod management;
mod studio;
mod surface;

use utoipa::{
    Modify, OpenApi,
    openapi::{
        ContentBuilder, PathItem, Ref, RefOr, ResponseBuilder,
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::routes::{
    commands, doctor, events, observation, operations, operators, organizations, projects, targets,
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Freehold",
        description = "Runs many isolated project stacks on machines you own.",
        license(name = "Apache-2.0 OR MIT", identifier = "Apache-2.0 OR MIT"),
    ),
    paths(
        projects::create, projects::list, projects::show, projects::amend, projects::wait, projects::secrets,
        commands::retry, commands::pause, commands::resume, commands::restart, commands::reconfigure, commands::repair, commands::destroy,
        observation::health, observation::plan, observation::logs,
        operations::list, operations::show, operations::wait, operations::progress, operations::cancel,
        events::page, events::follow,
        targets::list, targets::inventory,
        organizations::show, organizations::set_defaults, organizations::show_content,
        doctor::examine, doctor::remove,
        operators::alive, operators::ready, operators::figures, operators::document,
        operators::studio_document, operators::management_document,
    ),
    security(("bearer" = [])),
    modifiers(&Bearer, &Failures),
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("bearer", scheme);
    }
}

/// What every route that needs a credential may answer besides what it says itself.
struct Failures;

impl Modify for Failures {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for (status, description) in surface::FAILURES {
            let schema = RefOr::Ref(Ref::from_schema_name("ErrorBody"));
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let failure =
                ResponseBuilder::new().description(description).content("application/json", content);
            let responses = &mut document.components.get_or_insert_default().responses;
            responses.insert(status.to_string(), failure.build().into());
        }
        for (path, item) in &mut document.paths.paths {
            let PathItem { get, put, post, patch, delete, .. } = item;
            let operations = [get, put, post, patch, delete].into_iter().flatten();
            for operation in operations.filter(|operation| operation.security.is_none()) {
                // A body may name an organization or a project that is not there.
                let names = path.contains('{') || operation.request_body.is_some();
                let named = if names { &[404][..] } else { &[] };
                for status in [400, 401, 403, 413, 429, 501, 503, 504].iter().chain(named) {
                    let failure = Ref::new(format!("#/components/responses/{status}"));
                    let responses = &mut operation.responses.responses;
                    responses.entry(status.to_string()).or_insert_with(|| failure.into());
                }
            }
        }
    }
}

/// What a route of Studio's or of the Management API does, in the words of its document, without what follows a colon.
pub(crate) fn words(method: &str, path: &str) -> Option<&'static str> {
    let path = if path.starts_with("/api/v1/") { path.get(4..).unwrap_or(path) } else { path };
    let mut said = studio::SAID.iter().chain(management::SAID);
    let said = said.find(|said| said.route.split_once(' ') == Some((method, path)))?;
    said.what.split([':', ';']).next()
}

/// The document as JSON. `openapi.json` in this package is a copy of it, which a test compares.
///
/// # Errors
/// If it cannot be written, which would be a fault of ours.
pub fn json() -> Result<String, serde_json::Error> {
    Document::openapi().to_pretty_json().map(|json| json + "\n")
}

/// The document of what Studio calls. `openapi-studio.json` in this package is a copy of it.
///
/// # Errors
/// As [`json`].
pub fn studio_json() -> Result<String, serde_json::Error> {
    let description = "What an unforked Studio calls. Replies are as Studio reads them.";
    surface::document("Freehold for Studio", description, studio::SAID, crate::studio::all())
}

/// The document of the Management API, under `/v1`. `openapi-management.json` in this package is a copy of it.
///
/// # Errors
/// As [`json`].
pub fn management_json() -> Result<String, serde_json::Error> {
    let description = "What `supabase` tooling and SDKs ask of projects. Replies are as they read them. \
                       Every path is there under `/api/v1` too.";
    let routes = crate::management::all().filter(|route| route.path.starts_with("/v1/"));
    surface::document("Freehold's Management API", description, management::SAID, routes)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use serde_json::Value;

    use super::*;
    use crate::routes;

    fn document() -> Value {
        serde_json::from_str(&json().unwrap()).unwrap()
    }

    #[test]
    fn every_route_is_documented_and_every_documented_route_exists_under_the_same_rule() {
        let document = document();
        let mut documented = BTreeMap::new();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                // `security: [{}]` lifts the need for a credential that holds for the whole document.
                let needs_credential = operation.get("security").is_none();
                documented.insert(format!("{} {path}", method.to_uppercase()), needs_credential);
            }
        }
        assert_eq!(routes::rules(), documented);
    }

    #[test]
    fn only_the_health_routes_need_no_credential() {
        let open: Vec<_> =
            routes::rules().into_iter().filter(|(_, rule)| !rule).map(|(route, _)| route).collect();
        assert_eq!(open, ["GET /healthz", "GET /readyz"]);
    }

    #[test]
    fn every_route_of_the_other_surfaces_has_its_words_and_no_words_are_without_a_route() {
        let named = |routes: &mut dyn Iterator<Item = crate::route::Route>| {
            routes.map(|route| format!("{} {}", route.method, route.path)).collect::<BTreeSet<_>>()
        };
        let words = |said: &[surface::Said]| {
            assert_eq!(said.iter().map(|said| said.route).collect::<BTreeSet<_>>().len(), said.len());
            said.iter().map(|said| said.route.to_owned()).collect::<BTreeSet<_>>()
        };
        assert_eq!(words(studio::SAID), named(&mut crate::studio::all()));
        let (short, long): (Vec<_>, Vec<_>) =
            crate::management::all().partition(|route| route.path.starts_with("/v1/"));
        assert_eq!(words(management::SAID), named(&mut short.iter().cloned()));
        let same = |route: &crate::route::Route| {
            (route.method.clone(), route.path.trim_start_matches("/api").to_owned(), route.rule)
        };
        assert_eq!(short.iter().map(same).collect::<Vec<_>>(), long.iter().map(same).collect::<Vec<_>>());
    }

    /// `UPDATE_GOLDEN=1 cargo test -p freehold-host openapi` writes the files anew.
    #[test]
    fn the_checked_in_documents_are_the_present_ones() {
        let documents = [
            ("openapi", json()),
            ("openapi-studio", studio_json()),
            ("openapi-management", management_json()),
        ];
        for (name, document) in documents {
            let (path, document) = (format!("{}/{name}.json", env!("CARGO_MANIFEST_DIR")), document.unwrap());
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&path, &document).unwrap();
            }
            let checked_in = std::fs::read_to_string(&path).unwrap();
            assert!(checked_in == document, "{path} is not the present document: write it anew");
        }
    }
}
