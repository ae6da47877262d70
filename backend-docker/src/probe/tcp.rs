//! Whether a port accepts connections.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{io::AsyncReadExt, net::TcpStream};

/// How long a published port is watched for being closed from behind.
const RESET_WATCH: Duration = Duration::from_millis(50);

/// Connects and hangs up.
pub(super) async fn probe(address: SocketAddr) -> Result<(), String> {
    connect(address).await.map(drop)
}

/// Whether a published port leads somewhere. The engine's proxy accepts before it knows, and hangs up at once if
/// nothing listens behind it, so an accepted connection is watched for a moment.
pub(super) async fn stays_open(address: SocketAddr) -> Result<(), String> {
    let mut stream = connect(address).await?;
    match tokio::time::timeout(RESET_WATCH, stream.read(&mut [0])).await {
        Ok(Ok(0)) => Err(format!("{address}: accepted and closed at once")),
        Ok(Err(error)) => Err(describe(address, &error)),
        // It spoke, or it waits for us to speak.
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

pub(super) async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|error| describe(address, &error))
}

pub(super) fn describe(address: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("{address}: connection refused"),
        io::ErrorKind::ConnectionReset => format!("{address}: connection reset"),
        _ => format!("{address}: {error}"),
    }
}
