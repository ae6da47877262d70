//! The stacks, and what everybody needs to know of one.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::ValueEnum;
use freehold_tests::{passable_folder, workspace};
use serde_json::Value;
use tempfile::TempDir;

use crate::{compose, probe::Probe};

/// The stacks that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StackKind {
    /// One container.
    One,
    /// A small web application: database, migrations, pooler, proxy.
    Webapp,
    /// Eight services in three levels, checked every five seconds, around a database.
    Eight,
    /// Thirteen services in the shape of Supabase, five of them in a row, with upstream's intervals.
    Chain,
}

/// One stack.
pub(crate) struct Stack {
    pub(crate) name: String,
    /// Its Compose file and manifest.
    folder: TempDir,
    /// Its services by name.
    pub(crate) services: BTreeMap<String, Service>,
    /// Whether its containers are called the same in each copy.
    pub(crate) has_fixed_names: bool,
}

/// One service of it.
#[derive(Clone)]
pub(crate) struct Service {
    /// What it waits for: a service, and `service_started`, `service_healthy` or `service_completed_successfully`.
    pub(crate) waits_for: Vec<(String, String)>,
    /// Whether it runs to its end.
    pub(crate) is_job: bool,
    /// How it is found to be ready; its health check's test if the manifest maps nothing.
    pub(crate) probe: Option<Probe>,
}

impl Stack {
    pub(crate) async fn of(kind: StackKind) -> Self {
        let folder = passable_folder();
        let name = match kind {
            StackKind::One => "one",
            StackKind::Webapp => "webapp",
            StackKind::Eight => "eight",
            StackKind::Chain => "chain",
        };
        match kind {
            StackKind::Chain => chain(folder.path()),
            StackKind::One | StackKind::Webapp | StackKind::Eight => {
                copy(&workspace().join("tests/stacks").join(name), folder.path());
            }
        }
        let manifest = fs::read_to_string(folder.path().join("freehold.toml")).unwrap();
        let manifest: toml::Table = manifest.parse().unwrap();
        let config = compose::config(folder.path()).await;
        let services = services(&config, &manifest);
        let has_fixed_names = config["services"]
            .as_object()
            .unwrap()
            .values()
            .any(|service| service.get("container_name").is_some());
        Self { name: name.into(), folder, services, has_fixed_names }
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A copy of the folder, for those who keep data in it.
    pub(crate) fn copy(&self) -> TempDir {
        copied(self.folder())
    }

    /// The same, its health checks run no oftener than every ten minutes.
    pub(crate) async fn rarely_checked(kind: StackKind) -> Self {
        let mut stack = Self::of(kind).await;
        let file = stack.folder().join("docker-compose.yml");
        let compose = fs::read_to_string(&file).unwrap();
        let rarely = |line: &str| match line.split_once("interval: ") {
            Some((before, _)) => format!("{before}interval: 10m\n"),
            None => format!("{line}\n"),
        };
        let changed: String = compose.lines().map(rarely).collect();
        assert_ne!(changed, compose, "it has health checks");
        fs::write(file, changed).unwrap();
        stack.name += ", checked rarely";
        stack
    }

    /// How large it is.
    pub(crate) fn description(&self) -> String {
        format!("{} services, {} in a row", self.services.len(), self.depth())
    }

    /// On which level a service stands: 0 if it waits for nobody.
    pub(crate) fn level(&self, service: &str) -> usize {
        let waits_for = &self.services[service].waits_for;
        waits_for.iter().map(|(other, _)| self.level(other) + 1).max().unwrap_or(0)
    }

    pub(crate) fn depth(&self) -> usize {
        self.services.keys().map(|service| self.level(service) + 1).max().unwrap_or(0)
    }
}

/// Supabase's shape with everything on, also what Freehold would leave out. Only the engine's socket is not mounted.
fn chain(folder: &Path) {
    let root = workspace();
    copy(&root.join("tests/stacks/supabase-kong"), folder);
    fs::rename(folder.join(".env.example"), folder.join(".env")).unwrap();
    let file = folder.join("docker-compose.yml");
    let compose = fs::read_to_string(&file).unwrap();
    let kept: Vec<_> = compose.lines().filter(|line| !line.contains("docker.sock")).collect();
    // The port that is published is also the one that the server has inside: here only the first may differ.
    let own = kept.join("\n").replace("- ${POSTGRES_PORT}:", "- ${SESSION_PORT:-5432}:");
    fs::write(file, own + "\n").unwrap();
    let manifest = fs::read_to_string(root.join("backend-docker/stacks/supabase.toml")).unwrap();
    let on = |line: &&str| !line.starts_with("refuse = ") && *line != "default = false";
    let kept: Vec<_> = manifest.lines().filter(on).collect();
    let manifest =
        kept.join("\n").replace("name = \"supabase\"", "name = \"chain\"").replace(".env.example", ".env");
    fs::write(folder.join("freehold.toml"), manifest + "\n").unwrap();
}

/// A copy of a folder, gone when it is dropped.
pub(crate) fn copied(from: &Path) -> TempDir {
    let folder = passable_folder();
    copy(from, folder.path());
    folder
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").arg(from.join(".")).arg(to).status().unwrap();
    assert!(copied.success());
    // `cp -a` gives the folder itself the source's mode too.
    let passable = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o755);
    fs::set_permissions(to, passable).unwrap();
}

fn services(config: &Value, manifest: &toml::Table) -> BTreeMap<String, Service> {
    let declared = config["services"].as_object().unwrap();
    let completed = "service_completed_successfully";
    let jobs: Vec<_> = declared
        .values()
        .filter_map(|service| service.get("depends_on")?.as_object())
        .flatten()
        .filter(|(_, on)| on["condition"] == completed)
        .map(|(name, _)| name.clone())
        .collect();
    declared
        .iter()
        .map(|(name, service)| {
            let waits_for = service.get("depends_on").and_then(Value::as_object).into_iter().flatten();
            let waits_for = waits_for
                .map(|(on, how)| (on.clone(), how["condition"].as_str().unwrap().to_owned()))
                .collect();
            let mapped = manifest.get("services").and_then(|services| services.get(name)?.get("probe"));
            let probe = mapped.map(Probe::of);
            (name.clone(), Service { waits_for, is_job: jobs.contains(name), probe })
        })
        .collect()
}

/// A port that nobody else in this benchmark uses: copies have a hundred each, below those of Freehold's pool.
pub(crate) fn ports(number: usize) -> impl Iterator<Item = u16> {
    let first = 18_000 + 100 * u16::try_from(number).unwrap();
    first..first + 100
}

/// The variables that a Compose file's published ports are read from, in the order of the file.
pub(crate) fn port_variables(folder: &Path) -> Vec<String> {
    let compose = fs::read_to_string(folder.join("docker-compose.yml")).unwrap();
    let mut variables: Vec<String> = Vec::new();
    for line in compose.lines().map(str::trim) {
        let is_port = line.starts_with("published:") || line.starts_with('-') && line.contains("}:");
        let (true, Some((_, rest))) = (is_port, line.split_once("${")) else { continue };
        let name: String = rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
        if name.contains("PORT") && !variables.contains(&name) {
            variables.push(name);
        }
    }
    variables
}

/// Where `docker compose` is; `scripts/bench` has fetched it.
pub(crate) fn docker_compose() -> PathBuf {
    let cache = std::env::var_os("FREEHOLD_CACHE").map_or_else(|| workspace().join(".cache"), PathBuf::from);
    cache.join("docker-compose/docker-compose")
}
