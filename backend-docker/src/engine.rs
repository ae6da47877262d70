//! The engine behind its API: connecting, and one way of making calls, each bounded by the context. The kinds of things
//! on it have a file each below.

mod containers;
mod exec;
mod folders;
mod hosts;
mod images;
mod networks;
mod volumes;

use std::{collections::HashMap, future::Future, io, sync::Arc, time::Duration};

use bollard::{API_DEFAULT_VERSION, Docker, errors::Error as Bollard};
use freehold_core::{Context, Error, Kind, ProjectRef};
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    net::{TcpStream, UnixStream},
    sync::Semaphore,
    time::Instant,
};

pub(crate) use self::{
    containers::{Container, Place, State, last_line},
    exec::Exit,
    hosts::Host,
    images::Image,
    networks::Network,
    volumes::Volume,
};
use crate::{error::EngineError, labels, registry::Registry};

/// Where Docker listens unless told otherwise.
const DEFAULT_HOST: &str = "unix:///var/run/docker.sock";

/// The oldest API that has all we use: that of Docker Engine 20.10.
const OLDEST_API: (u32, u32) = (1, 41);

/// How long an engine may take to say what it is.
const GREETING: Duration = Duration::from_secs(10);

/// Why Podman is no target. It makes an ID for each answer (Podman, `pkg/api/handlers/compat/info.go`).
const PODMAN: &str = "it is Podman, which has another ID whenever it is asked, so that a target would not know it again: \
                      run Docker Engine 20.10 or later, as root or rootless, and set `host` to its socket";

/// A client of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    docker: Docker,
    address: String,
    local: bool,
    registry: Arc<Registry>,
    /// Turns at making and removing networks.
    networks: Arc<Semaphore>,
}

/// What an engine says of itself.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    /// Its own id, kept in its data folder.
    pub(crate) id: String,
    /// The name of its machine.
    pub(crate) machine: String,
    /// How many processors it has.
    pub(crate) cpus: usize,
    /// Whether it belongs to an ordinary user, and so has a network of its own on its machine.
    pub(crate) rootless: bool,
    /// Whether it can bound the memory and the processor time of containers. One that cannot takes bounds and forgets them.
    pub(crate) bounds: bool,
}

impl Engine {
    /// A client of the engine at `host`, which fetches images as `registry` says: `unix:///path`, `tcp://host:port` or `http://host:port`.
    ///
    /// # Errors
    /// Nothing there, no right to it, not an engine, too old: each with the way out.
    pub(crate) async fn connect(host: Option<&str>, registry: Registry) -> Result<Self, EngineError> {
        let address = host.unwrap_or(DEFAULT_HOST).to_owned();
        let unfit = |problem: String| EngineError::Unfit { address: address.clone(), problem };
        let timeout = GREETING.as_secs();
        let (docker, local) = match address.split_once("://") {
            Some(("unix", path)) => {
                UnixStream::connect(path).await.map_err(|error| unreachable_at(&address, error))?;
                (Docker::connect_with_unix(path, timeout, API_DEFAULT_VERSION), true)
            }
            Some(("tcp" | "http", authority)) => {
                let authority = authority.trim_end_matches('/');
                TcpStream::connect(authority).await.map_err(|error| unreachable_at(&address, error))?;
                (Docker::connect_with_http(authority, timeout, API_DEFAULT_VERSION), false)
            }
            _ => return Err(unfit("the address must begin with unix://, tcp:// or http://".into())),
        };
        let docker = docker.map_err(|error| unfit(error.to_string()))?;
        let version = match tokio::time::timeout(GREETING, docker.version()).await {
            Ok(Ok(version)) => version,
            Ok(Err(source @ Bollard::DockerResponseServerError { status_code: 500.., .. })) => {
                return Err(EngineError::Call { verb: "ask", thing: address, source });
            }
            Ok(Err(error)) => return Err(unfit(format!("it does not speak the engine's API ({error})"))),
            Err(_) => return Err(EngineError::NoAnswer { verb: "ask", thing: address, after: GREETING }),
        };
        let parts = version.components.unwrap_or_default();
        if parts.iter().any(|part| part.name.starts_with("Podman")) {
            return Err(unfit(PODMAN.into()));
        }
        let version = version.api_version.unwrap_or_default();
        if api(&version).is_none_or(|version| version < OLDEST_API) {
            return Err(unfit(format!(
                "its API is {version:?}, and 1.41 is needed: update it to Docker Engine 20.10 or later"
            )));
        }
        // The client's own bound is for the head of an answer; `call` bounds each request by what the caller allows.
        let docker = docker.with_timeout(Duration::from_secs(3600));
        let networks = Arc::new(Semaphore::new(networks::AT_ONCE));
        Ok(Self { docker, address, local, registry: Arc::new(registry), networks })
    }

    /// Whether it runs on this machine.
    pub(crate) fn is_local(&self) -> bool {
        self.local
    }

    /// Whether it is not to fetch images.
    pub(crate) fn is_offline(&self) -> bool {
        self.registry.offline
    }

    /// The client itself, for streams.
    pub(crate) fn client(&self) -> &Docker {
        &self.docker
    }

    /// What it says of itself.
    pub(crate) async fn identity(&self, ctx: &Context) -> Result<Identity, EngineError> {
        let info = self.call(ctx, "ask", &self.address, self.docker.info()).await?;
        let id = info.id.filter(|id| !id.is_empty()).ok_or_else(|| EngineError::Unfit {
            address: self.address.clone(),
            problem: "it has no ID to be known by".into(),
        })?;
        let cpus = info.ncpu.and_then(|cpus| usize::try_from(cpus).ok()).unwrap_or(1).max(1);
        // "rootless", or "name=rootless" (moby, `daemon/info_unix.go`).
        let secured = info.security_options.unwrap_or_default();
        Ok(Identity {
            id,
            machine: info.name.unwrap_or_default(),
            cpus,
            rootless: secured.iter().any(|option| option.split([',', '=']).any(|word| word == "rootless")),
            bounds: info.memory_limit.unwrap_or_default() && info.cpu_cfs_quota.unwrap_or_default(),
        })
    }

    /// Makes one call, bounded by the context's margin and ended by its cancellation. A request's future is large, so it
    /// goes on the heap here, before any of our own holds it.
    fn call<'a, T: Send + 'a>(
        &self,
        ctx: &'a Context,
        verb: &'static str,
        thing: &'a str,
        work: impl Future<Output = Result<T, Bollard>> + Send + 'a,
    ) -> BoxFuture<'a, Result<T, EngineError>> {
        let work = work.boxed();
        async move {
            let margin = ctx.margin();
            let answer = ctx.bounded(verb, async { Ok(tokio::time::timeout(margin, work).await) }).await?;
            match answer {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(source)) => Err(EngineError::Call { verb, thing: thing.to_owned(), source }),
                Err(_) => {
                    // Where the deadline came before the margin, it is the call that took too long, not the engine.
                    ctx.check()?;
                    Err(EngineError::NoAnswer { verb, thing: thing.to_owned(), after: margin })
                }
            }
        }
        .boxed()
    }
}

/// Time for what the engine still has in hand: a request that was given up and that it goes on with, a removal that
/// somebody else began. It is as long as one request may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience(Instant);

impl Patience {
    /// Between two looks.
    const PAUSE: Duration = Duration::from_millis(50);

    /// From now. A little longer than a request may take: where that is all the time that the call has left, the call's own
    /// end comes first, and is what is told.
    pub(crate) fn new(ctx: &Context) -> Self {
        Self(Instant::now() + ctx.margin() + Self::PAUSE)
    }

    /// Waits a moment before the next look. False if there was time enough.
    pub(crate) async fn lasts(self, ctx: &Context, what: &str) -> Result<bool, Error> {
        if Instant::now() >= self.0 {
            ctx.check()?;
            return Ok(false);
        }
        ctx.pause(what, Self::PAUSE).await?;
        Ok(true)
    }
}

/// The filter for what is ours: of one project, or of all.
fn ours(project: Option<&ProjectRef>) -> HashMap<String, Vec<String>> {
    let label = match project {
        Some(project) => format!("{}={project}", labels::REF),
        None => labels::REF.to_owned(),
    };
    HashMap::from([("label".to_owned(), vec![label])])
}

/// `1.41` as two numbers.
fn api(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

fn unreachable_at(address: &str, source: io::Error) -> EngineError {
    let way_out = match source.kind() {
        io::ErrorKind::NotFound => "there is no such socket: start Docker, or set `host` to where it listens",
        io::ErrorKind::PermissionDenied => {
            "this user may not use the socket: add the user to the socket's group (usually docker), or run as root"
        }
        io::ErrorKind::ConnectionRefused => {
            "nothing listens there: start Docker, or set `host` to where it listens"
        }
        _ => "check that Docker runs there and can be reached",
    };
    EngineError::Unreachable { address: address.to_owned(), way_out, source }
}

/// Whether an error in the chain is one that [`Kind::NotFound`] stands for: a thing that is gone already is removed.
pub(crate) fn gone_is_fine(result: Result<(), EngineError>) -> Result<(), EngineError> {
    match result {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

/// Marks an error with where it happened, so that people read step and service.
pub(crate) fn at(step: &str, service: &str, error: impl Into<freehold_core::Error>) -> freehold_core::Error {
    let error = error.into();
    if error.context("step").is_some() || error.kind() == Kind::Cancelled {
        return error;
    }
    error.with("step", step).with("service", service)
}

/// The same where it needed what was seen or made a moment ago. What is gone by now went with an earlier removal, which was
/// given up and which the engine went on with: another try looks anew, and makes it.
pub(crate) fn gone_since(step: &str, service: &str, error: EngineError) -> Error {
    if !error.is_not_found() {
        return at(step, service, error);
    }
    let gone = Error::new(Kind::Unavailable, format!("{step}: what it needs was removed meanwhile"));
    at(step, service, gone.because(Error::from(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn api_versions_are_compared_as_numbers() {
        assert!(api("1.9") < api("1.41") && api("1.100") > Some(OLDEST_API));
        assert_eq!(api("podman"), None);
    }
}
