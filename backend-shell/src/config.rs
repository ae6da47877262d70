//! What an operator says about a shell target.

use std::{collections::BTreeMap, path::PathBuf};

use freehold_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// The configuration of a [`ShellBackend`](crate::ShellBackend).
///
/// ```
/// let config: freehold_shell::Config = toml::from_str(r#"data = "/var/lib/freehold/shell""#)?;
/// assert_eq!((config.hooks, config.public_host.as_str()), (None, "127.0.0.1"));
/// assert!(toml::from_str::<freehold_shell::Config>(r#"dada = "/var/lib/freehold""#).is_err());
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The folder for everything that this target keeps; made if it is not there. Hooks that run projects as system
    /// users of their own, as the shipped ones do for root, need it and the folders above it to be open to those (`o+x`).
    pub data: PathBuf,
    /// The folder with `stack.toml` and the hook programs; the shipped ones, which run PostgreSQL, if not said.
    #[serde(default)]
    pub hooks: Option<PathBuf>,
    /// The host name or address that people reach projects at.
    #[serde(default = "loopback")]
    pub public_host: String,
    /// More variables for the environment of every hook, for instance `POSTGRES_BIN` or `PATH`. Not for secrets.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

fn loopback() -> String {
    "127.0.0.1".to_owned()
}

impl Config {
    /// The shipped PostgreSQL hooks, with everything kept in `data`.
    #[must_use]
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), hooks: None, public_host: loopback(), environment: BTreeMap::new() }
    }

    /// Checks what the types cannot.
    pub(crate) fn validate(&self) -> Result<()> {
        if self.public_host.is_empty() || self.public_host.contains(|c: char| c.is_whitespace() || c == '/') {
            let problem = format!("{:?} is neither a host name nor an address", self.public_host);
            return Err(Error::invalid("public_host", problem));
        }
        for (name, value) in &self.environment {
            if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
                return Err(Error::invalid("environment", format_args!("{name:?} cannot be set")));
            }
            if name.starts_with("FREEHOLD_") || name.starts_with("PROJECT_") {
                return Err(Error::invalid("environment", format_args!("{name} is set for each call")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_that_each_call_sets_is_refused() {
        let mut config = Config::new("/data");
        config.environment.insert("PROJECT_REF".into(), "x".into());
        assert!(config.validate().unwrap_err().to_string().contains("PROJECT_REF"));
    }

    #[test]
    fn a_public_host_is_no_url() {
        let config = Config { public_host: "https://example.org".into(), ..Config::new("/data") };
        assert!(config.validate().unwrap_err().to_string().starts_with("public_host"));
    }
}
