//! The same walk, and what keys are worth, with a real Docker project behind: Supabase's folder in the shape of a fixture,
//! whose database is a real PostgreSQL and whose gateway knows its keys (tests/stacks/README.md).

use std::{path::Path, process::Command, time::Duration};

use freehold_core::{
    ProjectRef,
    control_plane::TargetSettings,
    store::{PortPool, SubnetPool},
};
use freehold_docker::{Config, DockerBackend, StackSource};
use freehold_host::{SessionConfig, Sessions};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{PASSWORD, Studio};
use crate::people::{People, SECRET};

/// The gateway's image in the fixture.
const IMAGE: &str = "kong/kong:3.9.1";

/// Studio before a host whose projects are Docker's; `None`, said on standard error, without an engine or its images. Each
/// has ports and subnets of its own, as these tests run side by side.
async fn studio(number: u16) -> Option<(Studio, TempDir)> {
    let image = Command::new("docker").args(["image", "inspect", IMAGE]).output();
    if !image.is_ok_and(|found| found.status.success()) {
        let missing = "no Docker Engine with the test images answers";
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{missing}, and CI skips nothing");
        eprintln!("skipped: {missing}");
        return None;
    }
    let root = tempfile::tempdir().unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/stacks/supabase-kong");
    let stack = StackSource::new(folder).named("supabase".parse().unwrap());
    let mut config = Config::new(root.path(), [stack]);
    config.host = std::env::var("DOCKER_HOST").ok();
    let backend = DockerBackend::connect(config).await.unwrap();
    let first = 30_200 + 50 * number;
    let settings = TargetSettings {
        port_pool: PortPool { first, last: first + 49 },
        subnet_pool: SubnetPool { network: format!("10.221.{number}.0/24").parse().unwrap(), prefix: 28 },
        ..TargetSettings::default()
    };
    let people = People::on(backend, settings, |accounts| {
        let secret = Some(SECRET.into());
        accounts.sessions(Sessions::new(SessionConfig { secret, ..SessionConfig::default() }))
    })
    .await;
    Some((Studio { second: Duration::from_secs(1), ..Studio::of(people) }, root))
}

/// What is on the engine of a project of whatever kind.
fn left(reference: &ProjectRef) -> String {
    let kinds = ["container", "network", "volume"].map(|kind| {
        let filter = format!("label=freehold.ref={reference}");
        let all = if kind == "container" { vec!["--all"] } else { vec![] };
        let mut docker = Command::new("docker");
        let listed = docker.args([kind, "ls", "--quiet", "--filter", &filter]).args(all).output().unwrap();
        String::from_utf8(listed.stdout).unwrap()
    });
    kinds.concat()
}

impl Studio {
    /// Waits until the project that was deleted is gone, and nothing of it is left.
    async fn gone(&self, reference: &ProjectRef) {
        let operation = self.people.control.project(reference).await.unwrap().status_operation.unwrap();
        self.people.control.wait_operation(operation, Duration::from_secs(120)).await.unwrap();
        assert_eq!(left(reference), "");
    }

    /// The status of the gateway's answer to a key.
    async fn opens(&self, reference: &ProjectRef, key: &Value) -> u16 {
        let api = self.people.control.project(reference).await.unwrap().connection.unwrap().api.unwrap();
        let url = format!("http://{}/auth/v1/health", api.public);
        let asked = reqwest::Client::new().get(url).header("apikey", key.as_str().unwrap()).send();
        asked.await.unwrap().status().as_u16()
    }

    /// The project's only key of a type, with its text, if it has one.
    async fn key(&self, reference: &ProjectRef, kind: &str) -> Option<Value> {
        let keys = self.get(&format!("/api/v1/projects/{reference}/api-keys?reveal=true")).await.json();
        keys.as_array().unwrap().iter().find(|key| key["type"] == kind).cloned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn studio_takes_its_recorded_walk_at_its_own_pace_with_a_real_project_behind() {
    let Some((studio, _root)) = studio(0).await else { return };
    studio.walk().await;
    let filter = freehold_core::project::ProjectFilter {
        statuses: freehold_core::Status::ALL.to_vec(),
        ..Default::default()
    };
    let page = freehold_core::PageRequest::first(10);
    let projects = studio.people.control.projects(&filter, &page).await.unwrap().items;
    studio.gone(&projects[0].reference).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_wizard_and_a_page_of_keys_ask_for_is_so_in_the_project() {
    let Some((studio, _root)) = studio(1).await else { return };
    let body = json!({
        "cloud_provider": "AWS", "organization_slug": "acme", "name": "Keys", "db_pass": PASSWORD,
        "db_region": "East US (Ohio)", "db_sql": "create table api.notes (body text)",
        "data_api_use_api_schema": true,
    });
    let created = studio.ask("POST /api/platform/projects", &body).await;
    assert_eq!(created.status(), 201, "{}", created.text());
    let reference: ProjectRef = created.json()["ref"].as_str().unwrap().parse().unwrap();
    let project = format!("/api/platform/projects/{reference}");
    studio.poll(&project, "ACTIVE_HEALTHY").await;

    let database =
        studio.people.control.project(&reference).await.unwrap().connection.unwrap().database.unwrap();
    let mut psql = Command::new("psql");
    psql.args(["-h", "127.0.0.1", "-U", "postgres", "-d", "postgres", "-Atc"])
        .arg("select count(*) from api.notes where has_schema_privilege('anon', 'api', 'usage')")
        .args(["-p", &database.endpoint.public.port.to_string()])
        .env("PGPASSWORD", PASSWORD);
    let said = psql.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&said.stdout), "0\n", "{}", String::from_utf8_lossy(&said.stderr));
    let settings = studio.get(&format!("{project}/config/postgrest")).await.json();
    assert_eq!(settings["db_schema"], "api,storage,graphql_public");

    let old = studio.key(&reference, "secret").await.unwrap();
    assert_eq!(studio.opens(&reference, &old["api_key"]).await, 200);
    assert_eq!(studio.opens(&reference, &json!("sb_secret_nobodys")).await, 401);
    let keys = format!("/api/v1/projects/{reference}/api-keys");
    let deleted = studio.ask(&format!("DELETE {keys}/{}", old["id"].as_str().unwrap()), &Value::Null).await;
    // The second where the gateway takes longer than a request may.
    assert!([200, 504].contains(&deleted.status()), "{}", deleted.text());
    studio.poll(&project, "ACTIVE_HEALTHY").await;
    assert_eq!(studio.opens(&reference, &old["api_key"]).await, 401, "a deleted key opens nothing");
    assert_eq!(studio.key(&reference, "secret").await, None);
    let other = studio.key(&reference, "publishable").await.unwrap();
    assert_eq!(studio.opens(&reference, &other["api_key"]).await, 200, "the other goes on to open");

    let made = json!({ "type": "secret", "name": "mine" });
    let made = studio.ask(&format!("POST {keys}?reveal=true"), &made).await;
    assert_eq!(made.status(), 201, "{}", made.text());
    assert_eq!(studio.opens(&reference, &made.json()["api_key"]).await, 200, "one that was made opens");

    assert_eq!(studio.ask(&format!("DELETE {project}"), &Value::Null).await.status(), 200);
    studio.gone(&reference).await;
}
