//! Who may use the API.

use std::fmt;

use freehold_core::{Error, ExposeSecret, Kind, Result, SecretString};
use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How the API tells who is calling.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Auth {
    /// Whoever bears the token of this digest may do everything (RFC 6750 section 2.1).
    Superuser(TokenDigest),
    /// Whoever gets here may do everything: the embedder's own filters decide before these.
    Embedder,
}

impl Auth {
    /// Whether the value of an `Authorization` header gives access.
    #[must_use]
    pub fn admits(&self, authorization: Option<&str>) -> bool {
        match self {
            Self::Embedder => true,
            Self::Superuser(digest) => authorization
                .and_then(|value| value.split_once(' '))
                .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                .is_some_and(|(_, token)| digest.matches(token.trim())),
        }
    }
}

/// A bearer token in the clear. Only a client file holds it; the store has its digest. `Debug` prints `***`.
#[derive(Clone, Debug)]
pub struct Token(SecretString);

impl Token {
    /// A new token of 256 random bits.
    ///
    /// # Errors
    /// `Unavailable` if the system gives no randomness.
    pub fn random() -> Result<Self> {
        let mut bytes = [0; 32];
        OsRng.try_fill_bytes(&mut bytes).map_err(|error| {
            Error::new(Kind::Unavailable, "get randomness from the system").because(error)
        })?;
        Ok(Self(format!("fh_{}", hexadecimal(&bytes)).into()))
    }

    /// A token as somebody kept it.
    #[must_use]
    pub fn from_text(text: impl Into<SecretString>) -> Self {
        Self(text.into())
    }

    /// The digest that a store may keep.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest::of(self.expose())
    }

    /// The text itself, for the client file and the `Authorization` header.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// The SHA-256 of a token. A token has 256 random bits, so that it needs no salt and no slow hash.
#[derive(Clone, Copy)]
pub struct TokenDigest([u8; 32]);

impl TokenDigest {
    fn of(token: &str) -> Self {
        Self(Sha256::new().chain_update(b"freehold-token-1").chain_update(token).finalize().into())
    }

    /// A digest as a store kept it.
    ///
    /// # Errors
    /// `Internal` if the text is no digest.
    pub fn parse(text: &str) -> Result<Self> {
        let mut bytes = [0; 32];
        let well_formed = text.len() == 64 && text.is_ascii();
        let parsed = well_formed
            && bytes.iter_mut().enumerate().all(|(index, byte)| {
                u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map(|value| *byte = value).is_ok()
            });
        parsed.then_some(Self(bytes)).ok_or_else(|| Error::internal("read the token's digest: it is none"))
    }

    /// Whether a token has this digest, in a time that does not depend on how much of it is right.
    #[must_use]
    pub fn matches(&self, token: &str) -> bool {
        Self::of(token).0.ct_eq(&self.0).into()
    }
}

impl fmt::Display for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}

impl fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenDigest(…)")
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_token_in_the_right_scheme_is_admitted() {
        let token = Token::random().unwrap();
        let auth = Auth::Superuser(token.digest());
        assert!(auth.admits(Some(&format!("Bearer {}", token.expose()))));
        assert!(auth.admits(Some(&format!("bearer {}", token.expose()))));
        let wrong = format!("Bearer {}0", token.expose());
        let basic = format!("Basic {}", token.expose());
        for refused in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some(token.expose()),
            Some(&wrong),
            Some(&basic),
        ] {
            assert!(!auth.admits(refused), "{refused:?}");
        }
    }

    #[test]
    fn a_digest_survives_the_store_and_a_broken_one_is_told() {
        let token = Token::random().unwrap();
        assert!(TokenDigest::parse(&token.digest().to_string()).unwrap().matches(token.expose()));
        for broken in ["", "zz", &"g".repeat(64), &"ä".repeat(32)] {
            assert!(TokenDigest::parse(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_token_does_not_print() {
        let token = Token::random().unwrap();
        assert!(!format!("{token:?}").contains(token.expose()));
        assert_eq!(token.expose().len(), 3 + 64);
    }
}
