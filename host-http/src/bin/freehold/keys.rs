//! The key file: what the host seals secrets under.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use freehold_core::{
    Keyring, Store,
    seal::{KeyId, SealKey},
};
use freehold_host::wire::Secret;
use serde::{Deserialize, Serialize};

use crate::{
    cli::KeysCommand,
    config::Config,
    exit::{Failure, Result},
    private_file,
    store::OpenStore,
};

const HEAD: &str = "\
# The keys under which Freehold seals every project's secrets.
# Back this file up, and keep the copy apart from backups of the store: without it nothing sealed opens again.
";

/// What stands in the file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    /// Seals, in hexadecimal.
    active: Secret,
    /// Only open what they sealed, newest first.
    #[serde(default)]
    old: Vec<Secret>,
}

/// The keys of a host, and whether any is to be retired.
#[derive(Debug)]
pub(crate) struct Keys {
    pub(crate) ring: Keyring,
    pub(crate) rotated: bool,
}

/// Carries out `freehold keys`.
///
/// # Errors
/// If there is no key file, or it cannot be used.
pub(crate) async fn run(command: &KeysCommand) -> Result<()> {
    let (KeysCommand::Export(arguments) | KeysCommand::Rotate(arguments) | KeysCommand::Prune(arguments)) =
        command;
    let config = Config::load(arguments)?;
    let path = path(&config.state);
    let mut file = read(&path)?.ok_or_else(|| {
        Failure::not_found(format!("there is no {}: the first start of the host makes it", path.display()))
    })?;
    match command {
        KeysCommand::Export(_) => print!("{}", text(&file)?),
        KeysCommand::Rotate(_) => {
            let new = encode(&SealKey::random()?);
            file.old.insert(0, std::mem::replace(&mut file.active, new));
            write(&path, &file)?;
            println!("{} has a new key before the old ones. Back it up again.", path.display());
            println!("The next start of the host reseals everything under it.");
        }
        KeysCommand::Prune(_) => {
            let store = OpenStore::open(&config).await?;
            let needed = store.store.keys_in_use().await;
            store.close().await?;
            let dropped = prune(&path, &mut file, &needed?)?;
            if dropped > 0 {
                write(&path, &file)?;
            }
            println!("{dropped} keys were dropped, {} old ones are still needed.", file.old.len());
        }
    }
    Ok(())
}

/// Drops the old keys under which nothing is sealed any more, and tells how many they were.
fn prune(path: &Path, file: &mut KeyFile, needed: &BTreeMap<KeyId, u64>) -> Result<usize> {
    let mut kept = Vec::new();
    let before = file.old.len();
    for old in std::mem::take(&mut file.old) {
        if needed.contains_key(&decode(path, &old)?.id()) {
            kept.push(old);
        }
    }
    file.old = kept;
    Ok(before - file.old.len())
}

/// The keys of the host. They are made on the first run: never when the store holds what other keys sealed.
///
/// # Errors
/// If the file is missing though it is needed, others can read it, or it cannot be used.
pub(crate) async fn ensure(state: &Path, store: &dyn Store) -> Result<Keys> {
    let path = path(state);
    if let Some(file) = read(&path)? {
        let mut ring = Keyring::new(decode(&path, &file.active)?);
        for old in &file.old {
            ring = ring.with_old(decode(&path, old)?);
        }
        return Ok(Keys { ring, rotated: !file.old.is_empty() });
    }
    let needed: Vec<_> = store.keys_in_use().await?.into_keys().map(|key| key.to_string()).collect();
    if !needed.is_empty() {
        return Err(Failure::usage(format!(
            "there is no {}, and the store holds what key {} sealed: put the file back from its backup",
            path.display(),
            needed.join(" and key ")
        )));
    }
    let key = SealKey::random()?;
    write(&path, &KeyFile { active: encode(&key), old: Vec::new() })?;
    tracing::warn!(path = %path.display(), "made the key that secrets are sealed under: back this file up");
    Ok(Keys { ring: Keyring::new(key), rotated: false })
}

/// Where the file is in the folder of a host.
pub(crate) fn path(state: &Path) -> PathBuf {
    state.join("keys.toml")
}

fn read(path: &Path) -> Result<Option<KeyFile>> {
    let Some(text) = private_file::read(path)? else { return Ok(None) };
    // The parser's own message would show the line, key and all.
    toml::from_str(&text).map(Some).map_err(|_| broken(path))
}

fn write(path: &Path, file: &KeyFile) -> Result<()> {
    private_file::write(path, &text(file)?)
}

fn text(file: &KeyFile) -> Result<String> {
    let body =
        toml::to_string(file).map_err(|error| Failure::internal(format!("write a key file: {error}")))?;
    Ok(format!("{HEAD}{body}"))
}

fn encode(key: &SealKey) -> Secret {
    let text: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    freehold_core::SecretString::from(text).into()
}

fn decode(path: &Path, secret: &Secret) -> Result<SealKey> {
    let text = secret.expose();
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(broken(path));
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| broken(path))?;
    }
    Ok(SealKey::new(bytes))
}

fn broken(path: &Path) -> Failure {
    let path = path.display();
    Failure::usage(format!("{path} is no key file: `active` and each of `old` are 64 hexadecimal digits"))
}

#[cfg(test)]
mod tests {
    use freehold_core::{Sealer, memory::MemoryStore, seal::Place, store::SealedItem};

    use super::*;

    #[tokio::test]
    async fn the_key_of_the_first_run_is_there_at_every_later_one() {
        let (folder, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
        let first = ensure(folder.path(), &store).await.unwrap();
        let second = ensure(folder.path(), &store).await.unwrap();
        assert_eq!(first.ring.active_key(), second.ring.active_key());
        let text = std::fs::read_to_string(path(folder.path())).unwrap();
        assert!(text.contains("Back this file up"), "{text}");
    }

    #[tokio::test]
    async fn no_key_is_made_while_the_store_holds_what_another_sealed() {
        let (folder, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
        let keys = ensure(folder.path(), &store).await.unwrap();
        let place = Place { project: None, name: "x".into(), version: 1 };
        let sealed = keys.ring.seal(&place, b"y").await.unwrap();
        store.reseal(&[SealedItem { place, sealed }]).await.unwrap();
        std::fs::remove_file(path(folder.path())).unwrap();
        let failure = ensure(folder.path(), &store).await.unwrap_err();
        assert!(failure.message().contains(keys.ring.active_key().as_str()), "{failure:?}");
        assert!(!path(folder.path()).exists());
    }

    #[tokio::test]
    async fn a_broken_key_file_is_not_repeated_in_the_message() {
        let (folder, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
        private_file::write(&path(folder.path()), "active = \"hunter2\"\n").unwrap();
        let failure = ensure(folder.path(), &store).await.unwrap_err();
        assert!(!failure.message().contains("hunter2") && failure.message().contains("64"), "{failure:?}");
    }

    #[test]
    fn only_keys_that_sealed_nothing_which_is_left_are_dropped() {
        let path = Path::new("keys.toml");
        let keys: Vec<_> = (1..=4).map(|byte| SealKey::new([byte; 32])).collect();
        let mut file = KeyFile { active: encode(&keys[0]), old: keys[1..].iter().map(encode).collect() };
        let needed = BTreeMap::from([(keys[0].id(), 3), (keys[2].id(), 1)]);
        assert_eq!(prune(path, &mut file, &needed).unwrap(), 2);
        let kept: Vec<_> = file.old.iter().map(|old| decode(path, old).unwrap().id()).collect();
        assert_eq!(kept, [keys[2].id()]);
        assert_eq!(prune(path, &mut file, &needed).unwrap(), 0);
        assert_eq!(decode(path, &file.active).unwrap().id(), keys[0].id());
    }
}
