//! One attempt at an operation: the backend's call, a look at the result, and what is cleaned up if it fails for good.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::Inner;
use crate::{
    context::Context,
    destroyer::Backend,
    error::{Detail, Error, Kind, Result},
    health::ServiceState,
    lifecycle::Trigger,
    operation::OperationKind,
    plan::Wish,
    provisioner::{Outcome, Scope},
    runtime::Runtime,
    store::Claimed,
};

/// How often a project that was never active gets other ports.
const PORT_MOVES: u32 = 5;
/// How long a port that a stranger holds is set aside.
const PORT_ASIDE: Duration = Duration::from_secs(3600);

/// One attempt at an operation.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) inner: &'a Inner,
    pub(super) backend: &'a dyn Backend,
    pub(super) claimed: &'a Claimed,
    pub(super) ctx: &'a Context,
}

impl Work<'_> {
    pub(super) async fn attempt(&self, mut runtime: Runtime) -> Result<Outcome> {
        self.ctx.check()?;
        let kind = self.claimed.operation.kind;
        // At each attempt: the one before may have ended before all of it was gone, and nobody has used it yet.
        if kind == OperationKind::Retry {
            self.call("destroy", self.backend.destroy(self.ctx, &runtime.project)).await?;
        }
        let mut moves = 0;
        let outcome = loop {
            match self.act(&runtime).await {
                Ok(outcome) => break outcome,
                Err(error) => {
                    let Some(Detail::PortTaken { port }) = error.detail() else { return Err(error) };
                    if !self.may_move_ports(moves) {
                        return Err(error);
                    }
                    moves += 1;
                    runtime = self.move_ports(&runtime, *port).await?;
                }
            }
        };
        let outcome = self.observe_and_repair(&runtime, outcome).await?;
        if kind.outcome() == Trigger::Ready {
            if outcome.connection.is_none() {
                return Err(Error::internal("tell how the project is reached: the backend did not say"));
            }
            self.confirm_health(&runtime).await?;
        }
        Ok(outcome)
    }

    /// The one call that the operation is about.
    async fn act(&self, runtime: &Runtime) -> Result<Outcome> {
        let (ctx, backend) = (self.ctx, self.backend);
        match self.claimed.operation.kind {
            OperationKind::Create | OperationKind::Retry => {
                self.call("provision", backend.provision(ctx, runtime)).await
            }
            OperationKind::Pause => self.call("pause", backend.pause(ctx, runtime)).await,
            OperationKind::Resume => self.call("resume", backend.resume(ctx, runtime)).await,
            OperationKind::Restart => {
                let scope = match &self.claimed.operation.scope[..] {
                    [] => Scope::All,
                    services => Scope::Services(services.to_vec()),
                };
                self.call("restart", backend.restart(ctx, runtime, &scope)).await
            }
            OperationKind::Reconfigure => self.call("reconfigure", backend.reconfigure(ctx, runtime)).await,
            OperationKind::Destroy => self.call("destroy", backend.destroy(ctx, &runtime.project)).await,
        }
    }

    /// Calls the backend. A panic becomes an error; one that neither returns at its deadline nor when it is cancelled is
    /// dropped once the margin is over.
    async fn call<T>(&self, name: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let overdue = async {
            tokio::select! {
                () = self.ctx.cancellation().cancelled() => {}
                () = tokio::time::sleep_until(self.ctx.deadline()) => {}
            }
            tokio::time::sleep(self.inner.settings.lease_margin).await;
        };
        let result = tokio::select! {
            biased;
            result = caught(work) => result,
            () = overdue => Err(match self.ctx.check() {
                Err(error) => error.with("backend", "did not return and was left behind"),
                Ok(()) => Error::new(Kind::Timeout, "see the backend return"),
            }),
        };
        result.map_err(|error| error.during(name))
    }

    fn may_move_ports(&self, moves: u32) -> bool {
        let kind = self.claimed.operation.kind;
        matches!(kind, OperationKind::Create | OperationKind::Retry)
            && !self.claimed.project.was_active
            && moves < PORT_MOVES
    }

    /// Gives the project other ports after a stranger was found on one of them.
    async fn move_ports(&self, runtime: &Runtime, taken: u16) -> Result<Runtime> {
        self.ctx.log(format!("port {taken} is held by a stranger: taking the next block")).await;
        self.call("destroy", self.backend.destroy(self.ctx, &runtime.project)).await?;
        let pool = &self.inner.target_of(&self.claimed.project)?.settings.port_pool;
        let project = self.inner.store.reallocate(&self.claimed.lease, taken, pool, PORT_ASIDE).await?;
        let ports = project.ports.ok_or_else(|| Error::internal("move ports: the project has none"))?;
        Ok(Runtime { ports, ..runtime.clone() })
    }

    /// Looks at what is really there, and makes the same call once more if it is not what was wished.
    async fn observe_and_repair(&self, runtime: &Runtime, outcome: Outcome) -> Result<Outcome> {
        let differences = self.differences(runtime).await?;
        if differences.is_empty() {
            return Ok(outcome);
        }
        self.ctx.log(format!("not yet as wished: {}; once more", differences.join("; "))).await;
        let outcome = self.act(runtime).await?;
        let differences = self.differences(runtime).await?;
        if differences.is_empty() {
            return Ok(outcome);
        }
        let message = format!("bring the project to where it is wished: {}", differences.join("; "));
        Err(Error::internal(message).with("left", differences.join("; ")))
    }

    async fn differences(&self, runtime: &Runtime) -> Result<Vec<String>> {
        let wish = match self.claimed.operation.kind {
            OperationKind::Destroy => return self.leftovers(runtime).await,
            OperationKind::Pause => Wish::Paused,
            _ => Wish::Active,
        };
        let plan = self.call("plan", self.backend.plan(self.ctx, runtime, wish)).await?;
        Ok(plan
            .changes
            .iter()
            .map(|change| format!("{} {} ({})", change.resource, change.name, change.reason))
            .collect())
    }

    /// What the engine still has of the project.
    async fn leftovers(&self, runtime: &Runtime) -> Result<Vec<String>> {
        let holdings = self.call("inventory", self.backend.inventory(self.ctx)).await?;
        Ok(holdings
            .into_iter()
            .filter(|holding| holding.project == runtime.project)
            .flat_map(|holding| holding.resources)
            .map(|(kind, count)| format!("{count} {kind}"))
            .collect())
    }

    /// The control plane's own look: every service is healthy or done.
    async fn confirm_health(&self, runtime: &Runtime) -> Result<()> {
        const FIRST: Duration = Duration::from_millis(50);
        let until = Instant::now() + self.inner.settings.confirm;
        let mut pause = FIRST;
        self.ctx.step("confirm health", "").await?;
        loop {
            let health = self.call("health", self.backend.health(self.ctx, runtime)).await?;
            if health.is_healthy() {
                return Ok(());
            }
            if Instant::now() + pause >= until {
                let service = health
                    .services
                    .iter()
                    .find(|s| !matches!(s.state, ServiceState::Healthy | ServiceState::Done))
                    .map(|s| s.service.to_string())
                    .unwrap_or_default();
                return Err(Error::new(Kind::Timeout, format!("confirm health: {}", health.complaints()))
                    .with("step", "confirm health")
                    .with("service", service));
            }
            let rest = async {
                tokio::time::sleep(pause).await;
                Ok(())
            };
            self.ctx.bounded("confirm health", rest).await?;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Cleans up behind an operation that gave up: what must not stay goes, data that must stay stays. Gives what is left.
    pub(super) async fn clean_up(&self, runtime: &Runtime, error: &Error) -> Vec<String> {
        match self.claimed.operation.kind {
            OperationKind::Create | OperationKind::Retry => {
                let gone = self.call("destroy", self.backend.destroy(self.ctx, &runtime.project)).await;
                match (gone, self.leftovers(runtime).await) {
                    (Ok(_), Ok(left)) => left,
                    (Err(error), Ok(left)) if left.is_empty() => vec![error.chain()],
                    (Err(_), Ok(left)) => left,
                    (_, Err(error)) => vec![format!("unknown: {}", error.chain())],
                }
            }
            OperationKind::Resume => match self.call("pause", self.backend.pause(self.ctx, runtime)).await {
                Ok(_) => vec![],
                Err(error) => vec![format!("still running: {}", error.chain())],
            },
            OperationKind::Destroy => match self.leftovers(runtime).await {
                Ok(left) if left.is_empty() => error.context("left").map(str::to_owned).into_iter().collect(),
                Ok(left) => left,
                Err(error) => vec![format!("unknown: {}", error.chain())],
            },
            OperationKind::Pause | OperationKind::Restart | OperationKind::Reconfigure => vec![],
        }
    }
}

/// Runs a backend's work. A panic becomes an error.
pub(super) async fn caught<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|panic| {
        Err(Error::internal(format!("go on: the backend panicked: {}", panic_text(&*panic))))
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_of_a_backend_ends_its_call_and_not_the_one_who_called() {
        let error = caught::<()>(async { panic!("out of paper") }).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(error.to_string().contains("out of paper"), "{error}");
    }
}
