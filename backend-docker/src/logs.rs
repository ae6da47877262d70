//! What services print: lines of all of them in one bounded channel, demultiplexed, timed and redacted.

use bollard::{
    container::LogOutput,
    query_parameters::{LogsOptions, LogsOptionsBuilder},
};
use freehold_core::{Error, Kind, LogLine, LogRequest, LogStream, Redactor, Result, ServiceName};
use futures_util::StreamExt;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::sync::mpsc;

use crate::engine::Engine;

/// How many lines wait for a slow reader; the engine keeps the rest.
const BACKLOG: usize = 256;

/// The longest line that is passed on in one piece.
const LONGEST_LINE: usize = 64 * 1024;

/// Reads the logs of these containers until their ends, or for as long as the receiver lives if it is to follow.
pub(crate) fn read(
    engine: &Engine,
    containers: Vec<(ServiceName, String)>,
    request: &LogRequest,
    redactor: &Redactor,
) -> mpsc::Receiver<Result<LogLine>> {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    for (service, id) in containers {
        let reader = Reader { service, redactor: redactor.clone(), sender: sender.clone() };
        tokio::spawn(reader.read(engine.clone(), id, options(request)));
    }
    receiver
}

fn options(request: &LogRequest) -> LogsOptions {
    let tail = request.tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .timestamps(true)
        .follow(request.follow)
        .tail(&tail)
        .build()
}

struct Reader {
    service: ServiceName,
    redactor: Redactor,
    sender: mpsc::Sender<Result<LogLine>>,
}

impl Reader {
    async fn read(self, engine: Engine, id: String, options: LogsOptions) {
        let mut output = std::pin::pin!(engine.client().logs(&id, Some(options)));
        let (mut out, mut err) = (Lines::default(), Lines::default());
        loop {
            let next = tokio::select! {
                () = self.sender.closed() => return,
                next = output.next() => next,
            };
            let (stream, lines) = match next {
                Some(Ok(LogOutput::StdErr { message })) => (LogStream::Stderr, err.push(&message)),
                Some(Ok(other)) => (LogStream::Stdout, out.push(other.as_ref())),
                Some(Err(error)) => {
                    let message = format!("read the log of {}", self.service);
                    let _ =
                        self.sender.send(Err(Error::new(Kind::Unavailable, message).because(error))).await;
                    return;
                }
                None => break,
            };
            for line in lines {
                self.send(stream, &line).await;
            }
        }
        for (stream, rest) in [(LogStream::Stdout, out.0), (LogStream::Stderr, err.0)] {
            if !rest.is_empty() {
                self.send(stream, &rest).await;
            }
        }
    }

    async fn send(&self, stream: LogStream, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let (at, text) = timed(line.trim_end_matches(['\r', '\n']));
        let line = LogLine { service: self.service.clone(), at, stream, line: self.redactor.redact(text) };
        // A reader that went away is noticed in `read`.
        let _ = self.sender.send(Ok(line)).await;
    }
}

/// Bytes that wait for the end of their line.
#[derive(Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        self.0.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(end) = self.0.iter().position(|byte| *byte == b'\n') {
            lines.push(self.0.drain(..=end).collect());
        }
        if self.0.len() > LONGEST_LINE {
            lines.push(std::mem::take(&mut self.0));
        }
        lines
    }
}

/// The engine writes its own time before each line: `2026-11-23T10:00:00.123456789Z text`.
fn timed(line: &str) -> (Option<OffsetDateTime>, &str) {
    match line.split_once(' ').unwrap_or((line, "")) {
        (at, text) if OffsetDateTime::parse(at, &Rfc3339).is_ok() => {
            (OffsetDateTime::parse(at, &Rfc3339).ok(), text)
        }
        _ => (None, line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_whole_however_it_was_cut() {
        let mut lines = Lines::default();
        assert!(lines.push(b"one li").is_empty());
        assert_eq!(lines.push(b"ne\ntwo\nthr"), [b"one line\n".to_vec(), b"two\n".to_vec()]);
        assert_eq!(lines.0, b"thr");
    }

    #[test]
    fn the_engines_time_is_taken_off_the_line() {
        let (at, text) = timed("2026-11-23T10:00:00.123456789Z hello world");
        assert_eq!((at.unwrap().unix_timestamp(), text), (1_795_428_000, "hello world"));
        assert_eq!(timed("no time here"), (None, "no time here"));
        assert!(timed("2026-11-23T10:00:00Z").0.is_some());
    }
}
