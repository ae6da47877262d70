//! Whether an HTTP server answers well. One request of HTTP/1.1 (RFC 9112) and the status line of its answer is all
//! that a probe needs, so there is no client behind it.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The longest status line that is read.
const STATUS_LINE: u64 = 256;

/// Asks for `path`; any status below 400 is well.
pub(super) async fn probe(address: SocketAddr, path: &str) -> Result<(), String> {
    let mut stream = super::tcp::connect(address).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUser-Agent: freehold\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.map_err(|error| format!("{address}: {error}"))?;
    let mut head = Vec::new();
    let mut stream = stream.take(STATUS_LINE);
    while !head.contains(&b'\n') {
        match stream.read_buf(&mut head).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Err(format!("{address}: {error}")),
        }
    }
    match status(&head) {
        Some(status) if status < 400 => Ok(()),
        Some(status) => Err(format!("answered {status}")),
        None => Err("did not answer in HTTP".into()),
    }
}

/// The status of `HTTP/1.1 200 OK`.
fn status(head: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\n').next()?).ok()?;
    let rest = line.strip_prefix("HTTP/1.")?;
    rest.split(' ').nth(1)?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_the_first_line() {
        assert_eq!(status(b"HTTP/1.1 204 No Content\r\nX: y\r\n"), Some(204));
        assert_eq!(status(b"HTTP/1.0 503\r\n"), Some(503));
        assert_eq!(status(b"SSH-2.0-OpenSSH_9.2\r\n"), None);
        assert_eq!(status(b""), None);
    }
}
