//! The operating-system user that the server runs as.

use freehold_core::{Error, Kind, Result};
use tokio::process::Command;

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
        None => {
            add(name).await?;
            look_up(name).await?.ok_or_else(|| Error::internal(format!("find user {name}, just added")))?
        }
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

/// Two hosts that add it at once: the one that loses finds it afterwards.
async fn add(name: &str) -> Result<()> {
    let way_out =
        "useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin";
    let mut words = way_out.split(' ');
    let program = words.next().unwrap_or_default();
    let output = Command::new(program).args(words).args(["--", name]).output().await.map_err(|error| {
        let what =
            format!("add user {name}, whom PostgreSQL is to run as: run `{way_out} {name}`, or name another");
        Error::new(Kind::Unavailable, what).because(error)
    })?;
    if output.status.success() || look_up(name).await?.is_some() {
        return Ok(());
    }
    let printed = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(Error::new(Kind::Unavailable, format!("add user {name}, whom PostgreSQL is to run as"))
        .because(std::io::Error::other(printed)))
}
