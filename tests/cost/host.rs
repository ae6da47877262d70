//! A host on PostgreSQL with projects on record and somebody who may see them. Nothing goes on in it but what it is asked.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    CreateProject, Keyring, ProjectRef, Status,
    accounts::{AccountStore as _, Identity, NewAccessToken},
    control_plane::{ControlPlane, TargetSettings},
    memory::MemoryBackend,
    seal::SealKey,
};
use freehold_host::{Accounts, Api, Auth, Token};
use freehold_pg::{Config, EmbeddedConfig, EmbeddedServer, PgStore};
use freehold_tests::passable_folder;
use tempfile::TempDir;
use warp::{filters::BoxedFilter, reply::Response};

pub(crate) struct Host {
    pub(crate) superuser: Token,
    pub(crate) personal: Token,
    pub(crate) project: ProjectRef,
    filter: BoxedFilter<(Response,)>,
    store: PgStore,
    server: EmbeddedServer,
    _folder: TempDir,
}

impl Host {
    /// With so many projects.
    pub(crate) async fn start(projects: usize) -> Self {
        let folder = passable_folder();
        let server = EmbeddedServer::start(&EmbeddedConfig::new(folder.path().join("store"))).await.unwrap();
        let store = PgStore::connect(&Config::new(server.url())).await.unwrap();
        let control = ControlPlane::builder()
            .store(Arc::new(store.clone()))
            .sealer(Arc::new(Keyring::new(SealKey::random().unwrap())))
            .target(
                "mock".parse().unwrap(),
                Arc::new(MemoryBackend::new().unwrap()),
                TargetSettings::default(),
            )
            .build()
            .await
            .unwrap();
        let mut made = vec![];
        for number in 0..projects {
            let name = format!("project {number}").parse().unwrap();
            made.push(control.create(CreateProject::new("acme".parse().unwrap(), name), None).await.unwrap());
        }
        for accepted in &made {
            let (project, wish) = (&accepted.project.reference, [Status::ActiveHealthy]);
            control.wait(project, &wish, Duration::from_secs(60)).await.unwrap();
        }
        // What it does by itself would be counted too.
        control.shutdown(Duration::from_secs(10)).await;

        let (superuser, personal) = (Token::random().unwrap(), Token::personal().unwrap());
        let identity = Identity::new("somebody".parse().unwrap(), "somebody@example.com").unwrap();
        let (person, _) = store.enroll(&identity).await.unwrap();
        store.create_organization(&"acme".parse().unwrap(), "Acme", Some(person.id)).await.unwrap();
        let token = NewAccessToken {
            owner: person.id,
            name: "test".to_owned(),
            alias: personal.alias(),
            digest: personal.digest().bytes(),
            expires_at: None,
        };
        store.create_token(&token).await.unwrap();
        let accounts = Accounts::new(superuser.digest(), Arc::new(store.clone()));
        let filter = Api::new(control, Auth::Accounts(accounts)).filter();
        let project = made[0].project.reference;
        Self { superuser, personal, project, filter, store, server, _folder: folder }
    }

    /// Asks for something of Freehold's own surface.
    pub(crate) async fn get(&self, path: &str, token: &Token) {
        let reply = warp::test::request()
            .path(&format!("/api/freehold/v1/{path}"))
            .header("authorization", format!("Bearer {}", token.expose()))
            .reply(&self.filter)
            .await;
        assert_eq!(reply.status(), 200, "{}", String::from_utf8_lossy(reply.body()));
    }

    pub(crate) async fn stop(self) {
        self.store.close().await;
        self.server.stop().await.unwrap();
    }
}
