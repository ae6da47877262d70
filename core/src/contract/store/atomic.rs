//! A change is committed whole or not at all.

use std::collections::BTreeMap;

use super::{
    Stage,
    changes::{amendment, connection, create, creation, events, key, new_project, recorded, reread},
};
use crate::{
    contract::failure::{Verified, refused, there},
    error::Kind,
    lifecycle::Status,
    operation::OperationState,
    project::Annotations,
    store::{NewProject, ProjectUpdate, StatusChange},
};

pub(super) async fn a_created_project_has_a_number_ports_a_network_and_an_operation_that_waits(
    Stage { store, .. }: Stage,
) -> Verified {
    let (first, operation) = recorded(create(&*store, "one").await?)?;
    let (second, later) = recorded(create(&*store, "two").await?)?;
    ensure!(second.id > first.id, "the second project has number {} and the first {}", second.id, first.id);
    ensure_eq!((first.status, first.version), (Status::ComingUp, 1), "status and version");
    ensure_eq!(first.ports.map(|ports| ports.count), Some(3), "the ports");
    let network = there(first.subnet, "its network")?;
    ensure_eq!(network.prefix_len(), 27, "the network's prefix");
    ensure_eq!((later.state, later.attempt), (OperationState::Waiting, 0), "the operation");
    ensure_eq!((operation.position, later.position), (Some(0), Some(1)), "positions");
    ensure_eq!(first.status_operation, Some(operation.id), "who put the project there");
    ensure_eq!(reread(&*store, &first.reference).await?, first, "the project as it is read");
    Ok(())
}

pub(super) async fn a_refused_change_leaves_nothing_behind(Stage { store, .. }: Stage) -> Verified {
    let first = create(&*store, "demo").await?.project;
    let refused_project = new_project("demo")?;
    let reference = refused_project.reference;
    let mut change = creation(refused_project);
    change.idempotency = Some(key("k", "a")?);
    let operation = there(change.operation.as_ref(), "the operation")?.id;
    let error = refused(store.commit(change).await, "a name that is taken")?;
    ensure_eq!(error.kind(), Kind::AlreadyExists, "the refusal");

    ensure_eq!(store.project(&reference).await?, None, "the project");
    ensure_eq!(store.operation(operation).await?, None, "the operation");
    ensure!(store.sealed(Some(&reference)).await?.is_empty(), "its secrets were kept");
    ensure_eq!(store.replay(&first.organization, "k").await?, None, "the key");
    ensure_eq!(events(&*store).await?.len(), 2, "how many events there are");
    let second = create(&*store, "other").await?.project;
    let (a, b) = (there(first.ports, "the ports")?, there(second.ports, "the ports")?);
    ensure_eq!(b.first, a.first + a.count, "the first port of the next project");
    Ok(())
}

pub(super) async fn a_project_is_never_active_without_a_connection(Stage { store, .. }: Stage) -> Verified {
    let project = create(&*store, "demo").await?.project;
    let moved = |connection| {
        let status = Some(StatusChange { to: Status::ActiveHealthy, reason: None });
        amendment(ProjectUpdate { status, connection, ..ProjectUpdate::of(&project) })
    };
    let error = refused(store.commit(moved(None)).await, "an active project without a connection")?;
    ensure_eq!(error.kind(), Kind::Internal, "the refusal");
    ensure_eq!(reread(&*store, &project.reference).await?, project, "the project after the refusal");
    let project = store.commit(moved(Some(connection()))).await?.project;
    ensure!(project.was_active, "an active project that never was active");
    Ok(())
}

pub(super) async fn the_longest_and_most_hostile_texts_come_back_as_they_were(
    Stage { store, .. }: Stage,
) -> Verified {
    let names = ["a'; DROP TABLE projects; --", "$(reboot) `id` \\ %s %00 \"", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 ✓ ё", "NULL"];
    let longest = "\u{1F9ED}".repeat(64);
    let value = "line\nline\ttab \u{7f} \\N ".to_owned() + &"ü".repeat(2000);
    for name in names.into_iter().chain([longest.as_str()]) {
        let entries = BTreeMap::from([("k".repeat(128), value.clone()), ("it's".to_owned(), String::new())]);
        let project = NewProject { annotations: Annotations::new(entries)?, ..new_project(name)? };
        let made = store.commit(creation(project.clone())).await?.project;
        let read = reread(&*store, &made.reference).await?;
        ensure_eq!(read.name, project.name, "the name");
        ensure_eq!(read.annotations, project.annotations, "the annotations");
        ensure_eq!(read, made, "the project as it is read");
    }
    Ok(())
}
