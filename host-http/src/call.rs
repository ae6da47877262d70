//! One request as a handler sees it.

use std::{collections::BTreeMap, net::IpAddr, pin::Pin, str::FromStr, time::Duration};

use freehold_core::{
    Error, Kind, OperationId, OrganizationId, Project, ProjectRef, Result,
    accounts::{AccountStore, Actor, Caller, Identity, ProjectDefaults},
    control_plane::ControlPlane,
};
use futures_util::{Stream, StreamExt};
use serde::{Deserialize, de::DeserializeOwned};
use uuid::Uuid;
use warp::{
    Buf, Filter, Rejection,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::{
    api::Api,
    auth::{Accounts, Known, Stranger},
    error,
    server::Peer,
    throttle::{Allowance, Whose},
};

const REQUEST_ID: &str = "x-request-id";

static NOBODY: Caller = Caller { person: None, superuser: false, memberships: Vec::new() };

type Incoming = Pin<Box<dyn Stream<Item = Result<Vec<u8>, warp::Error>> + Send + Sync>>;

/// One request: its parameters, headers, query and body, each checked when a handler asks for it.
pub(crate) struct Call {
    api: Api,
    request_id: String,
    peer: Option<Peer>,
    known: Option<Known>,
    project: Option<Project>,
    organization: Option<OrganizationId>,
    parameters: Parameters,
    headers: HeaderMap,
    query: String,
    incoming: Option<Incoming>,
    body: Vec<u8>,
}

/// How often a change is decided anew when others change the same thing.
pub(crate) const TRIES: usize = 5;

/// What stands in a path where its template has braces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Parameters(BTreeMap<&'static str, String>);

impl Parameters {
    /// The parameters of a path, if it is one of the template's.
    pub(crate) fn of(template: &'static str, path: &str) -> Option<Self> {
        let (wanted, given) = (template.split('/'), path.split('/'));
        if wanted.clone().count() != given.clone().count() {
            return None;
        }
        let mut parameters = BTreeMap::new();
        for (wanted, given) in wanted.zip(given) {
            match wanted.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
                Some(name) if !given.is_empty() => {
                    parameters.insert(name, given.to_owned());
                }
                None if wanted == given => {}
                _ => return None,
            }
        }
        Some(Self(parameters))
    }
}

/// Words separated by commas, as a query has them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct List(String);

impl List {
    /// The words as they stand.
    pub(crate) fn words(&self) -> Vec<String> {
        self.0.split(',').map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }

    /// Each word as what it stands for.
    ///
    /// # Errors
    /// The first word's that stands for nothing.
    pub(crate) fn parse<T: FromStr<Err = Error>>(&self) -> Result<Vec<T>> {
        self.0.split(',').filter(|word| !word.is_empty()).map(str::parse).collect()
    }
}

/// Extracts the call; it never rejects.
pub(crate) fn call(api: &Api) -> impl Filter<Extract = (Call,), Error = Rejection> + Clone + use<> {
    let api = api.clone();
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::header::headers_cloned()
        .and(query)
        .and(warp::ext::optional::<Peer>())
        .and(warp::body::stream())
        .map(move |headers: HeaderMap, query: String, peer, body| Call {
            request_id: request_id(&headers),
            api: api.clone(),
            peer,
            known: None,
            project: None,
            organization: None,
            parameters: Parameters::default(),
            headers,
            query,
            incoming: Some(boxed(body)),
            body: Vec::new(),
        })
}

fn boxed<B: Buf>(body: impl Stream<Item = Result<B, warp::Error>> + Send + Sync + 'static) -> Incoming {
    Box::pin(body.map(|chunk| {
        chunk.map(|mut chunk| {
            let mut bytes = vec![0; chunk.remaining()];
            chunk.copy_to_slice(&mut bytes);
            bytes
        })
    }))
}

/// The caller's own id of the request, if it is a sane one, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()))
        .map_or_else(new_request_id, str::to_owned)
}

/// A new id for a request.
pub(crate) fn new_request_id() -> String {
    Uuid::now_v7().to_string()
}

/// Tells the caller the id of the request.
pub(crate) fn name_request(response: &mut Response, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
}

impl Call {
    pub(crate) fn with_parameters(self, parameters: Parameters) -> Self {
        Self { parameters, ..self }
    }

    pub(crate) fn api(&self) -> &Api {
        &self.api
    }

    pub(crate) fn control(&self) -> &ControlPlane {
        self.api.control()
    }

    pub(crate) fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Finds out who is calling.
    ///
    /// # Errors
    /// The reply to whoever has no valid credential: 401, or 429 to those who try too many.
    pub(crate) async fn identify(&mut self) -> Result<(), Response> {
        match self.api.auth().known(self.header("authorization")).await {
            Ok(known) => {
                self.known = Some(known);
                Ok(())
            }
            Err(Stranger::Unchecked(error)) => Err(error::reply(&error, &self.request_id)),
            Err(Stranger::Refused(reason)) => {
                let id = &self.request_id;
                Err(self.overspent(Allowance::Refusals).unwrap_or_else(|| {
                    error::refusal(StatusCode::UNAUTHORIZED, "unauthenticated", reason, id)
                }))
            }
        }
    }

    /// Counts what somebody unknown did against what their address may do. The reply is for when there is nothing left
    /// of it: 429.
    pub(crate) fn overspent(&self, allowance: Allowance) -> Option<Response> {
        self.spend(Whose::at(self.peer.map(|Peer(address)| address)), allowance)
    }

    /// Counts a change that a person is about to make against what each may. The reply is for when there is nothing left of
    /// it: 429. The installation's own token may do anything.
    pub(crate) fn overspent_by_person(&self) -> Option<Response> {
        self.spend(Whose::Person(self.actor()?.subject?), Allowance::Changes)
    }

    fn spend(&self, whose: Whose, allowance: Allowance) -> Option<Response> {
        let wait = self.api.throttle().spend(whose, allowance).err()?;
        let message = "too many such requests: wait a little";
        let id = &self.request_id;
        let mut response = error::refusal(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message, id);
        let seconds = HeaderValue::from(wait.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        Some(response)
    }

    /// Who is calling. On a route for anyone that is nobody.
    pub(crate) fn caller(&self) -> &Caller {
        self.known.as_ref().map_or(&NOBODY, |known| &known.caller)
    }

    /// Who is calling, as the audit log has them; `None` on a route for anyone.
    pub(crate) fn actor(&self) -> Option<Actor> {
        self.known.as_ref().map(Known::actor)
    }

    /// The address at the other end of the connection.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.peer.map(|Peer(address)| address.to_canonical())
    }

    /// Who is calling, as the service that signs people in knows them; `None` unless they came by a session.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        self.known.as_ref()?.identity.as_ref()
    }

    /// Where accounts are kept.
    ///
    /// # Errors
    /// `Unsupported` if this host has none.
    pub(crate) fn accounts(&self) -> Result<&dyn AccountStore> {
        let accounts = self.api.auth().accounts().map(Accounts::store);
        accounts.ok_or_else(|| Error::new(Kind::Unsupported, "look people up: this host has no accounts"))
    }

    /// What a wizard that knows of neither target nor stack gets.
    pub(crate) fn wizard_defaults(&self) -> &ProjectDefaults {
        static NONE: ProjectDefaults = ProjectDefaults { target: None, stack: None, excluded: None };
        self.api.auth().accounts().map_or(&NONE, Accounts::wizard_defaults)
    }

    /// The project that the rule looked at.
    pub(crate) fn kept(&self) -> Option<&Project> {
        self.project.as_ref()
    }

    /// The same, for a handler that needs nothing else.
    ///
    /// # Errors
    /// `Internal` if the route's rule looks at none.
    pub(crate) fn into_kept(self) -> Result<Project> {
        self.project.ok_or_else(|| Error::internal("show a project: the route's rule looks at none"))
    }

    /// Keeps the project that the rule looked at.
    pub(crate) fn keep(&mut self, project: Project) {
        self.project = Some(project);
    }

    /// The organization that the body names, which the rule looked at.
    pub(crate) fn kept_organization(&self) -> Option<&OrganizationId> {
        self.organization.as_ref()
    }

    /// Keeps the organization that the rule looked at.
    pub(crate) fn keep_organization(&mut self, organization: OrganizationId) {
        self.organization = Some(organization);
    }

    /// A header's text, if it is there and readable.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The parameters of the path by their names.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.parameters.0.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// A parameter of the path.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.0.get(name).map_or("", String::as_str)
    }

    /// The project that the path names.
    ///
    /// # Errors
    /// `InvalidInput` if that is no ref.
    pub(crate) fn project(&self) -> Result<ProjectRef> {
        self.parameter("ref").parse()
    }

    /// The operation that the path names.
    ///
    /// # Errors
    /// `InvalidInput` if that is no operation's id.
    pub(crate) fn operation(&self) -> Result<OperationId> {
        self.parameter("id").parse()
    }

    /// How long a caller may wait who asked for so many seconds: less than the API's own limit.
    pub(crate) fn patience(&self, seconds: Option<u64>) -> Duration {
        let most = self.api.limits().time.mul_f64(5.0 / 6.0);
        seconds.map_or(most, |seconds| Duration::from_secs(seconds).min(most))
    }

    /// The query as it stands in the URL.
    pub(crate) fn raw_query(&self) -> &str {
        &self.query
    }

    /// The query.
    ///
    /// # Errors
    /// `InvalidInput` naming what is wrong with it.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T> {
        serde_urlencoded::from_str(&self.query).map_err(|error| Error::invalid("query", error))
    }

    /// Reads the body, up to the API's bound. False if it is longer, or ends before its end.
    pub(crate) async fn read_body(&mut self) -> bool {
        let limit = self.api.limits().body;
        let Some(mut incoming) = self.incoming.take() else { return true };
        while let Some(chunk) = incoming.next().await {
            match chunk {
                Ok(chunk) if self.body.len() + chunk.len() <= limit => self.body.extend_from_slice(&chunk),
                _ => return false,
            }
        }
        true
    }

    /// The JSON body.
    ///
    /// # Errors
    /// `InvalidInput` if it is not JSON, or naming the field that does not say what it should.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T> {
        let mut json = serde_json::Deserializer::from_slice(&self.body);
        let read = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let field = if path == "." { "body" } else { &path };
            Error::invalid(field, without_value(error.inner()))
        })?;
        json.end().map_err(|error| Error::invalid("body", without_value(&error)))?;
        Ok(read)
    }

    /// The JSON body, or the default where there is none.
    ///
    /// # Errors
    /// As [`Call::json`].
    pub(crate) fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T> {
        if self.body.is_empty() { Ok(T::default()) } else { self.json() }
    }
}

/// What serde has to say without the value that it found, which may be a secret in the wrong place.
fn without_value(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match (text.split_once(": "), text.rfind(", expected ")) {
        (Some((problem @ ("invalid type" | "invalid value"), _)), Some(expected)) => {
            format!("{problem}{}", &text[expected..])
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_secret_in_the_wrong_place_of_a_body_is_not_repeated() {
        let error = serde_json::from_str::<BTreeMap<String, u8>>(r#"{"a": "hunter2"}"#).unwrap_err();
        let text = without_value(&error);
        assert!(!text.contains("hunter2") && text.contains("expected u8 at line 1"), "{text}");
    }

    #[test]
    fn a_path_is_a_templates_only_part_by_part() {
        let template = "/projects/{ref}/pause";
        let parameters = Parameters::of(template, "/projects/abc/pause").unwrap();
        assert_eq!(parameters.0["ref"], "abc");
        for other in
            ["/projects/abc", "/projects//pause", "/projects/abc/resume", "/projects/abc/pause/", "/"]
        {
            assert_eq!(Parameters::of(template, other), None, "{other}");
        }
    }
}
