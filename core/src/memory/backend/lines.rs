//! What services print: kept, bounded, and handed on.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::OnceLock,
};

use time::OffsetDateTime;
use tokio::sync::{broadcast, mpsc};

use crate::{
    error::Result,
    names::ServiceName,
    provisioner::{LogLine, LogRequest, LogStream},
    redact::Redactor,
};

/// How many lines of a project are kept, and how many a slow reader may be behind.
const KEPT: usize = 1000;
/// How many lines wait for a reader.
const CHANNEL: usize = 64;

/// The lines of one project.
#[derive(Debug)]
pub(super) struct Lines {
    kept: VecDeque<LogLine>,
    /// There once somebody follows: it holds all its places from the beginning.
    new: OnceLock<broadcast::Sender<LogLine>>,
}

impl Lines {
    pub(super) fn new() -> Self {
        Self { kept: VecDeque::new(), new: OnceLock::new() }
    }

    /// A service prints a line.
    pub(super) fn print(&mut self, at: OffsetDateTime, service: &ServiceName, line: &str) {
        let line = LogLine {
            service: service.clone(),
            at: Some(at),
            stream: LogStream::Stdout,
            line: line.to_owned(),
        };
        if let Some(new) = self.new.get() {
            // Nobody follows any more: it is kept all the same.
            let _ = new.send(line.clone());
        }
        self.kept.push_back(line);
        if self.kept.len() > KEPT {
            self.kept.pop_front();
        }
    }

    /// The lines that are kept, and those to come if they are asked for.
    pub(super) fn read(&self, request: &LogRequest, redactor: Redactor) -> mpsc::Receiver<Result<LogLine>> {
        let past = self.tail(request);
        let new = request.follow.then(|| self.new.get_or_init(|| broadcast::Sender::new(KEPT)).subscribe());
        let services = request.services.clone();
        let (sender, receiver) = mpsc::channel(CHANNEL);
        tokio::spawn(async move {
            // Either function ends early when the reader is gone, and then there is nothing left to do.
            if hand_on(past, &sender, &redactor).await.is_some()
                && let Some(new) = new
            {
                follow(new, &services, &sender, &redactor).await;
            }
        });
        receiver
    }

    /// The newest lines of each service that is asked for.
    fn tail(&self, request: &LogRequest) -> Vec<LogLine> {
        let mut taken: BTreeMap<&ServiceName, u32> = BTreeMap::new();
        let mut lines: Vec<LogLine> = Vec::new();
        for line in self.kept.iter().rev().filter(|line| is_wanted(&request.services, line)) {
            let taken = taken.entry(&line.service).or_default();
            if request.tail.is_none_or(|tail| *taken < tail) {
                *taken += 1;
                lines.push(line.clone());
            }
        }
        lines.reverse();
        lines
    }
}

fn is_wanted(services: &[ServiceName], line: &LogLine) -> bool {
    services.is_empty() || services.contains(&line.service)
}

type Sender = mpsc::Sender<Result<LogLine>>;

async fn hand_on(lines: Vec<LogLine>, to: &Sender, redactor: &Redactor) -> Option<()> {
    for line in lines {
        to.send(Ok(redacted(line, redactor))).await.ok()?;
    }
    Some(())
}

async fn follow(
    mut new: broadcast::Receiver<LogLine>,
    services: &[ServiceName],
    to: &Sender,
    redactor: &Redactor,
) {
    loop {
        let line = tokio::select! {
            () = to.closed() => return,
            line = new.recv() => line,
        };
        match line {
            Ok(line) if is_wanted(services, &line) => {
                if to.send(Ok(redacted(line, redactor))).await.is_err() {
                    return;
                }
            }
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

fn redacted(line: LogLine, redactor: &Redactor) -> LogLine {
    LogLine { line: redactor.redact(&line.line), ..line }
}
