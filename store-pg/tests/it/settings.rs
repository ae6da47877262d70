//! Values under names, and targets under theirs.

use freehold_core::{
    Kind,
    store::{Put, TargetRecord},
};
use futures_util::future::join_all;

use crate::fixture::any_store;

#[tokio::test]
async fn a_value_that_is_put_if_absent_is_that_of_whoever_came_first() {
    let Some(store) = any_store().await else { return };
    assert_eq!(store.setting("id").await.unwrap(), None);
    let values: Vec<String> = (0..8).map(|n| n.to_string()).collect();
    let put = values.iter().map(|value| store.put_setting("id", value, Put::IfAbsent));
    let stood: Vec<_> = join_all(put).await.into_iter().map(Result::unwrap).collect();
    assert!(stood.iter().all(|value| *value == stood[0]), "{stood:?}");
    assert_eq!(store.put_setting("id", "x", Put::Replace).await.unwrap(), "x");
    assert_eq!(store.setting("id").await.unwrap(), Some("x".into()));
}

#[tokio::test]
async fn a_targets_name_is_bound_to_one_engine_for_good() {
    let Some(store) = any_store().await else { return };
    let record = |engine: &str| TargetRecord {
        name: "local".try_into().unwrap(),
        engine: engine.into(),
        machine: "m".into(),
    };
    store.register(&record("engine-1")).await.unwrap();
    store.register(&record("engine-1")).await.unwrap();
    let error = store.register(&record("engine-2")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("engine-1"), "{error}");
}
