//! The document that describes the API, made from the routes' own descriptions.

use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

use crate::routes::{commands, doctor, events, observation, operations, operators, projects, targets};

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
        doctor::examine, doctor::remove,
        operators::alive, operators::ready, operators::figures, operators::document,
    ),
    security(("bearer" = [])),
    modifiers(&Bearer),
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("bearer", scheme);
    }
}

/// The document as JSON. `openapi.json` in this package is a copy of it, which a test compares.
///
/// # Errors
/// If it cannot be written, which would be a fault of ours.
pub fn json() -> Result<String, serde_json::Error> {
    Document::openapi().to_pretty_json().map(|json| json + "\n")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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

    /// `UPDATE_GOLDEN=1 cargo test -p freehold-host openapi` writes the file anew.
    #[test]
    fn the_checked_in_document_is_the_present_one() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, json().unwrap()).unwrap();
        }
        let checked_in = std::fs::read_to_string(path).unwrap();
        assert!(checked_in == json().unwrap(), "openapi.json is not the present document: write it anew");
    }
}
