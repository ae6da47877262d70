//! What a backend ran and what it printed: bounded, and free of secrets.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::redact::{RedactingStream, Redactor};

/// What a backend call ran and printed. Make one with a [`ReportBuilder`], which redacts and bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The newest 64 KiB of standard output.
    pub stdout: String,
    /// The newest 64 KiB of standard error.
    pub stderr: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

/// How many bytes of each stream a report keeps: the newest.
pub const REPORT_LIMIT: usize = 64 * 1024;

/// Collects what a backend call prints, redacting as it comes and keeping only the newest.
///
/// ```
/// use freehold_core::{Redactor, report::ReportBuilder};
///
/// let mut report = ReportBuilder::new(&Redactor::new(["hunter2hunter2"]));
/// report.stdout(b"the password is hunter2");
/// report.stdout(b"hunter2\n");
/// assert_eq!(report.finish().stdout, "the password is ***\n");
/// ```
#[derive(Debug)]
pub struct ReportBuilder {
    stdout: Tail,
    stderr: Tail,
    started: tokio::time::Instant,
}

impl ReportBuilder {
    /// A report that begins now.
    #[must_use]
    pub fn new(redactor: &Redactor) -> Self {
        Self {
            stdout: Tail::new(redactor),
            stderr: Tail::new(redactor),
            started: tokio::time::Instant::now(),
        }
    }

    /// Adds bytes of standard output.
    pub fn stdout(&mut self, bytes: &[u8]) {
        self.stdout.push(bytes);
    }

    /// Adds bytes of standard error.
    pub fn stderr(&mut self, bytes: &[u8]) {
        self.stderr.push(bytes);
    }

    /// The report, with the time that has passed.
    #[must_use]
    pub fn finish(self) -> Report {
        let elapsed: Duration = self.started.elapsed();
        Report {
            stdout: self.stdout.finish(),
            stderr: self.stderr.finish(),
            duration_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// The newest bytes of one redacted stream.
#[derive(Debug)]
struct Tail {
    stream: RedactingStream,
    kept: Vec<u8>,
    cut: bool,
}

impl Tail {
    fn new(redactor: &Redactor) -> Self {
        Self { stream: redactor.stream(), kept: Vec::new(), cut: false }
    }

    fn push(&mut self, bytes: &[u8]) {
        let clean = self.stream.push(bytes);
        self.keep(&clean);
    }

    fn keep(&mut self, clean: &[u8]) {
        self.kept.extend_from_slice(clean);
        if self.kept.len() > 2 * REPORT_LIMIT {
            self.cut_to_limit();
        }
    }

    fn cut_to_limit(&mut self) {
        let surplus = self.kept.len().saturating_sub(REPORT_LIMIT);
        self.cut |= surplus > 0;
        self.kept.drain(..surplus);
    }

    fn finish(mut self) -> String {
        let rest = std::mem::take(&mut self.stream).finish();
        self.keep(&rest);
        self.cut_to_limit();
        // A cut may fall inside a character: begin at the next one (UTF-8 continuation bytes are 10xxxxxx).
        let start =
            if self.cut { self.kept.iter().position(|byte| byte & 0xC0 != 0x80).unwrap_or(0) } else { 0 };
        // NUL is legal in UTF-8 and refused by PostgreSQL's text type.
        String::from_utf8_lossy(&self.kept[start..]).replace('\0', "\u{fffd}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_report_keeps_the_newest_bytes_and_whole_characters() {
        let mut report = ReportBuilder::new(&Redactor::default());
        report.stdout("ä".repeat(REPORT_LIMIT).as_bytes());
        report.stdout(b"x");
        let stdout = report.finish().stdout;
        assert!(stdout.ends_with("äx") && stdout.len() <= REPORT_LIMIT && !stdout.contains('\u{fffd}'));
    }
}
