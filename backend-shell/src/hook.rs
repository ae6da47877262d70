//! Running one hook: a program of its own process group, never a shell line, watched until all of it is gone.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
    pin::pin,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use command_fds::{CommandFdExt as _, FdMapping};
use freehold_core::{Context, Error, Kind, Redactor, Report, ReportBuilder, Result};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    process::{Child, ChildStdout, Command},
    time::{Instant, sleep_until},
};
use zeroize::Zeroizing;

use crate::{
    error::{Ending, Failure},
    group::{Group, KillOnDrop},
    lock::{GRACE, LOCK_FD, LOCK_VARIABLE, ProjectLock},
    output::Output,
};

/// How long output is waited for once a hook has ended: a daemon of its may have kept the pipe.
const DRAIN: Duration = Duration::from_millis(500);
/// How often it is looked whether the lease still holds while a hook runs.
const LEASE_CHECK: Duration = Duration::from_millis(500);
/// How long an answer may be.
const MAX_ANSWER: u64 = 1024 * 1024;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What hooks there are: each is a program of this name in the stack's folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Hook {
    Check,
    Provision,
    Pause,
    Resume,
    Restart,
    Reconfigure,
    Destroy,
    Plan,
    Health,
    Logs,
    Inventory,
}

impl Hook {
    pub(crate) const ALL: [Self; 11] = [
        Self::Check,
        Self::Provision,
        Self::Pause,
        Self::Resume,
        Self::Restart,
        Self::Reconfigure,
        Self::Destroy,
        Self::Plan,
        Self::Health,
        Self::Logs,
        Self::Inventory,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Provision => "provision",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Reconfigure => "reconfigure",
            Self::Destroy => "destroy",
            Self::Plan => "plan",
            Self::Health => "health",
            Self::Logs => "logs",
            Self::Inventory => "inventory",
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A hook that is ready to be run.
#[derive(Debug)]
pub(crate) struct Invocation<'a> {
    pub(crate) hook: Hook,
    pub(crate) program: PathBuf,
    /// What every hook of the target is given.
    pub(crate) settings: &'a BTreeMap<String, String>,
    /// What this call tells.
    pub(crate) variables: BTreeMap<&'static str, String>,
    pub(crate) input: Zeroizing<Vec<u8>>,
    /// The call's own folder.
    pub(crate) tmp: TempDir,
    /// Held by the hook as well, if it changes anything.
    pub(crate) lock: Option<&'a ProjectLock>,
    pub(crate) redactor: Redactor,
}

/// What a hook that succeeded came to.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) output: Output,
    pub(crate) report: Report,
}

/// A hook that runs. Dropping it kills its whole group.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    group: KillOnDrop,
    tmp: TempDir,
}

impl Invocation<'_> {
    /// Runs the hook to its end.
    ///
    /// # Errors
    /// The hook's own, by its exit status and answer; `Timeout`, `Cancelled` and a lost lease after its whole group was
    /// ended. Each with what it printed.
    pub(crate) async fn run(self, ctx: &Context) -> Result<Finished> {
        let (hook, redactor) = (self.hook, self.redactor.clone());
        let mut report = ReportBuilder::new(&redactor);
        let mut running = self.start(ctx).await?;
        let watched = running.watch(ctx, hook, &mut report).await;
        let report = report.finish();
        let finished = watched.and_then(|status| {
            let output = running.answer(hook, &redactor)?;
            if status.success() { Ok(output) } else { Err(failed(hook, status, output, &report).into()) }
        });
        match finished {
            Ok(output) => Ok(Finished { output, report }),
            Err(error) => Err(error.with_report(report)),
        }
    }

    /// Starts the hook with its standard output and error on pipes.
    pub(crate) async fn start(mut self, ctx: &Context) -> Result<Running> {
        let output = self.tmp.path().join("output");
        let mut options = fs::OpenOptions::new();
        options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&output)
            .map_err(Failure::touch("make", &output))?;
        let seconds = (ctx.remaining().saturating_sub(GRACE)).as_secs().max(1);
        self.variables.insert("FREEHOLD_TIMEOUT", seconds.to_string());
        self.variables.insert("FREEHOLD_OUTPUT", output.display().to_string());
        self.variables.insert("FREEHOLD_TMP", self.tmp.path().display().to_string());

        let failed = |source| Failure::Start { program: self.program.clone(), source };
        let mut child = self.spawn().await.map_err(failed)?;
        let id = child.id().ok_or_else(|| failed(io::Error::other("it has no process id")))?;
        let group = Group::led_by(id, ctx.epoch()).map_err(failed)?;
        let guard = KillOnDrop(group);
        if let Some(lock) = self.lock {
            lock.record(&group)?;
        }
        if let Some(mut stdin) = child.stdin.take() {
            let input = self.input;
            // A hook that does not read its input closes the pipe, which is its right.
            tokio::spawn(async move { drop(stdin.write_all(&input).await) });
        }
        Ok(Running { child, group: guard, tmp: self.tmp })
    }

    /// Starts the process. A program that was written a moment ago may still be open for writing in a process that is
    /// being started beside it; then the kernel says "text file busy", which passes (execve(2), ETXTBSY).
    async fn spawn(&self) -> io::Result<Child> {
        let mut turns = 0;
        loop {
            match self.command()?.spawn() {
                Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && turns < 50 => {
                    turns += 1;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                spawned => return spawned,
            }
        }
    }

    fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        command
            .arg(self.hook.as_str())
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", "/")
            .envs(self.settings)
            .envs(&self.variables)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        if let Some(lock) = self.lock {
            // Descriptors are closed in what is started unless mapped: no other child ever gets the lock.
            let mapping = FdMapping { parent_fd: lock.share()?, child_fd: LOCK_FD };
            command.fd_mappings(vec![mapping]).map_err(io::Error::other)?;
            command.env(LOCK_VARIABLE, LOCK_FD.to_string());
        }
        Ok(command)
    }
}

impl Running {
    /// Collects what the hook prints until it and all of its group have ended.
    async fn watch(&mut self, ctx: &Context, hook: Hook, report: &mut ReportBuilder) -> Result<ExitStatus> {
        let mut stdout = self.child.stdout.take();
        let mut stderr = self.child.stderr.take();
        let (mut printed, mut complained) = (Box::new([0; 8192]), Box::new([0; 8192]));
        let mut unwanted = pin!(self::unwanted(ctx));
        let mut stopping: Option<Error> = None;
        let mut ended: Option<ExitStatus> = None;
        // When something more forceful has to happen: a kill, or an end of the wait for output.
        let mut patience = Instant::now();

        while ended.is_none() || stdout.is_some() || stderr.is_some() {
            tokio::select! {
                read = read_some(&mut stdout, &mut *printed), if stdout.is_some() => match read {
                    0 => stdout = None,
                    length => report.stdout(&printed[..length]),
                },
                read = read_some(&mut stderr, &mut *complained), if stderr.is_some() => match read {
                    0 => stderr = None,
                    length => report.stderr(&complained[..length]),
                },
                status = self.child.wait(), if ended.is_none() => {
                    ended = Some(status.map_err(|source| Failure::Watch { hook, source })?);
                    self.group.0.signal(Signal::KILL);
                    patience = Instant::now() + DRAIN;
                }
                error = &mut unwanted, if stopping.is_none() && ended.is_none() => {
                    stopping = Some(error.with("step", hook));
                    self.group.0.signal(Signal::TERM);
                    patience = Instant::now() + GRACE.min(ctx.remaining());
                }
                () = sleep_until(patience), if stopping.is_some() && ended.is_none() => {
                    self.group.0.signal(Signal::KILL);
                    patience = Instant::now() + GRACE;
                }
                () = sleep_until(patience), if ended.is_some() => break,
            }
        }
        match (stopping, ended) {
            (Some(error), _) => Err(error),
            (None, Some(status)) => Ok(status),
            (None, None) => Err(Error::internal(format!("watch the hook {hook}"))),
        }
    }

    /// Reads what the hook answered.
    fn answer(&self, hook: Hook, redactor: &Redactor) -> Result<Output, Failure> {
        let path = self.tmp.path().join("output");
        let failed = || Failure::touch("read", &path);
        if fs::metadata(&path).map_err(failed())?.len() > MAX_ANSWER {
            return Err(Failure::Answer { hook, problem: format!("it is longer than {MAX_ANSWER} bytes") });
        }
        let text = fs::read(&path).map_err(failed())?;
        let text = String::from_utf8(text)
            .map_err(|_| Failure::Answer { hook, problem: "it is not UTF-8".to_owned() })?;
        Output::parse(hook, &text, redactor)
    }

    /// The hook's standard output, for a hook whose output is its result.
    pub(crate) fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }
}

/// Ends when the call has to: cancelled, too near to the deadline to leave the hook alone any longer, or without lease.
async fn unwanted(ctx: &Context) -> Error {
    let spare = GRACE.min(ctx.remaining() / 10);
    let deadline = ctx.deadline() - spare;
    let mut lease = tokio::time::interval(LEASE_CHECK);
    loop {
        tokio::select! {
            () = ctx.cancellation().cancelled() => {}
            () = sleep_until(deadline) => return Error::new(Kind::Timeout, "finish before the deadline"),
            _ = lease.tick() => {}
        }
        if let Err(error) = ctx.check() {
            return error;
        }
    }
}

/// Reads some bytes; 0 at the end, and after an error, which a pipe has no other of.
async fn read_some<R: AsyncRead + Unpin>(pipe: &mut Option<R>, buffer: &mut [u8]) -> usize {
    match pipe {
        Some(pipe) => pipe.read(buffer).await.unwrap_or(0),
        None => 0,
    }
}

/// Why a hook failed: what it said itself, else the last thing that it printed, else how it ended.
fn failed(hook: Hook, status: ExitStatus, output: Output, report: &Report) -> Failure {
    let last_words =
        || report.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned);
    let killed = status.code().is_none().then(|| Ending(status).to_string());
    let reason =
        output.message.clone().or(killed).or_else(last_words).unwrap_or_else(|| Ending(status).to_string());
    let Output { port_taken, data_gone, .. } = output;
    Failure::Run { hook, status, reason, port_taken, data_gone }
}
