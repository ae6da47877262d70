//! Tokens that we make, and their digests.

use std::fmt;

use freehold_core::{Error, ExposeSecret, Kind, Result, SecretString};
use rand::{TryRngCore, rngs::OsRng};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a personal access token begins with.
pub(super) const PERSONAL: &str = "sbp_";

/// A bearer token in the clear. Only a client file holds it; the store has its digest. `Debug` prints `***`.
#[derive(Clone, Debug)]
pub struct Token(SecretString);

impl Token {
    /// A new token of 256 random bits.
    ///
    /// # Errors
    /// `Unavailable` if the system gives no randomness.
    pub fn random() -> Result<Self> {
        Ok(Self(format!("fh_{}", random::<32>()?).into()))
    }

    /// A new personal access token of 160 random bits, in the form that Supabase's own tools accept: `sbp_` and 40
    /// hexadecimal digits (`supabase/cli`, `internal/utils/access_token.go`).
    ///
    /// # Errors
    /// `Unavailable` if the system gives no randomness.
    pub fn personal() -> Result<Self> {
        Ok(Self(format!("{PERSONAL}{}", random::<20>()?).into()))
    }

    /// Enough of a personal access token to tell it from others: its beginning and end.
    #[must_use]
    pub fn alias(&self) -> String {
        let text = self.expose();
        let (start, end) = (text.get(..PERSONAL.len() + 6), text.get(text.len().saturating_sub(4)..));
        format!("{}...{}", start.unwrap_or_default(), end.unwrap_or_default())
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

    /// The token as a secret, for whoever is to have it.
    #[must_use]
    pub fn into_secret(self) -> SecretString {
        self.0
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
    /// The digest of a token's text.
    #[must_use]
    pub fn of(token: &str) -> Self {
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

    /// The digest as stores of accounts take it.
    #[must_use]
    pub fn bytes(&self) -> [u8; 32] {
        self.0
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

fn random<const N: usize>() -> Result<String> {
    let mut bytes = [0; N];
    OsRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| Error::new(Kind::Unavailable, "get randomness from the system").because(error))?;
    Ok(hexadecimal(&bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_personal_token_has_the_form_that_tools_accept_and_an_alias_that_is_no_token() {
        let token = Token::personal().unwrap();
        let digits = token.expose().strip_prefix("sbp_").unwrap();
        assert!(digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_eq!(token.alias().len(), 4 + 6 + 3 + 4);
        assert!(token.expose().starts_with(token.alias().split("...").next().unwrap()));
    }
}
