//! What must hold, whatever happens.

use std::collections::BTreeMap;

use freehold_core::{
    Destroyer as _, Event, Fact, OperationId, OperationState, PageRequest, PortBlock, Project, ProjectFilter,
    ProjectRef, Status, Store as _, lifecycle,
    memory::{MemoryBackend, MemoryStore},
    store::{OperationFilter, SealedItem},
};

use crate::memory_backend::ctx;

/// Everything that was seen so far.
#[derive(Default)]
pub(super) struct Witness {
    pub(super) events: Vec<Event>,
    statuses: BTreeMap<ProjectRef, Status>,
    operations: BTreeMap<OperationId, OperationState>,
    /// What each project had when it was first active.
    first: BTreeMap<ProjectRef, First>,
}

struct First {
    ports: Option<PortBlock>,
    sealed: Vec<SealedItem>,
}

type Check = Result<(), String>;

fn must(holds: bool, otherwise: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err(otherwise()) }
}

impl Witness {
    /// Looks at store and engine. `destroyed` tells whether anybody asked for a project's end.
    pub(super) async fn look(
        &mut self,
        store: &MemoryStore,
        engine: &MemoryBackend,
        destroyed: impl Fn(&ProjectRef) -> bool,
    ) -> Check {
        self.events_are_dense_and_lawful(store).await?;
        operations_are_alone(store).await?;
        let projects = all_projects(store).await;
        ports_are_apart(&projects)?;
        for project in &projects {
            must(project.status != Status::ActiveHealthy || project.connection.is_some(), || {
                format!("{} is ACTIVE_HEALTHY without a connection", project.reference)
            })?;
            if project.was_active && project.status != Status::Removed {
                self.remains(store, engine, project, destroyed(&project.reference)).await?;
            }
        }
        Ok(())
    }

    async fn events_are_dense_and_lawful(&mut self, store: &MemoryStore) -> Check {
        let after = self.events.len() as u64;
        for event in store.events(after, 1000).await.unwrap().events {
            must(event.sequence == self.events.len() as u64 + 1, || format!("a gap before {event:?}"))?;
            match &event.fact {
                Fact::StatusChanged { from, to, .. } => {
                    let known = self.statuses.insert(event.project, *to);
                    must(known == *from, || format!("{known:?} was followed by {event:?}"))?;
                    let lawful = match from {
                        None => *to == lifecycle::CREATED,
                        Some(from) => lifecycle::TABLE.iter().any(|(a, _, b)| a == from && b == to),
                    };
                    must(lawful, || format!("no row of the table is {event:?}"))?;
                }
                Fact::OperationChanged { operation, state, .. } => {
                    use OperationState::{Running, Waiting};
                    let known = self.operations.insert(*operation, *state);
                    let lawful = match (known, *state) {
                        (None, first) => first == Waiting,
                        (Some(Waiting), next) => next == Running || next.has_ended(),
                        (Some(Running), _) => true,
                        (Some(_), _) => false,
                    };
                    must(lawful, || format!("{known:?} was followed by {event:?}"))?;
                }
                _ => {}
            }
            self.events.push(event);
        }
        Ok(())
    }

    /// What was ever active keeps its data until somebody destroys it, its ports and its credentials.
    async fn remains(
        &mut self,
        store: &MemoryStore,
        engine: &MemoryBackend,
        project: &Project,
        destroyed: bool,
    ) -> Check {
        let (name, row) = (project.reference, project.reference.as_str());
        let sealed = store.sealed(Some(&name)).await.unwrap();
        let Some(first) = self.first.get(&name) else {
            must(engine.write(&name, "row", row).is_ok() || destroyed, || format!("{name} has no data"))?;
            self.first.insert(name, First { ports: project.ports, sealed });
            return Ok(());
        };
        must(first.ports == project.ports, || {
            format!("{name} moved from {:?} to {:?}", first.ports, project.ports)
        })?;
        must(first.sealed == sealed, || format!("{name} has other secrets than at first"))?;
        must(destroyed || engine.read(&name, "row").as_deref() == Some(row), || {
            format!("{name} lost its data")
        })
    }
}

/// Every project, tombstones too.
pub(super) async fn all_projects(store: &MemoryStore) -> Vec<Project> {
    let filter = ProjectFilter { statuses: Status::ALL.to_vec(), ..ProjectFilter::default() };
    store.projects(&filter, &PageRequest::first(PageRequest::MAX)).await.unwrap().items
}

async fn operations_are_alone(store: &MemoryStore) -> Check {
    let states = vec![OperationState::Running, OperationState::Waiting];
    let filter = OperationFilter { states, ..OperationFilter::default() };
    let open = store.operations(&filter, &PageRequest::first(PageRequest::MAX)).await.unwrap().items;
    let mut seen = BTreeMap::new();
    for operation in open {
        let twin = seen.insert((operation.project, operation.state), operation.id);
        must(twin.is_none(), || format!("{twin:?} and {} are both {}", operation.id, operation.state))?;
    }
    Ok(())
}

fn ports_are_apart(projects: &[Project]) -> Check {
    let mut blocks: Vec<_> = projects.iter().filter_map(|p| Some((p.ports?.first, p.ports?.count))).collect();
    blocks.sort_unstable();
    let apart = blocks.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0);
    must(apart, || format!("two projects share a port: {blocks:?}"))
}

/// Nothing is on the engine that should not be.
pub(super) async fn nothing_is_orphaned(store: &MemoryStore, engine: &MemoryBackend) -> Check {
    for holding in engine.inventory(&ctx()).await.unwrap() {
        let project = store.project(&holding.project).await.unwrap();
        let Some(project) = project else { return Err(format!("nobody knows {holding:?}")) };
        match project.status {
            Status::Removed => return Err(format!("after REMOVED there is {holding:?}")),
            Status::InitFailed => {
                let filter =
                    OperationFilter { project: Some(project.reference), ..OperationFilter::default() };
                let operations = store.operations(&filter, &PageRequest::default()).await.unwrap().items;
                let told = operations.iter().find_map(|operation| operation.error.as_ref());
                must(told.is_some_and(|error| !error.leftovers.is_empty()), || {
                    format!("INIT_FAILED tells nothing of {holding:?}: {told:?}")
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}
