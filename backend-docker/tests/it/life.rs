//! The whole life of tests/stacks/webapp on the real engine.

use freehold_core::{
    Address, Context, Destroyer, FirstRunFile, LogRequest, Provisioner, Runtime, Scope, Wish,
};
use tokio_postgres::{Client, NoTls};

use crate::fixture::{Fixture, ctx, password, state, webapp};

/// A client of a database, its connection running behind it.
async fn psql(address: &Address, runtime: &Runtime) -> Result<Client, tokio_postgres::Error> {
    let stream = tokio::net::TcpStream::connect((address.host.as_str(), address.port)).await.unwrap();
    let mut config = tokio_postgres::Config::new();
    config.user("postgres").dbname("postgres").password(password(runtime));
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn notes(client: &Client) -> Vec<String> {
    let rows = client.simple_query("SELECT body FROM notes ORDER BY id").await.unwrap();
    rows.into_iter()
        .filter_map(|message| match message {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect()
}

/// The proxy's port for SQL: the second that it publishes.
fn through_the_proxy(fixture: &Fixture, runtime: &Runtime) -> Address {
    let offset = fixture
        .spec
        .port_offset(&"proxy".parse().unwrap(), 5433, freehold_core::stack::Protocol::Tcp)
        .unwrap();
    Address { host: "127.0.0.1".into(), port: runtime.ports.port(offset).unwrap() }
}

/// When a container was started last.
async fn started(fixture: &Fixture, id: &str) -> Option<String> {
    let found =
        fixture.docker.inspect_container(id, None::<bollard::query_parameters::InspectContainerOptions>);
    found.await.unwrap().state.unwrap().started_at
}

async fn is_as_wished(fixture: &Fixture, ctx: &Context, runtime: &Runtime, wish: Wish) {
    let plan = fixture.backend.plan(ctx, runtime, wish).await.unwrap();
    assert!(plan.is_empty(), "{plan:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_keeps_its_rows_through_pause_and_restart_and_leaves_nothing_when_it_is_destroyed() {
    let Some(fixture) = Fixture::new(&webapp()).await else { return };
    let mut runtime = fixture.runtime();
    runtime.first_run =
        vec![FirstRunFile::new("50-first.sql", "CREATE TABLE first_run AS SELECT 42 AS answer;").unwrap()];
    let (backend, ctx) = (&fixture.backend, ctx());
    assert!(fixture.census(&runtime.project).await.is_empty());

    let connection = backend.provision(&ctx, &runtime).await.unwrap().connection.unwrap();
    assert!(connection.database.as_ref().unwrap().version.starts_with("15."), "{connection:?}");
    let health = backend.health(&ctx, &runtime).await.unwrap();
    assert!(health.is_healthy(), "{}", health.complaints());
    assert_eq!(state(&health, "migrate"), "done");
    is_as_wished(&fixture, &ctx, &runtime, Wish::Active).await;

    let client = psql(&connection.pooler.as_ref().unwrap().public, &runtime).await.unwrap();
    client.batch_execute("INSERT INTO notes (body) VALUES ('kept')").await.unwrap();
    let direct = psql(&connection.database.as_ref().unwrap().endpoint.public, &runtime).await.unwrap();
    let answer = direct.simple_query("SELECT answer FROM first_run").await.unwrap();
    assert!(
        answer
            .iter()
            .any(|m| matches!(m, tokio_postgres::SimpleQueryMessage::Row(row) if row.get(0) == Some("42")))
    );
    drop((client, direct));
    let client = psql(&through_the_proxy(&fixture, &runtime), &runtime).await.unwrap();
    assert_eq!(notes(&client).await, ["kept"]);
    drop(client);

    // The same call again finds nothing to do, and answers the same.
    let before = fixture.containers(&runtime.project).await;
    let again = backend.provision(&ctx, &runtime).await.unwrap();
    assert_eq!(again.connection.as_ref(), Some(&connection));
    assert_eq!(fixture.containers(&runtime.project).await, before);

    let mut lines = backend.logs(&ctx, &runtime, &LogRequest::default()).await.unwrap();
    let mut services = std::collections::BTreeSet::new();
    while let Some(line) = lines.recv().await {
        let line = line.unwrap();
        assert!(line.at.is_some() && !line.line.contains(password(&runtime)), "{line:?}");
        services.insert(line.service.to_string());
    }
    assert!(services.contains("db") && services.contains("migrate"), "{services:?}");

    backend.pause(&ctx, &runtime).await.unwrap();
    backend.pause(&ctx, &runtime).await.unwrap();
    assert!(fixture.containers(&runtime.project).await.is_empty());
    is_as_wished(&fixture, &ctx, &runtime, Wish::Paused).await;

    let resumed = backend.resume(&ctx, &runtime).await.unwrap();
    assert_eq!(resumed.connection.as_ref(), Some(&connection));
    let client = psql(&through_the_proxy(&fixture, &runtime), &runtime).await.unwrap();
    assert_eq!(notes(&client).await, ["kept"]);
    drop(client);

    let pooler = vec!["pooler".parse().unwrap()];
    let db = fixture.container(&runtime.project, "db").await;
    let (db_before, pooler_id) =
        (started(&fixture, &db).await, fixture.container(&runtime.project, "pooler").await);
    let pooler_before = started(&fixture, &pooler_id).await;
    backend.restart(&ctx, &runtime, &Scope::Services(pooler)).await.unwrap();
    assert_eq!(started(&fixture, &db).await, db_before);
    assert_ne!(started(&fixture, &pooler_id).await, pooler_before);

    backend.restart(&ctx, &runtime, &Scope::All).await.unwrap();
    let health = backend.health(&ctx, &runtime).await.unwrap();
    assert!(health.is_healthy(), "{}", health.complaints());
    let client = psql(&through_the_proxy(&fixture, &runtime), &runtime).await.unwrap();
    assert_eq!(notes(&client).await, ["kept"]);
    drop(client);

    let inventory = backend.inventory(&ctx).await.unwrap();
    let holding = inventory.iter().find(|holding| holding.project == runtime.project).unwrap();
    assert_eq!((holding.resources["container"], holding.resources["folder"]), (4, 1), "{holding:?}");

    backend.destroy(&ctx, &runtime.project).await.unwrap();
    backend.destroy(&ctx, &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
    let inventory = backend.inventory(&ctx).await.unwrap();
    assert!(inventory.iter().all(|holding| holding.project != runtime.project));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_was_killed_is_told_of_and_a_restart_mends_it() {
    let Some(fixture) = Fixture::new(&webapp()).await else { return };
    let runtime = fixture.runtime();
    let (backend, ctx) = (&fixture.backend, ctx());
    backend.provision(&ctx, &runtime).await.unwrap();

    let proxy = fixture.container(&runtime.project, "proxy").await;
    fixture
        .docker
        .kill_container(&proxy, None::<bollard::query_parameters::KillContainerOptions>)
        .await
        .unwrap();
    let health = backend.health(&ctx, &runtime).await.unwrap();
    assert_eq!((state(&health, "proxy"), state(&health, "db")), ("unhealthy", "healthy"));
    let plan = backend.plan(&ctx, &runtime, Wish::Active).await.unwrap();
    assert_eq!(plan.changes.len(), 1, "{plan:?}");
    assert_eq!(
        (plan.changes[0].service.as_str(), plan.changes[0].action),
        ("proxy", freehold_core::Action::Start)
    );

    backend.restart(&ctx, &runtime, &Scope::Services(vec!["proxy".parse().unwrap()])).await.unwrap();
    let health = backend.health(&ctx, &runtime).await.unwrap();
    assert!(health.is_healthy(), "{}", health.complaints());
    is_as_wished(&fixture, &ctx, &runtime, Wish::Active).await;

    // Data that is gone is an error that names it, and nothing is made in its place.
    backend.pause(&ctx, &runtime).await.unwrap();
    let census = fixture.census(&runtime.project).await;
    let data = census.iter().find(|name| name.contains("db-data")).unwrap();
    fixture.docker.remove_volume(data, None::<bollard::query_parameters::RemoveVolumeOptions>).await.unwrap();
    let error = backend.resume(&ctx, &runtime).await.unwrap_err();
    let names = vec![data.clone()];
    assert_eq!(error.detail(), Some(&freehold_core::Detail::DataGone { names: names.clone() }));
    assert!(!fixture.census(&runtime.project).await.contains(data));
    let error = backend.restart(&ctx, &runtime, &Scope::All).await.unwrap_err();
    assert!(error.to_string().contains(data.as_str()), "{error}");
    let plan = backend.plan(&ctx, &runtime, Wish::Paused).await.unwrap();
    assert_eq!((plan.changes.len(), plan.changes[0].reason.as_str()), (1, "its data is gone"), "{plan:?}");
    // Whoever says it by that name gets it up again, empty, with its jobs done anew.
    let accepted = freehold_core::Runtime { accept_data_loss: names, ..runtime.clone() };
    backend.resume(&ctx, &accepted).await.unwrap();
    let health = backend.health(&ctx, &runtime).await.unwrap();
    assert!(health.is_healthy(), "{}", health.complaints());
    let client = psql(&through_the_proxy(&fixture, &runtime), &runtime).await.unwrap();
    assert_eq!(notes(&client).await, [""; 0]);
    drop(client);
    backend.destroy(&ctx, &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}
