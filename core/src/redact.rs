//! Taking secrets out of text that others wrote.

use std::fmt::Write as _;
use std::sync::Arc;

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

/// Takes known secrets out of any text: as they are, percent-encoded (RFC 3986), JSON-escaped (RFC 8259), and in
/// Base64. Texts shorter than [`Redactor::MIN`] are left alone: a password of "a" would blacken everything, and says
/// nothing about where it came from.
///
/// ```
/// use freehold_core::Redactor;
///
/// let redactor = Redactor::new(["p@ss word!"]);
/// assert_eq!(redactor.redact("postgres://u:p%40ss%20word%21@h/"), "postgres://u:***@h/");
/// ```
#[derive(Clone, Default)]
pub struct Redactor(Option<Arc<Patterns>>);

struct Patterns {
    automaton: AhoCorasick,
    longest: usize,
}

const MASK: &str = "***";

impl Redactor {
    /// The shortest text that is taken for a secret, in bytes.
    pub const MIN: usize = 4;

    /// A redactor for these secrets.
    #[must_use]
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut patterns: Vec<String> =
            secrets.into_iter().filter(|secret| secret.len() >= Self::MIN).flat_map(forms).collect();
        patterns.sort_unstable();
        patterns.dedup();
        let longest = patterns.iter().map(String::len).max().unwrap_or(0);
        if longest == 0 {
            return Self(None);
        }
        // The only failure is more patterns than a u32 can number.
        match AhoCorasick::builder()
            // Many are built and each reads little, so what is quick to build is quickest (a DFA would be built slowest).
            .kind(Some(AhoCorasickKind::NoncontiguousNFA))
            .match_kind(MatchKind::LeftmostLongest)
            .build(&patterns)
        {
            Ok(automaton) => Self(Some(Arc::new(Patterns { automaton, longest }))),
            Err(_) => Self(None),
        }
    }

    /// The text without the secrets.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        match &self.0 {
            None => text.to_owned(),
            Some(patterns) => {
                let mut clean = String::with_capacity(text.len());
                patterns.automaton.replace_all_with(text, &mut clean, |_, _, out| {
                    out.push_str(MASK);
                    true
                });
                clean
            }
        }
    }

    /// A redactor for bytes that come piece by piece: a secret cut by the boundary between two reads is found.
    #[must_use]
    pub fn stream(&self) -> RedactingStream {
        RedactingStream { redactor: self.clone(), held: Vec::new() }
    }
}

impl std::fmt::Debug for Redactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redactor(***)")
    }
}

/// Redacts bytes that come piece by piece. It holds back as many bytes as a secret may still need.
#[derive(Debug, Default)]
pub struct RedactingStream {
    redactor: Redactor,
    held: Vec<u8>,
}

impl RedactingStream {
    /// Takes the next bytes and gives those that are certain by now.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let Some(patterns) = self.redactor.0.as_ref() else {
            return std::mem::take(&mut self.held);
        };
        // A match that begins in the last `longest - 1` bytes may still grow, so those wait.
        let certain = self.held.len().saturating_sub(patterns.longest - 1);
        let mut clean = Vec::with_capacity(self.held.len());
        let mut done = 0;
        for found in patterns.automaton.find_iter(&self.held) {
            if found.start() >= certain {
                break;
            }
            clean.extend_from_slice(&self.held[done..found.start()]);
            clean.extend_from_slice(MASK.as_bytes());
            done = found.end();
        }
        if done < certain {
            clean.extend_from_slice(&self.held[done..certain]);
            done = certain;
        }
        self.held.drain(..done);
        clean
    }

    /// The bytes that were held back, when no more come.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        let Some(patterns) = self.redactor.0.as_ref() else { return self.held };
        let mut clean = Vec::with_capacity(self.held.len());
        patterns.automaton.replace_all_with_bytes(&self.held, &mut clean, |_, _, out| {
            out.extend_from_slice(MASK.as_bytes());
            true
        });
        clean
    }
}

/// The forms that a secret may take in text.
fn forms(secret: &str) -> Vec<String> {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    let mut all = vec![secret.to_owned(), percent_encoded(secret, false), percent_encoded(secret, true)];
    if let Ok(json) = serde_json::to_string(secret) {
        all.push(json[1..json.len() - 1].to_owned());
    }
    all.push(STANDARD.encode(secret));
    all.extend(secret.lines().map(str::trim).filter(|line| line.len() >= 8).map(str::to_owned));
    all
}

/// RFC 3986 section 2.1: everything but unreserved characters, with digits in the case that was asked for.
fn percent_encoded(text: &str, lower: bool) -> String {
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let written = if lower { write!(encoded, "%{byte:02x}") } else { write!(encoded, "%{byte:02X}") };
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_secret_is_found_wherever_the_reads_are_cut(
            secret in "[a-zA-Z0-9\"\\\\ %/+\n]{4,40}",
            before in "\\PC{0,20}",
            after in "\\PC{0,20}",
            cut in 1usize..20,
        ) {
            let redactor = Redactor::new([secret.as_str()]);
            for form in forms(&secret).iter().take(4) {
                let text = format!("{before}{form}{after}");
                prop_assert!(!redactor.redact(&text).contains(form.as_str()));
                let mut stream = redactor.stream();
                let mut clean = Vec::new();
                for piece in text.as_bytes().chunks(cut) {
                    clean.extend(stream.push(piece));
                }
                clean.extend(stream.finish());
                prop_assert_eq!(String::from_utf8_lossy(&clean), redactor.redact(&text));
            }
        }
    }

    #[test]
    fn very_short_texts_are_no_secrets() {
        assert_eq!(Redactor::new(["a", ""]).redact("banana"), "banana");
    }

    #[test]
    fn each_line_of_a_secret_of_many_lines_is_one() {
        let redactor = Redactor::new(["-----BEGIN-----\nabcdefghijkl\n-----END-----"]);
        assert_eq!(redactor.redact("key: abcdefghijkl!"), "key: ***!");
    }
}
