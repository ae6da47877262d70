//! One attempt at an operation: the backend's call, a look at the result, and what is cleaned up if it fails for good.

use std::{future::Future, time::Duration};

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

/// What a project is brought up on.
struct Ground {
    runtime: Runtime,
    /// How often it got other ports in this attempt.
    moves: u32,
}

/// One attempt at an operation.
#[derive(Clone, Copy)]
pub(super) struct Work<'a> {
    pub(super) inner: &'a Inner,
    pub(super) backend: &'a dyn Backend,
    pub(super) claimed: &'a Claimed,
    pub(super) ctx: &'a Context,
}

impl Work<'_> {
    /// Destroy needs no runtime: it works for a project whose secrets cannot be opened any more.
    pub(super) async fn attempt(&self, runtime: Result<Runtime>) -> Result<Outcome> {
        self.ctx.check()?;
        let kind = self.claimed.operation.kind;
        if kind == OperationKind::Destroy {
            return self.remove().await;
        }
        let mut ground = Ground { runtime: runtime?, moves: 0 };
        // At each attempt: the one before may have ended before all of it was gone, and nobody has used it yet.
        if kind == OperationKind::Retry {
            self.destroy().await?;
        }
        let outcome = self.act_where_ports_are_free(&mut ground).await?;
        let outcome = self.observe_and_repair(&mut ground, outcome).await?;
        if kind.outcome() == Trigger::Ready {
            if outcome.connection.is_none() {
                return Err(Error::internal("tell how the project is reached: the backend did not say"));
            }
            self.confirm_health(&ground.runtime).await?;
        }
        Ok(outcome)
    }

    /// The call, with other ports each time that a stranger is found on one of them.
    async fn act_where_ports_are_free(&self, ground: &mut Ground) -> Result<Outcome> {
        loop {
            let error = match self.act(&ground.runtime).await {
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            let Some(Detail::PortTaken { port }) = error.detail() else { return Err(error) };
            if !self.may_move_ports(ground.moves) {
                return Err(error);
            }
            ground.moves += 1;
            ground.runtime = self.move_ports(&ground.runtime, *port).await?;
        }
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

    async fn destroy(&self) -> Result<Outcome> {
        self.call("destroy", self.backend.destroy(self.ctx, &self.claimed.project.reference)).await
    }

    /// Calls the backend. One that neither returns at its deadline nor when it is cancelled is
    /// dropped once the margin is over.
    async fn call<T>(&self, name: &'static str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let overdue = async {
            tokio::select! {
                biased;
                () = self.ctx.cancellation().cancelled() => {}
                () = tokio::time::sleep_until(self.ctx.deadline()) => {}
            }
            tokio::time::sleep(self.inner.settings.lease_margin).await;
        };
        let result = tokio::select! {
            biased;
            result = work => result,
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
        self.destroy().await?;
        let pool = &self.inner.target_of(&self.claimed.project)?.settings.port_pool;
        let project = self.inner.store.reallocate(&self.claimed.lease, taken, pool, PORT_ASIDE).await?;
        let ports = project.ports.ok_or_else(|| Error::internal("move ports: the project has none"))?;
        Ok(Runtime { ports, ..runtime.clone() })
    }

    /// Looks at what is really there, and makes the same call once more if it is not what was wished.
    async fn observe_and_repair(&self, ground: &mut Ground, outcome: Outcome) -> Result<Outcome> {
        let differences = self.differences(&ground.runtime).await?;
        if differences.is_empty() {
            return Ok(outcome);
        }
        self.ctx.log(format!("not yet as wished: {}; once more", differences.join("; "))).await;
        let outcome = self.act_where_ports_are_free(ground).await?;
        as_wished(outcome, &self.differences(&ground.runtime).await?)
    }

    /// Destroys, looks whether anything is left, and destroys once more if so.
    async fn remove(&self) -> Result<Outcome> {
        let outcome = self.destroy().await?;
        let left = self.leftovers().await?;
        if left.is_empty() {
            return Ok(outcome);
        }
        self.ctx.log(format!("not yet gone: {}; once more", left.join("; "))).await;
        let outcome = self.destroy().await?;
        as_wished(outcome, &self.leftovers().await?)
    }

    async fn differences(&self, runtime: &Runtime) -> Result<Vec<String>> {
        let wish = match self.claimed.operation.kind {
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
    async fn leftovers(&self) -> Result<Vec<String>> {
        let project = &self.claimed.project.reference;
        let holding = self.call("holding", self.backend.holding(self.ctx, project)).await?;
        let resources = holding.into_iter().flat_map(|holding| holding.resources);
        Ok(resources.map(|(kind, count)| format!("{count} {kind}")).collect())
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
            self.ctx.pause("confirm health", pause).await?;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    /// Cleans up behind an operation that gave up: what must not stay goes, data that must stay stays. Gives what is left.
    pub(super) async fn clean_up(&self, runtime: Option<&Runtime>, error: &Error) -> Vec<String> {
        match self.claimed.operation.kind {
            OperationKind::Create | OperationKind::Retry => {
                match (self.destroy().await, self.leftovers().await) {
                    (Ok(_), Ok(left)) => left,
                    (Err(error), Ok(left)) if left.is_empty() => vec![error.chain()],
                    (Err(_), Ok(left)) => left,
                    (_, Err(error)) => vec![format!("unknown: {}", error.chain())],
                }
            }
            OperationKind::Resume => {
                let Some(runtime) = runtime else { return vec![] };
                match self.call("pause", self.backend.pause(self.ctx, runtime)).await {
                    Ok(_) => vec![],
                    Err(error) => vec![format!("still running: {}", error.chain())],
                }
            }
            OperationKind::Destroy => match self.leftovers().await {
                Ok(left) if left.is_empty() => error.context("left").map(str::to_owned).into_iter().collect(),
                Ok(left) => left,
                Err(error) => vec![format!("unknown: {}", error.chain())],
            },
            OperationKind::Pause | OperationKind::Restart | OperationKind::Reconfigure => vec![],
        }
    }
}

/// The outcome, if nothing is left to wish for.
fn as_wished(outcome: Outcome, differences: &[String]) -> Result<Outcome> {
    if differences.is_empty() {
        return Ok(outcome);
    }
    let left = differences.join("; ");
    Err(Error::internal(format!("bring the project to where it is wished: {left}")).with("left", left))
}
