//! A change inside a transaction of the caller's own.

use super::{
    Stage,
    changes::{create, creation, events, new_project, reread},
};
use crate::{
    contract::failure::{Verified, refused},
    error::Kind,
    store::NewProject,
};

pub(super) async fn a_change_is_rolled_back_with_the_callers_transaction(stage: Stage) -> Verified {
    let store = &*stage.store;
    let mut transaction = stage.transaction().await?;
    let change = creation(new_project("demo")?);
    let reference = transaction.commit_change(change.clone()).await?.project.reference;
    transaction.roll_back().await?;
    ensure_eq!(store.project(&reference).await?, None, "a project that never came to be");
    ensure!(store.sealed(Some(&reference)).await?.is_empty(), "its secrets are kept");
    ensure_eq!(store.sequence().await?, 0, "the events of what never happened");

    let mut transaction = stage.transaction().await?;
    let project = transaction.commit_change(change).await?.project;
    transaction.commit().await?;
    ensure_eq!(reread(store, &reference).await?, project, "the project");
    Ok(())
}

pub(super) async fn a_refused_change_leaves_the_callers_transaction_as_it_was(stage: Stage) -> Verified {
    let store = &*stage.store;
    let mut transaction = stage.transaction().await?;
    let project = transaction.commit_change(creation(new_project("demo")?)).await?.project;
    let again = transaction.commit_change(creation(new_project("demo")?)).await;
    ensure_eq!(refused(again, "a name that is taken")?.kind(), Kind::AlreadyExists, "the refusal");
    let other = transaction.commit_change(creation(new_project("other")?)).await?.project;
    transaction.commit().await?;
    for committed in [project, other] {
        ensure_eq!(reread(store, &committed.reference).await?, committed, "what the transaction did");
    }
    ensure_eq!(events(store).await?.len(), 4, "how many events there are");
    Ok(())
}

pub(super) async fn a_long_transaction_holds_no_events_up_and_its_own_come_later(stage: Stage) -> Verified {
    let store = &*stage.store;
    let mut long = stage.transaction().await?;
    let project = NewProject { machine: "another".to_owned(), ..new_project("long")? };
    let late = long.commit_change(creation(project)).await?.project.reference;
    create(store, "short").await?;
    let told = events(store).await?;
    ensure_eq!(told.len(), 2, "how many events there are before it ends");
    ensure!(told.iter().all(|event| event.project != late), "what may never happen is told");
    long.commit().await?;
    let told = events(store).await?;
    let numbers: Vec<u64> = told.iter().map(|event| event.sequence).collect();
    ensure_eq!(numbers, [1, 2, 3, 4], "the numbers");
    ensure!(told[2..].iter().all(|event| event.project == late), "its events do not come last");
    Ok(())
}
