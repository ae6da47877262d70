//! GoTrue, the service that signs people in: what is asked of it, and nothing that it does not say itself.
//! Its API: `supabase/auth`, `openapi.yaml`.

use std::{fmt, time::Duration};

use freehold_core::{Error, ExposeSecret, Kind, Result, SecretString, Subject, accounts::Identity};
use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a key that we make is good for, in seconds.
const KEY_LIFE: u64 = 60;
/// How many users are read at once, and how many pages at most, when one is looked for.
const PAGE: usize = 200;
const PAGES: usize = 500;

/// Where GoTrue is and how it knows us.
#[derive(Clone, Debug, Default)]
pub struct GoTrueConfig {
    /// Its URL, for instance `http://127.0.0.1:9999` or, behind a gateway, `https://example.com/auth/v1`.
    pub url: String,
    /// A key that may administer it and that a gateway before it asks for. Without one, keys are made of `secret`.
    pub service_key: Option<SecretString>,
    /// The secret that it checks keys by: its `GOTRUE_JWT_SECRET`.
    pub secret: Option<SecretString>,
}

/// A client of GoTrue. A cheap handle.
#[derive(Clone)]
pub struct GoTrue {
    config: GoTrueConfig,
    client: reqwest::Client,
}

/// What GoTrue answered, to be passed on.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) body: Value,
}

#[derive(Deserialize)]
struct User {
    id: String,
    #[serde(default)]
    email: String,
}

#[derive(Deserialize)]
struct Users {
    users: Vec<User>,
}

impl GoTrue {
    /// A client. Nothing is asked yet.
    #[must_use]
    pub fn new(config: GoTrueConfig) -> Self {
        let config = GoTrueConfig { url: config.url.trim_end_matches('/').to_owned(), ..config };
        Self { config, client: reqwest::Client::new() }
    }

    /// Passes on that somebody signs up.
    pub(crate) async fn sign_up(&self, redirect_to: Option<&str>, body: &Value) -> Result<Answered> {
        self.pass_on("signup", redirect_to, body).await
    }

    /// Passes on that somebody wants a new password.
    pub(crate) async fn recover(&self, redirect_to: Option<&str>, body: &Value) -> Result<Answered> {
        self.pass_on("recover", redirect_to, body).await
    }

    async fn pass_on(&self, path: &str, redirect_to: Option<&str>, body: &Value) -> Result<Answered> {
        let mut request = self.request(Method::POST, path).json(body);
        if let Some(url) = redirect_to {
            // GoTrue itself decides where it may lead (`GOTRUE_URI_ALLOW_LIST`).
            request = request.header("redirect_to", url);
        }
        if let Some(key) = &self.config.service_key {
            request = request.header("apikey", key.expose_secret());
        }
        self.send(request).await
    }

    /// Makes sure that there is a user with this address and password, and gives who they are.
    pub(crate) async fn ensure_user(&self, email: &str, password: &SecretString) -> Result<Identity> {
        let wanted = json!({ "email": email, "password": password.expose_secret(), "email_confirm": true });
        let made = self.administer(self.request(Method::POST, "admin/users").json(&wanted)).await?;
        let id = match made.status {
            status if status.is_success() => self.read::<User>(made)?.id,
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT | StatusCode::BAD_REQUEST => {
                // It has one, or does not like the password: whoever is found tells.
                let Some(user) = self.find(email).await? else { return Err(self.refusal(&made)) };
                let path = format!("admin/users/{}", user.id);
                let updated = self.administer(self.request(Method::PUT, &path).json(&wanted)).await?;
                if !updated.status.is_success() {
                    return Err(self.refusal(&updated));
                }
                user.id
            }
            _ => return Err(self.refusal(&made)),
        };
        Identity::new(Subject::new(id)?, email)
    }

    async fn find(&self, email: &str) -> Result<Option<User>> {
        for page in 1..=PAGES {
            let path = format!("admin/users?page={page}&per_page={PAGE}");
            let answered = self.administer(self.request(Method::GET, &path)).await?;
            if !answered.status.is_success() {
                return Err(self.refusal(&answered));
            }
            let users = self.read::<Users>(answered)?.users;
            let last = users.len() < PAGE;
            let found = users.into_iter().find(|user| user.email.eq_ignore_ascii_case(email));
            if found.is_some() || last {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}/{path}", self.config.url)).timeout(PATIENCE)
    }

    async fn administer(&self, request: RequestBuilder) -> Result<Answered> {
        let key = self.administrator_key()?;
        self.send(request.header("apikey", key.expose_secret()).bearer_auth(key.expose_secret())).await
    }

    /// The key that was configured, or one made for this request (`service_role` is what GoTrue calls an administrator).
    fn administrator_key(&self) -> Result<SecretString> {
        let (secret, now) = match (&self.config.service_key, &self.config.secret) {
            (Some(key), _) => return Ok(key.clone()),
            (None, Some(secret)) => (secret, get_current_timestamp()),
            (None, None) => {
                let message = "administer GoTrue: neither its service key nor its JWT secret is configured";
                return Err(Error::new(Kind::InvalidInput, message));
            }
        };
        let claims = json!({ "role": "service_role", "iss": "freehold", "iat": now, "exp": now + KEY_LIFE });
        let key = EncodingKey::from_secret(secret.expose_secret().trim().as_bytes());
        encode(&Header::default(), &claims, &key)
            .map(SecretString::from)
            .map_err(|error| Error::internal("sign a key for GoTrue").because(error))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Answered> {
        let unavailable = |error: reqwest::Error| {
            Error::new(Kind::Unavailable, format!("reach GoTrue at {}", self.config.url)).because(error)
        };
        let response = request.send().await.map_err(unavailable)?;
        let status = response.status();
        let text = response.text().await.map_err(unavailable)?;
        Ok(Answered { status, body: serde_json::from_str(&text).unwrap_or(Value::Null) })
    }

    fn read<T: serde::de::DeserializeOwned>(&self, answered: Answered) -> Result<T> {
        serde_json::from_value(answered.body).map_err(|error| {
            Error::new(Kind::Unavailable, format!("read what GoTrue at {} answered", self.config.url))
                .because(error)
        })
    }

    fn refusal(&self, answered: &Answered) -> Error {
        let kind = if answered.status.is_server_error() { Kind::Unavailable } else { Kind::InvalidInput };
        let message = answered.message();
        Error::new(kind, format!("ensure a user in GoTrue at {}: {message}", self.config.url))
            .with("status", answered.status.as_u16())
    }
}

impl Answered {
    /// What it says of what is wrong, in whichever field this version of GoTrue has it.
    pub(crate) fn message(&self) -> String {
        let said = ["error_description", "msg", "message", "error"].into_iter().find_map(|field| {
            let text = self.body.get(field)?.as_str()?;
            Some(text.to_owned())
        });
        said.unwrap_or_else(|| format!("it answered {}", self.status.as_u16()))
    }
}

impl fmt::Debug for GoTrue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GoTrue").field("url", &self.config.url).finish_non_exhaustive()
    }
}
