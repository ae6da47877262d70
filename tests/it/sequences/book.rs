//! What a store promises, as a book that is kept by hand.

use freehold_core::{
    OperationKind, OperationState, Status, Trigger,
    lifecycle::{self, TABLE},
};
use proptest::{prelude::*, sample};
use proptest_state_machine::ReferenceStateMachine;

/// How many operations of the target may run at once.
pub(super) const AT_ONCE: usize = 2;
/// How many names there are to choose from, so that some are chosen twice.
const NAMES: u8 = 3;

/// Projects and operations in the order of their making, and how the last thing said has to be answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    pub(super) projects: Vec<Entry>,
    pub(super) operations: Vec<Work>,
    pub(super) answer: Answer,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    name: u8,
    pub(super) status: Status,
    /// The operation that put it there.
    by: usize,
}

#[derive(Clone, Debug)]
pub(super) struct Work {
    project: usize,
    kind: OperationKind,
    pub(super) state: OperationState,
    pub(super) cancelled: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Answer {
    #[default]
    Done,
    /// Of a claim.
    Nothing,
    Claimed(usize),
    NameTaken,
    Busy,
    LostRace,
    LeaseLost,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Say {
    Create(u8),
    Command(usize, Trigger),
    /// A change that was prepared from an older version.
    Late(usize),
    Cancel(usize),
    Claim,
    Renew(usize),
    /// By a worker whose lease is an older one.
    RenewLate(usize),
    Settle(usize, Ending),
    SettleLate(usize),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    Reached,
    GaveUp,
    HandedBack,
}

pub(super) fn kind(trigger: Trigger) -> OperationKind {
    match trigger {
        Trigger::Retry => OperationKind::Retry,
        Trigger::Pause => OperationKind::Pause,
        Trigger::Resume => OperationKind::Resume,
        Trigger::Restart => OperationKind::Restart,
        Trigger::Reconfigure => OperationKind::Reconfigure,
        Trigger::Destroy => OperationKind::Destroy,
        outcome => panic!("{outcome} is no command"),
    }
}

impl Book {
    fn is(&self, operation: usize, state: OperationState) -> bool {
        self.operations.get(operation).is_some_and(|work| work.state == state)
    }

    fn of(&self, project: usize, state: OperationState) -> Option<usize> {
        self.operations.iter().position(|work| work.project == project && work.state == state)
    }

    /// Where an ending takes the project of an operation, if that put it where it stands.
    pub(super) fn moves(&self, operation: usize, ending: Ending) -> Option<Status> {
        let work = &self.operations[operation];
        let project = &self.projects[work.project];
        let trigger = match (ending, work.kind) {
            (Ending::HandedBack, _) => return None,
            (Ending::GaveUp, _) => Trigger::GaveUp,
            (Ending::Reached, OperationKind::Pause) => Trigger::Paused,
            (Ending::Reached, OperationKind::Destroy) => Trigger::Destroyed,
            (Ending::Reached, _) => Trigger::Ready,
        };
        if project.by == operation { lifecycle::next(project.status, trigger).ok() } else { None }
    }

    fn record(&mut self, project: usize, kind: OperationKind) {
        self.projects[project].by = self.operations.len();
        self.operations.push(Work { project, kind, state: OperationState::Waiting, cancelled: false });
    }

    fn command(&mut self, project: usize, trigger: Trigger) -> Answer {
        let (waiting, running) =
            (self.of(project, OperationState::Waiting), self.of(project, OperationState::Running));
        if trigger != Trigger::Destroy && (waiting.is_some() || running.is_some()) {
            return Answer::Busy;
        }
        if let Some(waiting) = waiting {
            let waiting = &mut self.operations[waiting];
            (waiting.state, waiting.cancelled) = (OperationState::Cancelled, true);
        }
        if let Some(running) = running {
            self.operations[running].cancelled = true;
        }
        let status = lifecycle::next(self.projects[project].status, trigger);
        self.projects[project].status = status.expect("it is taken");
        self.record(project, kind(trigger));
        Answer::Done
    }

    fn claim(&mut self) -> Answer {
        let running = self.operations.iter().filter(|work| work.state == OperationState::Running).count();
        let due = (0..self.operations.len()).find(|operation| {
            let project = self.operations[*operation].project;
            self.is(*operation, OperationState::Waiting)
                && self.of(project, OperationState::Running).is_none()
        });
        match due {
            Some(due) if running < AT_ONCE => {
                self.operations[due].state = OperationState::Running;
                Answer::Claimed(due)
            }
            _ => Answer::Nothing,
        }
    }

    fn settle(&mut self, operation: usize, ending: Ending) {
        let project = self.operations[operation].project;
        if let Some(to) = self.moves(operation, ending) {
            self.projects[project].status = to;
        }
        self.operations[operation].state = match ending {
            Ending::Reached => OperationState::Succeeded,
            Ending::GaveUp => OperationState::Failed,
            Ending::HandedBack if self.of(project, OperationState::Waiting).is_some() => {
                OperationState::Cancelled
            }
            Ending::HandedBack => OperationState::Waiting,
        };
    }
}

impl ReferenceStateMachine for Book {
    type State = Self;
    type Transition = Say;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(book: &Self) -> BoxedStrategy<Say> {
        let create = (0..NAMES).prop_map(Say::Create);
        if book.projects.is_empty() {
            return create.boxed();
        }
        let commands: Vec<_> = Trigger::ALL.into_iter().filter(|trigger| trigger.is_command()).collect();
        let project = 0..book.projects.len();
        let operation = 0..book.operations.len();
        let ending =
            sample::select(vec![Ending::Reached, Ending::Reached, Ending::GaveUp, Ending::HandedBack]);
        prop_oneof![
            2 => create,
            6 => (project.clone(), sample::select(commands)).prop_map(|(project, on)| Say::Command(project, on)),
            1 => project.prop_map(Say::Late),
            1 => operation.clone().prop_map(Say::Cancel),
            6 => Just(Say::Claim),
            2 => operation.clone().prop_map(Say::Renew),
            1 => operation.clone().prop_map(Say::RenewLate),
            8 => (operation.clone(), ending).prop_map(|(operation, ending)| Say::Settle(operation, ending)),
            1 => operation.prop_map(Say::SettleLate),
        ]
        .boxed()
    }

    fn preconditions(book: &Self, say: &Say) -> bool {
        match *say {
            Say::Create(_) | Say::Claim => true,
            Say::Command(project, trigger) => book.projects.get(project).is_some_and(|entry| {
                TABLE.iter().any(|(from, on, _)| *from == entry.status && *on == trigger)
            }),
            Say::Late(project) => project < book.projects.len(),
            Say::Cancel(operation)
            | Say::Renew(operation)
            | Say::RenewLate(operation)
            | Say::Settle(operation, _)
            | Say::SettleLate(operation) => book.is(operation, OperationState::Running),
        }
    }

    fn apply(mut book: Self, say: &Say) -> Self {
        book.answer = match *say {
            Say::Create(name) => {
                if book.projects.iter().any(|entry| entry.name == name && entry.status.holds_name()) {
                    Answer::NameTaken
                } else {
                    book.projects.push(Entry { name, status: lifecycle::CREATED, by: 0 });
                    book.record(book.projects.len() - 1, OperationKind::Create);
                    Answer::Done
                }
            }
            Say::Command(project, trigger) => book.command(project, trigger),
            Say::Late(_) => Answer::LostRace,
            Say::Cancel(operation) => {
                book.operations[operation].cancelled = true;
                Answer::Done
            }
            Say::Claim => book.claim(),
            Say::Renew(_) => Answer::Done,
            Say::RenewLate(_) | Say::SettleLate(_) => Answer::LeaseLost,
            Say::Settle(operation, ending) => {
                book.settle(operation, ending);
                Answer::Done
            }
        };
        book
    }
}
