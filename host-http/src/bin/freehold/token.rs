//! The superuser's token: made on the first run, kept in the clear in the client file alone.

use std::path::Path;

use freehold_core::{Store, store::Put};
use freehold_host::{Token, TokenDigest};

use crate::{
    client_file::ClientFile,
    exit::{Failure, Result},
};

/// The setting of the store that has the digest.
const SETTING: &str = "superuser_token_digest";

/// The digest that the host checks credentials by. On the first run the token is made; it is written to the client file
/// before its digest is stored, so that a crash between the two loses nothing.
///
/// # Errors
/// If the client file has a token that the store does not know.
pub(crate) async fn ensure(
    store: &dyn Store,
    client_file: &Path,
    url: &str,
    renew: bool,
) -> Result<TokenDigest> {
    let kept = match ClientFile::read(client_file)? {
        Some(file) if !renew => Some(file.token()),
        _ => None,
    };
    let stored = if renew { None } else { store.setting(SETTING).await? };
    let token = match (kept, stored) {
        (Some(token), Some(digest)) if TokenDigest::parse(&digest)?.matches(token.expose()) => token,
        (Some(_), Some(_)) => {
            return Err(Failure::usage(format!(
                "{} has a token that this store does not know: put the right file there, or start with --new-token",
                client_file.display()
            )));
        }
        (None, Some(digest)) => {
            let path = client_file.display();
            tracing::warn!(
                "there is no {path}: commands need the token from elsewhere, or start with --new-token"
            );
            return Ok(TokenDigest::parse(&digest)?);
        }
        (Some(token), None) => token,
        (None, None) => Token::random()?,
    };
    ClientFile::new(url.to_owned(), &token).write(client_file)?;
    let put = if renew { Put::Replace } else { Put::IfAbsent };
    let stands = store.put_setting(SETTING, &token.digest().to_string(), put).await?;
    // Another host on the same store may have been first.
    Ok(TokenDigest::parse(&stands)?)
}

#[cfg(test)]
mod tests {
    use freehold_core::memory::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn the_token_of_the_first_run_is_good_at_every_later_one() {
        let (folder, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
        let path = folder.path().join("client.toml");
        ensure(&store, &path, "http://127.0.0.1:1", false).await.unwrap();
        let token = ClientFile::read(&path).unwrap().unwrap().token();
        let digest = ensure(&store, &path, "http://127.0.0.1:2", false).await.unwrap();
        assert!(digest.matches(token.expose()));
        assert_eq!(ClientFile::read(&path).unwrap().unwrap().url, "http://127.0.0.1:2");
        assert!(!store.setting(SETTING).await.unwrap().unwrap().contains(token.expose()));
    }

    #[tokio::test]
    async fn a_new_token_replaces_the_old_one() {
        let (folder, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
        let path = folder.path().join("client.toml");
        ensure(&store, &path, "http://127.0.0.1:1", false).await.unwrap();
        let old = ClientFile::read(&path).unwrap().unwrap().token();
        let digest = ensure(&store, &path, "http://127.0.0.1:1", true).await.unwrap();
        assert!(!digest.matches(old.expose()));
    }

    #[tokio::test]
    async fn a_client_file_of_another_store_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.toml");
        let (one, other) = (MemoryStore::default(), MemoryStore::default());
        ensure(&one, &path, "http://127.0.0.1:1", false).await.unwrap();
        ensure(&other, &folder.path().join("other.toml"), "http://127.0.0.1:1", false).await.unwrap();
        let failure = ensure(&other, &path, "http://127.0.0.1:1", false).await.unwrap_err();
        assert!(failure.message().contains("--new-token"), "{failure:?}");
    }
}
