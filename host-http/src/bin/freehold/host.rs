//! The host as a whole: state, store, keys, targets, control plane and HTTP, started and ended in order.

use std::{
    fs::{File, TryLockError},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use freehold_core::{
    control_plane::{ControlPlane, ControlPlaneBuilder},
    faults::Injector,
};
use freehold_host::{Api, Auth, check_defaults, server};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    client_file::ClientFile,
    config::Config,
    exit::{Failure, Result},
    keys, state,
    store::OpenStore,
    targets, token,
};

/// How long open requests may go on when the host ends.
const DRAIN: Duration = Duration::from_secs(5);

/// A running host.
pub(crate) struct Host {
    url: String,
    state: PathBuf,
    control: ControlPlane,
    store: OpenStore,
    serving: Serving,
    grace: Duration,
    /// Held as long as the host lives: one host a folder.
    _lock: File,
}

impl Host {
    /// Starts everything. What is wrong with the configuration is told before the first process is started.
    ///
    /// # Errors
    /// Whatever does not start, with the way out.
    pub(crate) async fn start(
        config: &Config,
        new_token: bool,
        faults: Option<Arc<Injector>>,
    ) -> Result<Self> {
        known_default_target(config)?;
        state::make(&config.state)?;
        let lock = lock(&config.state)?;
        let listener = listen(config.listen).await?;
        let address = listener.local_addr().map_err(|error| Failure::internal(format!("listen: {error}")))?;
        let url = format!("http://{address}");
        let mut builder = targets::add(ControlPlane::builder(), config).await?;
        if let Some(faults) = faults {
            builder = builder.faults(faults);
        }
        let store = OpenStore::open(config).await.map_err(|failure| failure.during("open the store"))?;
        let (control, digest) = match Self::assemble(builder, config, &store, &url, new_token).await {
            Ok(parts) => parts,
            Err(failure) => {
                // The first failure is the one that matters.
                let _ = store.close().await;
                return Err(failure);
            }
        };
        let shutdown = CancellationToken::new();
        let accounts = config.accounts.open(digest, Arc::clone(&store.accounts), shutdown.clone()).await;
        let api = accounts.and_then(|accounts| {
            let api = Api::new(control.clone(), Auth::Accounts(accounts)).shutdown_on(shutdown.clone());
            Ok(api.allow_origins(config.accounts.origins().to_vec())?)
        });
        let api = match api {
            Ok(api) => api,
            Err(failure) => {
                control.shutdown(Duration::ZERO).await;
                drop(control);
                let _ = store.close().await;
                return Err(failure);
            }
        };
        let serving = Serving::start(listener, &api, shutdown);
        let grace = Duration::from_secs(config.control.shutdown_grace_seconds);
        Ok(Self { url, state: config.state.clone(), control, store, serving, grace, _lock: lock })
    }

    async fn assemble(
        builder: ControlPlaneBuilder,
        config: &Config,
        store: &OpenStore,
        url: &str,
        new_token: bool,
    ) -> Result<(ControlPlane, freehold_host::TokenDigest)> {
        let keys = keys::ensure(&config.state, &*store.store).await?;
        let digest = token::ensure(&*store.store, &ClientFile::path(&config.state), url, new_token).await?;
        let control = builder
            .store(Arc::clone(&store.store))
            .sealer(Arc::new(keys.ring))
            .settings(config.control.settings())
            .build()
            .await?;
        if let Err(error) = check_defaults(&config.accounts.defaults(), &control.targets()) {
            control.shutdown(Duration::ZERO).await;
            return Err(Failure::usage(format!("[accounts] {error}")));
        }
        if keys.rotated {
            let control = control.clone();
            tokio::spawn(async move {
                match control.reseal().await {
                    Ok(0) => {}
                    Ok(count) => tracing::info!(count, "resealed what older keys had sealed"),
                    Err(error) => {
                        tracing::error!(error = %error.chain(), "could not reseal; the next start goes on")
                    }
                }
            });
        }
        Ok((control, digest))
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The folder for everything that it keeps.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// Ends everything in order: open requests, operations (finished or handed back), the store's server if it is ours.
    /// Projects go on running.
    ///
    /// # Errors
    /// If the server does not stop.
    pub(crate) async fn stop(self) -> Result<()> {
        self.serving.stop().await;
        self.control.shutdown(self.grace).await;
        drop(self.control);
        self.store.close().await
    }
}

/// Refuses a default target that is not configured, before a store is made. What is discovered is looked at later.
fn known_default_target(config: &Config) -> Result<()> {
    match config.accounts.defaults().target {
        Some(name) if !config.discover_docker && !config.targets.contains_key(&name) => {
            let known: Vec<_> = config.targets.keys().map(|name| name.as_str()).collect();
            Err(Failure::usage(format!(
                "[accounts] default_target: there is no target {name}: there are {}",
                known.join(", ")
            )))
        }
        _ => Ok(()),
    }
}

/// The HTTP side of a host.
pub(crate) struct Serving {
    shutdown: CancellationToken,
    task: JoinHandle<bool>,
}

impl Serving {
    /// Serves an API on a listener until the token that ends it is cancelled.
    pub(crate) fn start(listener: TcpListener, api: &Api, shutdown: CancellationToken) -> Self {
        let task = tokio::spawn(server::serve(listener, api.filter(), shutdown.clone(), DRAIN));
        Self { shutdown, task }
    }

    /// Takes no more requests, and gives the open ones a moment.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        if !matches!(self.task.await, Ok(true)) {
            tracing::warn!("some requests were broken off");
        }
    }
}

/// Listens on an address.
///
/// # Errors
/// If it is taken or not ours.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Failure::usage(format!("listen on {address}: {error}: name another address with --listen"))
    })
}

fn lock(state: &Path) -> Result<File> {
    let path = state.join("lock");
    let cannot = |error| Failure::usage(format!("lock {}: {error}", path.display()));
    let file = File::create(&path).map_err(cannot)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::conflict(format!(
            "another host runs on {}: end it, or name another folder with --state",
            state.display()
        ))),
        Err(TryLockError::Error(error)) => Err(cannot(error)),
    }
}
