//! The sealed items: what stands where, and under which key.

use std::collections::BTreeMap;

use crate::{
    project_ref::ProjectRef,
    seal::{KeyId, Place},
    store::SealedItem,
};

/// Sealed items by project and name.
#[derive(Debug, Default)]
pub(super) struct Strongbox(BTreeMap<Key, SealedItem>);

type Key = (Option<ProjectRef>, String);

fn key(place: &Place) -> Key {
    (place.project, place.name.clone())
}

impl Strongbox {
    /// Adds an item, in the place of one of a lower version.
    pub(super) fn put(&mut self, item: SealedItem) {
        let place = key(&item.place);
        if self.0.get(&place).is_none_or(|there| there.place.version < item.place.version) {
            self.0.insert(place, item);
        }
    }

    /// Everything of a project, or of the installation itself.
    pub(super) fn of(&self, project: Option<ProjectRef>) -> Vec<SealedItem> {
        let items = self.0.range((project, String::new())..);
        items.take_while(|((owner, _), _)| *owner == project).map(|(_, item)| item.clone()).collect()
    }

    /// Forgets everything of a project.
    pub(super) fn forget(&mut self, project: ProjectRef) {
        for item in self.of(Some(project)) {
            self.0.remove(&key(&item.place));
        }
    }

    /// How many items each key has sealed.
    pub(super) fn keys(&self) -> BTreeMap<KeyId, u64> {
        let mut keys = BTreeMap::new();
        for item in self.0.values() {
            *keys.entry(item.sealed.key.clone()).or_default() += 1;
        }
        keys
    }

    /// Some of what is not under a key.
    pub(super) fn not_under(&self, key: &KeyId, limit: u32) -> Vec<SealedItem> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        self.0.values().filter(|item| item.sealed.key != *key).take(limit).cloned().collect()
    }

    /// Replaces what still stands at the same place, in the same version, under another key. What belongs to the
    /// installation itself is added if it is not there.
    pub(super) fn reseal(&mut self, item: &SealedItem) -> bool {
        match self.0.get_mut(&key(&item.place)) {
            Some(there)
                if there.place.version == item.place.version && there.sealed.key != item.sealed.key =>
            {
                there.sealed = item.sealed.clone();
                true
            }
            Some(_) => false,
            None => {
                if item.place.project.is_none() {
                    self.put(item.clone());
                }
                false
            }
        }
    }
}
