//! Lists, page by page, while rows change.

use freehold_core::{
    Kind, OperationKind, OperationState, PageRequest, ProjectFilter, ProjectName, Status,
    store::{OperationFilter, ProjectUpdate},
};

use crate::fixture::*;

#[tokio::test]
async fn pages_follow_each_other_without_gaps_while_rows_change() {
    let Some(store) = any_store().await else { return };
    let mut expected = Vec::new();
    for n in 0..7 {
        expected.push(create(&*store, &format!("p{n}")).await.project.reference);
    }
    let (mut request, mut seen) = (PageRequest::first(3), Vec::new());
    loop {
        let page = store.projects(&ProjectFilter::default(), &request).await.unwrap();
        for project in &page.items {
            let update = ProjectUpdate { protected: Some(true), ..ProjectUpdate::of(project) };
            store.commit(update_change(update)).await.unwrap();
        }
        seen.extend(page.items.iter().map(|project| project.reference));
        let Some(next) = page.next else { break };
        expected.push(create(&*store, &format!("meanwhile {}", seen.len())).await.project.reference);
        request = PageRequest::first(3).after(next);
    }
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn a_cursor_that_no_page_gave_is_refused() {
    let Some(store) = any_store().await else { return };
    for cursor in ["", "x", "-1", "1.5"] {
        let request = PageRequest::first(3).after(cursor);
        let error = store.projects(&ProjectFilter::default(), &request).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput, "{cursor:?}");
        let error = store.operations(&OperationFilter::default(), &request).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput, "{cursor:?}");
    }
}

#[tokio::test]
async fn projects_are_filtered_as_the_model_filters_them() {
    let Some(store) = any_store().await else { return };
    let mut elsewhere = new_project("Beta");
    elsewhere.target = "other".try_into().unwrap();
    elsewhere.organization = "umbrella".try_into().unwrap();
    store.commit(create_change(elsewhere)).await.unwrap();
    active(&*store, "Alpha").await;
    let gone = create(&*store, "gone").await.project;
    store.commit(command(&gone, OperationKind::Destroy, Status::GoingDown)).await.unwrap();
    finish(&*store, Status::Removed).await;

    let everything = ProjectFilter { statuses: Status::ALL.to_vec(), ..ProjectFilter::default() };
    let all = store.projects(&everything, &PageRequest::default()).await.unwrap().items;
    assert_eq!(all.len(), 3);
    let filters = [
        ProjectFilter::default(),
        ProjectFilter { organization: Some(organization()), ..ProjectFilter::default() },
        ProjectFilter { targets: vec!["other".try_into().unwrap()], ..ProjectFilter::default() },
        ProjectFilter { statuses: vec![Status::ActiveHealthy, Status::Removed], ..ProjectFilter::default() },
        ProjectFilter { name: Some(ProjectName::new("ALPHA").unwrap()), ..ProjectFilter::default() },
    ];
    for filter in filters {
        let listed = store.projects(&filter, &PageRequest::default()).await.unwrap().items;
        let expected: Vec<_> = all.iter().filter(|project| filter.matches(project)).cloned().collect();
        assert_eq!(listed, expected, "{filter:?}");
        assert!(!listed.is_empty(), "{filter:?}");
    }
}

#[tokio::test]
async fn operations_are_listed_newest_first() {
    let Some(store) = any_store().await else { return };
    let project = active(&*store, "demo").await;
    create(&*store, "other").await;
    store.commit(command(&project, OperationKind::Pause, Status::Pausing)).await.unwrap();
    let filter = OperationFilter { project: Some(project.reference), states: Vec::new() };
    let first = store.operations(&filter, &PageRequest::first(1)).await.unwrap();
    assert_eq!(first.items[0].kind, OperationKind::Pause);
    let second = PageRequest::first(1).after(first.next.unwrap());
    let second = store.operations(&filter, &second).await.unwrap();
    assert_eq!((second.items[0].kind, second.next), (OperationKind::Create, None));
    let waiting = OperationFilter { project: None, states: vec![OperationState::Waiting] };
    let waiting = store.operations(&waiting, &PageRequest::default()).await.unwrap().items;
    assert_eq!(waiting.iter().map(|operation| operation.position).collect::<Vec<_>>(), [Some(1), Some(0)]);
}

#[tokio::test]
async fn the_census_counts_projects_and_operations() {
    let Some(store) = any_store().await else { return };
    active(&*store, "one").await;
    create(&*store, "two").await;
    let census = store.census().await.unwrap();
    assert_eq!(census.projects[&Status::ActiveHealthy], 1);
    assert_eq!(census.projects[&Status::ComingUp], 1);
    assert_eq!(census.operations[&(OperationKind::Create, OperationState::Succeeded)], 1);
    assert!(census.oldest_waiting.is_some());
}

#[tokio::test]
async fn what_was_observed_is_noted_and_changes_no_version() {
    let Some(store) = any_store().await else { return };
    let project = active(&*store, "demo").await;
    store.observed(&[project.reference]).await.unwrap();
    let observed = store.project(&project.reference).await.unwrap().unwrap();
    assert!(observed.observed_at.is_some());
    assert_eq!(observed.version, project.version);
}
