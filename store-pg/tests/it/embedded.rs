//! A server of the host's own, as whoever runs the tests and as an ordinary user.

mod download;
mod killed;
mod life;
mod repair;
mod rights;
mod scratch;

/// A folder for a server that asks for a password.
pub(crate) fn scratch() -> Option<scratch::Scratch> {
    scratch::Scratch::new()
}
