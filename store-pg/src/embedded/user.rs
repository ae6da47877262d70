//! The operating-system user that the server runs as.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    time::Duration,
};

use freehold_core::{Error, Kind, Result};
use tokio::{process::Command, time::Instant};

/// Held by whoever changes the machine's users. The hooks of the shell backend take it too (`flock`): programs of the
/// shadow suite that run at once fail, and where one was killed before its end, the next two may both take the lock that
/// it left and undo each other's work.
const TURN: &str = "/run/freehold-users.lock";
/// How long others may take before it is our turn, and how long whoever else changes users may be in the way.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(50);
/// What useradd exits with while another program changes users (useradd(8), "EXIT VALUES").
const CANNOT_UPDATE: i32 = 1;

/// The user that root drops its rights to.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerUser {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// The user that the server runs as, made if it is missing; `None` if we are not root, and it runs as we do.
pub(super) async fn server_user(name: &str) -> Result<Option<ServerUser>> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let legal = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
    if !legal {
        return Err(Error::invalid("store.user", format_args!("{name:?} is not a user's name")));
    }
    let user = match look_up(name).await? {
        Some(user) => user,
        None => add(name).await?,
    };
    if user.uid == 0 {
        return Err(Error::invalid(
            "store.user",
            format_args!("{name} is root, and PostgreSQL refuses to run as root"),
        ));
    }
    Ok(Some(user))
}

async fn look_up(name: &str) -> Result<Option<ServerUser>> {
    let (uid, gid) = (id("-u", name).await?, id("-g", name).await?);
    Ok(uid.zip(gid).map(|(uid, gid)| ServerUser { uid, gid }))
}

async fn id(what: &str, name: &str) -> Result<Option<u32>> {
    let output = Command::new("id").args([what, "--", name]).output().await.map_err(|error| {
        Error::new(Kind::Unavailable, format!("look user {name} up with `id`")).because(error)
    })?;
    Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().parse().ok()).flatten())
}

/// Adds it when it is our turn. Of two hosts that add it at once, the second one finds it.
async fn add(name: &str) -> Result<ServerUser> {
    let until = Instant::now() + PATIENCE;
    let _turn = turn(until).await?;
    let way_out =
        "useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin";
    let failed = || {
        let what =
            format!("add user {name}, whom PostgreSQL is to run as: run `{way_out} {name}`, or name another");
        Error::new(Kind::Unavailable, what)
    };
    let mut words = way_out.split(' ');
    let program = words.next().unwrap_or_default();
    let words: Vec<_> = words.collect();
    loop {
        if let Some(user) = look_up(name).await? {
            return Ok(user);
        }
        let output = Command::new(program).args(&words).args(["--", name]).output().await;
        let output = output.map_err(|error| failed().because(error))?;
        let is_in_the_way = output.status.code() == Some(CANNOT_UPDATE) && Instant::now() < until;
        if !output.status.success() && !is_in_the_way {
            let printed = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(failed().because(std::io::Error::other(printed)));
        }
        if !output.status.success() {
            tokio::time::sleep(PAUSE).await;
        } else if look_up(name).await?.is_none() {
            return Err(Error::internal(format!(
                "find user {name}, just added: who else changes /etc/passwd?"
            )));
        }
    }
}

/// Our turn to change users, until it is dropped.
async fn turn(until: Instant) -> Result<File> {
    let failed = |error| {
        Error::new(Kind::Unavailable, format!("lock {TURN}, to add the user whom PostgreSQL is to run as"))
            .because(error)
    };
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(false).mode(0o600).open(TURN).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) if Instant::now() >= until => {
                let held = format!("another program has held it for {} s", PATIENCE.as_secs());
                return Err(failed(std::io::Error::other(held)));
            }
            Err(TryLockError::WouldBlock) => tokio::time::sleep(PAUSE).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: usize = 6;

    /// Removes users when it is dropped.
    struct Gone(Vec<String>);

    impl Drop for Gone {
        fn drop(&mut self) {
            for name in &self.0 {
                let _ = std::process::Command::new("flock").args([TURN, "userdel", name]).output();
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn users_that_are_added_at_once_beside_others_that_come_and_go_all_stay() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("skipped: only root makes users");
            return;
        }
        let names: Vec<_> = (0..USERS).map(|n| format!("freehold-test-{}-{n}", std::process::id())).collect();
        let _gone = Gone(names.clone());
        // As the hooks of the shell backend do it.
        let other = format!("freehold-test-{}-other", std::process::id());
        let come_and_go = format!(
            "for i in 1 2 3; do flock {TURN} useradd --system {other} && flock {TURN} userdel {other} || exit 1; done"
        );
        let others = tokio::spawn(Command::new("sh").args(["-c", &come_and_go]).status());
        // Each by two hosts.
        let adding: Vec<_> = names.iter().chain(&names).cloned().collect();
        let adding = adding.into_iter().map(|name| tokio::spawn(async move { server_user(&name).await }));
        let adding: Vec<_> = adding.collect();
        let mut ids = Vec::new();
        for added in adding {
            ids.push(added.await.unwrap().unwrap().unwrap().uid);
        }
        assert!(others.await.unwrap().unwrap().success());
        for (n, name) in names.iter().enumerate() {
            let uid = look_up(name).await.unwrap().unwrap().uid;
            assert_eq!((ids[n], ids[USERS + n]), (uid, uid), "{name}");
        }
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), USERS);
    }
}
