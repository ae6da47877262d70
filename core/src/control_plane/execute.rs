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
    error::{Error, Kind},
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
    /// It is begun again at that moment, here or on another host.
    Again(Error, OffsetDateTime),
    /// It ended without reaching its aim, and this is left of what it made.
    GaveUp(Error, OperationState, Vec<String>),
}

impl Inner {
    /// Works on a claimed operation until it is settled or its lease is lost.
    pub(super) async fn carry_out(self: Arc<Self>, claimed: Claimed) {
        tracing::info!(takeover = claimed.takeover, "begun");
        let heartbeat = Heartbeat::start(&self, claimed.lease.clone(), claimed.operation.cancel_requested);
        let runtime = self.vault.runtime(&self.installation, &claimed.project, &claimed.sealed).await;
        let redactor = runtime.as_ref().map(Runtime::redactor).unwrap_or_default();
        let verdict = match runtime {
            Ok(runtime) => self.try_operation(&claimed, runtime, &heartbeat).await,
            Err(error) => self.verdict_without_work(&claimed, error).await,
        };
        let Some(Pulse { lease, lost }) = heartbeat.stop().await else {
            tracing::error!("the heartbeat died; the lease will run out");
            return;
        };
        if lost {
            self.counters.leases_lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.settle(&claimed, settlement(&claimed, lease, verdict, &redactor)).await;
    }

    async fn try_operation(&self, claimed: &Claimed, runtime: Runtime, heartbeat: &Heartbeat) -> Verdict {
        let backend = match self.target_of(&claimed.project) {
            Ok(target) => Arc::clone(&target.backend),
            Err(error) => return self.verdict_without_work(claimed, error).await,
        };
        let ctx = heartbeat.context(self.deadline(claimed));
        let work = Work { inner: self, backend: &*backend, claimed, ctx: &ctx };
        let error = match work.attempt(runtime.clone()).await {
            Ok(outcome) => return Verdict::Reached(Box::new(outcome)),
            Err(error) => error,
        };
        let cancelled = heartbeat.cancel_requested();
        if (!cancelled || error.is_lease_lost())
            && let Some(not_before) = self.next_attempt(claimed, &error).await
        {
            return Verdict::Again(error, not_before);
        }
        let redactor = runtime.redactor();
        let ctx = heartbeat.cleanup(Instant::now() + CLEANUP);
        record_failure(&ctx, &error, &redactor).await;
        let leftovers = Work { ctx: &ctx, ..work }.clean_up(&runtime, &error).await;
        let state = if cancelled { OperationState::Cancelled } else { OperationState::Failed };
        Verdict::GaveUp(error, state, leftovers)
    }

    /// The verdict where the backend could not even be called.
    async fn verdict_without_work(&self, claimed: &Claimed, error: Error) -> Verdict {
        match self.next_attempt(claimed, &error).await {
            Some(not_before) => Verdict::Again(error, not_before),
            None => Verdict::GaveUp(error, OperationState::Failed, vec![]),
        }
    }

    /// The operation's deadline on this host's own clock.
    fn deadline(&self, claimed: &Claimed) -> Instant {
        // The lease was given a moment ago, so its end tells the store's time.
        let left = claimed.operation.deadline - claimed.lease.expires_at + self.settings.lease;
        Instant::now() + Duration::try_from(left).unwrap_or(Duration::ZERO)
    }

    /// When the operation is begun again after an error, if it is: at once where it was only handed back, or where the
    /// lease could not be renewed in time. A lost lease says nothing about the work; whoever holds it now goes on.
    async fn next_attempt(&self, claimed: &Claimed, error: &Error) -> Option<OffsetDateTime> {
        if error.is_lease_lost() || (self.hand_back.is_cancelled() && error.kind() == Kind::Cancelled) {
            return Some(self.store.now().await.unwrap_or(claimed.operation.not_before));
        }
        let attempt = claimed.operation.attempt;
        if !error.kind().is_retryable() || attempt >= self.settings.attempts {
            return None;
        }
        let pause = self.settings.backoff_after(attempt);
        let jitter = self.rng().random_range(0.5..1.0);
        // A store that is away just now is no reason to give up.
        let now = self.store.now().await.unwrap_or_else(|_| self.clock.now());
        let next = now + pause.mul_f64(jitter);
        (next < claimed.operation.deadline).then_some(next)
    }

    /// Settles, trying as long as the lease may last.
    async fn settle(&self, claimed: &Claimed, settlement: Settlement) {
        let until = Instant::now() + self.settings.lease;
        let ended = match &settlement.end {
            End::Ended { state, .. } => Some(*state),
            End::Released { .. } => None,
        };
        let error = settlement.error.as_ref().map(|error| error.chain.clone()).unwrap_or_default();
        loop {
            match self.store.settle(settlement.clone()).await {
                Ok(project) => {
                    if let Some(state) = ended {
                        self.counters.count_end(claimed.operation.kind, state);
                    }
                    tracing::info!(state = ?ended, status = %project.status, error, "settled");
                    return;
                }
                Err(error) if error.kind() == Kind::Unavailable && Instant::now() < until => {
                    tokio::time::sleep(self.settings.poll.min(self.settings.lease / 3)).await;
                }
                Err(error) => {
                    if error.is_lease_lost() {
                        self.counters.leases_lost.fetch_add(1, Ordering::Relaxed);
                    }
                    tracing::warn!(error = %error.chain(), "cannot settle; another worker will take it up");
                    return;
                }
            }
        }
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
        Verdict::GaveUp(error, state, leftovers) => {
            let kept = kept_error(&error, leftovers, redactor);
            let transition = transition(claimed, Trigger::GaveUp, Some(kept.chain.clone()), None);
            (End::Ended { state, transition }, Some(kept), error.report().cloned())
        }
    };
    let report = report.map(|report| redacted_report(report, redactor));
    Settlement { lease, end, error, report, facts: vec![] }
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
