//! Sealing secrets, so that stores hold only what is sealed.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Payload},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{
    error::{Error, Result},
    project_ref::ProjectRef,
};

/// Seals and opens secrets. The [`Keyring`] does it with keys of ours; an embedder may use a key-management service.
#[async_trait]
pub trait Sealer: fmt::Debug + Send + Sync + 'static {
    /// Seals a plaintext under the active key, bound to where it stands: it opens nowhere else.
    ///
    /// # Errors
    /// `Unavailable` if the key cannot be reached.
    async fn seal(&self, place: &Place, plaintext: &[u8]) -> Result<Sealed>;

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// `Unavailable` if the key cannot be reached; `Internal` if the key is unknown, or what is sealed was changed or
    /// stands in another place.
    async fn open(&self, place: &Place, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>>;

    /// The key that new secrets are sealed under.
    fn active_key(&self) -> KeyId;

    /// Whether what this key sealed can be opened.
    fn knows(&self, key: &KeyId) -> bool;
}

/// Where a secret stands: part of what is authenticated, so that a row copied to another place does not open.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The project; `None` for the installation itself.
    pub project: Option<ProjectRef>,
    /// What it is: `secret/db_password`, `variables`, `hash_key`, …
    pub name: String,
    /// Grows each time that the secret gets another value.
    pub version: u64,
}

impl Place {
    fn associated_data(&self, key: &KeyId) -> Vec<u8> {
        // Fields are separated by a byte that no name may hold, so that no two places read the same.
        let project = self.project.map(|project| project.to_string()).unwrap_or_default();
        format!("freehold-seal-1\0{project}\0{}\0{}\0{}", self.name, self.version, key.0).into_bytes()
    }
}

/// Names a key without revealing it: the first 16 hexadecimal digits of the SHA-256 of a domain prefix and the key.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// An id as a store or a key-management service gave it.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A sealed secret: safe to store.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The key that it was sealed under.
    pub key: KeyId,
    /// Whatever the sealer needs to open it again.
    pub data: Vec<u8>,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({}, {} bytes)", self.key, self.data.len())
    }
}

/// A 256-bit key. Its `Debug` prints `***`.
#[derive(Clone)]
pub struct SealKey(Zeroizing<[u8; 32]>);

impl SealKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new key from the operating system's randomness.
    ///
    /// # Errors
    /// `Unavailable` if the system gives none.
    pub fn random() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        crate::secrets::fill_random(&mut *bytes)?;
        Ok(Self(bytes))
    }

    /// The name of the key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let digest = Sha256::new().chain_update(b"freehold-key-id-1").chain_update(*self.0).finalize();
        KeyId(digest[..8].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The bytes, for the one place that writes the key file.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Seals with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under one active key and opens under any old one.
///
/// ```
/// # async fn example() -> freehold_core::Result<()> {
/// use freehold_core::seal::{Keyring, Place, SealKey, Sealer};
///
/// let keyring = Keyring::new(SealKey::random()?);
/// let place = Place { project: None, name: "greeting".into(), version: 1 };
/// let sealed = keyring.seal(&place, b"hello").await?;
/// assert_eq!(&keyring.open(&place, &sealed).await?[..], b"hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Keyring {
    active: KeyId,
    keys: BTreeMap<KeyId, SealKey>,
}

impl Keyring {
    /// A keyring with one key.
    #[must_use]
    pub fn new(active: SealKey) -> Self {
        Self { active: active.id(), keys: BTreeMap::from([(active.id(), active)]) }
    }

    /// Also opens what an old key sealed.
    #[must_use]
    pub fn with_old(mut self, key: SealKey) -> Self {
        self.keys.insert(key.id(), key);
        self
    }

    fn cipher(&self, id: &KeyId) -> Result<XChaCha20Poly1305> {
        let key = self.keys.get(id).ok_or_else(|| {
            Error::internal(format!("the keyring has no key {id}: put the key file back that sealed it"))
        })?;
        Ok(XChaCha20Poly1305::new((&*key.0).into()))
    }
}

const NONCE_LEN: usize = 24;

#[async_trait]
impl Sealer for Keyring {
    async fn seal(&self, place: &Place, plaintext: &[u8]) -> Result<Sealed> {
        let mut nonce = [0; NONCE_LEN];
        crate::secrets::fill_random(&mut nonce)?;
        let aad = place.associated_data(&self.active);
        let sealed = self
            .cipher(&self.active)?
            .encrypt(XNonce::from_slice(&nonce), Payload { msg: plaintext, aad: &aad })
            .map_err(|_| Error::internal(format!("seal {}", place.name)))?;
        Ok(Sealed { key: self.active.clone(), data: [&nonce[..], &sealed].concat() })
    }

    async fn open(&self, place: &Place, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        let broken = || {
            Error::internal(format!(
                "open {} of {}: it was changed, or stands in the wrong place",
                place.name,
                place.project.map_or_else(|| "the installation".to_owned(), |project| project.to_string()),
            ))
        };
        let (nonce, data) = sealed.data.split_at_checked(NONCE_LEN).ok_or_else(broken)?;
        let aad = place.associated_data(&sealed.key);
        self.cipher(&sealed.key)?
            .decrypt(XNonce::from_slice(nonce), Payload { msg: data, aad: &aad })
            .map(Zeroizing::new)
            .map_err(|_| broken())
    }

    fn active_key(&self) -> KeyId {
        self.active.clone()
    }

    fn knows(&self, key: &KeyId) -> bool {
        self.keys.contains_key(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn place(name: &str, version: u64) -> Place {
        Place { project: Some("abcdefghijklmnopqrst".parse().unwrap()), name: name.into(), version }
    }

    #[tokio::test]
    async fn what_is_sealed_for_one_place_opens_in_no_other() {
        let keyring = Keyring::new(SealKey::new([1; 32]));
        let sealed = keyring.seal(&place("a", 1), b"x").await.unwrap();
        assert_eq!(&keyring.open(&place("a", 1), &sealed).await.unwrap()[..], b"x");
        for other in [place("b", 1), place("a", 2), Place { project: None, name: "a".into(), version: 1 }] {
            assert_eq!(keyring.open(&other, &sealed).await.unwrap_err().kind(), Kind::Internal);
        }
    }

    #[tokio::test]
    async fn an_old_key_opens_and_the_active_one_seals() {
        let (old, new) = (SealKey::new([1; 32]), SealKey::new([2; 32]));
        let sealed = Keyring::new(old.clone()).seal(&place("a", 1), b"x").await.unwrap();
        let ring = Keyring::new(new.clone()).with_old(old);
        assert_eq!(&ring.open(&place("a", 1), &sealed).await.unwrap()[..], b"x");
        assert_eq!(ring.seal(&place("a", 1), b"x").await.unwrap().key, new.id());
        let error = Keyring::new(new).open(&place("a", 1), &sealed).await.unwrap_err();
        assert!(error.to_string().contains(sealed.key.as_str()), "{error}");
    }

    #[tokio::test]
    async fn a_changed_byte_does_not_open() {
        let keyring = Keyring::new(SealKey::new([1; 32]));
        let mut sealed = keyring.seal(&place("a", 1), b"x").await.unwrap();
        *sealed.data.last_mut().unwrap() ^= 1;
        assert!(keyring.open(&place("a", 1), &sealed).await.is_err());
        sealed.data.truncate(3);
        assert!(keyring.open(&place("a", 1), &sealed).await.is_err());
    }

    #[test]
    fn keys_do_not_print() {
        assert_eq!(format!("{:?}", SealKey::new([7; 32])), "***");
    }
}
