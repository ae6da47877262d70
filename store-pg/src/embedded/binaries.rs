//! PostgreSQL's programs: found where they are, or downloaded where there are none.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use freehold_core::{Error, Kind, Result};
use pg_embed::{
    pg_fetch::{PG_V18, PgFetchSettings},
    pg_unpack,
};
use tokio::process::Command;

use super::{
    config::{Binaries, EmbeddedConfig},
    folder::{Folder, failed},
};

/// The oldest major version that the store works with.
const OLDEST: u32 = 13;

/// A folder with `initdb`, `pg_ctl` and `postgres` that fit the data, or the newest if there are no data yet.
pub(super) async fn find(config: &EmbeddedConfig, folder: &Folder) -> Result<PathBuf> {
    let wanted = folder.version_of_data();
    let downloaded = folder.file(&format!("postgresql-{}", PG_V18.0));
    let mut candidates = match &config.binaries {
        Binaries::Folder(configured) => vec![configured.clone()],
        Binaries::Found => installed().await,
        Binaries::Downloaded => Vec::new(),
    };
    if !matches!(config.binaries, Binaries::Folder(_)) {
        candidates.push(downloaded.join("bin"));
    }
    let mut fitting = Vec::new();
    for candidate in candidates {
        if let Some(major) = version(&candidate).await
            && wanted.map_or(major >= OLDEST, |wanted| major == wanted)
        {
            fitting.push((major, candidate));
        }
    }
    if let Some((_, binaries)) = fitting.into_iter().max() {
        return Ok(binaries);
    }
    match (wanted, &config.binaries) {
        (Some(wanted), _) => Err(Error::new(
            Kind::Unavailable,
            format!(
                "find the programs of PostgreSQL {wanted}, which {} was made with: install that version \
                 (Debian: apt install postgresql-{wanted}), or move the data with pg_upgrade",
                folder.data().display()
            ),
        )),
        (None, Binaries::Folder(configured)) => Err(Error::invalid(
            "store.binaries",
            format_args!(
                "{} holds no initdb, pg_ctl and postgres of version {OLDEST} or newer",
                configured.display()
            ),
        )),
        (None, Binaries::Found | Binaries::Downloaded) => download(&config.mirror, &downloaded).await,
    }
}

/// Where systems put them, and where `PATH` finds them.
async fn installed() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    // The shell looks along PATH, so that we need not read the environment.
    if let Ok(output) = Command::new("sh").args(["-c", "command -v pg_ctl"]).output().await {
        let found = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        folders.extend(fs::canonicalize(found).ok().and_then(|path| Some(path.parent()?.to_owned())));
    }
    folders
}

/// The major version of the programs in a folder, if they are all there.
async fn version(folder: &Path) -> Option<u32> {
    if !["initdb", "pg_ctl", "postgres"].iter().all(|program| folder.join(program).is_file()) {
        return None;
    }
    let output = Command::new(folder.join("postgres")).arg("--version").output().await.ok()?;
    parse_version(&String::from_utf8_lossy(&output.stdout))
}

/// `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
fn parse_version(printed: &str) -> Option<u32> {
    let version = printed.split_once(") ")?.1;
    version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// Beside its place first, so that an interrupted download is never taken for a whole one.
async fn download(mirror: &str, place: &Path) -> Result<PathBuf> {
    let settings = PgFetchSettings { host: mirror.to_owned(), version: PG_V18, ..PgFetchSettings::default() };
    tracing::info!(from = mirror, version = PG_V18.0, "no PostgreSQL was found: downloading it");
    let draft = place.with_extension("new");
    if draft.exists() {
        fs::remove_dir_all(&draft).map_err(|error| failed("remove", &draft, error))?;
    }
    fs::create_dir_all(&draft).map_err(|error| failed("make folder", &draft, error))?;
    let archive = draft.join("archive.zip");
    let unavailable = |error: pg_embed::pg_errors::Error| {
        let what = format!(
            "download PostgreSQL from {mirror}: install it (Debian: apt install postgresql), or name the folder of \
             its programs"
        );
        Error::new(Kind::Unavailable, what).because(error)
    };
    let bytes = settings.fetch_postgres().await.map_err(unavailable)?;
    fs::write(&archive, bytes).map_err(|error| failed("write", &archive, error))?;
    pg_unpack::unpack_postgres(&archive, &draft).await.map_err(unavailable)?;
    fs::remove_file(&archive).map_err(|error| failed("remove", &archive, error))?;
    // The server's user runs them, whatever our umask is.
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755))
        .and_then(|()| fs::rename(&draft, place))
        .map_err(|error| failed("make", place, error))?;
    let binaries = place.join("bin");
    match version(&binaries).await {
        Some(_) => Ok(binaries),
        None => Err(Error::new(
            Kind::Unavailable,
            format!("run what was downloaded to {}: it is not PostgreSQL for this machine", place.display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_however_the_system_adorns_them() {
        for (printed, major) in [
            ("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n", Some(15)),
            ("postgres (PostgreSQL) 18.2\n", Some(18)),
            ("postgres (PostgreSQL) 19beta1", Some(19)),
            ("something else", None),
        ] {
            assert_eq!(parse_version(printed), major, "{printed}");
        }
    }
}
