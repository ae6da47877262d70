//! What can go wrong between us and the engine, by the verb that failed, and the one place that maps it.

use std::{io, time::Duration};

use bollard::errors::Error as Bollard;
use freehold_core::{Detail, Error, Kind};
use ipnet::Ipv4Net;

/// A call to the engine that failed. It never leaves this crate: it becomes a [`freehold_core::Error`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    /// The engine answered with an error, or not at all.
    #[error("{verb} {thing}")]
    Call {
        /// What was asked, for instance `create container`.
        verb: &'static str,
        /// Of what.
        thing: String,
        /// The client's own error.
        source: Bollard,
    },
    /// The engine took longer than a single request may take.
    #[error("{verb} {thing}: the engine did not answer within {after:?}")]
    NoAnswer {
        /// What was asked.
        verb: &'static str,
        /// Of what.
        thing: String,
        /// How long we waited.
        after: Duration,
    },
    /// The engine says that a name is in use, and has nothing of that name, or something that is about to go.
    #[error(
        "{verb} {thing}: the engine says that the name is in use: it still does what an earlier request asked for"
    )]
    Busy {
        /// What was asked.
        verb: &'static str,
        /// Of what.
        thing: String,
    },
    /// There is no engine where we were told to look, or we may not speak to it.
    #[error("reach a Docker Engine at {address}: {way_out}")]
    Unreachable {
        /// Where we looked.
        address: String,
        /// What to do about it.
        way_out: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Something answers there that is no Docker Engine, or one that is too old.
    #[error("use what answers at {address} as a Docker Engine: {problem}")]
    Unfit {
        /// Where it answers.
        address: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The machine has the addresses of a network to be made on another interface already. The engine would make it all
    /// the same, and nothing in it could be reached from here.
    #[error(
        "create network {network}: this machine has addresses of {subnet} on {interface} already: remove that interface \
         (`ip link delete {interface}`) if nobody uses it, or give the target another pool of subnets"
    )]
    AddressesTaken {
        /// What was to be made.
        network: String,
        /// Its addresses.
        subnet: Ipv4Net,
        /// Where the machine has them.
        interface: String,
    },
    /// The call was cancelled, or its deadline passed.
    #[error(transparent)]
    Stopped(#[from] Error),
}

impl EngineError {
    /// The status that the engine answered with, if it did.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Call { source: Bollard::DockerResponseServerError { status_code, .. }, .. } => {
                Some(*status_code)
            }
            _ => None,
        }
    }

    /// Whether the engine says that there is no such thing.
    pub(crate) fn is_not_found(&self) -> bool {
        self.status() == Some(404)
    }

    /// Whether the engine says that the name is in use, or that the thing's present state does not allow it.
    pub(crate) fn is_conflict(&self) -> bool {
        self.status() == Some(409)
    }
}

impl From<EngineError> for Error {
    fn from(error: EngineError) -> Self {
        let text = error.to_string();
        match error {
            EngineError::Stopped(error) => error,
            EngineError::NoAnswer { .. } | EngineError::Busy { .. } => Self::new(Kind::Unavailable, text),
            EngineError::Unreachable { source, .. } => Self::new(Kind::Unavailable, text).because(source),
            EngineError::AddressesTaken { .. } => Self::new(Kind::Conflict, text),
            EngineError::Unfit { .. } => Self::new(Kind::Unsupported, text),
            EngineError::Call { source, .. } => match taken_port(&source) {
                Some(port) => Self::detailed(Detail::PortTaken { port }, text).because(source),
                None if is_away(&source) => {
                    Self::new(Kind::Unavailable, format!("{text}: no engine answers")).because(source)
                }
                None => Self::new(kind(&source), text).because(source),
            },
        }
    }
}

/// Errors of the engine by the caller's next move. A connection that broke and a 5xx may go better next time, but for a
/// registry that wants to know who asks: the engine passes that on as its own failure.
fn kind(error: &Bollard) -> Kind {
    match error {
        Bollard::DockerResponseServerError { message, .. }
        | Bollard::DockerStreamError { error: message }
            if wants_credentials(message) =>
        {
            Kind::InvalidInput
        }
        Bollard::DockerResponseServerError { status_code, .. } => match status_code {
            400 => Kind::InvalidInput,
            404 => Kind::NotFound,
            403 | 409 => Kind::Conflict,
            501 => Kind::Unsupported,
            500.. => Kind::Unavailable,
            _ => Kind::Internal,
        },
        Bollard::RequestTimeoutError
        | Bollard::HyperResponseError { .. }
        | Bollard::HyperLegacyError { .. }
        | Bollard::IOError { .. }
        | Bollard::DockerStreamError { .. }
        | Bollard::SocketNotFoundError(_) => Kind::Unavailable,
        _ => Kind::Internal,
    }
}

/// Whether nobody took the connection.
fn is_away(error: &Bollard) -> bool {
    matches!(error, Bollard::HyperLegacyError { err } if err.is_connect())
}

fn wants_credentials(message: &str) -> bool {
    ["no basic auth credentials", "authentication required", "unauthorized"]
        .iter()
        .any(|sentence| message.contains(sentence))
}

/// The host port that somebody else holds, if that is what the engine complains about. It has no code of its own for
/// that, only two sentences: its own allocator's and the kernel's.
fn taken_port(error: &Bollard) -> Option<u16> {
    let Bollard::DockerResponseServerError { message, .. } = error else { return None };
    let (before, _) = ["port is already allocated", "address already in use"]
        .into_iter()
        .find_map(|sentence| message.split_once(sentence))?;
    // "… Bind for 127.0.0.1:20000 failed: port is already allocated", "… listen tcp4 127.0.0.1:20000: bind: address …"
    before.split([' ', ',']).rev().find_map(|word| {
        let (_, port) = word.trim_end_matches(':').rsplit_once(':')?;
        port.parse().ok().filter(|port| *port != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status_code: u16, message: &str) -> Error {
        let source = Bollard::DockerResponseServerError { status_code, message: message.into() };
        EngineError::Call { verb: "start container", thing: "x".into(), source }.into()
    }

    #[test]
    fn both_sentences_about_a_taken_port_name_the_port() {
        for message in [
            "driver failed programming external connectivity on endpoint db (5b0c): Bind for 127.0.0.1:20001 failed: port is already allocated",
            "driver failed programming external connectivity on endpoint db (5b0c): Error starting userland proxy: listen tcp4 127.0.0.1:20001: bind: address already in use",
            "driver failed: Bind for [::1]:20001 failed: port is already allocated",
        ] {
            assert_eq!(answer(500, message).detail(), Some(&Detail::PortTaken { port: 20001 }), "{message}");
        }
    }

    #[test]
    fn an_engine_in_trouble_may_be_asked_again_and_a_wrong_request_may_not() {
        assert!(answer(500, "driver failed").kind().is_retryable());
        assert!(answer(503, "starting").kind().is_retryable());
        assert_eq!(answer(400, "bad").kind(), Kind::InvalidInput);
        assert_eq!(answer(500, "Head …: no basic auth credentials").kind(), Kind::InvalidInput);
        assert_eq!(answer(409, "in use").kind(), Kind::Conflict);
    }
}
