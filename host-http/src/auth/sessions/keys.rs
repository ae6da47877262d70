//! Public keys that tokens are signed by (JSON Web Key Sets, RFC 7517), kept for a while.

use std::{collections::HashMap, sync::Arc, time::Duration};

use freehold_core::{Error, Kind, Result};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, JwkSet},
};
use tokio::{sync::Mutex, time::Instant};

/// How old keys may be.
const FRESH: Duration = Duration::from_secs(600);
/// How often they are read at most, however many unknown keys tokens name.
const PAUSE: Duration = Duration::from_secs(10);
/// How long reading them may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The keys at one place.
pub(super) struct Keys {
    url: String,
    client: reqwest::Client,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    keys: Arc<HashMap<String, (Algorithm, DecodingKey)>>,
    read: Option<Instant>,
    tried: Option<Instant>,
}

impl Keys {
    pub(super) fn at(url: String) -> Self {
        Self { url, client: reqwest::Client::new(), known: Mutex::default() }
    }

    /// The key of that id for that algorithm. Keys that were read before stand while they cannot be read again.
    ///
    /// # Errors
    /// `Unavailable` if there is none yet and they cannot be read.
    pub(super) async fn find(&self, kid: &str, algorithm: Algorithm) -> Result<Option<DecodingKey>> {
        let mut known = self.known.lock().await;
        let now = Instant::now();
        let stale = known.read.is_none_or(|read| now - read >= FRESH) || !known.keys.contains_key(kid);
        if stale && known.tried.is_none_or(|tried| now - tried >= PAUSE) {
            known.tried = Some(now);
            match self.read().await {
                Ok(keys) => {
                    known.keys = Arc::new(keys);
                    known.read = Some(now);
                }
                Err(error) => {
                    tracing::warn!(error = %error.chain(), "cannot read the keys that sessions are signed by");
                }
            }
        }
        if known.read.is_none() {
            return Err(Error::new(Kind::Unavailable, "read the keys that sessions are signed by"));
        }
        let found = known.keys.get(kid).filter(|(of, _)| *of == algorithm);
        Ok(found.map(|(_, key)| key.clone()))
    }

    async fn read(&self) -> Result<HashMap<String, (Algorithm, DecodingKey)>> {
        let unavailable = |error| Error::new(Kind::Unavailable, format!("read {}", self.url)).because(error);
        let response = self.client.get(&self.url).timeout(PATIENCE).send().await.map_err(unavailable)?;
        let response = response.error_for_status().map_err(unavailable)?;
        let set: JwkSet = response.json().await.map_err(unavailable)?;
        let keys = set.keys.iter().filter_map(|jwk| {
            // A secret has no business there, and would let a reader of the set sign.
            let algorithm = match jwk.algorithm {
                AlgorithmParameters::EllipticCurve(_) => Algorithm::ES256,
                AlgorithmParameters::RSA(_) => Algorithm::RS256,
                _ => return None,
            };
            Some((jwk.common.key_id.clone()?, (algorithm, DecodingKey::from_jwk(jwk).ok()?)))
        });
        Ok(keys.collect())
    }
}
