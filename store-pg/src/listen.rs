//! Hears of changes, and lets others hear of them: of this store at once, of other hosts by NOTIFY and LISTEN.
//!
//! A transaction that notifies holds a lock of the whole server until it is on disk (PostgreSQL keeps the order of
//! notifications that way), so that no two of them are made durable together. What this store commits is therefore told
//! afterwards, by a task that gathers: many commits, one notification. A host that dies in between has told nobody, and
//! those who wait look by themselves now and then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use freehold_core::store::Wake;
use sqlx::{
    PgConnection, PgPool,
    postgres::{PgConnectOptions, PgListener, PgPoolOptions},
};
use tokio::sync::{Notify, broadcast};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

use crate::error::{During, Result, refuses_password};

const CHANNEL: &str = "freehold";
const RETRY: Duration = Duration::from_secs(1);
/// How long wakes for other hosts are gathered.
const GATHER: Duration = Duration::from_millis(10);
const NOTIFY: &str = "SELECT pg_notify($1, wake) FROM unnest($2::text[]) AS wakes (wake)";
/// The same by itself, without waiting for the disk: what it tells of is on it already, and a hint may be lost.
const NOTIFY_AT_ONCE: &str = "SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, wake) \
    FROM unnest($2::text[]) AS wakes (wake)";

/// What this store signs its notifications with.
const NAME: &str = "SELECT gen_random_uuid()::text";

/// Wakes whoever listens once the transaction that the connection is in is committed: for transactions of others, who
/// alone know when that is.
pub(crate) async fn notify_within(connection: &mut PgConnection, wakes: &[Wake]) -> Result<()> {
    let payloads: Vec<_> = wakes.iter().map(|wake| text(*wake)).collect();
    sqlx::query(NOTIFY).bind(CHANNEL).bind(payloads).execute(connection).await.during("notify")?;
    Ok(())
}

/// Listens and tells until it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    wakes: broadcast::Sender<Wake>,
    untold: Arc<Untold>,
    stop: CancellationToken,
    tasks: TaskTracker,
    _stop_on_drop: DropGuard,
}

impl Listener {
    /// Begins to listen: what is committed once this has returned is heard.
    pub(crate) async fn start(pool: &PgPool) -> Result<Self> {
        let options = pool.connect_options().as_ref().clone();
        let (wakes, _) = broadcast::channel(256);
        let stop = CancellationToken::new();
        let first = connect(&options).await.during("listen to the store")?;
        let own: String = sqlx::query_scalar(NAME).fetch_one(pool).await.during("listen to the store")?;
        let untold = Arc::new(Untold::default());
        let tasks = TaskTracker::new();
        let telling = tell(pool.clone(), Arc::clone(&untold), own.clone());
        let listening = listen(first, options, wakes.clone(), own);
        tasks.spawn(stop.clone().run_until_cancelled_owned(listening));
        tasks.spawn(stop.clone().run_until_cancelled_owned(telling));
        tasks.close();
        Ok(Self { wakes, untold, stop: stop.clone(), tasks, _stop_on_drop: stop.drop_guard() })
    }

    /// Ends listening, and returns once the connection is given up.
    pub(crate) async fn stop(&self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    pub(crate) fn subscribe(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }

    /// Wakes whoever listens: what it is about has been committed.
    pub(crate) fn wake(&self, wakes: &[Wake]) {
        for wake in wakes {
            // Nobody subscribed is no failure.
            let _ = self.wakes.send(*wake);
        }
        self.untold.add(wakes);
    }
}

/// What other hosts have not been told yet.
#[derive(Debug, Default)]
struct Untold {
    wakes: AtomicU8,
    some: Notify,
}

impl Untold {
    fn add(&self, wakes: &[Wake]) {
        let added = wakes.iter().fold(0, |set, wake| set | bit(*wake));
        if self.wakes.fetch_or(added, Ordering::AcqRel) & added != added {
            self.some.notify_one();
        }
    }

    fn take(&self) -> Vec<Wake> {
        let set = self.wakes.swap(0, Ordering::AcqRel);
        ALL.into_iter().filter(|wake| set & bit(*wake) != 0).collect()
    }
}

/// Tells other hosts what was gathered, again and again. Payloads end with who sent them, who has heard it already.
async fn tell(pool: PgPool, untold: Arc<Untold>, own: String) {
    loop {
        untold.some.notified().await;
        tokio::time::sleep(GATHER).await;
        let payloads: Vec<_> =
            untold.take().into_iter().map(|wake| format!("{} {own}", text(wake))).collect();
        if let Err(error) = sqlx::query(NOTIFY_AT_ONCE).bind(CHANNEL).bind(payloads).execute(&pool).await {
            tracing::debug!(%error, "other hosts were not woken; they look by themselves");
        }
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

async fn listen(first: PgListener, options: PgConnectOptions, wakes: broadcast::Sender<Wake>, own: String) {
    let mut listener = first;
    loop {
        match listener.try_recv().await {
            Ok(Some(notification)) => {
                if let Some(wake) = parse(notification.payload(), &own) {
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
            Err(error) if refuses_password(&error) => {
                tracing::debug!("the store's server refuses the password; it cannot be listened to");
            }
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

const fn bit(wake: Wake) -> u8 {
    match wake {
        Wake::Operations => 1,
        Wake::Written => 2,
        Wake::Events => 4,
    }
}

/// What a payload tells, unless it was sent by this store itself.
fn parse(payload: &str, own: &str) -> Option<Wake> {
    let (wake, sender) = payload.split_once(' ').unwrap_or((payload, ""));
    ALL.into_iter().filter(|_| sender != own).find(|known| text(*known) == wake)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_store_sent_itself_is_not_heard_again() {
        assert_eq!(parse("written 17", "17"), None);
        assert_eq!(parse("written 18", "17"), Some(Wake::Written));
        assert_eq!(parse("operations", "17"), Some(Wake::Operations));
        assert_eq!(parse("something new", "17"), None);
    }
}
