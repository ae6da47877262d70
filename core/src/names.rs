//! Names that are parsed once and then trusted.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a label may look like: 1 to 63 letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
/// That is what Compose allows a service to be called (Compose spec, "services", pattern `^[a-zA-Z0-9._-]+$`), cut to
/// a length that DNS and Docker take.
fn check_label(field: &str, text: &str) -> Result<()> {
    let legal = text.len() <= 63
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if legal {
        Ok(())
    } else {
        Err(Error::invalid(
            field,
            format_args!(
                "{text:?} is not 1 to 63 letters, digits, '-', '_' or '.' beginning with a letter or digit"
            ),
        ))
    }
}

/// What people may call a project: 1 to 64 characters of any text that has something to see and no control characters.
fn check_project_name(field: &str, text: &str) -> Result<()> {
    let length = text.chars().count();
    if !(1..=64).contains(&length) {
        return Err(Error::invalid(field, format_args!("has {length} characters, and may have 1 to 64")));
    }
    if text.trim() != text {
        return Err(Error::invalid(field, format_args!("{text:?} begins or ends with white space")));
    }
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        return Err(Error::invalid(field, format_args!("{text:?} holds the control character {control:?}")));
    }
    Ok(())
}

/// An identity that belongs to somebody else: 1 to 128 printable ASCII characters without spaces.
fn check_opaque(field: &str, text: &str) -> Result<()> {
    if (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()) {
        Ok(())
    } else {
        Err(Error::invalid(
            field,
            format_args!("{text:?} is not 1 to 128 printable ASCII characters without spaces"),
        ))
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $field:literal, $check:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text.
            ///
            /// # Errors
            /// `InvalidInput`, naming the field and the rule that the text breaks.
            pub fn new(text: impl Into<String>) -> Result<Self> {
                let text = text.into();
                $check($field, &text)?;
                Ok(Self(text))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Error;

            fn try_from(text: String) -> Result<Self> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = Error;

            fn try_from(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }
    )+};
}

names! {
    /// What people call a project: 1 to 64 characters of any text. Unique in its organization whatever the case.
    ProjectName = "name", check_project_name;
    /// An organization: an id that means something to the caller and nothing to us.
    OrganizationId = "organization", check_opaque;
    /// A target: a named backend.
    TargetName = "target", check_label;
    /// A stack that a target offers.
    StackName = "stack", check_label;
    /// One service of a stack.
    ServiceName = "service", check_label;
    /// One secret that a stack declares.
    SecretName = "secret", check_label;
    /// Who somebody is to the service that signs people in: its identity for them.
    Subject = "subject", check_opaque;
    /// One store and the hosts on it: what tells its resources from those of another on the same engine.
    InstallationId = "installation", check_label;
}

impl ProjectName {
    /// The name as it is compared: two names that differ only in case are the same.
    #[must_use]
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_may_be_called_almost_anything() {
        for name in ["demo", "Ünïcödé ✓", "a'; DROP TABLE x; --", "$(reboot)", &"x".repeat(64)] {
            assert_eq!(ProjectName::new(name).unwrap().as_str(), name);
        }
        for name in ["", " ", " x", "a\nb", "\u{0}", &"x".repeat(65)] {
            assert!(ProjectName::new(name).unwrap_err().to_string().starts_with("name: "), "{name:?}");
        }
    }

    #[test]
    fn names_are_compared_whatever_the_case() {
        assert_eq!(ProjectName::new("ÄPFEL").unwrap().folded(), ProjectName::new("äpfel").unwrap().folded());
    }

    #[test]
    fn a_service_is_safe_in_a_host_name() {
        assert!(ServiceName::new("realtime-dev.supabase_1").is_ok());
        for name in ["", "-x", "a b", "a/b", &"x".repeat(64)] {
            assert!(ServiceName::new(name).is_err(), "{name:?}");
        }
    }
}
