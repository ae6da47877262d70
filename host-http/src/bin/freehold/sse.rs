//! Reading server-sent events (HTML Living Standard, section 9.2): as much of it as our own host writes.

use crate::exit::{Failure, Result};

/// One event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Its name.
    pub(crate) name: String,
    /// What it carries.
    pub(crate) data: String,
}

/// Reads the events of a response.
#[derive(Debug)]
pub(crate) struct Events {
    response: reqwest::Response,
    parser: Parser,
}

impl Events {
    pub(crate) fn of(response: reqwest::Response) -> Self {
        Self { response, parser: Parser::default() }
    }

    /// The next event; nothing once the host has ended the stream.
    ///
    /// # Errors
    /// If the connection breaks.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.parser.next() {
                return Ok(Some(event));
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.parser.push(&chunk),
                Ok(None) => return Ok(None),
                Err(error) => return Err(Failure::unreachable(format!("read from the host: {error}"))),
            }
        }
    }
}

#[derive(Debug, Default)]
struct Parser {
    buffer: Vec<u8>,
}

impl Parser {
    fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event that is there whole. What has no data, as a comment that keeps the connection alive, is none.
    fn next(&mut self) -> Option<Event> {
        loop {
            let end = self.buffer.windows(2).position(|pair| pair == b"\n\n")?;
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let text = String::from_utf8_lossy(&block);
            let mut event = Event { name: "message".to_owned(), data: String::new() };
            for line in text.lines() {
                let (field, value) = line.split_once(':').unwrap_or((line, ""));
                let value = value.strip_prefix(' ').unwrap_or(value);
                match field {
                    "event" => value.clone_into(&mut event.name),
                    "data" if event.data.is_empty() => value.clone_into(&mut event.data),
                    "data" => event.data = format!("{}\n{value}", event.data),
                    _ => {}
                }
            }
            if !event.data.is_empty() {
                return Some(event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_whole_however_they_are_cut() {
        let text = ":\n\nevent:line\ndata:{\"a\":1}\nid:7\n\ndata: x\ndata: y\n\n";
        for size in 1..text.len() {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                parser.push(chunk);
                events.extend(std::iter::from_fn(|| parser.next()));
            }
            assert_eq!(events.len(), 2, "cut into {size} bytes");
            assert_eq!(events[0], Event { name: "line".into(), data: "{\"a\":1}".into() });
            assert_eq!(events[1], Event { name: "message".into(), data: "x\ny".into() });
        }
    }
}
