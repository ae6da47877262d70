//! Supabase's folder in both of its shapes, on the real engine with stand-ins under upstream's image names
//! (tests/stacks/README.md): what is tested is Freehold, not Supabase.

use std::path::{Path, PathBuf};

use freehold_core::{Destroyer, Provisioner, Runtime, Wish};
use freehold_docker::{Config, StackSource};

use crate::fixture::{Fixture, ctx, engine, host, shell, state};

fn folder(shape: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/stacks").join(shape)
}

/// A backend that offers a folder under the name of the manifest that Freehold ships.
async fn offering(shape: &str) -> Option<Fixture> {
    let docker = engine().await?;
    let root = tempfile::tempdir().unwrap();
    let source = StackSource::new(folder(shape)).named("supabase".parse().unwrap());
    let mut config = Config::new(root.path(), [source]);
    config.host = host();
    Some(Fixture::of(docker, root, config).await)
}

fn runtime(fixture: &Fixture) -> Runtime {
    let excluded = fixture.spec.exclusions(None).unwrap();
    Runtime { excluded, ..fixture.runtime() }
}

async fn sql(fixture: &Fixture, runtime: &Runtime, query: &str) -> String {
    let line = format!("psql -U postgres -d postgres -Atc \"{query}\"");
    shell(fixture, &runtime.project, "db", &line).await
}

#[tokio::test(flavor = "multi_thread")]
async fn two_projects_of_the_kong_shape_run_side_by_side_and_share_nothing() {
    let Some(fixture) = offering("supabase-kong").await else { return };
    let (one, two) = (runtime(&fixture), runtime(&fixture));
    let (backend, ctx) = (&fixture.backend, ctx());
    let (first, second) =
        tokio::try_join!(backend.provision(&ctx, &one), backend.provision(&ctx, &two)).unwrap();

    for (runtime, outcome) in [(&one, &first), (&two, &second)] {
        let health = backend.health(&ctx, runtime).await.unwrap();
        assert!(health.is_healthy(), "{}", health.complaints());
        for service in ["db", "kong", "auth", "rest", "realtime", "storage", "meta", "functions", "supavisor"]
        {
            assert_eq!(state(&health, service), "healthy", "{service}");
        }
        assert!(backend.plan(&ctx, runtime, Wish::Active).await.unwrap().is_empty());
        let connection = outcome.connection.as_ref().unwrap();
        assert!(connection.database.is_some() && connection.pooler.is_some() && connection.api.is_some());

        // The mounted SQL ran, with the project's own secrets.
        let secret = |name: &str| {
            let (_, value) = runtime.secrets.iter().find(|(known, _)| known.as_str() == name).unwrap();
            freehold_core::ExposeSecret::expose_secret(value).to_owned()
        };
        assert_eq!(sql(&fixture, runtime, "SHOW app.settings.jwt_secret").await, secret("jwt_secret"));
        assert_eq!(
            sql(&fixture, runtime, "SELECT count(*) FROM pg_database WHERE datname = '_supabase'").await,
            "1"
        );
        let log_in = format!(
            "PGPASSWORD={} psql -h db -U authenticator -d postgres -Atc 'SELECT current_user'",
            secret("postgres_password")
        );
        assert_eq!(shell(&fixture, &runtime.project, "db", &log_in).await, "authenticator");

        // Inside, Realtime answers by the name that its tenant comes from, and it is the project's own.
        let answer = shell(
            &fixture,
            &runtime.project,
            "kong",
            "curl -s http://realtime-dev.supabase-realtime:4000/socket",
        );
        let own = fixture.container(&runtime.project, "realtime").await;
        assert_eq!(answer.await, own[..12], "the project's own realtime");
    }

    // Neither reaches the other's database, by name or by address.
    let other = fixture.container(&two.project, "db").await;
    let found = fixture
        .docker
        .inspect_container(&other, None::<bollard::query_parameters::InspectContainerOptions>)
        .await
        .unwrap();
    let places = found.network_settings.unwrap().networks.unwrap();
    let address = places.values().next().unwrap().ip_address.clone().unwrap();
    let unreachable = [address, format!("fh-{}-db", two.project)];
    for (name, expected) in unreachable.iter().map(|name| (name.as_str(), "not")).chain([("db", "reached")]) {
        let line =
            format!("timeout 2 bash -c '</dev/tcp/{name}/5432' 2>/dev/null && echo reached || echo not");
        assert_eq!(shell(&fixture, &one.project, "kong", &line).await, expected, "{name}");
    }

    for runtime in [&one, &two] {
        backend.destroy(&ctx, &runtime.project).await.unwrap();
        assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_of_the_envoy_shape_keeps_its_data_and_new_mail_settings_touch_auth_alone() {
    let Some(fixture) = offering("supabase-envoy").await else { return };
    let mut runtime = runtime(&fixture);
    let (backend, ctx) = (&fixture.backend, ctx());
    backend.provision(&ctx, &runtime).await.unwrap();
    assert_eq!(sql(&fixture, &runtime, "CREATE TABLE kept AS SELECT 42 AS answer").await, "SELECT 1");

    let services =
        ["api-gw", "auth", "db", "functions", "imgproxy", "meta", "realtime", "rest", "storage", "supavisor"];
    let ids = async || {
        let mut ids = Vec::new();
        for service in services {
            ids.push(fixture.container(&runtime.project, service).await);
        }
        ids
    };
    let before = ids().await;
    let mut changed = runtime.clone();
    changed.generation += 1;
    changed.variables.insert("SMTP_HOST".into(), "mail.example.org".into());
    backend.reconfigure(&ctx, &changed).await.unwrap();
    let after = ids().await;
    let touched: Vec<_> =
        services.iter().zip(before.iter().zip(&after)).filter(|(_, (old, new))| old != new).collect();
    assert_eq!(touched.iter().map(|(service, _)| **service).collect::<Vec<_>>(), ["auth"]);
    runtime = changed;

    backend.pause(&ctx, &runtime).await.unwrap();
    assert!(fixture.containers(&runtime.project).await.is_empty());
    backend.resume(&ctx, &runtime).await.unwrap();
    assert_eq!(sql(&fixture, &runtime, "SELECT answer FROM kept").await, "42");
    let health = backend.health(&ctx, &runtime).await.unwrap();
    assert!(health.is_healthy(), "{}", health.complaints());
    backend.destroy(&ctx, &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}
