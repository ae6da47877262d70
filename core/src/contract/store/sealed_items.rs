//! What is sealed is replaced and resealed only where it stands as it was read.

use super::{
    Stage,
    changes::{active, amendment, creation, new_project, sealed},
};
use crate::{
    contract::failure::Verified,
    seal::KeyId,
    store::{Change, ProjectUpdate},
};

pub(super) async fn a_secret_is_replaced_by_a_higher_version_only(Stage { store, .. }: Stage) -> Verified {
    let mut project = active(&*store, "demo").await?;
    let owner = Some(project.reference);
    for (version, data, stands) in [(3, 2, 2), (2, 3, 2), (3, 4, 2), (4, 5, 5)] {
        let item = sealed(owner, "secret/db_password", version, "k2", data);
        let update = ProjectUpdate { protected: Some(false), ..ProjectUpdate::of(&project) };
        project = store.commit(Change { sealed: vec![item], ..amendment(update) }).await?.project;
        let items = store.sealed(owner.as_ref()).await?;
        let found: Vec<_> = items.iter().map(|item| item.sealed.data.clone()).collect();
        ensure_eq!(found, [vec![stands]], "what stands after version {version} came");
    }
    Ok(())
}

pub(super) async fn items_are_resealed_only_where_they_are_unchanged(Stage { store, .. }: Stage) -> Verified {
    let new = new_project("demo")?;
    let owner = Some(new.reference);
    let mut change = creation(new);
    change.sealed = vec![sealed(owner, "a", 1, "old", 1), sealed(owner, "b", 2, "old", 2)];
    store.commit(change).await?;
    let (old, fresh) = (KeyId::new("old"), KeyId::new("new"));
    ensure_eq!(store.keys_in_use().await?.get(&old), Some(&2), "what the old key has sealed");
    ensure_eq!(
        store.sealed_under_other_keys(&fresh, 1).await?.len(),
        1,
        "the first of what is to be resealed"
    );
    ensure_eq!(store.sealed_under_other_keys(&fresh, 10).await?.len(), 2, "what is to be resealed");

    let resealed = [
        sealed(owner, "a", 1, "new", 3),
        sealed(owner, "b", 1, "new", 4),
        sealed(owner, "removed", 1, "new", 5),
    ];
    ensure_eq!(store.reseal(&resealed).await?, 1, "how many were resealed");
    ensure_eq!(store.reseal(&resealed).await?, 0, "how many were resealed the second time");
    let keys = store.keys_in_use().await?;
    ensure_eq!((keys.get(&old), keys.get(&fresh)), (Some(&1), Some(&1)), "what each key has sealed");
    let mut items = store.sealed(owner.as_ref()).await?;
    items.sort_by(|one, other| one.place.cmp(&other.place));
    let expected = [sealed(owner, "a", 1, "new", 3), sealed(owner, "b", 2, "old", 2)];
    ensure_eq!(items, expected, "what stands");
    Ok(())
}

pub(super) async fn of_two_hosts_that_add_an_item_of_the_installation_the_first_wins(
    Stage { store, .. }: Stage,
) -> Verified {
    store.reseal(&[sealed(None, "request_key", 1, "k1", 1)]).await?;
    store.reseal(&[sealed(None, "request_key", 1, "k1", 2)]).await?;
    ensure_eq!(store.sealed(None).await?, [sealed(None, "request_key", 1, "k1", 1)], "what stands");
    ensure_eq!(store.reseal(&[sealed(None, "request_key", 1, "k2", 1)]).await?, 1, "how many were resealed");
    Ok(())
}
