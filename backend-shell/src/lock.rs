//! The lock on a project's folder: one mutating hook at a time, whoever started it.
//!
//! It is an advisory lock (flock(2)) on the folder itself, which belongs to an open file and not to a process: the hook
//! inherits the file, so that the lock is held until both this call and everything that the hook started are done with
//! it. When a host is killed, its hook goes on to hold the lock; whoever takes over kills the recorded group first.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    time::Duration,
};

use freehold_core::{Context, Result};
use rustix::process::Signal;
use tokio::time::Instant;

use crate::{error::Failure, folder::ProjectFolder, group::Group};

/// The number of the descriptor that a hook inherits the lock as, and the variable that tells it.
pub(crate) const LOCK_FD: i32 = 9;
pub(crate) const LOCK_VARIABLE: &str = "FREEHOLD_LOCK_FD";
/// How long a hook may take to end once it was told to.
pub(crate) const GRACE: Duration = Duration::from_secs(2);
/// How long the processes of a killed group may take to be gone.
const BURIAL: Duration = Duration::from_secs(5);
/// How often a lock that is held is tried again: the system has no way to wait for one that can be given up.
const TURN: Duration = Duration::from_millis(20);

/// The lock on a project's folder, held until it is dropped and until the hook has let go of it.
#[derive(Debug)]
pub(crate) struct ProjectLock {
    folder: ProjectFolder,
    file: File,
}

impl ProjectLock {
    /// Takes the lock, and kills the group of a hook that still holds it. Makes the folder if it is not there.
    ///
    /// # Errors
    /// As [`Context::check`]; `Unavailable` if the lock is not let go of although the recorded group was killed.
    pub(crate) async fn take(ctx: &Context, folder: ProjectFolder) -> Result<Self> {
        let began = Instant::now();
        let mut told = None;
        loop {
            ctx.check()?;
            if let Some(file) = Self::try_take(&folder)? {
                // The group that it names has ended, and another process may get its id one day.
                let _ = fs::remove_file(folder.group());
                return Ok(Self { folder, file });
            }
            let holder = Group::recorded(&folder.group()).or_else(|| Group::holding(folder.path()));
            match (holder, told) {
                (Some(group), None) => {
                    tracing::info!(folder = %folder.path().display(), ?group, "ending the hook of another call");
                    group.signal(Signal::TERM);
                    told = Some(Instant::now());
                }
                (Some(group), Some(told)) if told.elapsed() > GRACE => group.signal(Signal::KILL),
                _ => {}
            }
            if began.elapsed() > GRACE + BURIAL {
                return Err(Failure::Lock { path: folder.path().to_owned() }.into());
            }
            ctx.pause("lock the project's folder", TURN).await?;
        }
    }

    /// Takes the lock if it is free.
    fn try_take(folder: &ProjectFolder) -> Result<Option<File>, Failure> {
        folder.make()?;
        let failed = || Failure::touch("lock", folder.path());
        let file = match File::open(folder.path()) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed()(error)),
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed()(error)),
            Ok(()) => {}
        }
        // Whoever held it may have removed the folder, and somebody may have made it anew.
        let inode = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let locked = file.metadata().map(inode).map_err(failed())?;
        let there = fs::metadata(folder.path()).map(inode);
        Ok((there.ok() == Some(locked)).then_some(file))
    }

    /// The lock for a hook to inherit.
    pub(crate) fn share(&self) -> io::Result<OwnedFd> {
        self.file.try_clone().map(OwnedFd::from)
    }

    /// Records the group that holds the lock now.
    pub(crate) fn record(&self, group: &Group) -> Result<(), Failure> {
        group.record(&self.folder.group())
    }
}

#[cfg(test)]
mod tests {
    use freehold_core::{Kind, ProjectRef};

    use super::*;
    use crate::folder::DataFolder;

    fn project() -> (tempfile::TempDir, ProjectFolder) {
        let data = tempfile::tempdir().unwrap();
        let project: ProjectRef = "abcdefghijklmnopqrst".parse().unwrap();
        let folder = DataFolder::open(data.path()).unwrap().project(&project);
        (data, folder)
    }

    #[tokio::test]
    async fn a_lock_that_is_free_is_taken_and_given_back() {
        let (_data, folder) = project();
        let ctx = Context::new(Duration::from_secs(10));
        drop(ProjectLock::take(&ctx, folder.clone()).await.unwrap());
        ProjectLock::take(&ctx, folder).await.unwrap();
    }

    #[tokio::test]
    async fn waiting_for_a_lock_ends_at_the_deadline() {
        let (_data, folder) = project();
        let held = ProjectLock::take(&Context::new(Duration::from_secs(10)), folder.clone()).await.unwrap();
        let error = ProjectLock::take(&Context::new(Duration::from_millis(100)), folder).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout);
        drop(held);
    }

    #[tokio::test]
    async fn the_lock_of_a_folder_that_was_removed_is_the_new_folders() {
        let (_data, folder) = project();
        let ctx = Context::new(Duration::from_secs(10));
        let held = ProjectLock::take(&ctx, folder.clone()).await.unwrap();
        folder.remove().unwrap();
        let again = ProjectLock::take(&ctx, folder.clone()).await.unwrap();
        assert!(ProjectLock::try_take(&folder).unwrap().is_none());
        drop((held, again));
    }
}
