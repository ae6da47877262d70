//! Events to many who follow them over HTTP.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    sync::mpsc,
};

use crate::world::World;

/// How many commands are told to all.
const COMMANDS: usize = 20;

/// Lets so many follow, and says how long it takes until all of them know of a command.
pub(crate) async fn run(world: &World, address: SocketAddr, token: &str, followers: usize) -> String {
    let host = &world.hosts[0];
    let mut after = 0;
    loop {
        let events = host.events(after, 1_000).await.unwrap().events;
        match events.last() {
            Some(last) => after = last.sequence,
            None => break,
        }
    }
    let (heard, mut hearing) = mpsc::unbounded_channel();
    for _ in 0..followers {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "GET /api/freehold/v1/events/stream?after={after} HTTP/1.1\r\nHost: localhost\r\n\
             Authorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        let status = lines.next_line().await.unwrap().unwrap();
        assert!(status.contains(" 200 "), "{status}");
        let heard = heard.clone();
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.starts_with("event:") && line.ends_with("amended") {
                    heard.send(Instant::now()).unwrap();
                }
            }
        });
    }
    let (mut first, mut all) = (Vec::new(), Vec::new());
    for number in 0..COMMANDS {
        let name = format!("told to all {number}").parse().unwrap();
        host.rename(&world.projects[number], name).await.unwrap();
        let committed = Instant::now();
        for follower in 0..followers {
            let at = hearing.recv().await.unwrap().saturating_duration_since(committed);
            if follower == 0 {
                first.push(at);
            }
            if follower + 1 == followers {
                all.push(at);
            }
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    format!(
        "{followers} follow the events: the first knows of a new name {:.0} ms after its commit, the last {:.0} ms \
         (medians of {COMMANDS})",
        median(&mut first),
        median(&mut all)
    )
}
