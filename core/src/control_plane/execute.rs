//! Carrying out one operation: attempts under a lease, a verdict, and the end.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use rand::Rng as _;
use time::OffsetDateTime;
use tokio::time::Instant;

use super::{
    Inner,
    attempt::Work,
    heartbeat::{Heartbeat, Pulse},
};
use crate::{
    connection::Connection,
    context::Context,
    error::{Error, Kind, Result},
    lifecycle::{self, Trigger},
    operation::{Lease, OperationError, OperationState},
    provisioner::Outcome,
    redact::Redactor,
    report::Report,
    runtime::Runtime,
    store::{Claimed, End, Settlement, Transition},
};

/// How long cleaning up behind a failed operation may take.
const CLEANUP: Duration = Duration::from_secs(120);
/// How many of the last lines of a failed call's output go into the operation's log.
const LAST_LINES: usize = 20;

/// What an attempt at an operation comes to.
enum Verdict {
    /// It reached its aim.
    Reached(Box<Outcome>),
    /// It failed, and is begun again at that moment, here or on another host.
    Again(Error, OffsetDateTime),
    /// It was not this attempt's fault: it goes on at once, here or on another host.
    HandedBack(OffsetDateTime),
    /// It ended without reaching its aim, and this is left of what it made.
    GaveUp(Error, OperationState, Vec<String>),
}

impl Inner {
    /// Works on a claimed operation until it is settled or its lease is lost.
    pub(super) async fn carry_out(self: Arc<Self>, claimed: Claimed) {
        tracing::info!(takeover = claimed.takeover, "begun");
        let heartbeat = Heartbeat::start(&self, claimed.lease.clone(), claimed.operation.cancel_requested);
        let runtime = self.vault.runtime(&self.installation, &claimed.project, &claimed.sealed).await;
        let accept_data_loss = claimed.operation.accept_data_loss.clone();
        let runtime = runtime.map(|runtime| Runtime { accept_data_loss, ..runtime });
        let redactor = runtime.as_ref().map(Runtime::redactor).unwrap_or_default();
        let verdict = self.verdict(&claimed, runtime, &redactor, &heartbeat).await;
        let Some(Pulse { lease, lost, unsaved }) = heartbeat.stop().await else {
            tracing::error!("the heartbeat died; the lease will run out");
            return;
        };
        if lost {
            self.counters.leases_lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let settlement = settlement(&claimed, lease, verdict, &redactor);
        self.settle(&claimed, Settlement { progress: unsaved, ..settlement }).await;
    }

    async fn verdict(
        &self,
        claimed: &Claimed,
        runtime: Result<Runtime>,
        redactor: &Redactor,
        heartbeat: &Heartbeat,
    ) -> Verdict {
        let kept = runtime.as_ref().ok().cloned();
        let backend = self.target_of(&claimed.project).map(|target| Arc::clone(&target.backend));
        let ctx = heartbeat.context(self.deadline(claimed));
        let result = match (self.too_often(claimed), &backend) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(Error::new(error.kind(), error.message())),
            (None, Ok(backend)) => {
                self.rest_after_takeover(claimed, &ctx).await;
                Work { inner: self, backend: &**backend, claimed, ctx: &ctx }.attempt(runtime).await
            }
        };
        let error = match result {
            Ok(outcome) => return Verdict::Reached(Box::new(outcome)),
            Err(error) => placed(error, claimed, heartbeat),
        };
        // A lost lease says nothing about the work; whoever holds it now goes on.
        if error.is_lease_lost() || (self.hand_back.is_cancelled() && error.kind() == Kind::Cancelled) {
            ctx.log(format!("handed back: {error}")).await;
            return Verdict::HandedBack(self.store.now().await.unwrap_or(claimed.operation.not_before));
        }
        let cancelled = heartbeat.cancel_requested();
        if !cancelled && let Some(not_before) = self.next_attempt(claimed, &error).await {
            return Verdict::Again(error, not_before);
        }
        let ctx = heartbeat.cleanup(Instant::now() + CLEANUP);
        record_failure(&ctx, &error, redactor).await;
        let leftovers = match backend {
            // The last host died at just this: nothing of the project is touched any more before somebody has looked.
            _ if claimed.operation.takeovers > self.settings.takeovers.saturating_add(1) => {
                vec!["unknown: cleaning up ended the host as well, so nothing more was tried".to_owned()]
            }
            Ok(backend) => {
                let work = Work { inner: self, backend: &*backend, claimed, ctx: &ctx };
                work.clean_up(kept.as_ref(), &error).await
            }
            Err(_) => vec![],
        };
        let state = if cancelled { OperationState::Cancelled } else { OperationState::Failed };
        Verdict::GaveUp(error, state, leftovers)
    }

    /// Whether the operation was taken over so often that it may be what its hosts die of.
    fn too_often(&self, claimed: &Claimed) -> Option<Error> {
        let (takeovers, most) = (claimed.operation.takeovers, self.settings.takeovers);
        (takeovers > most).then(|| {
            Error::internal(format!(
                "{} the project: {takeovers} times its host died or hung while it worked on it, and {most} is the most \
                 (takeovers); see the hosts' logs before you ask for it again",
                claimed.operation.kind
            ))
        })
    }

    /// From the second takeover on, a pause with jitter: operations that merely shared a host with the one that ends it
    /// get away from it in time.
    async fn rest_after_takeover(&self, claimed: &Claimed, ctx: &Context) {
        if !claimed.takeover || claimed.operation.takeovers < 2 {
            return;
        }
        let jitter = self.rng().random_range(0.5..1.0);
        let rest = self.settings.backoff_after(claimed.operation.takeovers).mul_f64(jitter);
        // Whether it was cancelled meanwhile, the attempt finds out by itself.
        let _ = ctx.pause("rest", rest).await;
    }

    /// The operation's deadline on this host's own clock.
    fn deadline(&self, claimed: &Claimed) -> Instant {
        // The lease was given a moment ago, so its end tells the store's time.
        let left = claimed.operation.deadline - claimed.lease.expires_at + self.settings.lease;
        Instant::now() + Duration::try_from(left).unwrap_or(Duration::ZERO)
    }

    /// When the operation is begun again after an error, if it is: attempts that failed count, hosts that died do not.
    async fn next_attempt(&self, claimed: &Claimed, error: &Error) -> Option<OffsetDateTime> {
        let failures = claimed.operation.failures.saturating_add(1);
        if !error.kind().is_retryable() || failures >= self.settings.attempts {
            return None;
        }
        let pause = self.settings.backoff_after(failures);
        let jitter = self.rng().random_range(0.5..1.0);
        // A store that is away just now is no reason to give up.
        let now = self.store.now().await.unwrap_or_else(|_| self.clock.now());
        let next = now + pause.mul_f64(jitter);
        (next < claimed.operation.deadline).then_some(next)
    }

    /// Settles, trying as long as the lease may last. An end that the store refuses twice becomes a failure that says so.
    async fn settle(&self, claimed: &Claimed, mut settlement: Settlement) {
        let until = Instant::now() + self.settings.lease;
        let mut refusals = 0;
        loop {
            let refusal = match self.store.settle(settlement.clone()).await {
                Ok(project) => {
                    let ended = match &settlement.end {
                        End::Ended { state, .. } => Some(*state),
                        End::Released { .. } => None,
                    };
                    let error = settlement.error.as_ref().map(|error| error.chain.as_str());
                    let status = project.status;
                    if let Some(state) = ended {
                        self.counters.count_end(claimed.operation.kind, state);
                    }
                    match ended {
                        None => tracing::info!(%status, error, "handed back, to be tried again"),
                        Some(OperationState::Failed) => tracing::warn!(%status, error, "failed"),
                        Some(state) => tracing::info!(%status, error, %state, "ended"),
                    }
                    return;
                }
                Err(error) if error.kind() == Kind::Unavailable && Instant::now() < until => {
                    tokio::time::sleep(self.settings.poll.min(self.settings.lease / 3)).await;
                    continue;
                }
                Err(error) => error,
            };
            if refusal.is_lease_lost() {
                self.counters.leases_lost.fetch_add(1, Ordering::Relaxed);
            }
            if refusals == 2 || refusal.kind() != Kind::Internal {
                tracing::warn!(error = %refusal.chain(), "cannot settle; another worker will take it up");
                return;
            }
            refusals += 1;
            if refusals == 1 {
                continue;
            }
            tracing::error!(error = %refusal.chain(), "the store refuses how it ended");
            let error = Error::internal("record how the operation ended").because(refusal);
            let verdict = Verdict::GaveUp(error, OperationState::Failed, vec![]);
            settlement = self::settlement(claimed, settlement.lease, verdict, &Redactor::default());
        }
    }
}

/// The error with the step that was begun last, where it names none: what hangs does not say where.
fn placed(error: Error, claimed: &Claimed, heartbeat: &Heartbeat) -> Error {
    if error.kind() != Kind::Timeout || error.context("step").is_some() {
        return error;
    }
    let before = || claimed.operation.steps.last().map(|step| (step.name.clone(), step.service.clone()));
    match heartbeat.last_step().or_else(before) {
        Some((step, service)) => error.with("step", step).with("service", service),
        None => error,
    }
}

/// What a verdict is for the store.
fn settlement(claimed: &Claimed, lease: Lease, verdict: Verdict, redactor: &Redactor) -> Settlement {
    let (end, error, report) = match verdict {
        Verdict::Reached(outcome) => {
            let Outcome { connection, report } = *outcome;
            let transition = transition(claimed, claimed.operation.kind.outcome(), None, connection);
            (End::Ended { state: OperationState::Succeeded, transition }, None, Some(report))
        }
        Verdict::Again(error, not_before) => {
            let report = error.report().cloned();
            (End::Released { not_before }, Some(kept_error(&error, vec![], redactor)), report)
        }
        Verdict::HandedBack(not_before) => (End::Released { not_before }, None, None),
        Verdict::GaveUp(error, state, leftovers) => {
            let kept = kept_error(&error, leftovers, redactor);
            let transition = transition(claimed, Trigger::GaveUp, Some(kept.chain.clone()), None);
            (End::Ended { state, transition }, Some(kept), error.report().cloned())
        }
    };
    let report = report.map(|report| redacted_report(report, redactor));
    Settlement { lease, end, error, report, progress: vec![], facts: vec![] }
}

/// Where the operation's outcome moves its project, if it is the one that put it there.
fn transition(
    claimed: &Claimed,
    trigger: Trigger,
    reason: Option<String>,
    connection: Option<Connection>,
) -> Option<Box<Transition>> {
    let project = &claimed.project;
    if project.status_operation != Some(claimed.operation.id) {
        return None;
    }
    let to = lifecycle::next(project.status, trigger).ok()?;
    Some(Box::new(Transition { to, reason, connection }))
}

/// Puts the failure and the last output into the operation's log, before anything is cleaned up.
async fn record_failure(ctx: &Context, error: &Error, redactor: &Redactor) {
    ctx.log(redactor.redact(&format!("failed to {}", error.chain()))).await;
    if let Some(report) = error.report() {
        for output in [&report.stdout, &report.stderr] {
            let lines: Vec<_> = output.lines().collect();
            for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
                ctx.log(redactor.redact(line)).await;
            }
        }
    }
}

fn kept_error(error: &Error, leftovers: Vec<String>, redactor: &Redactor) -> OperationError {
    let mut kept = OperationError::from(error);
    kept.message = redactor.redact(&kept.message);
    kept.chain = redactor.redact(&kept.chain);
    for value in kept.context.values_mut() {
        *value = redactor.redact(value);
    }
    kept.leftovers = leftovers.iter().map(|left| redactor.redact(left)).collect();
    kept
}

fn redacted_report(report: Report, redactor: &Redactor) -> Report {
    Report {
        stdout: redactor.redact(&report.stdout),
        stderr: redactor.redact(&report.stderr),
        duration_ms: report.duration_ms,
    }
}
