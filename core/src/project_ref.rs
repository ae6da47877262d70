//! The public identity of a project.

use std::{fmt, str::FromStr};

use rand::{Rng, RngCore};
use serde::{Deserialize, Serialize, Serializer};

use crate::error::{Error, Result};

/// Twenty lower-case ASCII letters, random, never used again: the identity that people, engines and URLs know a
/// project by. It is safe in host names, file names, container names and SQL identifiers as it stands.
///
/// ```
/// use freehold_core::ProjectRef;
///
/// let project: ProjectRef = "abcdefghijklmnopqrst".parse()?;
/// assert_eq!(project.as_str(), "abcdefghijklmnopqrst");
/// assert!("../../etc".parse::<ProjectRef>().is_err());
/// # Ok::<(), freehold_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct ProjectRef([u8; Self::LEN]);

impl ProjectRef {
    /// How many letters a ref has.
    pub const LEN: usize = 20;

    /// A new ref from a source of randomness: 94 bits of it.
    #[must_use]
    pub fn random(rng: &mut dyn RngCore) -> Self {
        let mut letters = [0; Self::LEN];
        letters.fill_with(|| rng.random_range(b'a'..=b'z'));
        Self(letters)
    }

    /// The ref as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl FromStr for ProjectRef {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match <[u8; Self::LEN]>::try_from(text.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_lowercase) => Ok(Self(letters)),
            _ => Err(Error::invalid("ref", format_args!("{text:?} is not {} lower-case letters", Self::LEN))),
        }
    }
}

impl TryFrom<String> for ProjectRef {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl Serialize for ProjectRef {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl From<ProjectRef> for String {
    fn from(project: ProjectRef) -> Self {
        project.as_str().to_owned()
    }
}

impl fmt::Display for ProjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for ProjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    proptest! {
        #[test]
        fn a_random_ref_parses_back(seed: u64) {
            let made = ProjectRef::random(&mut StdRng::seed_from_u64(seed));
            prop_assert_eq!(made.as_str().parse::<ProjectRef>().unwrap(), made);
        }

        #[test]
        fn no_other_text_is_a_ref(text in "\\PC{0,30}") {
            let wanted = text.len() == 20 && text.bytes().all(|b| b.is_ascii_lowercase());
            prop_assert_eq!(text.parse::<ProjectRef>().is_ok(), wanted);
        }
    }
}
