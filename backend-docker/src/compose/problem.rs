//! What is wrong with a file of a stack, and where.

use std::fmt;

use freehold_core::{Error, Kind};

/// The result of reading a file of a stack.
pub(crate) type Result<T, E = Problem> = std::result::Result<T, E>;

/// What is wrong, as compilers say it: `docker-compose.yml:12: services.db.ports[0]: …`. The message shows what stands
/// in the file, never what a variable came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    file: String,
    line: Option<usize>,
    key: Option<String>,
    message: String,
}

impl Problem {
    /// Something wrong with a file as a whole.
    pub(crate) fn of_file(file: impl Into<String>, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: None, key: None, message: message.into() }
    }

    /// Something wrong on a line.
    pub(crate) fn on_line(file: impl Into<String>, line: usize, message: impl Into<String>) -> Self {
        Self { file: file.into(), line: Some(line), key: None, message: message.into() }
    }

    /// Names the key, for instance `services.db.image`.
    pub(crate) fn at_key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ": {key}")?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::new(Kind::InvalidInput, problem.to_string())
    }
}
