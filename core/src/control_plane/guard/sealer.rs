//! A sealer that cannot take its caller down with it.

use std::sync::Arc;

use async_trait::async_trait;
use zeroize::Zeroizing;

use super::caught;
use crate::{
    error::Result,
    seal::{KeyId, Place, Sealed, Sealer},
};

/// A panic while something is sealed or opened becomes an `Internal` error: one project's fault, and nobody else's.
#[derive(Debug)]
pub(in super::super) struct GuardedSealer(Arc<dyn Sealer>);

impl GuardedSealer {
    pub(in super::super) fn new(sealer: Arc<dyn Sealer>) -> Self {
        Self(sealer)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Sealer for GuardedSealer {
    async fn seal(&self, place: &Place, plaintext: &[u8]) -> Result<Sealed> {
        caught("sealer", async { self.0.seal(place, plaintext).await }).await
    }

    async fn open(&self, place: &Place, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        caught("sealer", async { self.0.open(place, sealed).await }).await
    }

    fn active_key(&self) -> KeyId {
        self.0.active_key()
    }

    fn knows(&self, key: &KeyId) -> bool {
        self.0.knows(key)
    }
}
