//! The store itself: each method is answered by the file that is named for it.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use freehold_core::{
    EventPage, Operation, OperationId, OrganizationId, Page, PageRequest, Project, ProjectFilter, ProjectRef,
    Result, Store,
    operation::Lease,
    seal::KeyId,
    store::{
        Census, Change, Claim, Claimed, Committed, OperationFilter, PortPool, Put, RecordedProgress, Renewed,
        Replay, Retention, SealedItem, Settlement, TargetRecord, Wake,
    },
};
use sqlx::{Connection, Executor as _, PgConnection, PgPool, postgres::PgPoolOptions};
use time::OffsetDateTime;
use tokio::sync::broadcast;

use crate::{
    claim, commit, config::Config, error::During, lease, listen::Listener, migrate, observed, organizations,
    queries, sealed, sequencer, settings, settle, transaction,
};

/// A connection that nobody used for so long is tried before it is used.
const RESTED: Duration = Duration::from_secs(1);

/// Keeps everything in PostgreSQL 13 or newer, in a schema of its own, `freehold`. Clones share the connections.
///
/// # Guarantees
/// Those of [`Store`]; several hosts may use one database at once, and start at once.
///
/// # Assumptions
/// Nobody else writes to the schema, and the server is set to `synchronous_commit` (the default) wherever a power cut
/// must not take back what was answered.
#[derive(Clone)]
pub struct PgStore {
    pool: PgPool,
    listener: Arc<Listener>,
    commands: Arc<commit::Commands>,
    ends: Arc<settle::Ends>,
}

impl fmt::Debug for PgStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither pool nor listener are printed: their options hold the password.
        f.debug_struct("PgStore").field("connections", &self.pool.size()).finish_non_exhaustive()
    }
}

impl PgStore {
    /// Connects, brings the schema up to date and begins to listen.
    ///
    /// # Errors
    /// `InvalidInput` for a URL that is none, a role or a database that does not exist or may not be used; `Unavailable` if
    /// the server does not answer, and with [`StorePassword`](freehold_core::Detail::StorePassword) if it takes another
    /// password; `Conflict` if the schema was migrated by a newer program.
    pub async fn connect(config: &Config) -> Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(config.max_connections)
            .acquire_timeout(config.acquire_timeout())
            // To ask before each use whether the server is still there would be a third of all that it is asked.
            .test_before_acquire(false)
            .before_acquire(|connection, known| {
                Box::pin(async move {
                    if known.idle_for >= RESTED {
                        connection.ping().await?;
                    }
                    Ok(true)
                })
            })
            .after_connect(|connection, _| {
                Box::pin(
                    async move { connection.execute(transaction::EACH_AT_READ_COMMITTED).await.map(drop) },
                )
            })
            .connect_with(config.connect_options()?)
            .await;
        if let Err(sqlx::Error::PoolTimedOut) = pool {
            // The pool tells how long it tried, and not what it met.
            config.check_password().await?;
        }
        Self::from_pool(pool.during("connect to the store")?).await
    }

    /// Uses a pool that the caller has: its connections are shared, and one more is opened to listen. Their transactions are
    /// at the level READ COMMITTED unless told otherwise: the default, and what [`connect`](Self::connect) sets by itself.
    /// Where many projects are expected, give them `random_page_cost = 1.1` and `jit = off`, as it also does: plans that are
    /// kept from a small store then serve a large one.
    ///
    /// # Errors
    /// Those of [`connect`](Self::connect), and `InvalidInput` if the pool's transactions are at another level.
    pub async fn from_pool(pool: PgPool) -> Result<Self> {
        transaction::check_level(&pool).await?;
        migrate::migrate(&pool).await?;
        let listener = Listener::start(&pool).await?;
        Ok(Self {
            listener: Arc::new(listener),
            commands: Arc::new(commit::commands(pool.clone())),
            ends: Arc::new(settle::ends(pool.clone())),
            pool,
        })
    }

    /// Carries a change out inside the caller's own transaction: it is committed, or rolled back, with it, and others
    /// are woken when it is committed.
    ///
    /// The change runs behind a savepoint: if it is refused, what the transaction did before stands and it goes on.
    /// Begin the transaction with sqlx, at the level READ COMMITTED (the default); outside of one, the change is a
    /// transaction by itself. Keep it short where it creates projects: until it ends, others that create projects on the
    /// same machine or under the same bound wait for it, because they cannot know what it will have taken. Nothing else
    /// waits: events of others are numbered past it.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     pool: sqlx::PgPool, store: freehold_pg::PgStore, change: freehold_core::store::Change,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = pool.begin().await?;
    /// sqlx::query("INSERT INTO invoices (customer) VALUES (7)").execute(&mut *transaction).await?;
    /// let committed = store.commit_in(&mut transaction, change).await?;
    /// transaction.commit().await?;
    /// println!("{} is {}", committed.project.reference, committed.project.status);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Store::commit`].
    pub async fn commit_in(&self, transaction: &mut PgConnection, change: Change) -> Result<Committed> {
        Ok(commit::commit_in(transaction, &change).await?)
    }

    pub(crate) fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Closes every connection, once their calls have ended. Nobody is woken any more.
    pub async fn close(&self) {
        self.listener.stop().await;
        self.pool.close().await;
    }
}

#[async_trait]
impl Store for PgStore {
    async fn now(&self) -> Result<OffsetDateTime> {
        Ok(queries::now(&self.pool).await?)
    }

    async fn commit(&self, change: Change) -> Result<Committed> {
        let committed = commit::commit(&self.pool, &self.commands, change).await?;
        self.listener.wake(&commit::WAKES);
        Ok(committed)
    }

    async fn replay(&self, organization: &OrganizationId, key: &str) -> Result<Option<Replay>> {
        let mut connection = self.pool.acquire().await.during("look an idempotency key up")?;
        Ok(queries::replay(&mut connection, organization, key).await?)
    }

    async fn project(&self, project: &ProjectRef) -> Result<Option<Project>> {
        let mut connection = self.pool.acquire().await.during("read a project")?;
        Ok(queries::project(&mut connection, project).await?)
    }

    async fn projects(&self, filter: &ProjectFilter, page: &PageRequest) -> Result<Page<Project>> {
        Ok(queries::projects(&self.pool, filter, page).await?)
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>> {
        let mut connection = self.pool.acquire().await.during("read an operation")?;
        Ok(queries::operation(&mut connection, operation).await?)
    }

    async fn operations(&self, filter: &OperationFilter, page: &PageRequest) -> Result<Page<Operation>> {
        Ok(queries::operations(&self.pool, filter, page).await?)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        let claimed = claim::claim(&self.pool, claim).await?;
        if !claimed.is_empty() {
            self.listener.wake(&[Wake::Written]);
        }
        Ok(claimed)
    }

    async fn renew(&self, lease: &Lease, extend: Duration, progress: &[RecordedProgress]) -> Result<Renewed> {
        Ok(lease::renew(&self.pool, lease, extend, progress).await?)
    }

    async fn settle(&self, settlement: Settlement) -> Result<Project> {
        let project = settle::settle(&self.pool, &self.ends, settlement).await?;
        // A place on the target is free, and the project's next operation may begin.
        self.listener.wake(&[Wake::Written, Wake::Operations]);
        Ok(project)
    }

    async fn reallocate(
        &self,
        lease: &Lease,
        taken: u16,
        pool: &PortPool,
        aside: Duration,
    ) -> Result<Project> {
        let project = lease::reallocate(&self.pool, lease, taken, pool, aside).await?;
        self.listener.wake(&[Wake::Written]);
        Ok(project)
    }

    async fn observed(&self, projects: &[ProjectRef]) -> Result<()> {
        Ok(observed::observed(&self.pool, projects).await?)
    }

    async fn events(&self, after: u64, limit: u32) -> Result<EventPage> {
        Ok(sequencer::events(&self.pool, after, limit).await?)
    }

    async fn sequence(&self) -> Result<u64> {
        let (newest, any) = sequencer::sequence(&self.pool).await?;
        if any {
            self.listener.wake(&[Wake::Events]);
        }
        Ok(newest)
    }

    fn subscribe(&self) -> broadcast::Receiver<Wake> {
        self.listener.subscribe()
    }

    async fn sealed(&self, project: Option<&ProjectRef>) -> Result<Vec<SealedItem>> {
        let mut connection = self.pool.acquire().await.during("read sealed items")?;
        Ok(sealed::of(&mut connection, project).await?)
    }

    async fn keys_in_use(&self) -> Result<BTreeMap<KeyId, u64>> {
        Ok(sealed::keys_in_use(&self.pool).await?)
    }

    async fn sealed_under_other_keys(&self, key: &KeyId, limit: u32) -> Result<Vec<SealedItem>> {
        Ok(sealed::under_other_keys(&self.pool, key, limit).await?)
    }

    async fn reseal(&self, items: &[SealedItem]) -> Result<u64> {
        Ok(sealed::reseal(&self.pool, items).await?)
    }

    async fn close_organization(&self, organization: &OrganizationId) -> Result<()> {
        Ok(organizations::close(&self.pool, organization).await?)
    }

    async fn register(&self, target: &TargetRecord) -> Result<()> {
        Ok(settings::register(&self.pool, target).await?)
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        Ok(settings::setting(&self.pool, name).await?)
    }

    async fn put_setting(&self, name: &str, value: &str, put: Put) -> Result<String> {
        Ok(settings::put(&self.pool, name, value, put).await?)
    }

    async fn expire(&self, retention: &Retention) -> Result<()> {
        Ok(sequencer::expire(&self.pool, retention).await?)
    }

    async fn census(&self) -> Result<Census> {
        Ok(queries::census(&self.pool).await?)
    }
}
