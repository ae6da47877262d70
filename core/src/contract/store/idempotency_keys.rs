//! Under one key the same change is made once.

use std::time::Duration;

use super::{
    Stage,
    changes::{at_once, create, creation, key, new_project, until_after},
};
use crate::{
    contract::failure::{Verified, refused, there},
    error::{Detail, Kind, Result},
    store::{Change, IdempotencyKey, NewProject, Retention},
};

fn request(name: &str, body: &str) -> Result<Change> {
    Ok(Change { idempotency: Some(key("k", body)?), ..creation(new_project(name)?) })
}

pub(super) async fn the_same_request_under_one_key_is_carried_out_once(
    Stage { store, .. }: Stage,
) -> Verified {
    let first = store.commit(request("demo", "a")?).await?;
    let second = store.commit(request("demo", "a")?).await?;
    ensure_eq!((first.replayed, second.replayed), (false, true), "whether they were replayed");
    ensure_eq!((&second.project, &second.operation), (&first.project, &first.operation), "the second answer");
    let replay = there(store.replay(&first.project.organization, "k").await?, "what the key was used for")?;
    ensure_eq!((&*replay.body, replay.project), ("a", first.project.reference), "what the key was used for");
    ensure_eq!(replay.operation, first.operation.map(|operation| operation.id), "the operation of the key");
    Ok(())
}

pub(super) async fn the_same_request_that_comes_many_times_at_once_is_carried_out_once(
    Stage { store, .. }: Stage,
) -> Verified {
    let requests = (0..8).map(|_| {
        let store = store.clone();
        async move { store.commit(request("demo", "a")?).await }
    });
    let mut answers = Vec::new();
    for answer in at_once(requests).await? {
        answers.push(answer?);
    }
    ensure_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1, "how many were carried out");
    for answer in &answers {
        ensure_eq!(answer.project.reference, answers[0].project.reference, "the project of an answer");
        let (one, other) = (answer.operation.as_ref(), answers[0].operation.as_ref());
        ensure_eq!(one.map(|one| one.id), other.map(|other| other.id), "the operation of an answer");
    }
    Ok(())
}

pub(super) async fn another_request_under_the_same_key_is_refused(Stage { store, .. }: Stage) -> Verified {
    store.commit(request("demo", "a")?).await?;
    let error = refused(store.commit(request("other", "b")?).await, "another request under the same key")?;
    ensure_eq!(error.detail(), Some(&Detail::KeyReused), "the refusal");
    create(&*store, "other").await?;
    Ok(())
}

pub(super) async fn a_refused_change_leaves_its_key_unused(Stage { store, .. }: Stage) -> Verified {
    let project = create(&*store, "demo").await?.project;
    let error = refused(store.commit(request("demo", "a")?).await, "a name that is taken")?;
    ensure_eq!(error.kind(), Kind::AlreadyExists, "the refusal");
    ensure_eq!(store.replay(&project.organization, "k").await?, None, "what the key was used for");
    ensure!(!store.commit(request("other", "b")?).await?.replayed, "a refused change is replayed");
    Ok(())
}

pub(super) async fn a_key_is_its_organizations_own_and_is_forgotten_in_its_time(
    Stage { store, .. }: Stage,
) -> Verified {
    let first = store.commit(request("demo", "a")?).await?.project;
    let organization = "other".parse()?;
    let project = NewProject { organization, ..new_project("demo")? };
    let idempotency = Some(IdempotencyKey { organization: project.organization.clone(), ..key("k", "b")? });
    let elsewhere = store.commit(Change { idempotency, ..creation(project) }).await?;
    ensure!(!elsewhere.replayed, "one organization's key answers another's request");

    until_after(&*store, store.now().await?).await?;
    let kept = Retention {
        events: Duration::MAX,
        idempotency_keys: Duration::from_secs(3600),
        operations: Duration::MAX,
    };
    store.expire(&kept).await?;
    ensure!(store.replay(&first.organization, "k").await?.is_some(), "a key was forgotten too early");
    store.expire(&Retention { idempotency_keys: Duration::ZERO, ..kept }).await?;
    ensure_eq!(store.replay(&first.organization, "k").await?, None, "what the key was used for");
    ensure!(!store.commit(request("another", "c")?).await?.replayed, "a forgotten key is remembered");
    Ok(())
}
