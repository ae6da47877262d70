//! A backend of one's own: small key-value servers on TCP, tasks of this process.
//!
//! It keeps the promises of [`Provisioner`] and [`Destroyer`]: `tests/key_value.rs` runs the suite that any backend can be
//! held to. What to look at: names follow from the ref, every effect comes after a step, each call converges from whatever
//! is there, and nothing that is gone is made anew unasked.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use async_trait::async_trait;
use freehold_core::{
    Action, Address, Connection, Context, Description, Destroyer, Detail, Endpoint, Error, Health, Holding,
    InstallationId, Kind, LogLine, LogRequest, Outcome, Plan, PlannedChange, ProjectRef, Provisioner, Report,
    Result, Runtime, Scope, ServiceHealth, ServiceName, ServiceState, Wish,
    stack::{PortSpec, PortTarget, Protocol, ServiceSpec, StackSpec},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinHandle,
};

const SERVICE: &str = "kv";
const STACK: &str = "key-value";
const DIGEST: &str = "1";

type Data = Arc<Mutex<BTreeMap<String, String>>>;

/// All projects of this backend.
#[derive(Debug, Default)]
pub struct KeyValueServers(Mutex<BTreeMap<ProjectRef, Server>>);

/// One project: its data, and the task that serves it unless it is paused.
#[derive(Debug)]
struct Server {
    /// Told by the inventory, so that Freehold removes no project of another installation.
    installation: InstallationId,
    made: SystemTime,
    data: Data,
    task: Option<JoinHandle<()>>,
}

impl KeyValueServers {
    fn servers(&self) -> MutexGuard<'_, BTreeMap<ProjectRef, Server>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runs(&self, project: &ProjectRef) -> bool {
        let runs = |server: &Server| server.task.as_ref().is_some_and(|task| !task.is_finished());
        self.servers().get(project).is_some_and(runs)
    }

    /// Ends a project's server behind the backend's back, as a crash would. For tests.
    pub fn crash(&self, project: &ProjectRef) {
        if let Some(task) = self.servers().get(project).and_then(|server| server.task.as_ref()) {
            task.abort();
        }
    }

    /// Refuses to make data anew that is gone, unless the caller has accepted that.
    fn check_data(&self, runtime: &Runtime) -> Result<()> {
        let gone = !self.servers().contains_key(&runtime.project);
        runtime.accepts_loss_of(gone.then(|| format!("{}-{SERVICE}", runtime.project)))
    }

    /// Converges on a running server, from nothing or from whatever is there: calls may come again.
    async fn start(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        check_stack(runtime)?;
        let port = runtime.ports.first;
        if !self.runs(&runtime.project) {
            ctx.step("start server", SERVICE).await?;
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| {
                let what = format!("listen on port {port}");
                match error.kind() {
                    io::ErrorKind::AddrInUse => Error::detailed(Detail::PortTaken { port }, what),
                    _ => Error::new(Kind::Unavailable, what),
                }
                .because(error)
            })?;
            let mut servers = self.servers();
            let server = servers.entry(runtime.project).or_insert_with(|| Server {
                installation: runtime.installation.clone(),
                made: SystemTime::now(),
                data: Data::default(),
                task: None,
            });
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
            name: STACK.parse()?,
            digest: DIGEST.into(),
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
        self.check_data(runtime)?;
        self.start(ctx, runtime).await
    }

    async fn restart(&self, ctx: &Context, runtime: &Runtime, scope: &Scope) -> Result<Outcome> {
        if let Scope::Services(services) = scope {
            check_services(services)?;
        }
        self.check_data(runtime)?;
        self.stop(ctx, &runtime.project).await?;
        self.start(ctx, runtime).await
    }

    async fn reconfigure(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.check_data(runtime)?;
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
        let look = match self.runs(&runtime.project) {
            true => TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map(drop),
            // Somebody else may listen there.
            false => Err(io::Error::other("the server does not run")),
        };
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
        request: &LogRequest,
    ) -> Result<mpsc::Receiver<Result<LogLine>>> {
        check_services(&request.services)?;
        // The server prints nothing: a channel that is closed at once.
        Ok(mpsc::channel(1).1)
    }
}

#[async_trait]
impl Destroyer for KeyValueServers {
    async fn destroy(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome> {
        let outcome = self.stop(ctx, project).await?;
        ctx.step("remove data", SERVICE).await?;
        self.servers().remove(project);
        Ok(outcome)
    }

    async fn inventory(&self, _: &Context) -> Result<Vec<Holding>> {
        Ok(self.servers().iter().map(|(project, server)| holding(project, server)).collect())
    }

    async fn holding(&self, _: &Context, project: &ProjectRef) -> Result<Option<Holding>> {
        Ok(self.servers().get(project).map(|server| holding(project, server)))
    }
}

fn holding(project: &ProjectRef, server: &Server) -> Holding {
    Holding {
        project: *project,
        installation: Some(server.installation.clone()),
        resources: BTreeMap::from([("server".to_owned(), 1)]),
        oldest: server.made.into(),
    }
}

fn check_stack(runtime: &Runtime) -> Result<()> {
    if runtime.stack.as_str() != STACK {
        return Err(Error::invalid(
            "stack",
            format_args!("{} is not offered: there is {STACK}", runtime.stack),
        ));
    }
    if runtime.digest != DIGEST {
        let problem = format_args!("{:?} is not known: {STACK} has {DIGEST:?}", runtime.digest);
        return Err(Error::invalid("digest", problem));
    }
    Ok(())
}

fn check_services(services: &[ServiceName]) -> Result<()> {
    match services.iter().find(|service| service.as_str() != SERVICE) {
        Some(unknown) => {
            Err(Error::invalid("services", format_args!("{unknown} is none: there is {SERVICE}")))
        }
        None => Ok(()),
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

/// Says a line to a project's server, and gives its answer.
///
/// # Errors
/// Whatever keeps it from being reached.
pub async fn ask(address: &Address, line: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    let (reader, mut writer) = stream.split();
    writer.write_all(format!("{line}\n").as_bytes()).await?;
    Ok(BufReader::new(reader).lines().next_line().await?.unwrap_or_default())
}
