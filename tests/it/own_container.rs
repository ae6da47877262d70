//! The host in a container of the engine that it works with.

use std::{path::Path, process::Command};

use freehold_core::ProjectRef;
use freehold_tests::{
    docker_census, docker_engine, docker_host, freehold_program, passable_folder, wait_until, workspace,
};
use serde_json::Value;
use tempfile::TempDir;

/// A container with the program that was built with these tests, on the engine's default bridge, where no name server
/// knows containers. It ends with the test.
struct Contained {
    name: String,
    folder: TempDir,
}

/// What `docker` answers.
fn docker(arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker").args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(out.trim().to_owned()) } else { Err(format!("{out}{err}")) }
}

impl Contained {
    fn new(first_port: u16) -> Self {
        let folder = passable_folder();
        let root = folder.path().display();
        let third = (first_port - 20_000) / 200;
        let config = format!(
            "listen = \"127.0.0.1:4000\"\nstate = \"{root}/state\"\n\
             [control]\nwatch_seconds = 1\n\
             [targets.docker]\nkind = \"docker\"\nconfig = {{ stacks = [{{ folder = \"/stack\" }}] }}\n\
             settings = {{ port_pool = {{ first = {first_port}, last = {} }}, \
             subnet_pool = {{ network = \"10.214.{third}.0/24\", prefix = 27 }} }}\n",
            first_port + 99,
        );
        std::fs::write(folder.path().join("freehold.toml"), config).unwrap();
        let name = format!("freehold-test-host-{first_port}");
        Self { name, folder }
    }

    /// Starts it, as its operator would: the socket, a folder at the same path as on the machine, the stack.
    fn run(&self, state: &str) -> Result<String, String> {
        let socket = docker_host().unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        let socket = socket.strip_prefix("unix://").unwrap();
        let volume = |from: &dyn std::fmt::Display, to: &str| format!("--volume={from}:{to}");
        let folder = self.folder.path().display();
        let config = format!("{folder}/freehold.toml");
        docker(&[
            "run",
            "--detach",
            "--name",
            &self.name,
            "--entrypoint=/usr/local/bin/freehold",
            &volume(&socket, "/var/run/docker.sock"),
            &volume(&freehold_program().display(), "/usr/local/bin/freehold:ro"),
            &volume(&workspace().join("tests/stacks/webapp").display(), "/stack:ro"),
            &volume(&config, &format!("{config}:ro")),
            &format!("--volume={state}"),
            "freehold-test/postgres:1",
            "serve",
            "--config",
            &config,
        ])
    }

    /// The state folder, where the machine has it.
    fn same_path(&self) -> String {
        let state = self.folder.path().join("state");
        format!("{0}:{0}", state.display())
    }

    fn log(&self) -> String {
        let output = Command::new("docker").args(["logs", &self.name]).output().unwrap();
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// Waits until it has begun to listen so many times.
    fn listens(&self, times: usize) {
        wait_until("the host listens", || {
            let log = self.log();
            let running = docker(&["inspect", "--format={{.State.Running}}", &self.name]).unwrap();
            assert_eq!(running, "true", "{log}");
            log.matches(r#""message":"listening""#).count() >= times
        });
    }

    /// Runs a program in it.
    fn exec(&self, arguments: &[&str]) -> Result<String, String> {
        docker(&[&["exec", self.name.as_str()], arguments].concat())
    }

    fn freehold(&self, arguments: &[&str]) -> Value {
        let client = self.folder.path().join("state/client.toml").display().to_string();
        let out = self.exec(&[&["freehold", "--client-file", &client, "--json"], arguments].concat());
        let out = out.unwrap_or_else(|said| panic!("{said}\n{}", self.log()));
        let lines = out.lines().map(|line| serde_json::from_str(line).ok());
        serde_json::from_str(&out).unwrap_or_else(|_| Value::Array(lines.flatten().collect()))
    }

    /// What SQL answers by the address that Freehold itself uses.
    fn sql(&self, project: &str, sql: &str) -> Result<String, String> {
        let shown = self.freehold(&["show", project, "--secrets"]);
        let (address, password) = internal_database(&shown);
        let host = address["host"].as_str().unwrap();
        let url = format!("postgres://postgres:{password}@{host}:{}/postgres", address["port"]);
        self.exec(&["psql", "--no-psqlrc", "--no-align", "--tuples-only", "--quiet", &url, "--command", sql])
    }

    /// Services that have a probe of their own were asked at their own address.
    fn asks_directly(&self, project: &str) {
        let health = self.freehold(&["health", project]);
        for (service, kind) in [("db", "postgres"), ("proxy", "http")] {
            let entries = health["services"].as_array().unwrap();
            let entry = entries.iter().find(|entry| entry["service"] == service).unwrap();
            assert_eq!(entry["state"], "healthy", "{entry:#}");
            assert!(entry["probe"].as_str().unwrap().starts_with(&format!("{kind} 10.214.")), "{entry:#}");
        }
    }

    fn networks(&self) -> String {
        let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
        docker(&["inspect", &format!("--format={format}"), &self.name]).unwrap()
    }

    fn way_out(&self) -> String {
        self.exec(&["cat", "/proc/net/route"]).unwrap()
    }
}

impl Drop for Contained {
    fn drop(&mut self) {
        let _ = docker(&["rm", "--force", "--volumes", &self.name]);
    }
}

/// The default routes of a table as the kernel shows it: interface, destination, gateway.
fn way_out_of(table: &str) -> Vec<String> {
    let lines = table.lines().filter(|line| line.split_whitespace().nth(1) == Some("00000000"));
    lines.map(|line| line.split_whitespace().take(3).collect::<Vec<_>>().join(" ")).collect()
}

fn internal_database(shown: &Value) -> (Value, String) {
    let database = &shown["project"]["connection"]["database"];
    let secret = database["password_secret"].as_str().unwrap();
    let password = shown["secrets"][secret].as_str().unwrap().to_owned();
    (database["endpoint"]["internal"].clone(), password)
}

#[test]
fn a_host_in_a_container_of_the_engine_reaches_its_projects_by_their_internal_addresses() {
    if !docker_engine() {
        return;
    }
    let host = Contained::new(24_000);
    host.run(&host.same_path()).unwrap();
    host.listens(1);
    let way_out = host.way_out();
    let _ = host.freehold(&["create", "demo"]);
    let shown = host.freehold(&["show", "demo"]);
    assert_eq!(shown["status"], "ACTIVE_HEALTHY");
    let project = shown["ref"].as_str().unwrap().to_owned();
    let network = format!("fh-{project}_internal");
    let internal = &shown["connection"]["database"]["endpoint"]["internal"];
    assert_eq!(
        (internal["host"].as_str(), internal["port"].as_u64()),
        (Some(&*format!("fh-{project}-db")), Some(5432))
    );
    assert!(host.networks().contains(&network), "{}", host.networks());
    host.asks_directly("demo");
    host.sql("demo", "create table kept (body text); insert into kept values ('row')").unwrap();
    let api = &shown["connection"]["api"]["internal"];
    let url = format!("http://{}:{}/health", api["host"].as_str().unwrap(), api["port"]);
    host.exec(&["curl", "--fail", "--silent", "--show-error", &url]).unwrap();
    assert_eq!(way_out_of(&host.way_out()), way_out_of(&way_out), "its default route is not ours to move");

    docker(&["restart", &host.name]).unwrap();
    host.listens(2);
    assert_eq!(host.sql("demo", "select body from kept").unwrap(), "row");
    host.asks_directly("demo");

    // An update: another container in its place, which is in no project's network.
    docker(&["stop", &host.name]).unwrap();
    docker(&["rm", &host.name]).unwrap();
    host.run(&host.same_path()).unwrap();
    host.listens(1);
    wait_until("the watcher's round takes it into the network", || host.networks().contains(&network));
    assert_eq!(host.sql("demo", "select body from kept").unwrap(), "row");

    let _ = host.freehold(&["pause", "demo"]);
    assert_eq!(host.freehold(&["show", "demo"])["status"], "INACTIVE");
    assert!(!host.networks().contains("fh-"), "{}", host.networks());
    let _ = host.freehold(&["resume", "demo"]);
    assert_eq!(host.sql("demo", "select body from kept").unwrap(), "row");
    let _ = host.freehold(&["destroy", "demo", "--yes"]);
    let reference: ProjectRef = project.parse().unwrap();
    assert_eq!(docker_census(&reference), [""; 0]);
    assert!(!Path::new(&host.folder.path().join("state/docker/projects").join(project)).exists());
}

#[test]
fn a_state_folder_that_the_engine_does_not_see_is_refused_with_the_option_that_mends_it() {
    if !docker_engine() {
        return;
    }
    let host = Contained::new(24_200);
    let state = host.folder.path().join("state");
    host.run(&format!("{0}/elsewhere:{0}/state", host.folder.path().display())).unwrap();
    assert_ne!(docker(&["wait", &host.name]).unwrap(), "0");
    let expected = format!("`--volume {0}/docker:{0}/docker`", state.display());
    assert!(host.log().contains(&expected), "{}", host.log());
}

#[test]
fn a_store_by_a_short_name_is_refused_because_a_service_of_a_project_could_answer_to_it() {
    if !docker_engine() {
        return;
    }
    let host = Contained::new(24_400);
    let config = host.folder.path().join("freehold.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(config, text + "[store]\nurl = \"postgres://freehold@db/freehold\"\n").unwrap();
    host.run(&host.same_path()).unwrap();
    assert_eq!(docker(&["wait", &host.name]).unwrap(), "2");
    assert!(host.log().contains("store: ") && host.log().contains("a name with a dot"), "{}", host.log());
}
