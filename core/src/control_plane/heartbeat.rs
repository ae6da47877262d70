//! Keeping a lease while the backend works, and recording what it does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{broadcast, mpsc, oneshot, watch},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::{
    context::{Context, ContextBuilder, Progress},
    error::{Error, Kind},
    operation::Lease,
    store::{RecordedProgress, Wake},
};

/// How many steps may be on their way to the store before the backend waits for it.
const IN_FLIGHT: usize = 256;
/// The shortest time between two renewals that only look whether the operation is still wanted.
const LOOK: Duration = Duration::from_millis(200);
/// How long steps are gathered before the store is told of them: what a quick backend does takes one statement.
const GATHER: Duration = Duration::from_millis(20);

/// Renews a lease until it is stopped, and gives out contexts that end with it.
pub(super) struct Heartbeat {
    cancellation: CancellationToken,
    cancel_requested: Arc<AtomicBool>,
    last_step: watch::Receiver<Option<(String, String)>>,
    valid_until: watch::Receiver<Instant>,
    progress: mpsc::Sender<Progress>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Pulse>,
    epoch: u64,
    margin: Duration,
}

/// How a lease ended.
#[derive(Debug)]
pub(super) struct Pulse {
    /// The lease as it was last renewed.
    pub(super) lease: Lease,
    /// Whether another worker may have it by now.
    pub(super) lost: bool,
    /// Progress that the store has not taken yet: it goes with the settlement.
    pub(super) unsaved: Vec<RecordedProgress>,
}

impl Heartbeat {
    pub(super) fn start(inner: &Arc<Inner>, lease: Lease, cancel_requested: bool) -> Self {
        let cancellation = inner.hand_back.child_token();
        if cancel_requested {
            cancellation.cancel();
        }
        // The claim was a moment ago; the store's answer may have been under way for some of it.
        let (renewed, valid_until) = watch::channel(Instant::now() + inner.settings.lease * 2 / 3);
        let cancel_requested = Arc::new(AtomicBool::new(cancel_requested));
        let (step, last_step) = watch::channel(None);
        let (progress, received) = mpsc::channel(IN_FLIGHT);
        let (stop, stopped) = oneshot::channel();
        let beat = Beat {
            inner: Arc::clone(inner),
            pulse: Pulse { lease, lost: false, unsaved: Vec::new() },
            cancellation: cancellation.clone(),
            cancel_requested: Arc::clone(&cancel_requested),
            renewed,
            step,
        };
        let (epoch, margin) = (beat.pulse.lease.epoch, inner.settings.lease_margin);
        let task = tokio::spawn(beat.run(received, stopped));
        Self { cancellation, cancel_requested, last_step, valid_until, progress, stop, task, epoch, margin }
    }

    /// A context under the lease, that ends when the operation is cancelled or handed back.
    pub(super) fn context(&self, deadline: Instant) -> Context {
        self.builder(deadline).cancellation(self.cancellation.clone()).build()
    }

    /// A context under the lease for cleaning up behind an operation that was cancelled.
    pub(super) fn cleanup(&self, deadline: Instant) -> Context {
        self.builder(deadline).build()
    }

    /// Whether somebody asked for the operation's end.
    pub(super) fn cancel_requested(&self) -> bool {
        self.cancel_requested.load(Ordering::Acquire)
    }

    /// The step that was begun last, and its service.
    pub(super) fn last_step(&self) -> Option<(String, String)> {
        self.last_step.borrow().clone()
    }

    fn builder(&self, deadline: Instant) -> ContextBuilder {
        ContextBuilder::new(deadline)
            .lease(self.epoch, self.valid_until.clone())
            .margin(self.margin)
            .progress(self.progress.clone())
    }

    /// Ends, and gives what is left to record.
    pub(super) async fn stop(self) -> Option<Pulse> {
        // The task has ended by itself if the lease was lost.
        let _ = self.stop.send(());
        self.task.await.ok()
    }
}

struct Beat {
    inner: Arc<Inner>,
    pulse: Pulse,
    cancellation: CancellationToken,
    cancel_requested: Arc<AtomicBool>,
    renewed: watch::Sender<Instant>,
    step: watch::Sender<Option<(String, String)>>,
}

impl Beat {
    async fn run(
        mut self,
        mut progress: mpsc::Receiver<Progress>,
        mut stopped: oneshot::Receiver<()>,
    ) -> Pulse {
        let mut wakes = self.inner.store.subscribe();
        let mut beat = tokio::time::interval(self.inner.settings.lease / 3);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        beat.reset();
        let mut looked = Instant::now();
        let mut save_at = None;
        while !self.pulse.lost {
            let mut batch = Vec::new();
            tokio::select! {
                biased;
                received = progress.recv_many(&mut batch, IN_FLIGHT), if !progress.is_closed() || !progress.is_empty() => {
                    if received > 0 {
                        self.note(batch);
                        save_at.get_or_insert_with(|| Instant::now() + GATHER);
                    }
                    // A backend that does more than fits waits for the store.
                    if self.pulse.unsaved.len() < IN_FLIGHT { continue; }
                }
                _ = &mut stopped => {
                    while let Ok(last) = progress.try_recv() {
                        batch.push(last);
                    }
                    self.note(batch);
                    break;
                }
                () = at(save_at) => {}
                _ = beat.tick() => {}
                () = asked(&mut wakes, looked + LOOK) => {}
            }
            self.renew().await;
            (looked, save_at) = (Instant::now(), None);
        }
        self.pulse
    }

    fn note(&mut self, batch: Vec<Progress>) {
        if let Some((name, service)) = batch.iter().rev().find_map(step_of) {
            self.step.send_replace(Some((name.to_owned(), service.to_owned())));
        }
        let at = self.inner.clock.now();
        self.pulse.unsaved.extend(batch.into_iter().map(|progress| RecordedProgress { at, progress }));
    }

    async fn renew(&mut self) {
        let asked = Instant::now();
        let extend = self.inner.settings.lease;
        // An answer that comes too late is none: the next beat asks anew.
        let patience = (extend / 2).max(Duration::from_secs(1));
        let renewal = self.inner.store.renew(&self.pulse.lease, extend, &self.pulse.unsaved);
        let renewal = tokio::time::timeout(patience, renewal)
            .await
            .unwrap_or_else(|_| Err(Error::new(Kind::Unavailable, "hear of the store in time")));
        match renewal {
            Ok(renewed) => {
                self.pulse.unsaved.clear();
                self.pulse.lease = renewed.lease;
                self.renewed.send_replace(asked + extend);
                if renewed.cancel_requested && !self.cancel_requested.swap(true, Ordering::AcqRel) {
                    self.cancellation.cancel();
                }
            }
            Err(error) if error.is_lease_lost() => {
                tracing::warn!(operation = %self.pulse.lease.operation, "lost the lease");
                self.pulse.lost = true;
                self.cancellation.cancel();
            }
            // The store may come back before the lease ends; steps check the lease by themselves meanwhile.
            Err(error) if error.kind() == Kind::Unavailable => {
                tracing::warn!(operation = %self.pulse.lease.operation, error = %error.chain(), "cannot renew the lease");
            }
            Err(error) => {
                tracing::error!(operation = %self.pulse.lease.operation, error = %error.chain(), "progress was refused");
                self.pulse.unsaved.clear();
            }
        }
    }
}

fn step_of(progress: &Progress) -> Option<(&str, &str)> {
    match progress {
        Progress::Step { name, service } => Some((name, service)),
        Progress::Log(_) => None,
    }
}

/// That moment, if there is one.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// Returns when an operation may have been asked to end, but not before that moment: until then nobody is woken.
async fn asked(wakes: &mut broadcast::Receiver<Wake>, not_before: Instant) {
    tokio::time::sleep_until(not_before).await;
    loop {
        match wakes.recv().await {
            Ok(Wake::Operations) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Ok(Wake::Written | Wake::Events) => {}
            // A store that hints no more leaves it to the beat.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
