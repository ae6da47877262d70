//! The store in memory keeps the promises of a store.

use std::sync::Arc;

use freehold_core::{Store, contract::StoreFixture, memory::MemoryStore};

struct InMemory(Arc<MemoryStore>);

impl StoreFixture for InMemory {
    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }
}

freehold_core::store_contract!(InMemory(Arc::default()), not offered: OtherHost, CallerTransaction);
