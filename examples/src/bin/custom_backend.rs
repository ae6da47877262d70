//! A backend of one's own: each project is a small key-value server in this process.
//!
//! It shows what a backend has to do and nothing else: `describe` what it offers, make its effects behind `ctx.step`,
//! keep data through `pause`, remove it in `destroy`, and tell the truth in `health`, `plan` and `inventory`.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use freehold_core::{
    Action, Address, Connection, Context, Description, Destroyer, Detail, Endpoint, Error, Health, Holding,
    InstallationId, Keyring, LogLine, LogRequest, Outcome, Plan, PlannedChange, ProjectRef, Provisioner,
    Report, Result, Runtime, Scope, ServiceHealth, ServiceState, Status, Wish,
    control_plane::{ControlPlane, CreateProject, TargetSettings},
    memory::MemoryStore,
    seal::SealKey,
    stack::{PortSpec, PortTarget, Protocol, ServiceSpec, StackSpec},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

const SERVICE: &str = "kv";

type Data = Arc<Mutex<BTreeMap<String, String>>>;

/// All projects of this backend.
#[derive(Debug, Default)]
struct KeyValueServers(Mutex<BTreeMap<ProjectRef, Server>>);

/// One project: its data, and the task that serves it unless it is paused.
#[derive(Debug, Default)]
struct Server {
    /// Told by the inventory, so that Freehold removes no project of another installation.
    installation: Option<InstallationId>,
    data: Data,
    task: Option<JoinHandle<()>>,
}

impl KeyValueServers {
    fn servers(&self) -> MutexGuard<'_, BTreeMap<ProjectRef, Server>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self, project: &ProjectRef) -> bool {
        self.servers().get(project).is_some_and(|server| server.task.is_some())
    }

    /// Converges on a running server, from nothing or from whatever is there: calls may come again.
    async fn start(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let port = runtime.ports.first;
        if !self.runs(&runtime.project) {
            ctx.step("start server", SERVICE).await?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
                Error::detailed(Detail::PortTaken { port }, format!("listen on port {port}")).because(error)
            })?;
            let mut servers = self.servers();
            let server = servers.entry(runtime.project).or_default();
            server.installation = Some(runtime.installation.clone());
            server.task = Some(tokio::spawn(serve(listener, Arc::clone(&server.data))));
        }
        let address = Address { host: Ipv4Addr::LOCALHOST.to_string(), port };
        let api = Some(Endpoint { internal: address.clone(), public: address });
        let connection = Connection { database: None, pooler: None, api, secrets: vec![] };
        Ok(Outcome { connection: Some(connection), report: Report::default() })
    }

    async fn stop(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome> {
        ctx.step("stop server", SERVICE).await?;
        let task = self.servers().get_mut(project).and_then(|server| server.task.take());
        if let Some(task) = task {
            task.abort();
            // An aborted task ends with an error; what matters is that its listener is closed by then.
            let _ = task.await;
        }
        Ok(Outcome::default())
    }
}

#[async_trait]
impl Provisioner for KeyValueServers {
    async fn describe(&self, _: &Context) -> Result<Description> {
        let service = ServiceSpec {
            name: SERVICE.parse()?,
            wire: SERVICE.into(),
            default_on: true,
            label: "Key-value server".into(),
            description: "Answers `set KEY VALUE` and `get KEY`".into(),
        };
        let stack = StackSpec {
            name: "key-value".parse()?,
            digest: "1".into(),
            services: vec![service],
            secrets: vec![],
            ports: vec![PortSpec { service: SERVICE.parse()?, container_port: 1, protocol: Protocol::Tcp }],
            database: None,
            pooler: None,
            gateway: Some(PortTarget { service: SERVICE.parse()?, port: 1 }),
            data: vec![],
            first_run: None,
            subnet: false,
            variables: vec![],
        };
        Ok(Description {
            engine: "this process".into(),
            machine: "this machine".into(),
            capabilities: BTreeSet::new(),
            stacks: vec![stack],
        })
    }

    async fn provision(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.start(ctx, runtime).await
    }

    async fn pause(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.stop(ctx, &runtime.project).await
    }

    async fn resume(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        // Data that is gone is an error, never recreated.
        if !self.servers().contains_key(&runtime.project) {
            return Err(Error::internal(format!("find the data of project {}", runtime.project)));
        }
        self.start(ctx, runtime).await
    }

    async fn restart(&self, ctx: &Context, runtime: &Runtime, _: &Scope) -> Result<Outcome> {
        self.stop(ctx, &runtime.project).await?;
        self.start(ctx, runtime).await
    }

    async fn reconfigure(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.start(ctx, runtime).await
    }

    async fn plan(&self, _: &Context, runtime: &Runtime, wish: Wish) -> Result<Plan> {
        let action = match (wish, self.runs(&runtime.project)) {
            (Wish::Active, false) => Action::Start,
            (Wish::Paused, true) => Action::Stop,
            (Wish::Active, true) | (Wish::Paused, false) => return Ok(Plan::default()),
        };
        let change = PlannedChange {
            action,
            resource: "server".into(),
            name: runtime.project.to_string(),
            service: SERVICE.into(),
            reason: format!("it should be {wish:?}").to_lowercase(),
        };
        Ok(Plan { changes: vec![change] })
    }

    async fn health(&self, _: &Context, runtime: &Runtime) -> Result<Health> {
        let port = runtime.ports.first;
        let look = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
        let state = if look.is_ok() { ServiceState::Healthy } else { ServiceState::Unhealthy };
        let service = ServiceHealth {
            last_error: look.err().map(|error| error.to_string()),
            ..ServiceHealth::new(SERVICE.parse()?, state, format!("tcp 127.0.0.1:{port}"))
        };
        Ok(Health { services: vec![service] })
    }

    async fn logs(
        &self,
        _: &Context,
        _: &Runtime,
        _: &LogRequest,
    ) -> Result<mpsc::Receiver<Result<LogLine>>> {
        // The server prints nothing: a channel that is closed at once.
        Ok(mpsc::channel(1).1)
    }
}

#[async_trait]
impl Destroyer for KeyValueServers {
    async fn destroy(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome> {
        let outcome = self.stop(ctx, project).await?;
        self.servers().remove(project);
        Ok(outcome)
    }

    async fn inventory(&self, _: &Context) -> Result<Vec<Holding>> {
        let now = freehold_core::Clock::now(&freehold_core::SystemClock);
        let holding = |(project, server): (&ProjectRef, &Server)| Holding {
            project: *project,
            installation: server.installation.clone(),
            resources: BTreeMap::from([("server".to_owned(), 1)]),
            oldest: now,
        };
        Ok(self.servers().iter().map(holding).collect())
    }
}

/// Serves one project's data: `set KEY VALUE` and `get KEY`, a line each.
async fn serve(listener: TcpListener, data: Data) {
    while let Ok((stream, _)) = listener.accept().await {
        // A client that breaks off harms nobody else.
        let _ = converse(stream, &data).await;
    }
}

async fn converse(mut stream: TcpStream, data: &Data) -> std::io::Result<()> {
    let (reader, mut writer) = stream.split();
    let mut lines = BufReader::new(reader).lines();
    while let Some(line) = lines.next_line().await? {
        let words: Vec<_> = line.splitn(3, ' ').collect();
        let answer = {
            let mut data = data.lock().unwrap_or_else(PoisonError::into_inner);
            match words[..] {
                ["set", key, value] => {
                    data.insert(key.to_owned(), value.to_owned());
                    "ok".to_owned()
                }
                ["get", key] => data.get(key).cloned().unwrap_or_else(|| "nothing".to_owned()),
                _ => "set KEY VALUE or get KEY".to_owned(),
            }
        };
        writer.write_all(format!("{answer}\n").as_bytes()).await?;
    }
    Ok(())
}

async fn ask(address: &Address, line: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    let (reader, mut writer) = stream.split();
    writer.write_all(format!("{line}\n").as_bytes()).await?;
    Ok(BufReader::new(reader).lines().next_line().await?.unwrap_or_default())
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let control = ControlPlane::builder()
        .store(Arc::new(MemoryStore::default()))
        .sealer(Arc::new(Keyring::new(SealKey::random()?)))
        .target("kv".parse()?, Arc::new(KeyValueServers::default()), TargetSettings::default())
        .build()
        .await?;

    let demo =
        control.create(CreateProject::new("acme".parse()?, "demo".parse()?), None).await?.project.reference;
    let project = control.wait(&demo, &[Status::ActiveHealthy], PATIENCE).await?;
    let address = project.connection.and_then(|connection| connection.api).ok_or("no address")?.public;
    println!("demo is {} at {address}", project.status);
    println!("set greeting: {}", ask(&address, "set greeting hello").await?);

    control.pause(&demo).await?;
    println!("paused: {}", control.wait(&demo, &[Status::Inactive], PATIENCE).await?.status);
    control.resume(&demo).await?;
    control.wait(&demo, &[Status::ActiveHealthy], PATIENCE).await?;
    println!("after resume, greeting is still: {}", ask(&address, "get greeting").await?);

    control.destroy(&demo).await?;
    println!("destroyed: {}", control.wait(&demo, &[Status::Removed], PATIENCE).await?.status);
    control.shutdown(PATIENCE).await;
    Ok(())
}
