//! A host with people in it: members of one organization in each role, a stranger of another, and GoTrue's secret.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Backend, Keyring, ProjectRef,
    accounts::{AccountStore, Grant, Identity, Person, Role},
    control_plane::{ControlPlane, CreateProject, TargetSettings},
    memory::{MemoryAccounts, MemoryBackend, MemoryStore},
    seal::SealKey,
};
use freehold_host::{Accounts, Api, Auth, SessionConfig, Sessions, Token};
use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};
use warp::filters::BoxedFilter;

use crate::host::Reply;

pub(crate) const SECRET: &str = "super-secret-jwt-token-with-at-least-32-characters";

pub(crate) struct People {
    pub(crate) control: ControlPlane,
    pub(crate) accounts: Arc<MemoryAccounts>,
    pub(crate) superuser: Token,
    pub(crate) filter: BoxedFilter<(warp::reply::Response,)>,
}

impl People {
    pub(crate) async fn new() -> Self {
        Self::with(|accounts| {
            let secret = Some(SECRET.into());
            accounts.sessions(Sessions::new(SessionConfig { secret, ..SessionConfig::default() }))
        })
        .await
    }

    /// People who are known as the caller says.
    pub(crate) async fn with(known: impl FnOnce(Accounts) -> Accounts) -> Self {
        Self::on(MemoryBackend::new().unwrap(), TargetSettings::default(), known).await
    }

    /// The same on a backend of the caller's, behind an API that pages of one origin may use.
    pub(crate) async fn on(
        backend: impl Backend + 'static,
        settings: TargetSettings,
        known: impl FnOnce(Accounts) -> Accounts,
    ) -> Self {
        let control = ControlPlane::builder()
            .store(Arc::new(MemoryStore::default()))
            .sealer(Arc::new(Keyring::new(SealKey::random().unwrap())))
            .target("mock".parse().unwrap(), Arc::new(backend), settings)
            .build()
            .await
            .unwrap();
        let (accounts, superuser) = (Arc::new(MemoryAccounts::new()), Token::random().unwrap());
        let auth = Auth::Accounts(known(Accounts::new(superuser.digest(), Arc::clone(&accounts) as _)));
        let origins = vec!["http://studio.example.com".to_owned()];
        let filter = Api::new(control.clone(), auth).allow_origins(origins).unwrap().filter();
        let people = Self { control, accounts, superuser, filter };
        let owner = people.person("owner").await;
        let acme = "acme".parse().unwrap();
        people.accounts.create_organization(&acme, "Acme", Some(owner.id)).await.unwrap();
        for (name, role) in
            [("admin", Role::Administrator), ("developer", Role::Developer), ("reader", Role::ReadOnly)]
        {
            let person = people.person(name).await;
            people.accounts.put_grants(&acme, person.id, &[], &[Grant::everywhere(role)]).await.unwrap();
        }
        let stranger = people.person("stranger").await;
        people
            .accounts
            .create_organization(&"umbra".parse().unwrap(), "Umbra", Some(stranger.id))
            .await
            .unwrap();
        people
    }

    pub(crate) async fn person(&self, name: &str) -> Person {
        let identity = Identity::new(name.parse().unwrap(), &format!("{name}@example.com")).unwrap();
        self.accounts.enroll(&identity).await.unwrap().0
    }

    /// A project of Acme's that is ACTIVE_HEALTHY.
    pub(crate) async fn project(&self, name: &str) -> ProjectRef {
        let create = CreateProject::new("acme".parse().unwrap(), name.parse().unwrap());
        let accepted = self.control.create(create, None).await.unwrap();
        let operation = accepted.operation.unwrap().id;
        self.control.wait_operation(operation, Duration::from_secs(30)).await.unwrap();
        accepted.project.reference
    }

    pub(crate) async fn send(&self, method: &str, path: &str, token: Option<&str>, body: &Value) -> Reply {
        let mut request = warp::test::request().method(method).path(path);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !body.is_null() {
            request = request.json(body);
        }
        Reply(request.reply(&self.filter).await)
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Reply {
        self.send("GET", path, Some(token), &Value::Null).await
    }
}

/// The claims of somebody's session, as GoTrue makes them.
pub(crate) fn claims(name: &str) -> Value {
    let now = get_current_timestamp();
    json!({
        "sub": name, "email": format!("{name}@example.com"), "aud": "authenticated", "role": "authenticated",
        "iat": now, "exp": now + 3600,
    })
}

/// A session signed with HS256.
pub(crate) fn session(name: &str) -> String {
    signed(&claims(name), SECRET)
}

pub(crate) fn signed(claims: &Value, secret: &str) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
}
