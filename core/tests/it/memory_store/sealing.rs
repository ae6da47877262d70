//! Sealed items, settings, and what a target's name means.

use freehold_core::{
    Kind, ProjectRef, Store,
    seal::{KeyId, Place, Sealed},
    store::{ProjectUpdate, Put, SealedItem, TargetRecord},
};

use super::{active, amendment, creation, destroy, new_project, new_store};

fn item(project: Option<ProjectRef>, name: &str, version: u64, key: &str, data: u8) -> SealedItem {
    SealedItem {
        place: Place { project, name: name.into(), version },
        sealed: Sealed { key: KeyId::new(key), data: vec![data] },
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_is_replaced_by_a_higher_version_only_and_goes_with_its_project() {
    let store = new_store();
    let project = active(&store, "demo").await;
    let owner = Some(project.reference);
    let put = |version, data| {
        let sealed = vec![item(owner, "secret/a", version, "k1", data)];
        freehold_core::store::Change { sealed, ..amendment(ProjectUpdate::of(&project)) }
    };
    for (version, data, stands) in [(2, 1, 1), (1, 2, 1), (2, 3, 1), (3, 4, 4)] {
        store.commit(put(version, data)).await.unwrap();
        let sealed = store.sealed(owner.as_ref()).await.unwrap();
        assert_eq!((sealed.len(), sealed[0].sealed.data[0]), (1, stands));
    }
    destroy(&store, &project).await;
    assert!(store.sealed(owner.as_ref()).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn items_are_resealed_only_where_they_are_unchanged() {
    let store = new_store();
    let new = new_project("demo");
    let owner = Some(new.reference);
    let mut change = creation(new);
    change.sealed = vec![item(owner, "a", 1, "old", 1), item(owner, "b", 2, "old", 2)];
    store.commit(change).await.unwrap();
    let active = KeyId::new("new");
    assert_eq!(store.sealed_under_other_keys(&active, 1).await.unwrap().len(), 1);

    let fresh =
        [item(owner, "a", 1, "new", 3), item(owner, "b", 1, "new", 4), item(owner, "removed", 1, "new", 5)];
    assert_eq!(store.reseal(&fresh).await.unwrap(), 1);
    assert_eq!(store.reseal(&fresh).await.unwrap(), 0);
    let keys = store.keys_in_use().await.unwrap();
    assert_eq!((keys[&KeyId::new("new")], keys[&KeyId::new("old")]), (1, 1));
    let sealed = store.sealed(owner.as_ref()).await.unwrap();
    assert_eq!(sealed.iter().map(|item| item.sealed.data[0]).collect::<Vec<_>>(), [3, 2]);
}

#[tokio::test(start_paused = true)]
async fn of_two_hosts_that_add_an_item_of_the_installation_the_first_wins() {
    let store = new_store();
    store.reseal(&[item(None, "request_key", 1, "k1", 1)]).await.unwrap();
    store.reseal(&[item(None, "request_key", 1, "k1", 2)]).await.unwrap();
    assert_eq!(store.sealed(None).await.unwrap(), [item(None, "request_key", 1, "k1", 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_value_that_is_put_if_absent_is_that_of_whoever_came_first() {
    let store = new_store();
    assert_eq!(store.setting("x").await.unwrap(), None);
    assert_eq!(store.put_setting("x", "1", Put::IfAbsent).await.unwrap(), "1");
    assert_eq!(store.put_setting("x", "2", Put::IfAbsent).await.unwrap(), "1");
    assert_eq!(store.put_setting("x", "3", Put::Replace).await.unwrap(), "3");
    assert_eq!(store.setting("x").await.unwrap().as_deref(), Some("3"));
}

#[tokio::test(start_paused = true)]
async fn a_targets_name_is_bound_to_one_engine_for_good() {
    let store = new_store();
    let target = |engine: &str| TargetRecord {
        name: "local".parse().unwrap(),
        engine: engine.into(),
        machine: "machine-1".into(),
    };
    store.register(&target("one")).await.unwrap();
    store.register(&target("one")).await.unwrap();
    let error = store.register(&target("two")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("one") && error.to_string().contains("two"), "{error}");
}
