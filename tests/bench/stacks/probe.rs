//! Asking a service whether it is ready, as the manifest says how.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// How a service is asked.
#[derive(Clone, Debug)]
pub(crate) enum Probe {
    Http {
        port: u16,
        path: String,
    },
    Tcp {
        port: u16,
    },
    /// The server asks for a password, and so lets people in.
    Postgres {
        port: u16,
    },
}

impl Probe {
    /// From the manifest.
    pub(crate) fn of(said: &toml::Value) -> Self {
        let port = u16::try_from(said["port"].as_integer().unwrap()).unwrap();
        match said["kind"].as_str().unwrap() {
            "http" => {
                let path = said.get("path").and_then(toml::Value::as_str).unwrap_or("/").to_owned();
                Self::Http { port, path }
            }
            "tcp" => Self::Tcp { port },
            "postgres" => Self::Postgres { port },
            other => panic!("no probe of the kind {other}"),
        }
    }

    /// Returns once the service answers well, asking again after each pause.
    pub(crate) async fn answered(&self, address: &str, pause: Duration) {
        while self.ask(address).await.is_none() {
            tokio::time::sleep(pause).await;
        }
    }

    async fn ask(&self, address: &str) -> Option<()> {
        let port = match self {
            Self::Http { port, .. } | Self::Tcp { port } | Self::Postgres { port } => *port,
        };
        let mut stream = TcpStream::connect((address, port)).await.ok()?;
        match self {
            Self::Tcp { .. } => Some(()),
            Self::Http { path, .. } => {
                let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
                stream.write_all(request.as_bytes()).await.ok()?;
                let mut head = [0; 12];
                stream.read_exact(&mut head).await.ok()?;
                (head.starts_with(b"HTTP/1.") && head[9] == b'2').then_some(())
            }
            Self::Postgres { .. } => {
                // Length, version 3.0, parameters, end.
                let parameters = b"user\0postgres\0database\0postgres\0\0";
                let length = u32::try_from(8 + parameters.len()).unwrap();
                let mut message = length.to_be_bytes().to_vec();
                message.extend(196_608_u32.to_be_bytes());
                message.extend(parameters);
                stream.write_all(&message).await.ok()?;
                // `R` asks for the password; `E` is an error, for instance that it is starting up.
                (stream.read_u8().await.ok()? == b'R').then_some(())
            }
        }
    }
}
