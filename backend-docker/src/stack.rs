//! *Load*: a folder becomes a stack that can be planned, or an error that says what is wrong with it.

mod absent;
mod digest;
mod sources;
mod variables;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    io::ErrorKind,
    path::{Component, Path, PathBuf},
};

use freehold_core::{
    Error, Kind, ProjectRef, Result, Runtime, StackSpec,
    stack::{PortSpec, SecretSpec, ServiceSpec},
};

use crate::{
    compose::{
        ComposeFile, Source,
        dotenv::{DotEnv, Precedence},
        interpolate::interpolate_tree,
        merge::merge,
        problem::Problem,
        yaml::{self, Node},
    },
    config::StackSource,
    graph::Surroundings,
    manifest::{self, Manifest},
    plan,
};

/// The names that a Compose file may have; the first that is there is it. Then the names of a file that is merged over it.
/// Both as `docker compose` looks for them (compose-go, `cli/options.go`).
const COMPOSE_FILES: [&str; 4] = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];
const OVERRIDE_FILES: [&str; 4] = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// A stack's folder, read and found to be right.
pub(crate) struct Stack {
    spec: StackSpec,
    manifest: Manifest,
    /// The manifest as it is written, which is kept with the stack.
    manifest_text: String,
    /// The Compose files before their variables are replaced, each to be merged over those before it.
    trees: Vec<Node>,
    /// The profiles that the stack's `.env` turns on.
    profiles: Vec<String>,
    /// Where the variables come from.
    env_name: String,
    env: DotEnv,
    /// The files and folders that it is made of, which its digest covers.
    files: Vec<PathBuf>,
    /// The files that services take their environment from.
    env_files: BTreeMap<PathBuf, DotEnv>,
    /// What of the folder is mounted and is not there.
    absent: BTreeSet<PathBuf>,
    allowed_mounts: Vec<PathBuf>,
}

/// A path of a stack, without `.` and `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the stack's folder.
    Inside(PathBuf),
    /// Anywhere else on the machine.
    Outside(PathBuf),
}

impl Stack {
    /// Reads the folder and plans a project of it with made-up values, so that whatever is wrong is said now.
    ///
    /// # Errors
    /// `InvalidInput` with file, line and key; `Internal` for a file that cannot be read.
    pub(crate) fn load(folder: &Path, source: &StackSource) -> Result<Self> {
        let folder = fs::canonicalize(folder).map_err(|error| unreadable(folder, error))?;
        let stack = Self::read(&folder, source);
        stack.map_err(|error| error.with("stack", folder.display()))
    }

    fn read(folder: &Path, source: &StackSource) -> Result<Self> {
        let manifest_text = manifest_text(folder, source)?;
        let mut manifest = Manifest::parse(&manifest_text)?;
        if let Some(name) = &source.name {
            manifest.name = name.clone();
        }
        let stack = Self::parse(folder, source, manifest_text, manifest)?;
        stack.try_plan()?;
        Ok(stack)
    }

    /// All but the plan.
    fn parse(folder: &Path, source: &StackSource, manifest_text: String, manifest: Manifest) -> Result<Self> {
        let (env_name, env) = read_env(folder, &manifest)?;
        let settings = env.evaluate(&BTreeMap::new(), Precedence::File)?;
        let files = compose_files(folder, &settings)?;
        let trees = files
            .iter()
            .map(|file| Ok(yaml::parse(file, &required(folder, file)?)?))
            .collect::<Result<Vec<_>>>()?;
        let profiles = list(&settings, "COMPOSE_PROFILES", ',');
        let spec = StackSpec {
            name: manifest.name.clone(),
            digest: String::new(),
            services: Vec::new(),
            secrets: Vec::new(),
            ports: Vec::new(),
            database: manifest.database.clone().map(Into::into),
            pooler: manifest.pooler.clone().map(Into::into),
            gateway: None,
            data: manifest.data.iter().map(|data| data.path.clone()).collect(),
            first_run: manifest.first_run.as_ref().map(|first_run| first_run.service.clone()),
            subnet: true,
            variables: Vec::new(),
        };
        let (files, env_files, absent) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let allowed_mounts = source.allowed_mounts.clone();
        let mut stack = Self {
            spec,
            manifest,
            manifest_text,
            trees,
            profiles,
            env_name,
            env,
            files,
            env_files,
            absent,
            allowed_mounts,
        };

        let compose = stack.compose(&stack.made_up_variables()?)?;
        stack.describe(&compose)?;
        stack.read_env_files(folder, &compose)?;
        stack.files = stack.made_of(&compose)?;
        let absent = stack.files.iter().filter(|path| !folder.join(path).exists());
        stack.absent = absent.cloned().collect();
        stack.spec.digest = digest::of(folder, &stack.manifest_text, &stack.files, &stack.spec.data)?;
        Ok(stack)
    }

    /// What the control plane must know.
    pub(crate) fn spec(&self) -> &StackSpec {
        &self.spec
    }

    /// The manifest as it is written.
    pub(crate) fn manifest_text(&self) -> &str {
        &self.manifest_text
    }

    /// The manifest.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The names of the Compose files in the folder, in the order in which they are merged.
    pub(crate) fn compose_files(&self) -> impl Iterator<Item = &str> {
        self.trees.iter().map(|tree| &*tree.file)
    }

    /// What the Compose files come to with these variables.
    ///
    /// # Errors
    /// `InvalidInput` with file, line and key.
    pub(crate) fn compose(&self, variables: &BTreeMap<String, String>) -> Result<ComposeFile> {
        let lookup = |name: &str| variables.get(name).cloned();
        let files = self.trees.iter().map(|tree| interpolate_tree(tree, &lookup));
        let merged = merge(files.collect::<Result<_, _>>()?)?;
        let mut compose = ComposeFile::read(&merged)?;
        let gateway = self.manifest.gateway.as_ref();
        let gateway =
            gateway.and_then(|gateway| gateway.target(|name| compose.service(name.as_str()).is_some()));
        let database = self.manifest.database.as_ref().and_then(manifest::Database::published);
        // An overlay that puts a proxy in front of the gateway takes its ports away; Freehold goes on to ask the gateway.
        let gateway = gateway.as_ref().map(|target| (&target.service, target.port));
        for (name, port) in database.into_iter().chain(gateway) {
            if let Some(service) = compose.services.iter_mut().find(|service| service.name == *name) {
                service.publish(port);
            }
        }
        Ok(compose)
    }

    /// A file that services take their environment from.
    pub(crate) fn env_file(&self, path: &str) -> Option<&DotEnv> {
        match place(path) {
            Place::Inside(path) => self.env_files.get(&path),
            Place::Outside(_) => None,
        }
    }

    /// Whether the operator allows a path of the machine to be mounted.
    pub(crate) fn allows(&self, path: &Path) -> bool {
        self.allowed_mounts.iter().any(|allowed| path.starts_with(allowed))
    }

    /// Something wrong with a key of a service.
    pub(crate) fn problem(&self, service: &str, key: &str, message: impl Into<String>) -> Problem {
        let last = self.trees.last().map_or("", |tree| &*tree.file);
        Problem::of_file(last, message).at_key(format!("services.{service}.{key}"))
    }

    /// Fills the spec from what the Compose file and the manifest say.
    fn describe(&mut self, compose: &ComposeFile) -> Result<()> {
        let known = |name: &str| compose.service(name).is_some();
        let unknown = self.manifest.services.iter().filter(|(_, said)| !said.optional);
        if let Some((name, _)) = unknown.into_iter().find(|(name, _)| !known(name.as_str())) {
            let files: Vec<_> = self.compose_files().collect();
            let message = format!("{} has no such service", files.join(" with "));
            return Err(Problem::of_file(manifest::FILE, message).at_key(format!("services.{name}")).into());
        }
        let gateway = self.manifest.gateway.as_ref();
        self.spec.gateway = gateway.and_then(|gateway| gateway.target(|name| known(name.as_str())));
        for service in &compose.services {
            let name = service.name.clone();
            let said = self.manifest.services.get(&name);
            self.spec.services.push(ServiceSpec {
                wire: said.and_then(|said| said.wire.clone()).unwrap_or_else(|| name.to_string()),
                default_on: said
                    .and_then(|said| if said.refuse.is_some() { Some(false) } else { said.default })
                    .unwrap_or_else(|| service.is_active(&self.profiles)),
                label: said.and_then(|said| said.label.clone()).unwrap_or_else(|| name.to_string()),
                description: said.map(|said| said.description.clone()).unwrap_or_default(),
                name: name.clone(),
            });
            self.spec.ports.extend(service.ports.iter().map(|port| PortSpec {
                service: name.clone(),
                container_port: port.container_port,
                protocol: port.protocol,
            }));
        }
        self.spec.secrets = self
            .own_secrets()
            .map(|secret| SecretSpec { name: secret.name.clone(), generator: secret.generate.clone() })
            .collect();
        self.spec.variables = self.settings(compose)?;
        self.check_data(compose)?;
        self.spec.validate().map_err(|error| Problem::of_file(manifest::FILE, error.to_string()).into())
    }

    /// Checks that each data directory is mounted somewhere and becomes a volume of its own.
    fn check_data(&self, compose: &ComposeFile) -> Result<()> {
        let mounts = || compose.services.iter().flat_map(|service| &service.mounts);
        for (index, data) in self.manifest.data.iter().enumerate() {
            let problem =
                |message: String| Problem::of_file(manifest::FILE, message).at_key(format!("data[{index}]"));
            let here = place(&data.path);
            let is_mounted =
                mounts().any(|mount| matches!(&mount.source, Source::Path(path) if place(path) == here));
            if !is_mounted || matches!(here, Place::Outside(_)) {
                let message = format!("no service mounts {} of the stack's folder", data.path);
                return Err(problem(message).into());
            }
            let earlier = self.manifest.data[..index].iter().any(|other| other.volume == data.volume);
            if earlier || compose.volumes.contains_key(&data.volume) {
                return Err(problem(format!(
                    "there is a volume {} already: choose another name",
                    data.volume
                ))
                .into());
            }
        }
        Ok(())
    }

    fn read_env_files(&mut self, folder: &Path, compose: &ComposeFile) -> Result<()> {
        for service in &compose.services {
            for file in &service.env_files {
                let problem = |message: &str| {
                    self.problem(service.name.as_str(), "env_file", format!("{} {message}", file.path))
                };
                let Place::Inside(path) = place(&file.path) else {
                    return Err(problem("lies outside the stack's folder: copy it there").into());
                };
                let name = path.display().to_string();
                match optional(folder, &name)? {
                    Some(text) => drop(self.env_files.insert(path, DotEnv::parse(&name, &text)?)),
                    None if file.required => {
                        return Err(problem("is not there: add it, or write required: false").into());
                    }
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// Plans a project that has every default and no real secret.
    fn try_plan(&self) -> Result<()> {
        let runtime: Runtime = self.made_up_runtime()?;
        let surroundings = Surroundings {
            folder: PathBuf::from("/"),
            bind_address: std::net::Ipv4Addr::LOCALHOST.into(),
            public_host: "localhost".into(),
            epoch: 0,
        };
        plan::plan(self, &runtime, &surroundings).map(drop)
    }
}

impl fmt::Debug for Stack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack")
            .field("name", &self.spec.name)
            .field("digest", &self.spec.digest)
            .finish_non_exhaustive()
    }
}

/// Where a path of a stack leads. It is not looked at: links are the business of whoever follows it. Every `..` is taken
/// away as the engine does it, so that an allowed mount is not the way to what lies beside it.
pub(crate) fn place(path: &str) -> Place {
    let path = Path::new(path);
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(part) => plain.push(part),
            // Above the root is the root.
            Component::ParentDir if !plain.pop() && !path.is_absolute() => {
                return Place::Outside(path.to_owned());
            }
            Component::RootDir => plain.push(component),
            Component::ParentDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    if path.is_absolute() { Place::Outside(plain) } else { Place::Inside(plain) }
}

/// The ref of projects that are never made.
fn nobody() -> Result<ProjectRef> {
    "a".repeat(ProjectRef::LEN).parse()
}

/// The folder's own manifest, else the one that Freehold ships under the source's name.
fn manifest_text(folder: &Path, source: &StackSource) -> Result<String> {
    if let Some(text) = optional(folder, manifest::FILE)? {
        return Ok(text);
    }
    let shipped = source.name.as_ref().and_then(|name| manifest::shipped(name.as_str()));
    shipped.map(str::to_owned).ok_or_else(|| {
        let message = format!(
            "{}: there is no such file in the stack's folder {}: write one, or name the stack as one that Freehold \
             ships a manifest for: {}",
            manifest::FILE,
            folder.display(),
            manifest::SHIPPED
        );
        Error::new(Kind::InvalidInput, message)
    })
}

/// The stack's `.env`, else the file that the manifest names in its place.
fn read_env(folder: &Path, manifest: &Manifest) -> Result<(String, DotEnv)> {
    for name in [Some(".env"), manifest.env_file.as_deref()].into_iter().flatten() {
        if let Some(text) = optional(folder, name)? {
            return Ok((name.to_owned(), DotEnv::parse(name, &text)?));
        }
    }
    Ok((".env".to_owned(), DotEnv::default()))
}

/// The names of the Compose files: those of `COMPOSE_FILE`, else the usual one and what is merged over it.
fn compose_files(folder: &Path, settings: &BTreeMap<String, String>) -> Result<Vec<String>> {
    let separator = settings.get("COMPOSE_PATH_SEPARATOR").and_then(|text| text.chars().next());
    let chosen = list(settings, "COMPOSE_FILE", separator.unwrap_or(':'));
    if chosen.is_empty() {
        let first = |names: &[&'static str]| names.iter().find(|name| folder.join(name).is_file()).copied();
        let usual = first(&COMPOSE_FILES).ok_or_else(|| {
            let names = COMPOSE_FILES.join(", ");
            Error::new(
                Kind::InvalidInput,
                format!("no Compose file in {}: it is called {names}", folder.display()),
            )
        })?;
        return Ok([Some(usual), first(&OVERRIDE_FILES)].into_iter().flatten().map(str::to_owned).collect());
    }
    let wrong = |message: String| Error::from(Problem::of_file(".env", message).at_key("COMPOSE_FILE"));
    let mut files = Vec::with_capacity(chosen.len());
    for (index, file) in chosen.iter().enumerate() {
        let Place::Inside(path) = place(file) else {
            return Err(wrong(format!("{file:?} lies outside the stack's folder")));
        };
        // Compose takes relative paths from the folder of the first file.
        if index == 0 && path.parent().is_some_and(|parent| parent != Path::new("")) {
            return Err(wrong(format!("{file:?} comes first and lies deeper: make its folder the stack's")));
        }
        files.push(path.display().to_string());
    }
    Ok(files)
}

/// The parts of a variable that holds several.
fn list(settings: &BTreeMap<String, String>, name: &str, separator: char) -> Vec<String> {
    let parts = settings.get(name).into_iter().flat_map(|text| text.split(separator));
    parts.map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn required(folder: &Path, file: &str) -> Result<String> {
    optional(folder, file)?.ok_or_else(|| {
        Error::new(
            Kind::InvalidInput,
            format!("{file}: there is no such file in the stack's folder {}", folder.display()),
        )
    })
}

/// A file's text; `None` if it is not there.
fn optional(folder: &Path, file: &str) -> Result<Option<String>> {
    let path = folder.join(file);
    match fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(&path, error)),
    }
}

fn unreadable(path: &Path, error: std::io::Error) -> Error {
    Error::new(Kind::InvalidInput, format!("read {}", path.display())).because(error)
}

#[cfg(test)]
pub(crate) mod tests;
