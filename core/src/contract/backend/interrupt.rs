//! Interrupting calls at their steps.

use std::{
    fmt,
    panic::{AssertUnwindSafe, resume_unwind},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::stage::{Call, PATIENCE, Stage, is_of};
use crate::{
    context::{Context, Interceptor},
    contract::{
        failure::{Failure, Verified},
        findings::words,
    },
    error::{Error, Kind, Result},
    provisioner::Outcome,
    runtime::Runtime,
};

/// No call has so many steps.
pub(super) const STEPS: usize = 300;

/// What a panic of ours says.
const PANIC: &str = "a test told it to panic";

/// The failure of a call that comes through at none of them.
pub(super) fn endless(call: Call) -> Failure {
    Failure::new(format!("{call:?} does not come through, however often it is asked"))
}

/// What is done at a step.
type Act = Box<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Acts when a call comes to its n-th step, counted from 1; at every step if n is 0.
pub(super) struct AtStep {
    n: usize,
    seen: AtomicUsize,
    act: Act,
}

impl AtStep {
    pub(super) fn new(
        n: usize,
        act: impl Fn() -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self { n, seen: AtomicUsize::new(0), act: Box::new(act) })
    }

    /// Counts steps and does nothing.
    pub(super) fn count() -> Arc<Self> {
        Self::new(0, || Box::pin(async { Ok(()) }))
    }

    /// How many steps were come to.
    pub(super) fn seen(&self) -> usize {
        self.seen.load(Ordering::SeqCst)
    }
}

impl fmt::Debug for AtStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at step {}", self.n)
    }
}

#[async_trait]
impl Interceptor for AtStep {
    async fn at_step(&self, _: &str, _: &str) -> Result<()> {
        let seen = self.seen.fetch_add(1, Ordering::SeqCst) + 1;
        if self.n == 0 || self.n == seen { (self.act)().await } else { Ok(()) }
    }
}

/// How a call is interrupted at a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// It is cancelled.
    Cancel,
    /// It is cancelled a moment later, while the effect goes on.
    CancelLater,
    /// Its caller gives up and drops it.
    Drop,
    /// The step fails.
    Fail,
    /// The step panics.
    Panic,
    /// The lease is lost.
    LoseLease,
}

/// What an interrupted call came to.
pub(super) enum Came {
    /// It was interrupted as it should be.
    Interrupted,
    /// It had no such step any more, or was done before the interruption reached it, and succeeded.
    Through,
}

impl Stage {
    /// Makes a call that is interrupted at its n-th step, and judges how it takes that.
    pub(super) async fn interrupted(
        &self,
        how: How,
        call: Call,
        runtime: &Runtime,
        n: usize,
    ) -> Verified<Came> {
        let named = |failure: Failure| failure.of(format_args!("{call:?}, {how:?} at step {n}"));
        let token = CancellationToken::new();
        let (lose, lease) = watch::channel(Instant::now() + 4 * PATIENCE);
        let dropped = Arc::new(Notify::new());
        let act: Act = {
            let (token, dropped, lose) = (token.clone(), Arc::clone(&dropped), Arc::new(lose));
            Box::new(move || {
                let (token, dropped, lose) = (token.clone(), Arc::clone(&dropped), Arc::clone(&lose));
                Box::pin(async move {
                    match how {
                        How::Cancel => token.cancel(),
                        How::CancelLater => {
                            tokio::spawn(async move {
                                tokio::time::sleep(Duration::from_millis(1)).await;
                                token.cancel();
                            });
                        }
                        How::Drop => {
                            dropped.notify_one();
                            std::future::pending::<()>().await;
                        }
                        How::Fail => {
                            return Err(Error::new(Kind::Unavailable, "go on: a test told it to fail"));
                        }
                        // As `panic!`, but nobody prints a backtrace of what was meant.
                        How::Panic => resume_unwind(Box::new(PANIC)),
                        How::LoseLease => {
                            lose.send_replace(Instant::now());
                        }
                    }
                    Ok(())
                })
            })
        };
        let at_step = Arc::new(AtStep { n, seen: AtomicUsize::new(0), act });
        let ctx = Self::context().cancellation(token).lease(1, lease).interceptor(at_step).build();
        let made = tokio::select! {
            made = self.caught(call, &ctx, runtime) => made,
            () = dropped.notified() => return Ok(Came::Interrupted),
        };
        let error = match made {
            Err(panic) if how == How::Panic && panic.contains(PANIC) => {
                return Ok(Came::Interrupted);
            }
            Err(panic) => return Err(named(Failure::new(format!("it panicked: {panic}")))),
            Ok(Ok(_)) => return Ok(Came::Through),
            Ok(Err(error)) => error,
        };
        let judged = match how {
            How::Cancel | How::CancelLater => is_of(&error, Kind::Cancelled),
            How::Fail => is_of(&error, Kind::Unavailable),
            How::LoseLease if error.is_lease_lost() => Ok(()),
            // A panic may have been caught on its way and told as an error, which is as good.
            How::Panic => is_of(&error, Kind::Internal),
            How::Drop | How::LoseLease => Err(Failure::from(error)),
        };
        judged.map(|()| Came::Interrupted).map_err(named)
    }

    /// Makes a call and catches its panic.
    async fn caught(
        &self,
        call: Call,
        ctx: &Context,
        runtime: &Runtime,
    ) -> std::result::Result<Result<Outcome>, String> {
        AssertUnwindSafe(self.call(call, ctx, runtime)).catch_unwind().await.map_err(|panic| words(&*panic))
    }

    /// Makes a call that is interrupted at its first step, asks again and interrupts it at its second, and so on until it
    /// comes through; then it must have come where it leads.
    pub(super) async fn against_the_odds(&self, how: How, call: Call, runtime: &Runtime) -> Verified {
        for n in 1..STEPS {
            if let Came::Through = self.interrupted(how, call, runtime, n).await? {
                // What is as it should be may be left alone, and an effect may be quicker than its cancellation.
                let may_take_none = call == Call::Reconfigure || how == How::CancelLater;
                ensure!(n > 1 || may_take_none, "{call:?} takes no step, or nothing comes of {how:?} at one");
                let named = |failure: Failure| failure.of(format_args!("after {n} turns of {how:?}"));
                return self.arrived(call, runtime).await.map_err(named);
            }
        }
        Err(endless(call))
    }

    /// Makes a call that has less time than it needs, asks again with twice as much, and so on until it comes through.
    pub(super) async fn against_the_clock(&self, call: Call, runtime: &Runtime) -> Verified {
        let mut time = Duration::from_millis(2);
        while time < PATIENCE {
            let ctx = Context::new(time);
            let made = timeout(time + PATIENCE, self.call(call, &ctx, runtime)).await;
            let named = |failure: Failure| failure.of(format_args!("{call:?} with {} ms", time.as_millis()));
            match made {
                Err(_) => return Err(named(Failure::new("it outlived its deadline"))),
                Ok(Ok(_)) => return self.arrived(call, runtime).await.map_err(named),
                Ok(Err(error)) => is_of(&error, Kind::Timeout).map_err(named)?,
            }
            time *= 2;
        }
        Err(Failure::new(format!("{call:?} does not come through in {} s", PATIENCE.as_secs())))
    }
}
