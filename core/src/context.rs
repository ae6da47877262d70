//! The context of a call to a backend: how long it may take, whether it is still wanted, and who may still act.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::error::{Detail, Error, Kind, Result};

/// Travels with every call to a backend: cancellation, deadline, progress, lease epoch and margin.
///
/// **`ctx.step(name, service).await?` precedes every effect.** It is the one place that checks cancellation, deadline
/// and lease, records progress, and lets a fault plan act. Work that only waits is bounded by [`Context::bounded`].
///
/// ```
/// # async fn example() -> freehold_core::Result<()> {
/// use std::time::Duration;
/// use freehold_core::Context;
///
/// let ctx = Context::new(Duration::from_secs(60));
/// ctx.step("create folder", "").await?;
/// ctx.bounded("wait for the port", async { Ok(()) }).await
/// # }
/// ```
#[derive(Clone)]
pub struct Context(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    cancellation: CancellationToken,
    deadline: Instant,
    epoch: u64,
    margin: Duration,
    lease: Option<watch::Receiver<Instant>>,
    progress: Option<mpsc::Sender<Progress>>,
    interceptor: Option<Arc<dyn Interceptor>>,
}

/// What a call reports while it works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A step begins.
    Step {
        /// What.
        name: String,
        /// Of which service; empty if of the whole project.
        service: String,
    },
    /// There is something to say.
    Log(String),
}

/// Acts at each step, before its effect: the place of a fault plan.
#[async_trait]
pub trait Interceptor: fmt::Debug + Send + Sync + 'static {
    /// Called once a step was checked and recorded, and dropped when the call is cancelled or its deadline passes. An
    /// error fails the step.
    ///
    /// # Errors
    /// Whatever the plan says.
    async fn at_step(&self, name: &str, service: &str) -> Result<()>;
}

impl Context {
    /// A context for calling a backend by hand: no lease, no record, a deadline from now.
    #[must_use]
    pub fn new(timeout: Duration) -> Self {
        ContextBuilder::new(Instant::now() + timeout).build()
    }

    /// Marks the beginning of a step. Call it before every effect.
    ///
    /// # Errors
    /// `Cancelled` if the call is not wanted any more, `Timeout` past the deadline, [`Detail::LeaseLost`] if another
    /// worker may act by now; whatever an [`Interceptor`] answers.
    pub async fn step(&self, name: &str, service: &str) -> Result<()> {
        let named = |error: Error| error.with("step", name).with("service", service);
        self.check().map_err(named)?;
        self.report(Progress::Step { name: name.to_owned(), service: service.to_owned() }).await;
        if let Some(interceptor) = &self.0.interceptor {
            self.bounded(name, interceptor.at_step(name, service)).await.map_err(named)?;
        }
        // Recording may have taken its time.
        self.check().map_err(named)
    }

    /// Says something that belongs into the operation's log. It must not hold a secret.
    pub async fn log(&self, message: impl Into<String>) {
        self.report(Progress::Log(message.into())).await;
    }

    /// Runs work that waits until it is done, cancelled or past the deadline, whichever comes first. Work that loses is
    /// dropped.
    ///
    /// # Errors
    /// The work's own, or `Cancelled`, or `Timeout` naming `what` was waited for.
    pub async fn bounded<T>(&self, what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::select! {
            biased;
            () = self.0.cancellation.cancelled() => Err(cancelled()),
            () = tokio::time::sleep_until(self.0.deadline) => {
                Err(Error::new(Kind::Timeout, format!("{what} before the deadline")))
            }
            result = work => result,
        }
    }

    /// Waits that long before `what` is tried or looked at again, if the call may go on meanwhile.
    ///
    /// # Errors
    /// `Cancelled`, or `Timeout` naming `what` was waited for.
    pub async fn pause(&self, what: &str, pause: Duration) -> Result<()> {
        let slept = async {
            tokio::time::sleep(pause).await;
            Ok(())
        };
        self.bounded(what, slept).await
    }

    /// Whether the call may go on.
    ///
    /// # Errors
    /// As [`Context::step`].
    pub fn check(&self) -> Result<()> {
        if self.0.cancellation.is_cancelled() {
            return Err(cancelled());
        }
        let now = Instant::now();
        if now >= self.0.deadline {
            return Err(Error::new(Kind::Timeout, "finish before the deadline"));
        }
        match &self.0.lease {
            Some(lease) if now >= *lease.borrow() => Err(Error::detailed(
                Detail::LeaseLost,
                format!("keep the lease of epoch {}: another worker may act by now", self.0.epoch),
            )),
            _ => Ok(()),
        }
    }

    /// The same context with another interceptor in the place of the one that it may have.
    #[must_use]
    pub fn intercepted_by(&self, interceptor: Arc<dyn Interceptor>) -> Self {
        Self(Arc::new(Inner { interceptor: Some(interceptor), ..Inner::clone(&self.0) }))
    }

    /// The interceptor that acts at each step, if there is one.
    #[must_use]
    pub fn interceptor(&self) -> Option<&Arc<dyn Interceptor>> {
        self.0.interceptor.as_ref()
    }

    /// Ends when the call is not wanted any more.
    #[must_use]
    pub fn cancellation(&self) -> &CancellationToken {
        &self.0.cancellation
    }

    /// The moment by which the call has to return.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.0.deadline
    }

    /// How long the call may still take.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.0.deadline.saturating_duration_since(Instant::now())
    }

    /// The fencing token of the lease under which the call is made, for labels; 0 for a call by hand.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.0.epoch
    }

    /// How long a single request that creates, starts or removes something may take: less than a takeover waits.
    #[must_use]
    pub fn margin(&self) -> Duration {
        self.0.margin.min(self.remaining())
    }

    async fn report(&self, progress: Progress) {
        if let Some(sender) = &self.0.progress {
            // The receiver is gone only when the operation has ended, and then nobody wants to know.
            let _ = sender.send(progress).await;
        }
    }
}

fn cancelled() -> Error {
    Error::new(Kind::Cancelled, "go on: the operation was cancelled")
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("epoch", &self.0.epoch)
            .field("remaining", &self.remaining())
            .field("cancelled", &self.0.cancellation.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// Makes a [`Context`].
#[derive(Debug)]
pub struct ContextBuilder {
    cancellation: CancellationToken,
    deadline: Instant,
    epoch: u64,
    margin: Duration,
    lease: Option<watch::Receiver<Instant>>,
    progress: Option<mpsc::Sender<Progress>>,
    interceptor: Option<Arc<dyn Interceptor>>,
}

impl ContextBuilder {
    /// A context that ends at `deadline`.
    #[must_use]
    pub fn new(deadline: Instant) -> Self {
        Self {
            cancellation: CancellationToken::new(),
            deadline,
            epoch: 0,
            margin: Duration::from_secs(10),
            lease: None,
            progress: None,
            interceptor: None,
        }
    }

    /// Ends with this token.
    #[must_use]
    pub fn cancellation(mut self, token: CancellationToken) -> Self {
        self.cancellation = token;
        self
    }

    /// Acts under a lease of this epoch, valid until the moment that `valid_until` shows.
    #[must_use]
    pub fn lease(mut self, epoch: u64, valid_until: watch::Receiver<Instant>) -> Self {
        self.epoch = epoch;
        self.lease = Some(valid_until);
        self
    }

    /// Bounds a single request to the engine. 10 seconds unless said.
    #[must_use]
    pub fn margin(mut self, margin: Duration) -> Self {
        self.margin = margin;
        self
    }

    /// Reports progress there.
    #[must_use]
    pub fn progress(mut self, sender: mpsc::Sender<Progress>) -> Self {
        self.progress = Some(sender);
        self
    }

    /// Lets a fault plan act at each step.
    #[must_use]
    pub fn interceptor(mut self, interceptor: Arc<dyn Interceptor>) -> Self {
        self.interceptor = Some(interceptor);
        self
    }

    /// The context.
    #[must_use]
    pub fn build(self) -> Context {
        let Self { cancellation, deadline, epoch, margin, lease, progress, interceptor } = self;
        Context(Arc::new(Inner { cancellation, deadline, epoch, margin, lease, progress, interceptor }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_step_past_the_deadline_times_out_and_names_itself() {
        let ctx = Context::new(Duration::from_secs(5));
        ctx.step("create", "db").await.unwrap();
        tokio::time::advance(Duration::from_secs(5)).await;
        let error = ctx.step("start", "db").await.unwrap_err();
        assert_eq!(
            (error.kind(), error.context("step"), error.context("service")),
            (Kind::Timeout, Some("start"), Some("db"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_after_the_lease_ran_out_does_not_begin() {
        let (renew, valid_until) = watch::channel(Instant::now() + Duration::from_secs(5));
        let ctx = ContextBuilder::new(Instant::now() + Duration::from_secs(60)).lease(7, valid_until).build();
        tokio::time::advance(Duration::from_secs(6)).await;
        assert!(ctx.step("start", "db").await.unwrap_err().is_lease_lost());
        renew.send(Instant::now() + Duration::from_secs(5)).unwrap();
        assert!(ctx.step("start", "db").await.is_ok());
    }

    #[tokio::test]
    async fn waiting_ends_when_the_call_is_cancelled() {
        let token = CancellationToken::new();
        let ctx =
            ContextBuilder::new(Instant::now() + Duration::from_secs(60)).cancellation(token.clone()).build();
        let wait = ctx.bounded("wait for ever", std::future::pending::<Result<()>>());
        token.cancel();
        assert_eq!(wait.await.unwrap_err().kind(), Kind::Cancelled);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_by_itself_or_with_the_deadline() {
        let ctx = Context::new(Duration::from_secs(5));
        ctx.pause("look again", Duration::from_secs(4)).await.unwrap();
        let error = ctx.pause("look again", Duration::from_secs(4)).await.unwrap_err();
        assert_eq!((error.kind(), ctx.remaining()), (Kind::Timeout, Duration::ZERO));
        assert!(error.to_string().contains("look again"), "{error}");
    }

    #[tokio::test]
    async fn steps_and_words_are_reported_in_order() {
        let (sender, mut receiver) = mpsc::channel(8);
        let ctx = ContextBuilder::new(Instant::now() + Duration::from_secs(60)).progress(sender).build();
        ctx.step("create", "db").await.unwrap();
        ctx.log("made").await;
        assert_eq!(
            receiver.recv().await,
            Some(Progress::Step { name: "create".into(), service: "db".into() })
        );
        assert_eq!(receiver.recv().await, Some(Progress::Log("made".into())));
    }
}
