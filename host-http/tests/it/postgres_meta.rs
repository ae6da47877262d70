//! Supabase's own postgres-meta in front of a real PostgreSQL, asked as Studio and the Management API's clients ask it.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use freehold_core::{ExposeSecret, ProjectRef};
use freehold_pg::{EmbeddedConfig, EmbeddedServer};
use serde_json::json;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
};
use warp::{Filter, Reply as _, http::StatusCode, hyper::body::Bytes};

use crate::{
    gateway,
    host::Reply,
    people::{People, session},
    supabase,
};

/// postgres-meta, if it can be had here; in CI it must.
fn program() -> Option<PathBuf> {
    let newest = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    if newest.map(|version| version.path().join("bin/initdb")).all(|initdb| !initdb.exists()) {
        return skipped("PostgreSQL's server programs are not in /usr/lib/postgresql");
    }
    fetched("postgres-meta")
}

/// A program of Supabase's own from npm, if it can be had here; in CI it must.
pub(crate) fn fetched(name: &str) -> Option<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/fetch-npm");
    let fetched = std::process::Command::new(script).arg(name).output().unwrap();
    if !fetched.status.success() {
        let said = String::from_utf8_lossy(&fetched.stderr);
        return skipped(&format!("{name} is not to be had: {}", said.trim()));
    }
    Some(String::from_utf8_lossy(&fetched.stdout).trim().into())
}

fn skipped(reason: &str) -> Option<PathBuf> {
    assert!(std::env::var_os("CI").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
    None
}

/// A project whose database and postgres-meta are real.
pub(crate) struct World {
    pub(crate) people: People,
    pub(crate) project: ProjectRef,
    superuser: String,
    _meta: Child,
    _server: Server,
}

/// A PostgreSQL that ends with the test, however that ends. By itself it would outlive it.
struct Server(TempDir);

impl Drop for Server {
    fn drop(&mut self) {
        let file = self.0.path().join("server/server/data/postmaster.pid");
        let Ok(text) = std::fs::read_to_string(file) else { return };
        if let Some(server) = text.lines().next() {
            let _ = std::process::Command::new("kill").args(["-QUIT", server]).status();
        }
    }
}

impl World {
    pub(crate) async fn new() -> Option<Self> {
        let program = program()?;
        // A network would mean that services find each other by name, as containers do; here they are processes.
        let (people, listener) = gateway::before_gateway(supabase::stack()).await;
        let project = people.project("demo").await;
        let connection = people.control.project(&project).await.unwrap().connection.unwrap();
        let secrets = people.control.secrets(&project).await.unwrap();
        let secret = |name: &str| secrets[&name.parse().unwrap()].expose_secret().to_owned();

        let folder = Server(passable_folder());
        let config = EmbeddedConfig {
            port: Some(connection.database.unwrap().endpoint.internal.port),
            ..EmbeddedConfig::new(folder.0.path().join("server"))
        };
        let server = EmbeddedServer::start(&config).await.unwrap();
        let superuser = server.url().expose_secret().to_owned();
        // As in Supabase's image: the login role is no superuser, and owns what people work in.
        let login = format!("create role postgres login password '{}'", secret("db_password"));
        psql(&superuser, &login).await;
        // The server is made for a store, which has one login.
        let access = folder.0.path().join("server/server/pg_hba.conf");
        let rules = std::fs::read_to_string(&access).unwrap();
        std::fs::write(&access, rules + "\nhost all all 127.0.0.1/32 scram-sha-256\n").unwrap();
        psql(&superuser, "select pg_reload_conf()").await;
        let superuser = superuser.rsplit_once('/').unwrap().0.to_owned() + "/postgres";
        psql(&superuser, "alter schema public owner to postgres").await;
        psql(&superuser, "grant create on database postgres to postgres").await;

        let (meta, port) = start(&program, &superuser, &secret("pg_meta_crypto_key")).await;
        let proxy = behind(port, secret("service_role_key"));
        tokio::spawn(warp::serve(proxy).incoming(listener).run());
        Some(Self { people, project, superuser, _meta: meta, _server: folder })
    }

    async fn query(&self, sql: &str, word: &str) -> Reply {
        let path = format!("/api/platform/pg-meta/{}/query?key=test", self.project);
        let request = warp::test::request().method("POST").path(&path);
        let request = request
            .header("authorization", format!("Bearer {}", session("owner")))
            .header("x-pg-application-name", "supabase/dashboard-query-editor")
            .header("x-connection-encrypted", word);
        let body = json!({ "query": sql, "disable_statement_timeout": false });
        Reply(request.json(&body).reply(&self.people.filter).await)
    }

    /// The words that Studio is given for the two connections.
    async fn words(&self) -> (String, String) {
        let path = format!("/api/platform/projects/{}/databases", self.project);
        let shown = self.people.get(&path, &session("owner")).await.json();
        let word = |name: &str| shown[0][name].as_str().unwrap().to_owned();
        (word("connectionString"), word("connection_string_read_only"))
    }
}

fn passable_folder() -> TempDir {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::Permissions::from_mode(0o711);
    tempfile::Builder::new().prefix("freehold-").permissions(mode).tempdir().unwrap()
}

async fn psql(url: &str, sql: &str) {
    let mut psql = Command::new("psql");
    let output = psql.args(["-v", "ON_ERROR_STOP=1", "-qc", sql]).arg(url).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// postgres-meta on a port of its own, once it listens.
async fn start(program: &Path, url: &str, crypto_key: &str) -> (Child, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut meta = Command::new(program)
        .env("PG_META_HOST", "127.0.0.1")
        .env("PG_META_PORT", port.to_string())
        .env("PG_META_DB_URL", url)
        .env("CRYPTO_KEY", crypto_key)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(meta.stdout.take().unwrap()).lines();
    let listening = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("Server listening") {
                return;
            }
        }
        panic!("postgres-meta ended before it listened");
    };
    tokio::time::timeout(Duration::from_secs(120), listening).await.expect("postgres-meta listens");
    // Whatever else it prints is read, so that it never waits for us.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (meta, port)
}

/// A gateway as Supabase's: `/pg/` for the service key alone.
fn behind(
    port: u16,
    service_key: String,
) -> impl Filter<Extract = (warp::reply::Response,), Error = warp::Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let (method, headers) = (warp::method(), warp::header::headers_cloned());
    let client = reqwest::Client::new();
    method.and(warp::path::full()).and(query).and(headers).and(warp::body::bytes()).then(
        move |method: warp::http::Method,
              path: warp::path::FullPath,
              query: String,
              mut headers: warp::http::HeaderMap,
              body: Bytes| {
            let (client, allowed) =
                (client.clone(), headers.get("apikey").is_some_and(|key| *key == *service_key));
            let path = path.as_str().strip_prefix("/pg").unwrap_or("/nothing").to_owned();
            async move {
                if !allowed {
                    return StatusCode::UNAUTHORIZED.into_response();
                }
                headers.remove("host");
                let url = format!("http://127.0.0.1:{port}{path}?{query}");
                let asked = client.request(method, url).headers(headers).body(body.to_vec()).send();
                let answer = asked.await.unwrap();
                let (status, kind) = (answer.status(), answer.headers()["content-type"].clone());
                let mut response = answer.bytes().await.unwrap().to_vec().into_response();
                *response.status_mut() = status;
                response.headers_mut().insert("content-type", kind);
                response
            }
        },
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn studio_and_clients_work_on_the_projects_own_database_and_reading_only_reads() {
    let Some(world) = World::new().await else { return };
    let (write, read) = world.words().await;
    let made = world.query("create table notes (id int primary key, body text)", &write).await;
    assert_eq!(made.status(), 200, "{}", made.text());
    let who = "select current_user::text as who, current_setting('application_name') as what";
    let rows = json!([{ "who": "postgres", "what": "supabase/dashboard-query-editor" }]);
    assert_eq!(world.query(who, &write).await.json(), rows);
    world.query("insert into notes values (1, 'kept')", &write).await;

    let reader = json!([{ "who": "freehold_read_only", "what": "supabase/dashboard-query-editor" }]);
    assert_eq!(world.query(who, &read).await.json(), reader);
    assert_eq!(world.query("select body from notes", &read).await.json(), json!([{ "body": "kept" }]));
    for sql in [
        "insert into notes values (2, 'no')",
        "set transaction read write; insert into notes values (2, 'no')",
        "set default_transaction_read_only = off; commit; begin; delete from notes; commit",
        "create table more (id int)",
        "set role postgres; delete from notes",
    ] {
        let refused = world.query(sql, &read).await;
        assert!(refused.status() >= 400, "{sql}: {}", refused.text());
        assert!(refused.json()["message"].as_str().is_some_and(|text| !text.is_empty()), "{sql}");
    }
    let count = world.query("select count(*)::int as rows from notes", &write).await.json();
    assert_eq!(count, json!([{ "rows": 1 }]));

    // As after its key was rotated: what the role has is of another.
    let other =
        "alter role freehold_read_only password 'other'; comment on role freehold_read_only is 'other'";
    psql(&world.superuser, other).await;
    assert_eq!(world.query(who, &read).await.json(), reader);

    let owner = session("owner");
    let query = format!("/v1/projects/{}/database/query", world.project);
    let body = json!({ "query": "delete from notes", "read_only": true });
    let refused = world.people.send("POST", &query, Some(&owner), &body).await;
    assert!((400..500).contains(&refused.status()), "{}", refused.text());
    let body = json!({ "query": "select body from notes where id = $1", "parameters": [1] });
    let found = world.people.send("POST", &query, Some(&owner), &body).await;
    assert_eq!((found.status(), found.json()), (201, json!([{ "body": "kept" }])));

    let path = format!("/api/platform/pg-meta/{}/tables?included_schemas=public", world.project);
    let tables = world.people.get(&path, &session("reader")).await.json();
    assert_eq!((tables.as_array().map(Vec::len), &tables[0]["name"]), (Some(1), &json!("notes")));
    let path = format!("/v1/projects/{}/types/typescript", world.project);
    let types = world.people.get(&path, &owner).await.json();
    assert!(types["types"].as_str().unwrap().contains("notes: {"), "{types}");

    let broken = world.query("select broken", &write).await;
    let message = broken.json()["message"].as_str().unwrap().to_owned();
    assert!(broken.status() == 400 && message.contains("broken"), "{message}");
    let formatted = broken.json()["formattedError"].as_str().unwrap().to_owned();
    assert!(formatted.contains("LINE 1: select broken"), "what Studio's editor shows: {formatted}");
}
