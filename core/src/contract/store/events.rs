//! What happened is told in order, without gaps, and forgotten in the end.

use std::{collections::BTreeMap, time::Duration};

use tokio::{sync::broadcast::Receiver, time::timeout};

use super::{
    Stage,
    changes::{active, amendment, at_once, create, events, finish, pause, until_after},
};
use crate::{
    Event,
    contract::failure::{Failure, Verified, refused},
    error::Detail,
    event::Fact,
    lifecycle::Status,
    operation::OperationState,
    store::{ProjectUpdate, Retention, Store, Wake},
};

/// Keeps nothing.
const NOTHING: Retention =
    Retention { events: Duration::ZERO, idempotency_keys: Duration::ZERO, operations: Duration::ZERO };

fn short(event: &Event) -> String {
    match &event.fact {
        Fact::StatusChanged { from, to, .. } => {
            format!("{} -> {to}", from.map(|from| from.to_string()).unwrap_or_default())
        }
        Fact::OperationChanged { kind, state, attempt, .. } => format!("{kind} {state} {attempt}"),
        Fact::Amended { fields } => fields.join(" "),
        other => format!("{other:?}"),
    }
}

pub(super) async fn a_life_is_told_in_order(Stage { store, .. }: Stage) -> Verified {
    let project = active(&*store, "demo").await?;
    let update = ProjectUpdate { protected: Some(true), ..ProjectUpdate::of(&project) };
    let project = store.commit(amendment(update)).await?.project;
    store.commit(pause(&project)).await?;
    finish(&*store, Status::Inactive).await?;
    let events = events(&*store).await?;
    let numbers: Vec<u64> = events.iter().map(|event| event.sequence).collect();
    ensure_eq!(numbers, (1..=11).collect::<Vec<_>>(), "the numbers");
    ensure!(
        events.iter().all(|event| event.project == project.reference
            && event.organization == project.organization
            && event.at >= project.created_at),
        "an event does not say of whom it is, or when"
    );
    let told: Vec<String> = events.iter().map(short).collect();
    let expected = [
        " -> COMING_UP",
        "create waiting 0",
        "create running 1",
        "create succeeded 1",
        "COMING_UP -> ACTIVE_HEALTHY",
        "protected",
        "ACTIVE_HEALTHY -> PAUSING",
        "pause waiting 0",
        "pause running 1",
        "pause succeeded 1",
        "PAUSING -> INACTIVE",
    ];
    ensure_eq!(told, expected, "what is told");
    Ok(())
}

pub(super) async fn numbers_are_dense_while_many_write_and_two_number(
    Stage { store, .. }: Stage,
) -> Verified {
    let writers = (0..8).map(|writer| {
        let store = store.clone();
        async move {
            for n in 0..8 {
                create(&*store, &format!("{writer} {n}")).await?;
                store.sequence().await?;
            }
            Ok::<(), Failure>(())
        }
    });
    for writer in at_once(writers).await? {
        writer?;
    }
    ensure_eq!(store.sequence().await?, 128, "the newest number");
    let events = events(&*store).await?;
    ensure!(events.iter().zip(1..).all(|(event, number)| event.sequence == number), "numbers have gaps");
    let mut last = BTreeMap::new();
    for event in &events {
        let place = match &event.fact {
            Fact::StatusChanged { .. } => 0,
            Fact::OperationChanged { state: OperationState::Waiting, .. } => 1,
            other => return Err(Failure::new(format!("nothing else happened than {other:?}"))),
        };
        let before = last.insert(event.project, place);
        ensure_eq!(before, (place > 0).then_some(0), "what was told of a project before {:?}", event.fact);
    }
    Ok(())
}

pub(super) async fn events_are_read_by_number_once_they_have_one(Stage { store, .. }: Stage) -> Verified {
    create(&*store, "demo").await?;
    ensure!(store.events(0, 100).await?.events.is_empty(), "events without numbers are read");
    for _ in 0..2 {
        ensure_eq!(store.sequence().await?, 2, "the newest number");
    }
    let first = store.events(0, 1).await?;
    ensure_eq!((first.events.len(), first.next), (1, 1), "the first page");
    let second = store.events(first.next, 100).await?;
    let numbers: Vec<u64> = second.events.iter().map(|event| event.sequence).collect();
    ensure_eq!((numbers, second.next), (vec![2], 2), "the second page");
    for after in [2, 1000, u64::MAX] {
        let none = store.events(after, 100).await?;
        ensure_eq!((none.events.len(), none.next), (0, after), "the page after {after}");
    }
    Ok(())
}

/// Forgets all that is numbered.
async fn forget(store: &dyn Store) -> Verified {
    until_after(store, store.now().await?).await?;
    Ok(store.expire(&NOTHING).await?)
}

pub(super) async fn events_that_are_not_kept_any_more_are_gone_and_numbers_go_on(
    Stage { store, .. }: Stage,
) -> Verified {
    create(&*store, "one").await?;
    ensure_eq!(store.sequence().await?, 2, "the newest number");
    forget(&*store).await?;
    let gone = refused(store.events(0, 10).await, "reading what is not kept")?;
    ensure_eq!(gone.detail(), Some(&Detail::Gone { oldest: 3 }), "the refusal");
    ensure_eq!(store.events(2, 10).await?.next, 2, "where reading goes on");
    create(&*store, "two").await?;
    ensure_eq!(store.sequence().await?, 4, "the newest number");
    let page = store.events(2, 10).await?;
    ensure_eq!((page.events.len(), page.next), (2, 4), "the events after those that are gone");
    Ok(())
}

pub(super) async fn what_is_not_numbered_yet_is_not_forgotten(Stage { store, .. }: Stage) -> Verified {
    create(&*store, "one").await?;
    forget(&*store).await?;
    ensure_eq!(events(&*store).await?.len(), 2, "the events");
    Ok(())
}

/// The next hint, which may have to cross a network.
async fn heard(wakes: &mut Receiver<Wake>, wanted: Wake) -> Verified {
    let listen = async {
        loop {
            match wakes.recv().await {
                Ok(wake) if wake == wanted => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(Failure::new(format!("no more hints come: {error}"))),
            }
        }
    };
    let late = |_| Err(Failure::new(format!("nobody heard of {wanted:?}")));
    timeout(Duration::from_secs(60), listen).await.unwrap_or_else(late)
}

pub(super) async fn who_listens_hears_of_changes_and_of_numbers(Stage { store, .. }: Stage) -> Verified {
    let (mut written, mut operations, mut numbered) =
        (store.subscribe(), store.subscribe(), store.subscribe());
    create(&*store, "demo").await?;
    heard(&mut written, Wake::Written).await?;
    heard(&mut operations, Wake::Operations).await?;
    store.sequence().await?;
    heard(&mut numbered, Wake::Events).await
}
