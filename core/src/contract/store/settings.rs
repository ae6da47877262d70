//! Values under names, and targets under theirs.

use super::{Stage, changes::at_once};
use crate::{
    contract::failure::{Verified, refused},
    error::{Kind, Result},
    store::{Put, TargetRecord},
};

pub(super) async fn a_value_that_is_put_if_absent_is_that_of_whoever_came_first(
    Stage { store, .. }: Stage,
) -> Verified {
    ensure_eq!(store.setting("id").await?, None, "a value that nobody put");
    let puts = (0..8).map(|n| {
        let store = store.clone();
        async move { store.put_setting("id", &n.to_string(), Put::IfAbsent).await }
    });
    let mut stood = Vec::new();
    for value in at_once(puts).await? {
        stood.push(value?);
    }
    ensure!(stood.iter().all(|value| *value == stood[0]), "different values stood: {stood:?}");
    ensure_eq!(store.put_setting("id", "x", Put::Replace).await?, "x", "the value that replaced it");
    ensure_eq!(store.setting("id").await?.as_deref(), Some("x"), "the value");
    Ok(())
}

pub(super) async fn a_targets_name_is_bound_to_one_engine_for_good(Stage { store, .. }: Stage) -> Verified {
    let record = |engine: &str, machine: &str| -> Result<TargetRecord> {
        Ok(TargetRecord { name: "local".parse()?, engine: engine.to_owned(), machine: machine.to_owned() })
    };
    for _ in 0..2 {
        store.register(&record("engine-1", "m")?).await?;
    }
    for (engine, machine) in [("engine-2", "m"), ("engine-1", "n")] {
        let error = refused(store.register(&record(engine, machine)?).await, "another engine or machine")?;
        ensure_eq!(error.kind(), Kind::Conflict, "the refusal");
        ensure!(error.to_string().contains("engine-1"), "it does not say whose the name is: {error}");
    }
    store.register(&record("engine-1", "m")?).await?;
    Ok(())
}
