//! How long the processors worked: a figure that a busy machine changes little.

use std::{fs, path::PathBuf, time::Duration};

/// The processor time of this process and of a PostgreSQL server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Processor {
    pub(crate) host: Duration,
    pub(crate) server: Duration,
}

impl Processor {
    /// Until now. The server is told by its `postmaster.pid`.
    pub(crate) fn used(postmaster: Option<&PathBuf>) -> Self {
        Self {
            host: process("self").map_or(Duration::ZERO, |own| own.used),
            server: postmaster.map_or(Duration::ZERO, server),
        }
    }

    /// What was used since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            host: self.host.saturating_sub(before.host),
            server: self.server.saturating_sub(before.server),
        }
    }
}

/// The postmaster, its children, and those of them that have ended.
fn server(postmaster: &PathBuf) -> Duration {
    let text = fs::read_to_string(postmaster).expect("the server runs");
    let id = text.lines().next().expect("it says its number");
    let children = fs::read_dir("/proc").into_iter().flatten().flatten();
    let children =
        children.filter_map(|entry| process(entry.file_name().to_str()?)).filter(|child| child.parent == id);
    let itself = process(id).map_or(Duration::ZERO, |it| it.used + it.ended_children);
    itself + children.map(|child| child.used).sum::<Duration>()
}

/// One process.
pub(crate) struct Process {
    parent: String,
    pub(crate) used: Duration,
    ended_children: Duration,
}

/// From `/proc/<id>/stat`, see proc(5). `None` where there is no such process.
pub(crate) fn process(id: &str) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // Behind the program's name, which may hold anything.
    let fields: Vec<&str> = stat[stat.rfind(')')? + 2..].split(' ').collect();
    let ticks = |field: usize| fields.get(field).and_then(|field| field.parse::<u64>().ok());
    // The unit is a hundredth of a second on every Linux that there is.
    let time = |a, b| Some(Duration::from_millis(10 * (ticks(a)? + ticks(b)?)));
    Some(Process { parent: (*fields.get(1)?).to_owned(), used: time(11, 12)?, ended_children: time(13, 14)? })
}
