//! Leases, model-checked: one project, two workers, a store, an engine, and every order in which things can happen.
//!
//! Workers crash, are slow past their lease, lose answers, and give up waiting for requests that the engine carries out
//! later; people command and cancel meanwhile. The checker visits every state that can be reached. What must hold in each
//! of them is checked there; and from each a state of rest must be reachable without anybody's command.
//!
//! Two things are cut off to keep the states finite: how many commands and crashes there are ([`Protocol`]), and that at
//! most one request at a time is late. The lifecycle is the real one.

mod world;

use std::collections::{HashMap, HashSet};

use stateright::{Checker as _, HasDiscoveries, Model, StateRecorder};

use self::world::{Action, Protocol, World};

/// The protocol as it is.
const AS_IS: Protocol = Protocol { commands: 3, crashes: 1, fenced: true, patient: true, checked: true };

#[test]
fn no_order_of_events_breaks_a_promise_and_rest_is_always_within_reach() {
    let (recorder, states) = StateRecorder::new_with_accessor();
    let checker = AS_IS.checker().threads(2).visitor(recorder).spawn_bfs().join();
    checker.assert_properties();
    let states: HashSet<World> = states().into_iter().collect();
    assert_eq!(states.len(), checker.unique_state_count());
    if let Some(stuck) = without_rest(&states) {
        panic!("nothing but a command leads to rest from here: {stuck:#?}");
    }
    println!("count: {} states model-checked", states.len());
}

/// A state from which rest cannot be reached without a command.
fn without_rest(states: &HashSet<World>) -> Option<&World> {
    let mut before: HashMap<World, Vec<&World>> = HashMap::new();
    for state in states {
        let mut actions = Vec::new();
        AS_IS.actions(state, &mut actions);
        for action in
            actions.into_iter().filter(|action| !matches!(action, Action::Command(_) | Action::Cancel))
        {
            if let Some(next) = AS_IS.next_state(state, action) {
                before.entry(next).or_default().push(state);
            }
        }
    }
    let mut reached: HashSet<&World> = states.iter().filter(|state| state.is_at_rest()).collect();
    let mut edge: Vec<&World> = reached.iter().copied().collect();
    while let Some(state) = edge.pop() {
        for earlier in before.get(state).into_iter().flatten() {
            if reached.insert(earlier) {
                edge.push(earlier);
            }
        }
    }
    states.iter().find(|state| !reached.contains(state))
}

/// A checker that finds nothing shows nothing, so each rule is left out once, and the property that needs it must fail.
#[test]
fn each_rule_of_the_protocol_is_needed() {
    for (protocol, property) in [
        (Protocol { fenced: false, ..AS_IS }, world::NO_STALE_WRITE),
        (Protocol { patient: false, ..AS_IS }, world::NO_OVERLAP),
        (Protocol { checked: false, ..AS_IS }, world::NO_STALE_REQUEST),
    ] {
        let checker = protocol.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        assert!(checker.discovery(property).is_some(), "{protocol:?} should break: {property}");
    }
}
