//! Pages, filters, and how much there is of everything.

use std::time::Duration;

use freehold_core::{
    Kind, OperationKind, OperationState, PageRequest, ProjectFilter, Status, Store, store::OperationFilter,
};
use tokio::time::advance;

use super::{SECOND, active, claim, command, create, destroy, new_store};

#[tokio::test(start_paused = true)]
async fn pages_follow_each_other_without_gaps_while_rows_change() {
    let store = new_store();
    let mut all = Vec::new();
    for n in 0..5 {
        all.push(create(&store, &format!("p{n}")).await.project.reference);
    }
    let (mut seen, mut page) = (Vec::new(), PageRequest::first(2));
    loop {
        let found = store.projects(&ProjectFilter::default(), &page).await.unwrap();
        seen.extend(found.items.iter().map(|project| project.reference));
        store.observed(&seen).await.unwrap();
        let Some(next) = found.next else { break };
        page = PageRequest::first(2).after(next);
    }
    assert_eq!(seen, all);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_no_page_gave_is_refused() {
    let store = new_store();
    let page = PageRequest::default().after("x");
    let refused = store.projects(&ProjectFilter::default(), &page).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::InvalidInput);
    let refused = store.operations(&OperationFilter::default(), &page).await;
    assert_eq!(refused.unwrap_err().kind(), Kind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn removed_projects_are_listed_only_when_asked_for() {
    let store = new_store();
    let project = active(&store, "demo").await;
    destroy(&store, &project).await;
    let page = PageRequest::default();
    assert!(store.projects(&ProjectFilter::default(), &page).await.unwrap().items.is_empty());
    let removed = ProjectFilter { statuses: vec![Status::Removed], ..ProjectFilter::default() };
    let found = store.projects(&removed, &page).await.unwrap();
    assert_eq!(found.items[0].reference, project.reference);
    assert_eq!((found.items[0].ports, found.items[0].subnet), (None, None));
}

#[tokio::test(start_paused = true)]
async fn operations_are_listed_newest_first() {
    let store = new_store();
    let project = active(&store, "demo").await;
    store.commit(command(&project, OperationKind::Pause, Status::Pausing)).await.unwrap();
    create(&store, "other").await;
    let of_project = OperationFilter { project: Some(project.reference), states: vec![] };
    let first = store.operations(&of_project, &PageRequest::first(1)).await.unwrap();
    assert_eq!(first.items[0].kind, OperationKind::Pause);
    let page = PageRequest::first(1).after(first.next.unwrap());
    let second = store.operations(&of_project, &page).await.unwrap();
    assert_eq!((second.items[0].kind, second.next), (OperationKind::Create, None));
    let waiting = OperationFilter { project: None, states: vec![OperationState::Waiting] };
    assert_eq!(store.operations(&waiting, &PageRequest::default()).await.unwrap().items.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn the_census_counts_projects_and_operations_and_how_long_the_oldest_waits() {
    let store = new_store();
    active(&store, "one").await;
    create(&store, "two").await;
    advance(3 * SECOND).await;
    create(&store, "three").await;
    let census = store.census().await.unwrap();
    assert_eq!(census.projects[&Status::ActiveHealthy], 1);
    assert_eq!(census.projects[&Status::ComingUp], 2);
    assert_eq!(census.operations[&(OperationKind::Create, OperationState::Waiting)], 2);
    assert_eq!(census.oldest_waiting, Some(Duration::from_secs(3)));
    claim(&store).await;
    claim(&store).await;
    assert_eq!(store.census().await.unwrap().oldest_waiting, None);
}
