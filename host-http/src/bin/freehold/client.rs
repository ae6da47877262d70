//! Speaking to a running host.

use std::{env, path::PathBuf, time::Duration};

use freehold_core::ProjectRef;
use freehold_host::{
    Token,
    wire::{ErrorBody, Project, ProjectPage},
};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    cli::Connection,
    client_file::ClientFile,
    exit::{Failure, Result},
    sse::Events,
    state,
};

/// How long a host may take to accept a connection, and to begin its reply.
const CONNECT: Duration = Duration::from_secs(5);
const REPLY: Duration = Duration::from_secs(60);

/// A running host, as commands see it.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: Token,
}

impl Client {
    /// The host that flags, environment or the client file name.
    ///
    /// # Errors
    /// If none is named, or there is no token for it.
    pub(crate) fn connect(connection: &Connection) -> Result<Self> {
        let path = client_file(connection)?;
        let file = ClientFile::read(&path)?;
        let token = env::var("FREEHOLD_TOKEN").ok().filter(|token| !token.is_empty()).map(Token::from_text);
        let (url, token) = match (&connection.url, token, file) {
            (Some(url), Some(token), _) => (url.clone(), token),
            (None, token, Some(file)) => (file.url.clone(), token.unwrap_or_else(|| file.token())),
            // A token goes only where it belongs.
            (Some(url), None, Some(file)) if *url == file.url => (file.url.clone(), file.token()),
            (Some(url), None, _) => {
                return Err(Failure::usage(format!(
                    "there is no token for {url}: put it into FREEHOLD_TOKEN"
                )));
            }
            (None, _, None) => {
                return Err(Failure::unreachable(format!(
                    "there is no {}: start a host with `freehold serve`, or name one with --url",
                    path.display()
                )));
            }
        };
        Self::new(url, token)
    }

    /// The host at a URL.
    ///
    /// # Errors
    /// If the URL is none, or no client can be made at all.
    pub(crate) fn new(url: String, token: Token) -> Result<Self> {
        if !reqwest::Url::parse(&url).is_ok_and(|url| ["http", "https"].contains(&url.scheme())) {
            return Err(Failure::usage(format!("--url: {url} is not http://HOST:PORT")));
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            // A proxy of the environment is not where the host is.
            .no_proxy()
            .build()
            .map_err(|error| Failure::internal(format!("make an HTTP client: {error}")))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), token })
    }

    /// GET a path of the API.
    ///
    /// # Errors
    /// What the host answers, with its exit code.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Result<T> {
        read(self.send(self.request(Method::GET, path).query(query).timeout(REPLY)).await?).await
    }

    /// POST to a path of the API.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T> {
        read(self.send(self.request(Method::POST, path).json(body).timeout(REPLY)).await?).await
    }

    /// POST to a path of the API under an idempotency key.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn post_once<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
        key: &str,
    ) -> Result<T> {
        let request = self.request(Method::POST, path).json(body).header("idempotency-key", key);
        read(self.send(request.timeout(REPLY)).await?).await
    }

    /// PATCH a path of the API.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn patch<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T> {
        read(self.send(self.request(Method::PATCH, path).json(body).timeout(REPLY)).await?).await
    }

    /// PUT to a path of the API.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn put<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T> {
        read(self.send(self.request(Method::PUT, path).json(body).timeout(REPLY)).await?).await
    }

    /// DELETE a path of the API.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(self.send(self.request(Method::DELETE, path).timeout(REPLY)).await?).await
    }

    /// GET a path of the API that answers with server-sent events.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn events(&self, path: &str, query: &[(&str, &str)]) -> Result<Events> {
        Ok(Events::of(self.send(self.request(Method::GET, path).query(query)).await?))
    }

    /// GET a path of the API that answers with lines.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub(crate) async fn lines(&self, path: &str, query: &[(&str, &str)]) -> Result<Response> {
        self.send(self.request(Method::GET, path).query(query)).await
    }

    /// The project of a ref or a name.
    ///
    /// # Errors
    /// If there is none, or several organizations have one of that name.
    pub(crate) async fn find(&self, project: &str) -> Result<Project> {
        if let Ok(reference) = project.parse::<ProjectRef>() {
            match self.get(&format!("projects/{reference}"), &[]).await {
                // Twenty lower-case letters may be a name as well.
                Err(failure) if failure.code() == Failure::NOT_FOUND => {}
                found => return found,
            }
        }
        let page: ProjectPage = self.get("projects", &[("name", project)]).await?;
        let mut found = page.items.into_iter();
        match (found.next(), found.next()) {
            (Some(project), None) => Ok(project),
            (None, _) => Err(Failure::not_found(format!("there is no project {project:?}"))),
            (Some(_), Some(_)) => Err(Failure::usage(format!(
                "several organizations have a project {project:?}: use its ref, which `freehold list` shows"
            ))),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http
            .request(method, format!("{}/api/freehold/v1/{path}", self.url))
            .bearer_auth(self.token.expose())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| {
            let reason = if error.is_timeout() { "it does not answer" } else { "nothing listens there" };
            Failure::unreachable(format!(
                "reach the host at {}: {reason}: is `freehold serve` running?",
                self.url
            ))
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body: Option<ErrorBody> = response.json().await.ok();
        let message = body.map_or_else(
            || format!("the host answered {status}"),
            |body| match status.is_server_error() {
                true => format!("{} (request {})", body.message, body.request_id),
                false => body.message,
            },
        );
        Err(match status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE => Failure::usage(message),
            StatusCode::UNAUTHORIZED => {
                Failure::unreachable(format!("the host at {} refuses the token", self.url))
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => Failure::not_found(message),
            StatusCode::CONFLICT => Failure::conflict(message),
            _ => Failure::failed(message),
        })
    }
}

async fn read<T: DeserializeOwned>(response: Response) -> Result<T> {
    response.json().await.map_err(|error| {
        Failure::failed(format!("understand the host's answer: {error}: is it of another version?"))
    })
}

fn client_file(connection: &Connection) -> Result<PathBuf> {
    if let Some(path) = &connection.client_file {
        return Ok(path.clone());
    }
    let state = match env::var_os("FREEHOLD_STATE") {
        Some(folder) => folder.into(),
        None => state::default_folder()?,
    };
    Ok(ClientFile::path(&state))
}
