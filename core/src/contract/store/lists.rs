//! Lists, page by page, while rows change.

use super::{
    Stage,
    changes::{active, amendment, create, creation, destroy, new_project, pause},
};
use crate::{
    contract::failure::{Verified, refused, there},
    error::Kind,
    lifecycle::Status,
    operation::{OperationKind, OperationState},
    page::PageRequest,
    project::ProjectFilter,
    store::{NewProject, OperationFilter, ProjectUpdate},
};

pub(super) async fn pages_follow_each_other_without_gaps_while_rows_change(
    Stage { store, .. }: Stage,
) -> Verified {
    let mut expected = Vec::new();
    for n in 0..7 {
        expected.push(create(&*store, &format!("p{n}")).await?.project.reference);
    }
    let (mut request, mut seen) = (PageRequest::first(3), Vec::new());
    loop {
        let page = store.projects(&ProjectFilter::default(), &request).await?;
        ensure!(page.items.len() <= 3, "a page of 3 has {} rows", page.items.len());
        for project in &page.items {
            let update = ProjectUpdate { protected: Some(true), ..ProjectUpdate::of(project) };
            store.commit(amendment(update)).await?;
        }
        seen.extend(page.items.iter().map(|project| project.reference));
        let Some(next) = page.next else { break };
        expected.push(create(&*store, &format!("meanwhile {}", seen.len())).await?.project.reference);
        request = PageRequest::first(3).after(next);
    }
    ensure_eq!(seen, expected, "the rows of all pages");
    Ok(())
}

pub(super) async fn a_cursor_that_no_page_gave_is_refused(Stage { store, .. }: Stage) -> Verified {
    create(&*store, "demo").await?;
    for cursor in ["", "x", "-1", "1.5"] {
        let request = PageRequest::first(3).after(cursor);
        let projects = store.projects(&ProjectFilter::default(), &request).await;
        let operations = store.operations(&OperationFilter::default(), &request).await;
        for error in [refused(projects, cursor)?, refused(operations, cursor)?] {
            ensure_eq!(error.kind(), Kind::InvalidInput, "the refusal of {cursor:?}");
        }
    }
    Ok(())
}

pub(super) async fn projects_are_filtered_as_the_model_filters_them(Stage { store, .. }: Stage) -> Verified {
    let elsewhere =
        NewProject { target: "other".parse()?, organization: "umbrella".parse()?, ..new_project("Beta")? };
    store.commit(creation(elsewhere)).await?;
    active(&*store, "Alpha").await?;
    let gone = active(&*store, "gone").await?;
    destroy(&*store, &gone).await?;

    let everything = ProjectFilter { statuses: Status::ALL.to_vec(), ..ProjectFilter::default() };
    let all = store.projects(&everything, &PageRequest::default()).await?.items;
    ensure_eq!(all.len(), 3, "how many projects there are");
    let filters = [
        ProjectFilter::default(),
        ProjectFilter { organization: Some("acme".parse()?), ..ProjectFilter::default() },
        ProjectFilter { targets: vec!["other".parse()?], ..ProjectFilter::default() },
        ProjectFilter { statuses: vec![Status::ActiveHealthy, Status::Removed], ..ProjectFilter::default() },
        ProjectFilter { name: Some("ALPHA".parse()?), ..ProjectFilter::default() },
    ];
    for filter in filters {
        let listed = store.projects(&filter, &PageRequest::default()).await?.items;
        let expected: Vec<_> = all.iter().filter(|project| filter.matches(project)).cloned().collect();
        ensure_eq!(listed, expected, "the projects of {filter:?}");
        ensure!(!listed.is_empty(), "nothing matches {filter:?}");
    }
    Ok(())
}

pub(super) async fn removed_projects_are_listed_only_when_asked_for(Stage { store, .. }: Stage) -> Verified {
    let project = active(&*store, "demo").await?;
    let removed = destroy(&*store, &project).await?;
    let page = PageRequest::default();
    let listed = store.projects(&ProjectFilter::default(), &page).await?.items;
    ensure!(listed.is_empty(), "a removed project is listed");
    let filter = ProjectFilter { statuses: vec![Status::Removed], ..ProjectFilter::default() };
    ensure_eq!(store.projects(&filter, &page).await?.items, [removed], "the removed projects");
    Ok(())
}

pub(super) async fn operations_are_listed_newest_first(Stage { store, .. }: Stage) -> Verified {
    let project = active(&*store, "demo").await?;
    create(&*store, "other").await?;
    store.commit(pause(&project)).await?;
    let filter = OperationFilter { project: Some(project.reference), states: Vec::new() };
    let first = store.operations(&filter, &PageRequest::first(1)).await?;
    let kinds =
        |page: &crate::Page<crate::Operation>| page.items.iter().map(|item| item.kind).collect::<Vec<_>>();
    ensure_eq!(kinds(&first), [OperationKind::Pause], "the first page");
    let second = PageRequest::first(1).after(there(first.next, "a second page")?);
    let second = store.operations(&filter, &second).await?;
    ensure_eq!((kinds(&second), second.next), (vec![OperationKind::Create], None), "the second page");
    let filter = OperationFilter { project: None, states: vec![OperationState::Waiting] };
    let waiting = store.operations(&filter, &PageRequest::default()).await?.items;
    let positions: Vec<_> = waiting.iter().map(|operation| operation.position).collect();
    ensure_eq!(positions, [Some(1), Some(0)], "the positions of those that wait");
    Ok(())
}
