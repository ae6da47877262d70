//! The process group of a hook: recorded, and killed whole.

use std::{fs, io, path::Path};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::{
    error::Failure,
    folder::write_whole,
    lock::{LOCK_FD, LOCK_VARIABLE},
};

/// A process group that a hook leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    id: i32,
    /// When the leader began, in clock ticks since the machine did (proc(5), field 22 of `stat`): with the id it names
    /// one process, whatever ids are used again.
    started: u64,
    /// The lease under which the hook was started, for people who look.
    epoch: u64,
}

impl Group {
    /// The group that a process leads which was just started and not yet waited for.
    pub(crate) fn led_by(leader: u32, epoch: u64) -> io::Result<Self> {
        let id = i32::try_from(leader).map_err(io::Error::other)?;
        let started = started(id)?.ok_or_else(|| io::Error::other("the process is gone"))?;
        Ok(Self { id, started, epoch })
    }

    /// Signals all processes of the group. A group that is no more is left alone, and so is a stranger of the same id:
    /// while a group has members its id is given to no new process, so that a leader with another beginning is one.
    pub(crate) fn signal(&self, signal: Signal) {
        let stranger = started(self.id).ok().flatten().is_some_and(|started| started != self.started);
        if let (false, Some(id)) = (stranger || self.id <= 1, Pid::from_raw(self.id)) {
            // The only failure that can come is that there is no such group any more.
            let _ = kill_process_group(id, signal);
        }
    }

    pub(crate) fn record(&self, path: &Path) -> Result<(), Failure> {
        let text = serde_json::to_vec(self).map_err(|error| Failure::Touch {
            verb: "write",
            path: path.to_owned(),
            source: error.into(),
        })?;
        write_whole(path, &text)
    }

    pub(crate) fn recorded(path: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(path).ok()?).ok()
    }

    /// The group of a hook that holds the lock on `folder` as it was given it: for one whose host was killed before it
    /// could record anything.
    pub(crate) fn holding(folder: &Path) -> Option<Self> {
        fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.path()).find_map(|process| {
            let lock = fs::read_link(process.join(format!("fd/{LOCK_FD}"))).ok()?;
            let environment = fs::read(process.join("environ")).ok()?;
            let told = format!("{LOCK_VARIABLE}={LOCK_FD}");
            // A host may have the lock under the same number, but nobody told it so.
            let is_hook = environment.split(|byte| *byte == 0).any(|variable| variable == told.as_bytes());
            let id = stat(&process).ok()??.group;
            (lock == folder && is_hook).then_some(())?;
            Some(Self { id, started: started(id).ok()?.unwrap_or_default(), epoch: 0 })
        })
    }
}

/// What is looked at of a process's `stat`.
struct Stat {
    group: i32,
    started: u64,
}

/// When a process began; `None` if there is none of that id.
fn started(id: i32) -> io::Result<Option<u64>> {
    Ok(stat(&Path::new("/proc").join(id.to_string()))?.map(|stat| stat.started))
}

fn stat(process: &Path) -> io::Result<Option<Stat>> {
    let stat = match fs::read_to_string(process.join("stat")) {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    // The second field is the program's name in parentheses, and may hold spaces and parentheses itself.
    let rest: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let field = |number: usize| rest.get(number - 3).copied();
    let parsed =
        field(5).and_then(|group| group.parse().ok()).zip(field(22).and_then(|ticks| ticks.parse().ok()));
    let (group, started) = parsed.ok_or_else(|| io::Error::other("unexpected form of stat"))?;
    Ok(Some(Stat { group, started }))
}

/// Kills a group when it is dropped: what a hook left running in its group does not outlive the call.
#[derive(Debug)]
pub(crate) struct KillOnDrop(pub(crate) Group);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        self.0.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::CommandExt as _, process::Command};

    use super::*;

    #[test]
    fn a_stranger_with_the_same_id_is_left_alone() {
        let mut child = Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let group = Group::led_by(child.id(), 1).unwrap();
        Group { started: group.started + 1, ..group }.signal(Signal::KILL);
        assert_eq!(child.try_wait().unwrap(), None);
        group.signal(Signal::KILL);
        assert!(!child.wait().unwrap().success());
        group.signal(Signal::KILL);
    }
}
