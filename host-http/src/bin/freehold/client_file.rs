//! The file by which commands find the host: its URL and token.

use std::path::{Path, PathBuf};

use freehold_host::{Token, wire::Secret};
use serde::{Deserialize, Serialize};

use crate::{
    exit::{Failure, Result},
    private_file,
};

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientFile {
    /// The host's URL.
    pub(crate) url: String,
    /// The superuser's token.
    token: Secret,
}

impl ClientFile {
    /// Where it is in the folder of a host.
    pub(crate) fn path(state: &Path) -> PathBuf {
        state.join("client.toml")
    }

    pub(crate) fn new(url: String, token: &Token) -> Self {
        Self { url, token: freehold_core::SecretString::from(token.expose()).into() }
    }

    pub(crate) fn token(&self) -> Token {
        Token::from_text(self.token.expose())
    }

    /// Reads it, if it is there.
    ///
    /// # Errors
    /// If others can read it, or it does not say what it should.
    pub(crate) fn read(path: &Path) -> Result<Option<Self>> {
        let Some(text) = private_file::read(path)? else { return Ok(None) };
        // The parser's own message would show the line, token and all.
        let broken =
            |_| Failure::usage(format!("{} is no client file: it has `url` and `token`", path.display()));
        toml::from_str(&text).map(Some).map_err(broken)
    }

    /// Writes it.
    ///
    /// # Errors
    /// If the folder does not take it.
    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = toml::to_string(self)
            .map_err(|error| Failure::internal(format!("write a client file: {error}")))?;
        private_file::write(path, &text)
    }
}
