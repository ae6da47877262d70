//! The document of a surface that is not our own invention, made of its routes: what each is called and takes stands in a
//! table, who may use it in its rule. The replies are their clients' and not described.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    route::Route,
    rule::{At, Rule},
};

/// One route in words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    /// `METHOD /path`.
    pub(super) route: &'static str,
    pub(super) what: &'static str,
    status: u16,
    query: &'static [&'static str],
    body: &'static str,
}

/// A route that is answered with 200.
pub(super) const fn said(route: &'static str, what: &'static str) -> Said {
    Said { route, what, status: 200, query: &[], body: "" }
}

impl Said {
    /// The status that success has.
    pub(super) const fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// The query parameters that are read.
    pub(super) const fn query(self, query: &'static [&'static str]) -> Self {
        Self { query, ..self }
    }

    /// An example of the body, as JSON.
    pub(super) const fn body(self, body: &'static str) -> Self {
        Self { body, ..self }
    }
}

/// The document as JSON text: `said` in words, `routes` as they are served. What only one of them has is left out, which a
/// test refuses.
///
/// # Errors
/// If an example is no JSON or it cannot be written, which would be a fault of ours.
pub(super) fn document(
    title: &str,
    description: &str,
    said: &[Said],
    routes: impl Iterator<Item = Route>,
) -> Result<String, serde_json::Error> {
    let words: BTreeMap<&str, &Said> = said.iter().map(|said| (said.route, said)).collect();
    let mut paths = BTreeMap::<&str, Map<String, Value>>::new();
    for route in routes {
        let Some(said) = words.get(format!("{} {}", route.method, route.path).as_str()) else { continue };
        let method = route.method.as_str().to_ascii_lowercase();
        paths.entry(route.path).or_default().insert(method, operation(&route, said)?);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "description": description,
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "paths": paths,
        "security": [{ "bearer": [] }],
        "components": {
            "securitySchemes": { "bearer": { "type": "http", "scheme": "bearer" } },
            "responses": failures(),
            "schemas": { "Error": {
                "type": "object",
                "required": ["code", "message", "request_id"],
                "properties": {
                    "code": { "type": "string" },
                    "message": { "type": "string" },
                    "request_id": { "type": "string" },
                    "detail": { "type": "object" },
                },
            } },
        },
    });
    Ok(serde_json::to_string_pretty(&document)? + "\n")
}

/// What goes wrong, by its status.
pub(super) const FAILURES: [(u16, &str); 11] = [
    (400, "the request says what it should not"),
    (401, "there is no valid credential"),
    (403, "the caller's role does not allow it"),
    (404, "it is not there, or not for the caller to know of"),
    (409, "it is not possible as things stand"),
    (413, "the body is too long"),
    (422, "what is behind refuses it"),
    (429, "too many such requests, or a quota is used up"),
    (501, "this host or the project's stack does not have it"),
    (503, "what is behind does not answer, or the project is not up"),
    (504, "it took too long"),
];

fn failures() -> Map<String, Value> {
    let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
    let failure = |(status, description): (u16, &str)| {
        (status.to_string(), json!({ "description": description, "content": content }))
    };
    FAILURES.into_iter().map(failure).collect()
}

fn operation(route: &Route, said: &Said) -> Result<Value, serde_json::Error> {
    let in_path = route.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let in_path = in_path.map(|name| {
        let schema = match name {
            "ref" => json!({ "type": "string", "pattern": "^[a-z]{20}$" }),
            _ => json!({ "type": "string", "minLength": 1 }),
        };
        json!({ "name": name, "in": "path", "required": true, "schema": schema })
    });
    let in_query = said.query.iter().map(
        |name| json!({ "name": name, "in": "query", "required": false, "schema": { "type": "string" } }),
    );
    let mut operation = json!({
        "summary": said.what,
        "operationId": operation_id(route),
        "parameters": in_path.chain(in_query).collect::<Vec<_>>(),
        "responses": responses(route, said),
        "x-freehold-may": route.rule.audience(),
    });
    if route.rule == Rule::Anyone {
        operation["security"] = json!([{}]);
    }
    if !said.body.is_empty() {
        let example: Value = serde_json::from_str(said.body)?;
        let content = json!({ "application/json": { "schema": schema_of(&example), "example": example } });
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    Ok(operation)
}

/// A name for programs: `getProjectsRefHealth`.
fn operation_id(route: &Route) -> String {
    let words = route.path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words = words.filter(|word| !["api", "platform", "v1"].contains(word));
    words.fold(route.method.as_str().to_ascii_lowercase(), |id, word| {
        let (first, rest) = word.split_at(1);
        id + &first.to_ascii_uppercase() + rest
    })
}

/// Which statuses there are besides success: those of the rule, of what is read, and of what is behind.
fn responses(route: &Route, said: &Said) -> Value {
    let content = json!({ "application/json": { "schema": {} } });
    let mut responses = Map::new();
    let success = match said.status {
        204 => json!({ "description": "it is done" }),
        _ => json!({ "description": "what was asked for", "content": content }),
    };
    responses.insert(said.status.to_string(), success);
    let mut fails = |status: u16| {
        let name = format!("#/components/responses/{status}");
        responses.insert(status.to_string(), json!({ "$ref": name }));
    };
    for status in [400, 413, 429, 501, 503, 504] {
        fails(status);
    }
    if route.rule.needs_credential() {
        fails(401);
    }
    if !matches!(route.rule, Rule::Anyone | Rule::Known | Rule::Member | Rule::Invited) {
        fails(403);
    }
    let in_body = matches!(route.rule, Rule::May(_, _, At::OrganizationIn(_)));
    if route.path.contains('{') || in_body || route.path.contains("/profile") {
        fails(404);
    }
    if route.method != warp::http::Method::GET {
        fails(409);
        fails(422);
    }
    Value::Object(responses)
}

/// A schema that an example follows: the types of its fields. None is required, for there the handlers have the word.
fn schema_of(example: &Value) -> Value {
    match example {
        Value::Object(fields) => {
            let properties: Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), schema_of(value))).collect();
            json!({ "type": "object", "properties": properties })
        }
        Value::Array(items) => {
            json!({ "type": "array", "items": items.first().map_or(json!({}), schema_of) })
        }
        Value::String(_) => json!({ "type": "string" }),
        Value::Number(_) => json!({ "type": "integer" }),
        Value::Bool(_) => json!({ "type": "boolean" }),
        Value::Null => json!({}),
    }
}
