//! What is sealed stays sealed, and is resealed only where it stands as it was read.

use freehold_core::{
    seal::{KeyId, Place, Sealed},
    store::{ProjectUpdate, SealedItem},
};

use crate::fixture::*;

fn of_installation(name: &str, key: &str, data: &[u8]) -> SealedItem {
    SealedItem {
        place: Place { project: None, name: name.into(), version: 1 },
        sealed: Sealed { key: KeyId::new(key), data: data.to_vec() },
    }
}

#[tokio::test]
async fn a_secret_is_replaced_by_a_higher_version_only() {
    let Some(store) = any_store().await else { return };
    let mut project = active(&*store, "demo").await;
    for (version, stands) in [(1, 1), (3, 3), (2, 3)] {
        let update = ProjectUpdate { protected: Some(false), ..ProjectUpdate::of(&project) };
        let mut change = update_change(update);
        change.sealed = vec![sealed(project.reference, "secret/db_password", version, "k2")];
        project = store.commit(change).await.unwrap().project;
        let items = store.sealed(Some(&project.reference)).await.unwrap();
        assert_eq!(items.iter().map(|item| item.place.version).collect::<Vec<_>>(), [stands]);
    }
}

#[tokio::test]
async fn items_are_resealed_only_where_they_are_unchanged() {
    let Some(store) = any_store().await else { return };
    let project = active(&*store, "demo").await.reference;
    let old = KeyId::new("k1");
    assert_eq!(store.keys_in_use().await.unwrap()[&old], 1);
    let stale = sealed(project, "secret/db_password", 2, "k2");
    let missing = sealed(project, "secret/other", 1, "k2");
    assert_eq!(store.reseal(&[stale, missing]).await.unwrap(), 0);
    let resealed = sealed(project, "secret/db_password", 1, "k2");
    let other = store.sealed_under_other_keys(&KeyId::new("k2"), 10).await.unwrap();
    assert_eq!(other.len(), 1);
    assert_eq!(store.reseal(std::slice::from_ref(&resealed)).await.unwrap(), 1);
    assert_eq!(store.reseal(std::slice::from_ref(&resealed)).await.unwrap(), 0, "under the same key already");
    assert_eq!(store.sealed(Some(&project)).await.unwrap(), [resealed]);
    assert!(!store.keys_in_use().await.unwrap().contains_key(&old));
    assert!(store.sealed_under_other_keys(&KeyId::new("k2"), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn of_two_hosts_that_add_an_item_of_the_installation_the_first_wins() {
    let Some(store) = any_store().await else { return };
    store.reseal(&[of_installation("hash_key", "k1", b"first")]).await.unwrap();
    store.reseal(&[of_installation("hash_key", "k1", b"second")]).await.unwrap();
    let items = store.sealed(None).await.unwrap();
    assert_eq!(items, [of_installation("hash_key", "k1", b"first")]);
    assert_eq!(store.reseal(&[of_installation("hash_key", "k2", b"first")]).await.unwrap(), 1);
}
