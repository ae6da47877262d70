//! The backend in memory: what tests and demonstrations say to it. What the control plane says is in `calls`.

mod calls;
mod engine;
mod faults;
mod lines;
mod stack;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

pub use self::stack::MemoryStack;
use self::{
    engine::{Condition, Engine},
    faults::{Fault, Faults},
};
use crate::{
    clock::{Clock, SystemClock},
    error::{Kind, Result},
    names::ServiceName,
    project_ref::ProjectRef,
};

/// A backend whose projects are nothing but a state in memory: for tests of a service built on Freehold, for
/// demonstrations, for developing a client without an engine.
///
/// It keeps every promise of [`Provisioner`](crate::Provisioner) and [`Destroyer`](crate::Destroyer): steps before
/// effects, cancellation and deadlines, data kept by pause and removed by destroy, ports that no two projects share.
/// And it misbehaves when told to.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> freehold_core::Result<()> {
/// use std::time::Duration;
/// use freehold_core::{Context, Kind, Provisioner, memory::MemoryBackend};
///
/// let backend = MemoryBackend::new()?;
/// let ctx = Context::new(Duration::from_secs(5));
/// let stacks = backend.describe(&ctx).await?.stacks;
/// assert_eq!(stacks[0].name.as_str(), "mock");
///
/// backend.disconnect();
/// assert_eq!(backend.describe(&ctx).await.unwrap_err().kind(), Kind::Unavailable);
/// # Ok(())
/// # }
/// ```
pub struct MemoryBackend {
    engine_id: String,
    stacks: Vec<Arc<MemoryStack>>,
    step_delay: Duration,
    clock: Arc<dyn Clock>,
    engine: Mutex<Engine>,
    faults: Faults,
    reachable: AtomicBool,
}

impl MemoryBackend {
    /// A backend that offers the stack [`mock`](MemoryStack::mock) and takes no time.
    ///
    /// # Errors
    /// As [`MemoryStack::mock`].
    pub fn new() -> Result<Self> {
        Ok(Self {
            engine_id: "memory".to_owned(),
            stacks: vec![Arc::new(MemoryStack::mock()?)],
            step_delay: Duration::ZERO,
            clock: Arc::new(SystemClock),
            engine: Mutex::default(),
            faults: Faults::default(),
            reachable: AtomicBool::new(true),
        })
    }

    /// Offers these stacks instead.
    #[must_use]
    pub fn with_stacks(mut self, stacks: Vec<MemoryStack>) -> Self {
        self.stacks = stacks.into_iter().map(Arc::new).collect();
        self
    }

    /// Takes so long for each step, so that people see something happen.
    #[must_use]
    pub fn with_step_delay(mut self, delay: Duration) -> Self {
        self.step_delay = delay;
        self
    }

    /// Tells the time by another clock.
    #[must_use]
    pub fn on_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Says that it is another engine, to tell several backends apart.
    #[must_use]
    pub fn with_engine(mut self, engine: impl Into<String>) -> Self {
        self.engine_id = engine.into();
        self
    }

    /// Writes to a project's data, as its users would.
    ///
    /// # Errors
    /// `Internal` if the project has no data here.
    pub fn write(&self, project: &ProjectRef, key: &str, value: &str) -> Result<()> {
        self.engine().kept(project)?.data.insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    /// Reads from a project's data. `None` if nothing is there under that key, or nothing at all.
    #[must_use]
    pub fn read(&self, project: &ProjectRef, key: &str) -> Option<String> {
        self.engine().projects.get(project)?.data.get(key).cloned()
    }

    /// Everything that a project has, by name, as somebody sees it who stands at the engine: `data`, `service db`, …
    #[must_use]
    pub fn census(&self, project: &ProjectRef) -> Vec<String> {
        let engine = self.engine();
        let Some(real) = engine.projects.get(project) else { return Vec::new() };
        let services = real.services.keys().map(|name| format!("service {name}"));
        std::iter::once("data".to_owned()).chain(services).collect()
    }

    /// Lets a service print a line.
    ///
    /// # Errors
    /// `Internal` if the project has no data here.
    pub fn print(&self, project: &ProjectRef, service: &ServiceName, line: &str) -> Result<()> {
        let now = self.clock.now();
        self.engine().kept(project)?.lines.print(now, service, line);
        Ok(())
    }

    /// Brings a service down behind everybody's back. Whatever starts it again mends it.
    pub fn kill(&self, project: &ProjectRef, service: &ServiceName) {
        let now = self.clock.now();
        let mut engine = self.engine();
        let real = engine.projects.get_mut(project);
        if let Some(service) = real.and_then(|real| real.services.get_mut(service)) {
            service.condition = Condition::Down;
            service.since = now;
        }
    }

    /// Lets a service run that was stopped, as a late request of a host that lost its lease does.
    pub fn land(&self, project: &ProjectRef, service: &ServiceName) {
        let now = self.clock.now();
        if let Some(real) = self.engine().projects.get_mut(project) {
            real.land(service, now);
        }
    }

    /// Lets a service that runs answer badly from now on, which no start mends.
    pub fn ail(&self, project: &ProjectRef, service: &ServiceName) {
        self.engine().turn(project, service, (Condition::Running, Condition::Ailing), self.clock.now());
    }

    /// Lets it answer well again.
    pub fn heal(&self, project: &ProjectRef, service: &ServiceName) {
        self.engine().turn(project, service, (Condition::Ailing, Condition::Running), self.clock.now());
    }

    /// Lets every look at a project hang until its caller gives up.
    pub fn stall(&self, project: &ProjectRef) {
        self.engine().stalled.insert(*project);
    }

    /// Lets looks at it be answered again.
    pub fn unstall(&self, project: &ProjectRef) {
        self.engine().stalled.remove(project);
    }

    /// Loses a project's data and all its services behind everybody's back. Only who accepts that gets it up again.
    pub fn lose(&self, project: &ProjectRef) {
        self.engine().forget(project);
    }

    /// Lets a stranger hold a port.
    pub fn occupy_port(&self, port: u16) {
        self.engine().strangers.insert(port);
    }

    /// Lets the stranger go.
    pub fn free_port(&self, port: u16) {
        self.engine().strangers.remove(&port);
    }

    /// Lets the next step of that name fail, once. Told twice, it fails twice.
    pub fn fail_next(&self, step: &str, kind: Kind) {
        self.faults.push(step, Fault::Fail(kind));
    }

    /// Lets the next step of that name hang until its call is cancelled or past its deadline. The receiver hears when it
    /// does.
    pub fn hang_at(&self, step: &str) -> oneshot::Receiver<()> {
        let (sender, reached) = oneshot::channel();
        self.faults.push(step, Fault::Hang(sender));
        reached
    }

    /// Lets the next step of that name panic.
    pub fn panic_at(&self, step: &str) {
        self.faults.push(step, Fault::Panic);
    }

    /// Lets every call fail as `Unavailable`, as if the engine had gone.
    pub fn disconnect(&self) {
        self.reachable.store(false, Ordering::SeqCst);
    }

    /// Ends what [`disconnect`](Self::disconnect) began. Everything is as it was.
    pub fn reconnect(&self) {
        self.reachable.store(true, Ordering::SeqCst);
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        // A panic under the lock is a bug that was reported where it happened; what is there is still the best there is.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MemoryBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBackend")
            .field("engine", &self.engine_id)
            .field("projects", &self.engine().projects.len())
            .finish_non_exhaustive()
    }
}
