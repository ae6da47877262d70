//! Mocks of the traits (feature `mock`), for expectations on calls. Where state matters, the real implementations in
//! [`memory`](crate::memory) are the better choice.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> freehold_core::Result<()> {
//! use std::{sync::Arc, time::Duration};
//! use freehold_core::{Backend, Context, Error, Kind, mock::MockBackend};
//!
//! let mut backend = MockBackend::new();
//! backend
//!     .expect_destroy()
//!     .withf(|_, project| project.as_str() == "abcdefghijklmnopqrst")
//!     .times(1)
//!     .returning(|_, _| Err(Error::new(Kind::Unavailable, "reach the engine")));
//!
//! let backend: Arc<dyn Backend> = Arc::new(backend);
//! let ctx = Context::new(Duration::from_secs(1));
//! let error = backend.destroy(&ctx, &"abcdefghijklmnopqrst".parse()?).await.unwrap_err();
//! assert_eq!(error.kind(), Kind::Unavailable);
//! # Ok(())
//! # }
//! ```

use std::{collections::BTreeMap, fmt, time::Duration};

use async_trait::async_trait;
use mockall::mock;
use time::OffsetDateTime;
use tokio::sync::{broadcast, mpsc};
use zeroize::Zeroizing;

use crate::{
    clock::Clock,
    context::Context,
    destroyer::Destroyer,
    error::Result,
    event::EventPage,
    health::Health,
    inventory::Holding,
    names::OrganizationId,
    operation::{Lease, Operation, OperationId},
    page::{Page, PageRequest},
    plan::{Plan, Wish},
    project::{Project, ProjectFilter},
    project_ref::ProjectRef,
    provisioner::{Description, LogLine, LogRequest, Outcome, Provisioner, Scope},
    runtime::Runtime,
    seal::{KeyId, Place, Sealed, Sealer},
    store::{
        Census, Change, Claim, Claimed, Committed, OperationFilter, PortPool, Put, RecordedProgress, Renewed,
        Replay, Retention, SealedItem, Settlement, Store, TargetRecord, Wake,
    },
};

mock! {
    /// A backend that does what each expectation says, and fails the test on any other call.
    pub Backend {}

    #[async_trait]
    impl Provisioner for Backend {
        async fn describe(&self, ctx: &Context) -> Result<Description>;
        async fn provision(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome>;
        async fn pause(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome>;
        async fn resume(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome>;
        async fn restart(&self, ctx: &Context, runtime: &Runtime, scope: &Scope) -> Result<Outcome>;
        async fn reconfigure(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome>;
        async fn plan(&self, ctx: &Context, runtime: &Runtime, wish: Wish) -> Result<Plan>;
        async fn health(&self, ctx: &Context, runtime: &Runtime) -> Result<Health>;
        async fn logs(
            &self,
            ctx: &Context,
            runtime: &Runtime,
            request: &LogRequest,
        ) -> Result<mpsc::Receiver<Result<LogLine>>>;
    }

    #[async_trait]
    impl Destroyer for Backend {
        async fn destroy(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome>;
        async fn inventory(&self, ctx: &Context) -> Result<Vec<Holding>>;
        async fn holding(&self, ctx: &Context, project: &ProjectRef) -> Result<Option<Holding>>;
    }
}

mock! {
    /// A store that does what each expectation says, and fails the test on any other call.
    pub Store {}

    #[async_trait]
    impl Store for Store {
        async fn now(&self) -> Result<OffsetDateTime>;
        async fn commit(&self, change: Change) -> Result<Committed>;
        async fn replay(&self, organization: &OrganizationId, key: &str) -> Result<Option<Replay>>;
        async fn project(&self, project: &ProjectRef) -> Result<Option<Project>>;
        async fn projects(&self, filter: &ProjectFilter, page: &PageRequest) -> Result<Page<Project>>;
        async fn operation(&self, operation: OperationId) -> Result<Option<Operation>>;
        async fn operations(&self, filter: &OperationFilter, page: &PageRequest) -> Result<Page<Operation>>;
        async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>>;
        async fn renew(
            &self,
            lease: &Lease,
            extend: Duration,
            progress: &[RecordedProgress],
        ) -> Result<Renewed>;
        async fn settle(&self, settlement: Settlement) -> Result<Project>;
        async fn reallocate(
            &self,
            lease: &Lease,
            taken: u16,
            pool: &PortPool,
            aside: Duration,
        ) -> Result<Project>;
        async fn observed(&self, projects: &[ProjectRef]) -> Result<()>;
        async fn events(&self, after: u64, limit: u32) -> Result<EventPage>;
        async fn sequence(&self) -> Result<u64>;
        fn subscribe(&self) -> broadcast::Receiver<Wake>;
        async fn sealed<'s, 'p>(&'s self, project: Option<&'p ProjectRef>) -> Result<Vec<SealedItem>>;
        async fn keys_in_use(&self) -> Result<BTreeMap<KeyId, u64>>;
        async fn sealed_under_other_keys(&self, key: &KeyId, limit: u32) -> Result<Vec<SealedItem>>;
        async fn reseal(&self, items: &[SealedItem]) -> Result<u64>;
        async fn close_organization(&self, organization: &OrganizationId) -> Result<()>;
        async fn register(&self, target: &TargetRecord) -> Result<()>;
        async fn setting(&self, name: &str) -> Result<Option<String>>;
        async fn put_setting(&self, name: &str, value: &str, put: Put) -> Result<String>;
        async fn expire(&self, retention: &Retention) -> Result<()>;
        async fn census(&self) -> Result<Census>;
    }
}

mock! {
    /// A clock that shows what each expectation says, and fails the test on any other look.
    pub Clock {}

    impl Clock for Clock {
        fn now(&self) -> OffsetDateTime;
    }
}

mock! {
    /// A sealer that does what each expectation says, and fails the test on any other call.
    pub Sealer {}

    #[async_trait]
    impl Sealer for Sealer {
        async fn seal(&self, place: &Place, plaintext: &[u8]) -> Result<Sealed>;
        async fn open(&self, place: &Place, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>>;
        fn active_key(&self) -> KeyId;
        fn knows(&self, key: &KeyId) -> bool;
    }
}

macro_rules! debug {
    ($($mock:ident)+) => {$(
        impl fmt::Debug for $mock {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($mock)).finish_non_exhaustive()
            }
        }
    )+};
}

debug! { MockBackend MockStore MockClock MockSealer }
