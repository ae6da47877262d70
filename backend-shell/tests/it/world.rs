//! A data folder of a test's own, a backend on it, and ways to look at what is there.

use std::{
    collections::BTreeMap,
    fs,
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU64, Ordering},
    },
    time::Duration,
};

use freehold_core::{
    Annotations, Context, Destroyer as _, HashKey, Limits, OrganizationId, PortBlock, ProjectName,
    ProjectRef, Provisioner as _, Runtime, SecretName, StackSpec,
};
use freehold_shell::{Config, ShellBackend};
use tempfile::TempDir;

/// A backend on a data folder of its own. What a failed test leaves is destroyed with it.
pub(crate) struct World {
    pub(crate) backend: Arc<ShellBackend>,
    pub(crate) spec: StackSpec,
    pub(crate) data: PathBuf,
    _folder: TempDir,
}

impl World {
    /// With the hooks that are shipped.
    pub(crate) async fn postgres() -> Self {
        let folder = TempDir::new().unwrap();
        let config = Config::new(folder.path());
        Self::open(folder, config).await
    }

    /// With a pretended stack whose hooks succeed, but for those that are named with their texts.
    pub(crate) async fn pretending(hooks: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        let programs = folder.path().join("hooks");
        fs::create_dir(&programs).unwrap();
        fs::write(programs.join("stack.toml"), include_str!("../hooks/stack.toml")).unwrap();
        let all = [
            "check",
            "provision",
            "pause",
            "resume",
            "restart",
            "reconfigure",
            "destroy",
            "plan",
            "health",
            "logs",
        ];
        for name in all.iter().chain(&["inventory"]) {
            let chosen = hooks.iter().find(|(hook, _)| hook == name);
            let text = chosen.map_or(include_str!("../hooks/succeed"), |(_, text)| text);
            let path = programs.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let config = Config { hooks: Some(programs), ..Config::new(folder.path().join("data")) };
        Self::open(folder, config).await
    }

    async fn open(folder: TempDir, config: Config) -> Self {
        // System users of projects have to get through, whatever the umask is.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
        let data = config.data.clone();
        let backend = Arc::new(ShellBackend::open(config).unwrap());
        let spec = backend.describe(&minute()).await.unwrap().stacks.remove(0);
        Self { backend, spec, data, _folder: folder }
    }

    /// A new project with free ports and secrets of its own.
    pub(crate) fn project(&self) -> Runtime {
        let secret = |spec: &freehold_core::stack::SecretSpec| {
            (spec.name.clone(), format!("it's:a\\se\"cret{:08}%", unique()).into())
        };
        Runtime {
            project: new_ref(),
            name: ProjectName::new("Ünïcödé '$(reboot)'").unwrap(),
            organization: OrganizationId::new("acme").unwrap(),
            annotations: Annotations::new(BTreeMap::from([("region".into(), "here".into())])).unwrap(),
            stack: self.spec.name.clone(),
            digest: self.spec.digest.clone(),
            generation: 1,
            ports: free_ports(self.spec.port_count()),
            subnet: None,
            secrets: self.spec.secrets.iter().map(secret).collect(),
            hash_key: HashKey::new(vec![7; 32]),
            excluded: vec![],
            variables: BTreeMap::new(),
            accept_data_loss: vec![],
            first_run: vec![],
            installation: "here".parse().unwrap(),
            limits: Limits::default(),
        }
    }

    /// The hooks' part of a project's folder.
    pub(crate) fn root(&self, runtime: &Runtime) -> PathBuf {
        self.data.join("projects").join(runtime.project.as_str()).join("root")
    }

    /// Everything that projects of this world have on the machine: folders, processes, system users.
    pub(crate) fn census(&self) -> Vec<String> {
        let projects = self.data.join("projects").canonicalize().unwrap();
        let folders =
            fs::read_dir(&projects).unwrap().map(|entry| entry.unwrap().path().display().to_string());
        let here = |path: &Path| path.starts_with(&projects);
        let working: BTreeMap<u32, PathBuf> = processes().filter(|(_, cwd)| here(cwd)).collect();
        // What a server started comes and goes, and is gone with it.
        let processes = working
            .iter()
            .filter(|(pid, cwd)| parent(**pid).is_some_and(|parent| working.get(&parent) != Some(cwd)))
            .map(|(pid, cwd)| format!("{pid} in {}", cwd.display()));
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let users =
            passwd.lines().filter(|line| line.split(':').nth(5).is_some_and(|home| here(Path::new(home))));
        folders.chain(processes).chain(users.map(str::to_owned)).collect()
    }

    /// The process id of a project's server.
    pub(crate) fn server(&self, runtime: &Runtime) -> Option<u32> {
        let data = self.root(runtime).join("data").canonicalize().ok()?;
        let text = fs::read_to_string(data.join("postmaster.pid")).ok()?;
        let pid: u32 = text.lines().next()?.parse().ok()?;
        processes().any(|(process, cwd)| process == pid && cwd == data).then_some(pid)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    for holding in self.backend.inventory(&minute()).await.unwrap_or_default() {
                        let _ = self.backend.destroy(&minute(), &holding.project).await;
                    }
                });
            });
        });
    }
}

/// The processes and the folders that they work in.
pub(crate) fn processes() -> impl Iterator<Item = (u32, PathBuf)> {
    fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        Some((pid, fs::read_link(entry.path().join("cwd")).ok()?))
    })
}

/// Who started a process, or took it in.
fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

/// Whether a process runs: a corpse does not.
pub(crate) fn runs(pid: u32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok()
}

/// The process id that a hook wrote down.
pub(crate) fn written_pid(file: &Path) -> Option<u32> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

pub(crate) fn kill(signal: &str, pid: u32) {
    assert!(
        Command::new("sh")
            .args(["-c", "kill -$1 $2", "sh", signal, &pid.to_string()])
            .status()
            .unwrap()
            .success()
    );
}

pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").map(|metadata| std::os::unix::fs::MetadataExt::uid(&metadata) == 0).unwrap()
}

pub(crate) fn minute() -> Context {
    Context::new(Duration::from_secs(60))
}

/// Waits for something to come about.
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    for _ in 0..1000 {
        if let Some(found) = look() {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}

/// Runs SQL as people do: by the port and the password.
pub(crate) fn sql(runtime: &Runtime, text: &str) -> Result<String, String> {
    sql_with(runtime, secret(runtime, "db_pass"), text)
}

pub(crate) fn sql_with(runtime: &Runtime, password: &str, text: &str) -> Result<String, String> {
    let installed = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let psql = installed.map(|entry| entry.path().join("bin/psql")).find(|path| path.exists());
    let output = Command::new(psql.unwrap_or_else(|| "psql".into()))
        .args([
            "-X",
            "-w",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-d",
            "postgres",
        ])
        .args(["-p", &runtime.ports.first.to_string(), "-c", text])
        .env("PGPASSWORD", password)
        .env("LC_ALL", "C")
        .current_dir("/")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

pub(crate) fn secret<'a>(runtime: &'a Runtime, name: &str) -> &'a str {
    use freehold_core::ExposeSecret as _;
    runtime.secret(&SecretName::new(name).unwrap()).unwrap().expose_secret()
}

pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// Consecutive ports that no other test has, be its project paused, and that nobody listens on. The tests of an ordinary
/// user run beside those of root.
pub(crate) fn free_ports(count: u16) -> PortBlock {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = if is_root() { 10_000 } else { 15_000 };
    loop {
        let block = PortBlock { first: begin + NEXT.fetch_add(count, Ordering::Relaxed), count };
        if block.iter().all(is_free) {
            return block;
        }
    }
}

fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let process = u64::from(std::process::id());
    process * 1000 + NEXT.fetch_add(1, Ordering::Relaxed)
}

fn new_ref() -> ProjectRef {
    let mut rest = unique();
    let letters = std::iter::repeat_with(|| {
        let letter = char::from(b'a' + u8::try_from(rest % 26).unwrap());
        rest /= 26;
        letter
    });
    letters.take(ProjectRef::LEN).collect::<String>().parse().unwrap()
}
