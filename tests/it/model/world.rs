//! What there is, and what can happen to it.

use freehold_core::lifecycle::{self, Status, Trigger};
use stateright::{Model, Property};

pub(super) const NO_STALE_WRITE: &str = "a worker whose lease was taken over writes nothing";
pub(super) const NO_STALE_REQUEST: &str = "a worker whose lease was taken over begins no request";
pub(super) const NO_OVERLAP: &str = "nobody takes over while a request may still be answered";
const ONE_RUNS: &str = "at most one operation runs and one waits";
const DATA: &str = "only destroy removes data";
const SETTLED: &str = "an operation that is under way put the project where it stands, or is about to end";

/// The rules, and how much happens.
#[derive(Clone, Copy, Debug)]
pub(super) struct Protocol {
    pub(super) commands: u8,
    pub(super) crashes: u8,
    /// The store refuses what comes under an old epoch.
    pub(super) fenced: bool,
    /// A takeover waits the margin out, within which every request is answered or given up.
    pub(super) patient: bool,
    /// A step checks the lease before each request.
    pub(super) checked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    status: Status,
    running: Vec<Running>,
    waiting: Vec<Kind>,
    engine: Engine,
    requests: Vec<Request>,
    workers: [Worker; 2],
    commands: u8,
    crashes: u8,
    broken: Option<&'static str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Kind {
    Pause,
    Resume,
    Restart,
    Destroy,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Engine {
    Nothing,
    Stopped,
    Started,
}

/// An operation under a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Running {
    kind: Kind,
    lease: Lease,
    cancelled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Lease {
    Valid,
    /// It has run out; the margin runs.
    Ended,
    /// Another worker may take over.
    Free,
}

/// A request to the engine that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Request {
    kind: Kind,
    /// Who waits for its answer; nobody any more if it is late.
    by: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Worker {
    Idle,
    Dead,
    Busy {
        kind: Kind,
        at: At,
        /// Whether its lease is the newest one of the operation.
        current: bool,
    },
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    /// A step before a request.
    Step,
    /// It waits for the answer.
    Asked,
    /// It looks whether the engine is as wished.
    Look,
    /// It tells the store.
    Settle(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum End {
    Reached,
    GaveUp,
    Again,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Command(Kind),
    Cancel,
    Claim(usize),
    /// The lease runs out: its worker is slow or gone.
    LeaseEnds,
    MarginEnds,
    /// Whoever has the newest lease keeps it.
    Renew(usize),
    Ask(usize),
    /// The engine carries a request out, and its answer arrives if somebody waits for it.
    Land(Request),
    /// The engine carries it out, and the answer is lost.
    LandUnheard(Request),
    /// It never arrives.
    Lose(Request),
    /// Its worker waits no longer; the engine may still carry it out.
    StopWaiting(usize),
    Look(usize),
    /// Something fails that no further try would mend, or the operation was cancelled.
    Fail(usize),
    /// The store takes what a worker says, and the worker hears of it.
    Settle(usize),
    /// The store takes it, and its answer is lost: the worker will say it again.
    SettleUnheard(usize),
    Crash(usize),
    ComeBack(usize),
    /// The watcher looks at an active project.
    Watch,
    /// The sweeper removes what landed after the project was removed.
    Sweep,
}

impl Kind {
    fn command(self) -> Trigger {
        match self {
            Self::Pause => Trigger::Pause,
            Self::Resume => Trigger::Resume,
            Self::Restart => Trigger::Restart,
            Self::Destroy => Trigger::Destroy,
        }
    }

    fn outcome(self) -> Trigger {
        match self {
            Self::Pause => Trigger::Paused,
            Self::Resume | Self::Restart => Trigger::Ready,
            Self::Destroy => Trigger::Destroyed,
        }
    }

    /// The status that its command puts a project into.
    fn status(self) -> Status {
        match self {
            Self::Pause => Status::Pausing,
            Self::Resume => Status::Restoring,
            Self::Restart => Status::Restarting,
            Self::Destroy => Status::GoingDown,
        }
    }

    fn wish(self) -> Engine {
        match self {
            Self::Pause => Engine::Stopped,
            Self::Resume | Self::Restart => Engine::Started,
            Self::Destroy => Engine::Nothing,
        }
    }
}

impl World {
    /// Nothing is under way, and the engine has what the status says.
    pub(super) fn is_at_rest(&self) -> bool {
        let engine = match self.status {
            Status::ActiveHealthy => self.engine == Engine::Started,
            Status::Removed => self.engine == Engine::Nothing,
            // A late start may bring up what was paused: the plan shows it, and the next command mends it.
            status => !status.is_transitional(),
        };
        let idle = self.workers.iter().all(|worker| *worker == Worker::Idle);
        engine && idle && self.running.is_empty() && self.waiting.is_empty() && self.requests.is_empty()
    }

    fn lands(&mut self, request: Request) {
        self.requests.retain(|other| *other != request);
        self.engine = match (request.kind, self.engine) {
            (Kind::Resume | Kind::Restart, _) => Engine::Started,
            (Kind::Pause, Engine::Nothing) | (Kind::Destroy, _) => Engine::Nothing,
            (Kind::Pause, _) => Engine::Stopped,
        };
    }

    /// The worker who waits for a request goes on.
    fn answered(&mut self, request: Request, next: At) {
        if let Some(Worker::Busy { at, .. }) = request.by.map(|by| &mut self.workers[by]) {
            *at = next;
        }
    }

    fn settle(&mut self, protocol: Protocol, worker: usize) -> Option<()> {
        let Worker::Busy { kind, at: At::Settle(end), current } = self.workers[worker] else { return None };
        if protocol.fenced && !current {
            return Some(());
        }
        let running = self.running.iter().position(|running| running.kind == kind);
        // Without a fence it may end what is another's by now, or what has ended.
        if !current {
            self.broken = Some(NO_STALE_WRITE);
        }
        self.running.remove(running?);
        self.workers.iter_mut().for_each(|other| {
            if let Worker::Busy { current, .. } = other {
                *current = false;
            }
        });
        let trigger = match end {
            End::Reached => kind.outcome(),
            End::GaveUp => Trigger::GaveUp,
            // Handed back; where another waits it ends instead.
            End::Again if self.waiting.is_empty() => {
                self.waiting.push(kind);
                return Some(());
            }
            End::Again => return Some(()),
        };
        if self.status == kind.status() {
            self.status = lifecycle::next(self.status, trigger).ok()?;
        }
        Some(())
    }

    fn command(&mut self, kind: Kind) -> Option<()> {
        let to = lifecycle::next(self.status, kind.command()).ok()?;
        if kind == Kind::Destroy {
            self.waiting.clear();
            self.running.iter_mut().for_each(|running| running.cancelled = true);
        } else if !self.running.is_empty() || !self.waiting.is_empty() {
            return None;
        }
        self.status = to;
        self.waiting.push(kind);
        Some(())
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World {
            status: Status::ActiveHealthy,
            running: vec![],
            waiting: vec![],
            engine: Engine::Started,
            requests: vec![],
            workers: [Worker::Idle; 2],
            commands: self.commands,
            crashes: self.crashes,
            broken: None,
        }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        if world.commands > 0 {
            actions.extend([Kind::Pause, Kind::Resume, Kind::Restart, Kind::Destroy].map(Action::Command));
            actions.push(Action::Cancel);
        }
        actions.extend([Action::LeaseEnds, Action::MarginEnds, Action::Watch, Action::Sweep]);
        for request in &world.requests {
            actions.extend([Action::Land(*request), Action::LandUnheard(*request), Action::Lose(*request)]);
        }
        for worker in 0..world.workers.len() {
            let each = [
                Action::Claim,
                Action::Renew,
                Action::Ask,
                Action::StopWaiting,
                Action::Look,
                Action::Fail,
                Action::Settle,
                Action::SettleUnheard,
                Action::Crash,
                Action::ComeBack,
            ];
            actions.extend(each.map(|action| action(worker)));
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        next.happens(*self, action)?;
        next.requests.sort_unstable();
        (next != *world).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NO_STALE_WRITE, |_, world: &World| world.broken != Some(NO_STALE_WRITE)),
            Property::always(NO_STALE_REQUEST, |_, world: &World| world.broken != Some(NO_STALE_REQUEST)),
            Property::always(NO_OVERLAP, |_, world: &World| world.broken != Some(NO_OVERLAP)),
            Property::always(ONE_RUNS, |_, world: &World| {
                world.running.len() <= 1 && world.waiting.len() <= 1
            }),
            Property::always(DATA, |_, world: &World| {
                let doomed =
                    [Status::GoingDown, Status::DestroyFailed, Status::Removed].contains(&world.status);
                doomed || world.engine != Engine::Nothing
            }),
            Property::always(SETTLED, |_, world: &World| {
                world.running.iter().all(|running| world.status == running.kind.status() || running.cancelled)
            }),
        ]
    }
}

impl World {
    /// `None` where the action cannot happen.
    fn happens(&mut self, protocol: Protocol, action: Action) -> Option<()> {
        match action {
            Action::Command(kind) => {
                self.commands -= 1;
                self.command(kind)?;
            }
            Action::Cancel => {
                self.commands -= 1;
                self.running.first_mut()?.cancelled = true;
            }
            Action::Claim(worker) => self.claim(worker)?,
            Action::LeaseEnds => {
                let lease = &mut self.running.first_mut()?.lease;
                (*lease == Lease::Valid).then_some(())?;
                *lease = Lease::Ended;
            }
            Action::MarginEnds => {
                let lease = &mut self.running.first_mut()?.lease;
                (*lease == Lease::Ended).then_some(())?;
                // A request is bounded to less than the margin, so by now nobody waits for one any more.
                let waits =
                    |worker: &Worker| matches!(worker, Worker::Busy { at: At::Asked, current: true, .. });
                (!protocol.patient || !self.workers.iter().any(waits)).then_some(())?;
                *lease = Lease::Free;
            }
            Action::Renew(worker) => {
                let Worker::Busy { current: true, .. } = self.workers[worker] else { return None };
                self.running.first_mut()?.lease = Lease::Valid;
            }
            Action::Ask(worker) => {
                let Worker::Busy { kind, at: at @ At::Step, current } = &mut self.workers[worker] else {
                    return None;
                };
                let valid =
                    *current && self.running.first().is_some_and(|running| running.lease == Lease::Valid);
                (valid || !protocol.checked).then_some(())?;
                if !*current {
                    self.broken = Some(NO_STALE_REQUEST);
                }
                *at = At::Asked;
                self.requests.push(Request { kind: *kind, by: Some(worker) });
            }
            Action::Land(request) => {
                self.lands(request);
                self.answered(request, At::Look);
            }
            Action::LandUnheard(request) => {
                self.lands(request);
                self.answered(request, At::Settle(End::Again));
            }
            Action::Lose(request) => {
                self.requests.retain(|other| *other != request);
                self.answered(request, At::Settle(End::Again));
            }
            Action::StopWaiting(worker) => {
                (!self.requests.iter().any(|request| request.by.is_none())).then_some(())?;
                let Worker::Busy { at: at @ At::Asked, .. } = &mut self.workers[worker] else { return None };
                *at = At::Settle(End::Again);
                self.requests
                    .iter_mut()
                    .filter(|r| r.by == Some(worker))
                    .for_each(|request| request.by = None);
            }
            Action::Look(worker) => {
                let Worker::Busy { kind, at: at @ At::Look, .. } = &mut self.workers[worker] else {
                    return None;
                };
                // What is not as wished is mended by the same call once more.
                *at = if self.engine == kind.wish() { At::Settle(End::Reached) } else { At::Step };
            }
            Action::Fail(worker) => {
                let Worker::Busy { at: at @ (At::Step | At::Look), .. } = &mut self.workers[worker] else {
                    return None;
                };
                *at = At::Settle(End::GaveUp);
            }
            Action::Settle(worker) => {
                self.settle(protocol, worker)?;
                self.workers[worker] = Worker::Idle;
            }
            Action::SettleUnheard(worker) => self.settle(protocol, worker)?,
            Action::Crash(worker) => {
                let Worker::Busy { .. } = self.workers[worker] else { return None };
                self.crashes = self.crashes.checked_sub(1)?;
                let late = self.requests.iter().any(|request| request.by.is_none());
                self.requests.retain_mut(|request| {
                    let its = request.by == Some(worker);
                    if its {
                        request.by = None;
                    }
                    !its || !late
                });
                self.workers[worker] = Worker::Dead;
            }
            Action::ComeBack(worker) => {
                (self.workers[worker] == Worker::Dead).then_some(())?;
                self.workers[worker] = Worker::Idle;
            }
            Action::Watch => self.watch()?,
            Action::Sweep => {
                (self.status == Status::Removed).then_some(())?;
                self.engine = Engine::Nothing;
            }
        }
        Some(())
    }

    fn claim(&mut self, worker: usize) -> Option<()> {
        (self.workers[worker] == Worker::Idle).then_some(())?;
        let kind = match self.running.first_mut() {
            Some(running) if running.lease == Lease::Free => {
                running.lease = Lease::Valid;
                running.kind
            }
            Some(_) => return None,
            None => {
                let kind = self.waiting.pop()?;
                self.running.push(Running { kind, lease: Lease::Valid, cancelled: false });
                kind
            }
        };
        for other in &mut self.workers {
            if let Worker::Busy { at, current, .. } = other {
                if *current && *at == At::Asked {
                    self.broken = Some(NO_OVERLAP);
                }
                *current = false;
            }
        }
        self.workers[worker] = Worker::Busy { kind, at: At::Step, current: true };
        Some(())
    }

    /// The status follows what runs, and what is down is started again.
    fn watch(&mut self) -> Option<()> {
        (self.running.is_empty() && self.waiting.is_empty()).then_some(())?;
        let healthy = self.engine == Engine::Started;
        let trigger = if healthy { Trigger::Healthy } else { Trigger::Unhealthy };
        match lifecycle::next(self.status, trigger) {
            Ok(to) => self.status = to,
            Err(_) if self.status == Status::ActiveUnhealthy && !healthy => self.command(Kind::Restart)?,
            Err(_) => return None,
        }
        Some(())
    }
}
