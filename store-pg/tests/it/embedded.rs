//! A server of the host's own, as whoever runs the tests and as an ordinary user.

mod download;
mod killed;
mod life;
mod rights;
mod scratch;
