//! Organizations that are closed: they leave no project behind.

use super::{
    Stage,
    changes::{at_once, create, creation, destruction, finish, new_project},
};
use crate::{
    contract::failure::{Verified, refused},
    error::{Kind, Result},
    lifecycle::Status,
    store::{Change, NewProject},
};

fn creation_in(organization: &str) -> Result<Change> {
    Ok(creation(NewProject { organization: organization.parse()?, ..new_project("demo")? }))
}

pub(super) async fn one_that_has_a_project_is_not_closed_and_a_closed_one_gets_none(
    Stage { store, .. }: Stage,
) -> Verified {
    let acme = "acme".parse()?;
    let project = create(&*store, "demo").await?.project;
    let busy = refused(store.close_organization(&acme).await, "an organization that has a project")?;
    ensure_eq!(busy.kind(), Kind::Conflict, "the refusal");
    ensure!(busy.to_string().contains("demo"), "it names no project: {busy}");
    store.commit(destruction(&project)).await?;
    let busy = refused(store.close_organization(&acme).await, "an organization whose project goes down")?;
    ensure_eq!(busy.kind(), Kind::Conflict, "the refusal");
    finish(&*store, Status::Removed).await?;
    for _ in 0..2 {
        store.close_organization(&acme).await?;
    }
    let error = refused(create(&*store, "another").await, "a project of a closed organization")?;
    ensure_eq!(error.kind(), Kind::Conflict, "the refusal");
    store.commit(creation_in("other")?).await?;
    Ok(())
}

pub(super) async fn of_a_create_and_a_closing_at_once_exactly_one_wins(
    Stage { store, .. }: Stage,
) -> Verified {
    for round in 0..10 {
        let organization = format!("acme-{round}");
        let calls = (0..2).map(|call| {
            let (store, organization) = (store.clone(), organization.clone());
            async move {
                match call {
                    0 => store.commit(creation_in(&organization)?).await.map(drop),
                    _ => store.close_organization(&organization.parse()?).await,
                }
            }
        });
        let answers = at_once(calls).await?;
        ensure_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "how many won: {answers:?}");
        for error in answers.into_iter().filter_map(Result::err) {
            ensure_eq!(error.kind(), Kind::Conflict, "the refusal of the other");
        }
    }
    Ok(())
}
