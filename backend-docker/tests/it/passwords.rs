//! A database that has another password than the store, whoever changed it: a stranger, a restored volume, a rotation
//! that was cut off.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use async_trait::async_trait;
use freehold_core::{
    Context, ContextBuilder, Destroyer, Error, Interceptor, Kind, Provisioner, Runtime, SecretString,
};
use tempfile::TempDir;
use tokio_postgres::{NoTls, SimpleQueryMessage, error::SqlState};

use crate::fixture::{Fixture, PATIENCE, ctx, password, stack, state};

const COMPOSE: &str = "
services:
  db:
    image: freehold-test/postgres:1
    environment:
      POSTGRES_PASSWORD: ${DB_PASSWORD}
    ports: [\"5432:5432\"]
    volumes: [\"./data:/var/lib/postgresql/data\"]
";

const MANIFEST: &str = r#"
name = "drift"
[database]
service = "db"
port = 5432
user = "postgres"
name = "postgres"
password = "db_password"
[database.repair]
roles = ["postgres", "app", "of no such name"]
[[secrets]]
name = "db_password"
variable = "DB_PASSWORD"
generate = { kind = "token", length = 32 }
[[data]]
path = "./data"
volume = "data"
"#;

fn folder() -> TempDir {
    stack(COMPOSE, MANIFEST)
}

/// Logs in as people do and runs SQL; the rows' first columns.
async fn sql(
    runtime: &Runtime,
    user: &str,
    password: &str,
    text: &str,
) -> Result<Vec<String>, tokio_postgres::Error> {
    let port = runtime.ports.first;
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let mut config = tokio_postgres::Config::new();
    config.user(user).dbname("postgres").password(password);
    let (client, connection) = config.connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    let messages = client.simple_query(text).await?;
    Ok(messages
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        })
        .collect())
}

async fn admin(runtime: &Runtime, text: &str) -> Vec<String> {
    sql(runtime, "postgres", password(runtime), text).await.unwrap()
}

async fn is_refused(runtime: &Runtime, user: &str, password: &str) -> bool {
    let refused = sql(runtime, user, password, "select 1").await;
    refused.is_err_and(|error| error.code() == Some(&SqlState::INVALID_PASSWORD))
}

async fn verifiers(runtime: &Runtime) -> Vec<String> {
    admin(runtime, "select rolpassword from pg_authid where rolcanlogin order by rolname").await
}

#[tokio::test(flavor = "multi_thread")]
async fn another_password_is_told_as_28p01_and_mended_without_it_and_where_it_matches_nothing_is_written() {
    let folder = folder();
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let (backend, ctx, mut runtime) = (&fixture.backend, ctx(), fixture.runtime());
    backend.provision(&ctx, &runtime).await.unwrap();
    let ours = password(&runtime).to_owned();
    admin(&runtime, &format!("create role app login password '{ours}'")).await;
    assert!(backend.health(&ctx, &runtime).await.unwrap().is_healthy());
    let container = fixture.container(&runtime.project, "db").await;

    admin(&runtime, "alter role app password null; alter role postgres password 'drifted'").await;
    let health = backend.health(&ctx, &runtime).await.unwrap();
    assert_eq!(state(&health, "db"), "unhealthy");
    let told = health.services[0].last_error.clone().unwrap();
    assert!(told.contains("28P01") && told.contains("\"postgres\"") && !told.contains(&ours), "{told}");

    runtime.generation += 1;
    backend.reconfigure(&ctx, &runtime).await.unwrap();
    assert!(backend.health(&ctx, &runtime).await.unwrap().is_healthy());
    assert!(is_refused(&runtime, "postgres", "drifted").await);
    assert_eq!(sql(&runtime, "app", &ours, "select 1").await.unwrap(), ["1"]);
    assert_eq!(fixture.container(&runtime.project, "db").await, container, "the container was left alone");

    // As they are now, and as servers before version 14 made them.
    let old = format!("set password_encryption = md5; alter role app password '{ours}'");
    for change in ["select 1", &old] {
        admin(&runtime, change).await;
        let before = verifiers(&runtime).await;
        runtime.generation += 1;
        backend.reconfigure(&ctx, &runtime).await.unwrap();
        assert_eq!(verifiers(&runtime).await, before);
    }

    // A pause does not forget; resume mends on its way.
    admin(&runtime, "alter role postgres password 'drifted'").await;
    backend.pause(&ctx, &runtime).await.unwrap();
    backend.resume(&ctx, &runtime).await.unwrap();
    assert!(is_refused(&runtime, "postgres", "drifted").await);
    assert_eq!(admin(&runtime, "select 1").await, ["1"]);
    backend.destroy(&ctx, &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}

/// Ends a call at one of its steps, before the effect, as a crash would.
#[derive(Debug)]
struct CrashAt {
    step: usize,
    passed: AtomicUsize,
    names: Mutex<Vec<String>>,
}

impl CrashAt {
    fn step(step: usize) -> std::sync::Arc<Self> {
        std::sync::Arc::new(Self { step, passed: AtomicUsize::new(0), names: Mutex::default() })
    }

    fn context(self: &std::sync::Arc<Self>) -> Context {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        ContextBuilder::new(deadline).interceptor(std::sync::Arc::clone(self) as _).build()
    }

    fn count(&self, name: &str) -> usize {
        self.names.lock().unwrap().iter().filter(|passed| *passed == name).count()
    }
}

#[async_trait]
impl Interceptor for CrashAt {
    async fn at_step(&self, step: &str, _: &str) -> freehold_core::Result<()> {
        if self.passed.fetch_add(1, Ordering::SeqCst) == self.step {
            return Err(Error::new(Kind::Internal, format!("crash before {step:?}")));
        }
        self.names.lock().unwrap().push(step.to_owned());
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_cut_off_at_any_step_converges_on_the_new_password_and_sets_it_once() {
    let folder = folder();
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let (backend, mut runtime) = (&fixture.backend, fixture.runtime());
    backend.provision(&ctx(), &runtime).await.unwrap();
    admin(&runtime, "create table kept ()").await;
    let name = runtime.secrets.keys().next().unwrap().clone();
    let mut points = 0;
    loop {
        let old = password(&runtime).to_owned();
        runtime.generation += 1;
        runtime.secrets.insert(name.clone(), SecretString::from(format!("rotated-{points}-it's\\\"odd")));
        let crash = CrashAt::step(points);
        let first = backend.reconfigure(&crash.context(), &runtime).await;
        let whole = CrashAt::step(usize::MAX);
        backend.reconfigure(&whole.context(), &runtime).await.unwrap();
        assert_eq!(crash.count("set passwords") + whole.count("set passwords"), 1, "at step {points}");
        assert!(is_refused(&runtime, "postgres", &old).await, "at step {points}");
        assert_eq!(admin(&runtime, "select count(*) from kept").await, ["0"]);
        if first.is_ok() {
            break;
        }
        points += 1;
    }
    println!("cut off at {points} steps");
    assert!(points >= 5, "{points} steps");
    backend.destroy(&ctx(), &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}
