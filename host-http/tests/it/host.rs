//! A host in memory that tests ask over `warp::test`.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Keyring, ProjectRef,
    control_plane::{ControlPlane, TargetSettings},
    memory::{MemoryBackend, MemoryStore},
    seal::SealKey,
};
use freehold_host::{Api, Auth, Bounds, Token};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use warp::{filters::BoxedFilter, http::Response, hyper::body::Bytes};

pub(crate) const V1: &str = "/api/freehold/v1";

pub(crate) struct Host {
    pub(crate) control: ControlPlane,
    pub(crate) backend: Arc<MemoryBackend>,
    pub(crate) token: Token,
    pub(crate) shutdown: CancellationToken,
    pub(crate) filter: BoxedFilter<(warp::reply::Response,)>,
}

impl Host {
    pub(crate) async fn new() -> Self {
        Self::with(Bounds::default()).await
    }

    pub(crate) async fn with(bounds: Bounds) -> Self {
        let backend = Arc::new(MemoryBackend::new().unwrap());
        let control = ControlPlane::builder()
            .store(Arc::new(MemoryStore::default()))
            .sealer(Arc::new(Keyring::new(SealKey::random().unwrap())))
            .target("mock".parse().unwrap(), Arc::clone(&backend) as _, TargetSettings::default())
            .build()
            .await
            .unwrap();
        let (token, shutdown) = (Token::random().unwrap(), CancellationToken::new());
        let api = Api::new(control.clone(), Auth::Superuser(token.digest()));
        let filter = api.bounds(bounds).shutdown_on(shutdown.clone()).filter();
        Self { control, backend, token, shutdown, filter }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> warp::test::RequestBuilder {
        let bearer = format!("Bearer {}", self.token.expose());
        warp::test::request().method(method).path(path).header("authorization", bearer)
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        Reply(self.request("GET", path).reply(&self.filter).await)
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Reply {
        Reply(self.request(method, path).json(body).reply(&self.filter).await)
    }

    /// A project that is ACTIVE_HEALTHY.
    pub(crate) async fn project(&self, name: &str) -> ProjectRef {
        let reply = self.send("POST", &format!("{V1}/projects"), &create(name)).await;
        assert_eq!(reply.status(), 201, "{}", reply.text());
        let body = reply.json();
        self.ended(&body).await;
        body["project"]["ref"].as_str().unwrap().parse().unwrap()
    }

    /// The operation of an accepted command once it has ended.
    pub(crate) async fn ended(&self, accepted: &Value) -> Value {
        let id = accepted["operation"]["id"].as_str().unwrap().parse().unwrap();
        self.control.wait_operation(id, Duration::from_secs(30)).await.unwrap();
        self.get(&format!("{V1}/operations/{id}")).await.json()
    }
}

pub(crate) struct Reply(pub(crate) Response<Bytes>);

impl Reply {
    pub(crate) fn status(&self) -> u16 {
        self.0.status().as_u16()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.body().to_vec()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.0.body()).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.0.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub(crate) fn create(name: &str) -> Value {
    json!({ "organization": "acme", "name": name })
}
