//! A canary: a secret that is easily found, looked for wherever no secret may be.

use std::{
    io,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use freehold_core::{CreateProject, PageRequest, ProjectRef, SecretName, Status, store::OperationFilter};
use freehold_tests::{Psql, docker_engine, postgresql};

use crate::host::{Host, Targets};

/// Without anything in it that shells, URLs or JSON would write otherwise, so that every trace of it is found.
const CANARY: &str = "canary0password7of9nobody";

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_arguments_operations_events_logs_or_readable_files_on_the_shell_target() {
    if !postgresql() {
        return;
    }
    let targets = Targets { shell: true, docker: false, first_port: 21_400 };
    let host = live(targets, "shell", "db_pass").await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_arguments_labels_operations_events_logs_or_readable_files_on_docker() {
    if !docker_engine() || !postgresql() {
        return;
    }
    let targets = Targets { shell: false, docker: true, first_port: 21_600 };
    let host = live(targets, "docker", "db_password").await;
    host.stop().await;
}

/// One project through its whole life, with somebody looking over its shoulder.
async fn live(targets: Targets, target: &str, secret: &str) -> Host {
    let log = captured_log();
    let spy = Spy::begin();
    let host = Host::start(targets).await;
    let create = CreateProject::new("acme".parse().unwrap(), "demo".parse().unwrap())
        .on(target.parse().unwrap())
        .secret(SecretName::new(secret).unwrap(), CANARY);
    let project = host.control.create(create, None).await.unwrap().project.reference;
    host.wait(&project, Status::ActiveHealthy).await;
    assert_eq!(
        Psql::to(&host.control, &project).await.run("select 1").await.unwrap(),
        "1",
        "it is the password"
    );
    if target == "docker" {
        assert_eq!(on_the_engine(&project), [""; 0]);
    }
    assert_eq!(readable_files(host.folder.path()), [""; 0]);
    host.ended(host.control.restart(&project, &[]).await.unwrap(), Status::ActiveHealthy).await;
    host.ended(host.control.pause(&project).await.unwrap(), Status::Inactive).await;
    host.ended(host.control.resume(&project).await.unwrap(), Status::ActiveHealthy).await;
    let plan = format!("{:?}", host.control.plan(&project).await.unwrap());
    let health = format!("{:?}", host.control.health(&project).await.unwrap());
    host.ended(host.control.destroy(&project).await.unwrap(), Status::Removed).await;

    let operations =
        host.control.operations(&OperationFilter::default(), &PageRequest::default()).await.unwrap();
    let events = host.control.events(0, 1000).await.unwrap();
    assert_eq!((operations.items.len(), events.events.is_empty()), (5, false));
    assert!(!format!("{operations:?}{events:?}{plan}{health}{:?}", host.control).contains(CANARY));
    assert_eq!(spy.end(), [""; 0], "in the arguments of a process");
    let log = log.lock().unwrap_or_else(PoisonError::into_inner);
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("ended"), "the log is captured");
    assert!(!log.contains(CANARY), "{}", log.lines().find(|line| line.contains(CANARY)).unwrap_or_default());
    host
}

/// Reads the arguments of every process, over and over.
struct Spy {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<Vec<String>>,
}

impl Spy {
    fn begin() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut seen = vec![];
            while !stopped.load(Ordering::Relaxed) {
                for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
                    let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
                    let line = String::from_utf8_lossy(&line).replace('\0', " ");
                    if line.contains(CANARY) {
                        seen.push(line);
                    }
                }
                std::thread::yield_now();
            }
            seen
        });
        Self { stop, thread }
    }

    fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// Everything that this test program logs, down to the last detail.
fn captured_log() -> Arc<Mutex<Vec<u8>>> {
    static LOG: Mutex<Option<Arc<Mutex<Vec<u8>>>>> = Mutex::new(None);
    let mut log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    let log = log.get_or_insert_with(|| {
        let log = Arc::new(Mutex::new(vec![]));
        let writer = Arc::clone(&log);
        tracing_subscriber::fmt()
            .with_ansi(false)
            .with_env_filter("trace")
            .with_writer(move || Writer(Arc::clone(&writer)))
            .init();
        log
    });
    Arc::clone(log)
}

struct Writer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Names, labels and command lines of the project's containers, networks and volumes that hold the canary. Their
/// environment holds it by nature: that is how an image takes its password.
fn on_the_engine(project: &ProjectRef) -> Vec<String> {
    let list = |kind: &str, arguments: &[&str]| {
        let label = format!("label=freehold.ref={project}");
        let output =
            Command::new("docker").arg(kind).args(arguments).args(["--quiet", "--filter", &label]).output();
        String::from_utf8_lossy(&output.unwrap().stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let template = "{{json .Name}} {{json .Config.Labels}} {{json .Path}} {{json .Args}} {{json .Mounts}}";
    let things = [
        (template, list("container", &["ls", "--all"])),
        ("{{json .}}", list("network", &["ls"])),
        ("{{json .}}", list("volume", &["ls"])),
    ];
    assert!(things.iter().all(|(_, ids)| !ids.is_empty()), "there is something to look at");
    things
        .into_iter()
        .flat_map(|(template, ids)| {
            let output = Command::new("docker").args(["inspect", "--format", template]).args(ids).output();
            String::from_utf8_lossy(&output.unwrap().stdout).lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .filter(|line| line.contains(CANARY))
        .collect()
}

/// Files that hold the canary and that everybody may reach and read.
fn readable_files(folder: &Path) -> Vec<String> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let open_to_others = metadata.permissions().mode();
        if metadata.is_dir() && open_to_others & 0o001 != 0 {
            found.extend(readable_files(&entry.path()));
        } else if metadata.is_file() && open_to_others & 0o004 != 0 {
            let content = std::fs::read(entry.path()).unwrap_or_default();
            if String::from_utf8_lossy(&content).contains(CANARY) {
                found.push(entry.path().display().to_string());
            }
        }
    }
    found
}
