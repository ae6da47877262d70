//! Of one name in one organization, at most one project lives.

use super::{
    Stage,
    changes::{active, amendment, at_once, create, creation, destruction, new_project},
};
use crate::{
    contract::failure::{Verified, refused},
    error::{Kind, Result},
    project::Project,
    store::{Change, NewProject, ProjectUpdate},
};

fn renaming(project: &Project, name: &str) -> Result<Change> {
    Ok(amendment(ProjectUpdate { name: Some(name.parse()?), ..ProjectUpdate::of(project) }))
}

pub(super) async fn a_name_is_taken_whatever_the_case_until_its_project_goes_down(
    Stage { store, .. }: Stage,
) -> Verified {
    let other = active(&*store, "birnen").await?;
    let first = create(&*store, "Äpfel").await?.project;
    let taken = refused(create(&*store, "äPFEL").await, "a name in another case")?;
    ensure_eq!(taken.kind(), Kind::AlreadyExists, "the refusal of a new project");
    let taken = refused(store.commit(renaming(&other, "ÄPFEL")?).await, "a name in another case")?;
    ensure_eq!(taken.kind(), Kind::AlreadyExists, "the refusal of a renaming");
    let elsewhere = NewProject { organization: "other".parse()?, ..new_project("äpfel")? };
    store.commit(creation(elsewhere)).await?;
    store.commit(destruction(&first)).await?;
    create(&*store, "äpfel").await?;
    Ok(())
}

pub(super) async fn a_renamed_project_gives_its_old_name_back(Stage { store, .. }: Stage) -> Verified {
    let project = active(&*store, "old").await?;
    store.commit(renaming(&project, "new")?).await?;
    create(&*store, "old").await?;
    let taken = refused(create(&*store, "new").await, "the new name")?;
    ensure_eq!(taken.kind(), Kind::AlreadyExists, "the refusal");
    Ok(())
}

pub(super) async fn of_many_creates_of_one_name_at_once_exactly_one_wins(
    Stage { store, .. }: Stage,
) -> Verified {
    let creates = (0..10).map(|_| {
        let store = store.clone();
        async move { create(&*store, "demo").await }
    });
    let answers = at_once(creates).await?;
    ensure_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "how many of 10 creates won");
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        ensure_eq!(error.kind(), Kind::AlreadyExists, "the refusal of another");
    }
    Ok(())
}
