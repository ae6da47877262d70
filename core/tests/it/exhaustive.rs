//! Every command from every status that takes it, with everything that a backend may do to it; and destroy from every
//! status that there is.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use freehold_core::{
    Destroyer as _, Fact, Keyring, Kind, OperationState, ProjectRef, Status, Trigger,
    clock::TokioClock,
    control_plane::{Accepted, ControlPlane, Reconfigure, Settings, TargetSettings, Timeouts},
    faults::{Fault, Faults, Injector, Then},
    lifecycle::{self, TABLE},
    memory::{MemoryBackend, MemoryStore},
    seal::SealKey,
};
use time::macros::datetime;

use crate::{control_plane::demo, memory_backend::ctx};

const PATIENCE: Duration = Duration::from_secs(3600);

const KINDS: [Kind; 10] = [
    Kind::InvalidInput,
    Kind::NotFound,
    Kind::AlreadyExists,
    Kind::Conflict,
    Kind::Unsupported,
    Kind::Exhausted,
    Kind::Unavailable,
    Kind::Timeout,
    Kind::Cancelled,
    Kind::Internal,
];

/// What a backend does with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Act {
    Succeed,
    /// It does the work, and its answer is lost once.
    LoseAnswer,
    /// It does the work twice.
    Repeat,
    Fail(Kind),
    Panic,
    /// A step waits until the deadline.
    Hang,
    /// The call never returns.
    Vanish,
    /// Somebody cancels while a step waits.
    Cancel,
}

fn acts() -> impl Iterator<Item = Act> {
    use Act::{Cancel, Hang, LoseAnswer, Panic, Repeat, Succeed, Vanish};
    [Succeed, LoseAnswer, Repeat, Panic, Hang, Vanish, Cancel].into_iter().chain(KINDS.map(Act::Fail))
}

impl Act {
    /// The fault that makes a call do this.
    fn fault(self, call: &str) -> Option<Fault> {
        let (before, always) = (format!("call {call} before"), 1.0);
        match self {
            Self::Succeed => None,
            Self::LoseAnswer => Some(Fault::new(format!("call {call} after"), Then::Fail(Kind::Unavailable))),
            Self::Repeat => Some(Fault::new(before, Then::Twice)),
            Self::Fail(kind) => Some(Fault::new(before, Then::Fail(kind)).chance(always)),
            Self::Panic => Some(Fault::new(before, Then::Panic).chance(always)),
            Self::Vanish => Some(Fault::new(before, Then::Hang).chance(always)),
            Self::Hang | Self::Cancel => Some(Fault::new("step *", Then::Hang).during(call).chance(always)),
        }
    }

    fn succeeds(self) -> bool {
        matches!(self, Self::Succeed | Self::LoseAnswer | Self::Repeat)
    }
}

struct World {
    control: ControlPlane,
    injector: Arc<Injector>,
    engine: Arc<MemoryBackend>,
}

impl World {
    async fn new() -> Self {
        let clock = Arc::new(TokioClock::starting_at(datetime!(2026-11-23 00:00 UTC)));
        let minute = Duration::from_secs(60);
        let timeouts = Timeouts { provision: minute, pause: minute, start: minute, destroy: minute };
        let injector = Arc::new(Injector::new(Faults::default()).unwrap());
        let engine = Arc::new(MemoryBackend::new().unwrap());
        let control = ControlPlane::builder()
            .store(Arc::new(MemoryStore::on_clock(Arc::clone(&clock) as _)))
            .sealer(Arc::new(Keyring::new(SealKey::new([7; 32]))))
            .target("local".parse().unwrap(), Arc::clone(&engine) as _, TargetSettings::default())
            .clock(clock)
            .settings(Settings { watch: Duration::ZERO, attempts: 2, timeouts, ..Settings::default() })
            .faults(Arc::clone(&injector))
            .build()
            .await
            .unwrap();
        Self { control, injector, engine }
    }

    /// A new project that has come to a status. Whatever made it fail is over; whatever holds it there is not.
    async fn arrive(&self, status: Status) -> ProjectRef {
        use Status::*;
        let fails = |call| self.plan(Act::Fail(Kind::Internal), call);
        // The way there: what was asked last, and what the backend does then.
        let before = match status {
            ComingUp | InitFailed | ActiveHealthy => None,
            ActiveUnhealthy | Pausing | PauseFailed | Inactive | Restarting | GoingDown | DestroyFailed
            | Removed => Some(ActiveHealthy),
            Restoring | RestoreFailed => Some(Inactive),
        };
        let project = match before {
            Some(before) => Box::pin(self.arrive(before)).await,
            None => ProjectRef::random(&mut rand::rng()),
        };
        match status {
            ComingUp => self.plan(Act::Hang, "provision"),
            Pausing => self.plan(Act::Hang, "pause"),
            Restoring => self.plan(Act::Hang, "resume"),
            Restarting => self.plan(Act::Hang, "restart"),
            GoingDown => self.plan(Act::Hang, "destroy"),
            InitFailed => fails("provision"),
            ActiveUnhealthy => fails("restart"),
            PauseFailed => fails("pause"),
            RestoreFailed => fails("resume"),
            DestroyFailed => fails("destroy"),
            ActiveHealthy | Inactive | Removed => {}
        }
        let accepted = match status {
            ComingUp | InitFailed | ActiveHealthy => self.control.create(demo("demo"), None).await,
            ActiveUnhealthy | Restarting => self.control.restart(&project, &[]).await,
            Pausing | PauseFailed | Inactive => self.control.pause(&project).await,
            Restoring | RestoreFailed => self.control.resume(&project).await,
            GoingDown | DestroyFailed | Removed => self.control.destroy(&project).await,
        };
        let project = accepted.unwrap().project.reference;
        if status.is_transitional() {
            // Until the step hangs.
            let acted = self.injector.acted();
            while self.injector.acted() == acted {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        } else {
            self.control.wait(&project, &[status], PATIENCE).await.unwrap();
        }
        self.injector.stand_down();
        project
    }

    fn plan(&self, act: Act, call: &str) {
        if let Some(fault) = act.fault(call) {
            self.injector.plan(fault).unwrap();
        }
    }

    async fn command(&self, project: &ProjectRef, trigger: Trigger) -> Accepted {
        let accepted = match trigger {
            Trigger::Retry => self.control.retry(project).await,
            Trigger::Pause => self.control.pause(project).await,
            Trigger::Resume => self.control.resume(project).await,
            Trigger::Restart => self.control.restart(project, &[]).await,
            Trigger::Reconfigure => {
                let settings =
                    Reconfigure { excluded: Some(vec!["metrics".into()]), ..Reconfigure::default() };
                self.control.reconfigure(project, settings).await
            }
            Trigger::Destroy => self.control.destroy(project).await,
            outcome => panic!("{outcome} is no command"),
        };
        accepted.unwrap()
    }

    /// Asks for something while the backend acts like that, and checks where the project ends.
    async fn try_out(&self, project: ProjectRef, trigger: Trigger, act: Act) {
        let acted = self.injector.acted();
        self.plan(act, call(trigger));
        let accepted = self.command(&project, trigger).await;
        let under_way = accepted.project.status;
        let operation = accepted.operation.unwrap().id;
        if act == Act::Cancel {
            while self.injector.acted() == acted
                && !self.control.operation(operation).await.unwrap().state.has_ended()
            {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            self.control.cancel(operation).await.unwrap();
        }
        let ended = self.control.wait_operation(operation, PATIENCE).await.unwrap();
        let struck = self.injector.acted() > acted;
        self.injector.stand_down();
        let reached = act.succeeds() || !struck;
        let outcome = if reached { outcome(trigger) } else { Trigger::GaveUp };
        let project = self.control.project(&project).await.unwrap();
        let case = format!("{trigger} with {act:?}: {ended:?}");
        assert_eq!(project.status, lifecycle::next(under_way, outcome).unwrap(), "{case}");
        let state = match (reached, act) {
            (true, _) => OperationState::Succeeded,
            (false, Act::Cancel) => OperationState::Cancelled,
            (false, _) => OperationState::Failed,
        };
        assert_eq!(ended.state, state, "{case}");
        assert_eq!(ended.error.is_some(), !reached, "a reason is told where there is one: {case}");
        let holdings = self.engine.inventory(&ctx()).await.unwrap();
        let left = holdings.iter().any(|holding| holding.project == project.reference);
        match project.status {
            Status::Removed | Status::InitFailed => assert!(!left, "{case}"),
            Status::DestroyFailed => {
                let named = !ended.error.unwrap().leftovers.is_empty();
                assert!(named || !left, "what is left is named: {trigger} with {act:?}");
            }
            _ => assert!(left, "{case}"),
        }
    }
}

/// The backend's call for a command.
fn call(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Retry => "provision",
        Trigger::Pause => "pause",
        Trigger::Resume => "resume",
        Trigger::Restart => "restart",
        Trigger::Reconfigure => "reconfigure",
        Trigger::Destroy => "destroy",
        outcome => panic!("{outcome} is no command"),
    }
}

fn outcome(trigger: Trigger) -> Trigger {
    match trigger {
        Trigger::Pause => Trigger::Paused,
        Trigger::Destroy => Trigger::Destroyed,
        _ => Trigger::Ready,
    }
}

#[tokio::test(start_paused = true)]
async fn every_command_from_every_status_ends_where_the_table_says_whatever_the_backend_does() {
    let mut tried = 0;
    let mut seen = BTreeSet::new();
    for (from, trigger, _) in TABLE.iter().filter(|(_, trigger, _)| trigger.is_command()) {
        for act in acts() {
            let world = World::new().await;
            let project = world.arrive(*from).await;
            world.try_out(project, *trigger, act).await;
            tried += 1;
            // Whatever came of it, it can be destroyed.
            if world.control.project(&project).await.unwrap().status != Status::Removed {
                world.try_out(project, Trigger::Destroy, Act::Succeed).await;
            }
            for event in world.control.events(0, 1000).await.unwrap().events {
                if let Fact::StatusChanged { from: Some(from), to, .. } = event.fact {
                    seen.insert((from, to));
                }
            }
            world.control.shutdown(Duration::ZERO).await;
        }
    }
    let watched = [Trigger::Healthy, Trigger::Unhealthy, Trigger::NotPaused];
    let unseen = TABLE.iter().filter(|(from, on, to)| !watched.contains(on) && !seen.contains(&(*from, *to)));
    assert_eq!(unseen.collect::<Vec<_>>(), Vec::<&(Status, Trigger, Status)>::new());
    println!("count: {tried} outcomes of commands tried");
}

#[tokio::test(start_paused = true)]
async fn every_command_that_a_status_does_not_take_is_refused_and_moves_nothing() {
    let commands = Trigger::ALL.into_iter().filter(|trigger| trigger.is_command());
    for status in Status::ALL {
        let world = World::new().await;
        let project = world.arrive(status).await;
        for trigger in commands.clone().filter(|trigger| lifecycle::next(status, *trigger).is_err()) {
            let answer = match trigger {
                Trigger::Retry => world.control.retry(&project).await,
                Trigger::Pause => world.control.pause(&project).await,
                Trigger::Resume => world.control.resume(&project).await,
                Trigger::Restart => world.control.restart(&project, &[]).await,
                Trigger::Reconfigure => world.control.reconfigure(&project, Reconfigure::default()).await,
                // Answered with the operation that is there.
                _ => continue,
            };
            assert_eq!(answer.unwrap_err().kind(), Kind::Conflict, "{trigger} of {status}");
            assert_eq!(world.control.project(&project).await.unwrap().status, status);
        }
    }
}
