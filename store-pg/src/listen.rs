//! Hears of changes by LISTEN on a connection of its own, and passes them on.

use std::time::Duration;

use freehold_core::store::Wake;
use sqlx::{
    PgConnection,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::broadcast;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::error::{During, Result};

const CHANNEL: &str = "freehold";
const RETRY: Duration = Duration::from_secs(1);
const NOTIFY: &str = "SELECT pg_notify($1, $2)";

/// Wakes whoever listens, once the transaction is committed. Equal wakes of one transaction are one.
pub(crate) async fn wake(connection: &mut PgConnection, wake: Wake) -> Result<()> {
    sqlx::query(NOTIFY).bind(CHANNEL).bind(text(wake)).execute(connection).await.during("notify")?;
    Ok(())
}

/// Listens until it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    wakes: broadcast::Sender<Wake>,
    stop: CancellationToken,
    tasks: TaskTracker,
    _stop_on_drop: DropGuard,
}

impl Listener {
    /// Begins to listen: what is committed once this has returned is heard.
    pub(crate) async fn start(options: PgConnectOptions) -> Result<Self> {
        let (wakes, _) = broadcast::channel(256);
        let stop = CancellationToken::new();
        let first = connect(&options).await.during("listen to the store")?;
        let task = listen(first, options, wakes.clone());
        let tasks = TaskTracker::new();
        tasks.spawn(stop.clone().run_until_cancelled_owned(task));
        tasks.close();
        Ok(Self { wakes, stop: stop.clone(), tasks, _stop_on_drop: stop.drop_guard() })
    }

    /// Ends listening, and returns once the connection is given up.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }
}

/// A pool of one connection, because sqlx's listener takes no other; the store's own pool is never waited for.
async fn connect(options: &PgConnectOptions) -> sqlx::Result<PgListener> {
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options.clone())
        .await?;
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}

async fn listen(first: PgListener, options: PgConnectOptions, wakes: broadcast::Sender<Wake>) {
    let mut listener = first;
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) => {
                if let Some(wake) = parse(notification.payload()) {
                    // Nobody subscribed is no failure.
                    let _ = wakes.send(wake);
                }
                continue;
            }
            Ok(None) => tracing::debug!("the listening connection was lost and opened again"),
            Err(error) => {
                tracing::warn!(%error, "lost the listening connection to the store");
                listener = reconnect(&options).await;
            }
        }
        // What was notified meanwhile is lost: everybody looks.
        for wake in ALL {
            let _ = wakes.send(wake);
        }
    }
}

async fn reconnect(options: &PgConnectOptions) -> PgListener {
    loop {
        match connect(options).await {
            Ok(listener) => return listener,
            Err(error) => tracing::debug!(%error, "the store cannot be listened to yet"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

const ALL: [Wake; 3] = [Wake::Operations, Wake::Written, Wake::Events];

const fn text(wake: Wake) -> &'static str {
    match wake {
        Wake::Operations => "operations",
        Wake::Written => "written",
        Wake::Events => "events",
    }
}

fn parse(payload: &str) -> Option<Wake> {
    ALL.into_iter().find(|wake| text(*wake) == payload)
}
