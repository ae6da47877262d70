//! A socket before the engine's own that counts the requests that go through.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
};

/// Requests by method and path, ids and names left out: `POST /containers/_/start`.
pub(crate) type Counts = BTreeMap<String, usize>;

/// Counts requests.
pub(crate) struct Counter {
    counts: Arc<Mutex<Counts>>,
    address: String,
}

impl Counter {
    /// A counting socket in `folder`, before the engine's at `engine`.
    pub(crate) fn before(engine: &str, folder: &Path) -> Self {
        let path = folder.join("counted.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let counts = Arc::new(Mutex::new(Counts::new()));
        let engine = PathBuf::from(engine.strip_prefix("unix://").unwrap());
        tokio::spawn({
            let counts = Arc::clone(&counts);
            async move {
                while let Ok((client, _)) = listener.accept().await {
                    tokio::spawn(pass_on(client, engine.clone(), Arc::clone(&counts)));
                }
            }
        });
        Self { counts, address: format!("unix://{}", path.display()) }
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// What was counted since it was last taken.
    pub(crate) fn take(&self) -> Counts {
        std::mem::take(&mut *self.counts.lock().unwrap())
    }
}

async fn pass_on(mut client: UnixStream, engine: PathBuf, counts: Arc<Mutex<Counts>>) {
    let Ok(mut engine) = UnixStream::connect(engine).await else { return };
    let (mut from_client, mut to_client) = client.split();
    let (mut from_engine, mut to_engine) = engine.split();
    let requests = async {
        let (mut buffer, mut line) = ([0; 16 * 1024], Vec::new());
        while let Ok(read @ 1..) = from_client.read(&mut buffer).await {
            for byte in &buffer[..read] {
                line.push(*byte);
                if *byte == b'\n' {
                    if let Some(request) = request(&line) {
                        *counts.lock().unwrap().entry(request).or_default() += 1;
                    }
                    line.clear();
                }
            }
            if to_engine.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
        // A client that only listens any more has said so.
        let _ = to_engine.shutdown().await;
    };
    let answers = async {
        let _ = tokio::io::copy(&mut from_engine, &mut to_client).await;
        let _ = to_client.shutdown().await;
    };
    tokio::join!(requests, answers);
}

/// The request that a line begins, if it begins one. What went before it without an end of line is the last one's body.
fn request(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?.trim_end().strip_suffix(" HTTP/1.1")?;
    let (before, target) = line.rsplit_once(' ')?;
    let method =
        ["GET", "POST", "PUT", "DELETE", "HEAD"].into_iter().find(|method| before.ends_with(method))?;
    let path = target.split('?').next()?;
    let mut parts: Vec<_> = path.split('/').skip(1).filter(|part| !part.starts_with("v1.")).collect();
    let is_name = |kind: &str, part: &str| match kind {
        "containers" => part != "create" && part != "json",
        "networks" | "volumes" => part != "create",
        "exec" => true,
        "images" => part != "create",
        _ => false,
    };
    if let [kind, name, ..] = parts[..]
        && is_name(kind, name)
    {
        let last = parts.last().copied().filter(|last| parts.len() > 2 && *last != name);
        parts = [kind, "_"].into_iter().chain(last).collect();
    }
    Some(format!("{method} /{}", parts.join("/")))
}

#[test]
fn requests_are_told_apart_by_what_they_do_and_not_by_whom_they_concern() {
    let told = [
        (&b"GET /v1.41/containers/json?all=true HTTP/1.1\r\n"[..], Some("GET /containers/json")),
        (b"{\"Env\":[]}POST /containers/0a1b/start HTTP/1.1\r\n", Some("POST /containers/_/start")),
        (b"DELETE /volumes/fh-x-data HTTP/1.1\r\n", Some("DELETE /volumes/_")),
        (b"GET /images/freehold-test/postgres:1/json HTTP/1.1\r\n", Some("GET /images/_/json")),
        (b"host: localhost\r\n", None),
    ];
    for (line, expected) in told {
        assert_eq!(request(line).as_deref(), expected);
    }
}
