//! Where the store is: a PostgreSQL of our own, or somebody's by a URL that must not become known on the way here.

use std::{
    env, fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use freehold_core::SecretString;
use freehold_host::wire::Secret;
use serde::Deserialize;

use super::MASK;
use crate::{
    cli::HostArguments,
    exit::{Failure, Result},
};

/// Where projects, operations and events are kept.
#[derive(Clone, Debug)]
pub(crate) enum StoreConfig {
    /// In a PostgreSQL of our own.
    Embedded,
    /// In somebody's PostgreSQL, by its connection string.
    Postgres(SecretString),
}

/// The `[store]` table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct StoreSection {
    url: Option<Secret>,
    url_file: Option<PathBuf>,
}

/// The store that flags, environment and `section` of `file` come to.
///
/// # Errors
/// If they contradict each other, or if others could read the password.
pub(super) fn store(
    arguments: &HostArguments,
    section: StoreSection,
    file: Option<&Path>,
) -> Result<StoreConfig> {
    let from_file = |path: &Path| -> Result<SecretString> {
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("read {}: {error}", path.display())))?;
        refuse_shared(path, text.trim())?;
        Ok(text.trim().into())
    };
    if let Some(url) = &arguments.database_url {
        if has_password(url) {
            return Err(Failure::usage(
                "--database-url has a password, which all users of the machine can see: put the URL into \
                 FREEHOLD_DATABASE_URL, or into a file and name that with --database-url-file",
            ));
        }
        return Ok(StoreConfig::Postgres(url.as_str().into()));
    }
    if let Some(path) = &arguments.database_url_file {
        return Ok(StoreConfig::Postgres(from_file(path)?));
    }
    // Read here and not by clap, so that no help text or error can show it.
    if let Some(url) = env::var("FREEHOLD_DATABASE_URL").ok().filter(|url| !url.is_empty()) {
        return Ok(StoreConfig::Postgres(url.into()));
    }
    Ok(match (section.url, section.url_file) {
        (Some(url), _) if url.expose() == MASK => {
            return Err(Failure::usage(
                "store: `url` is the mask that `freehold config` prints: put the URL itself there, or name a file \
                 that holds it as `url_file`",
            ));
        }
        (Some(url), None) => {
            if let Some(path) = file {
                refuse_shared(path, url.expose())?;
            }
            StoreConfig::Postgres(url.into_inner())
        }
        (None, Some(path)) => StoreConfig::Postgres(from_file(&path)?),
        (None, None) => StoreConfig::Embedded,
        (Some(_), Some(_)) => return Err(Failure::usage("store: `url` and `url_file` exclude each other")),
    })
}

/// Refuses a file that everybody on the machine can read and that holds a password.
fn refuse_shared(path: &Path, url: &str) -> Result<()> {
    let cannot = |error| Failure::usage(format!("read {}: {error}", path.display()));
    let mode = fs::metadata(path).map_err(cannot)?.mode() & 0o777;
    if mode & 0o007 == 0 || !has_password(url) {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::usage(format!(
        "{path} holds a password and has mode {mode:04o}, so everybody can read it: `chmod o= {path}`, and consider the \
         password known"
    )))
}

/// Whether a connection string has a password in it.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next().unwrap_or("");
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) || url.contains("password=")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::config::{Config, tests::load};

    #[test]
    fn a_file_with_a_password_that_everybody_can_read_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        let load_url = |url: &str, mode| {
            fs::write(&path, url).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            load("", HostArguments { database_url_file: Some(path.clone()), ..Default::default() })
        };
        let failure = load_url("postgres://u:hunter2@h/db", 0o644).unwrap_err();
        assert!(
            failure.message().contains("chmod o=") && !failure.message().contains("hunter2"),
            "{failure:?}"
        );
        assert!(load_url("postgres://u:hunter2@h/db", 0o640).is_ok());
        assert!(load_url("postgres://u@h/db", 0o644).is_ok());

        fs::write(&path, "[store]\nurl = \"postgres://u:hunter2@h/db\"\n").unwrap();
        let arguments = HostArguments { config: Some(path.clone()), ..Default::default() };
        assert!(Config::load(&arguments).unwrap_err().message().contains("chmod o="));
    }

    #[test]
    fn a_password_on_the_command_line_is_refused() {
        for url in ["postgres://u:hunter2@h/db", "postgres://h/db?password=hunter2"] {
            let arguments = HostArguments { database_url: Some(url.into()), ..Default::default() };
            let failure = load("", arguments).unwrap_err();
            assert!(
                failure.message().contains("FREEHOLD_DATABASE_URL") && !failure.message().contains("hunter2")
            );
        }
        let arguments =
            HostArguments { database_url: Some("postgres://u@h:5432/db".into()), ..Default::default() };
        assert!(matches!(load("", arguments).unwrap().store, StoreConfig::Postgres(_)));
    }
}
