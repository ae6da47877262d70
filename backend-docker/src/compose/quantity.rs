//! Numbers with units.

use std::time::Duration;

/// How durations are written, for messages.
pub(crate) const DURATION: &str = "a duration like 30s, 1m30s or 500ms";
/// How sizes are written, for messages.
pub(crate) const BYTES: &str = "a size like 64m, 512kb or 2g";

/// A duration (Compose specification, chapter 11, "Specifying durations"): numbers with the units `us`, `ms`, `s`, `m` and
/// `h`, one behind the other. Zero needs no unit.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = split_number(rest)?;
        let unit_ends = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_ends);
        let seconds = match unit {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total = total.checked_add(Duration::try_from_secs_f64(number * seconds).ok()?)?;
        rest = after;
    }
    (!text.is_empty()).then_some(total)
}

/// A size (Compose specification, chapter 11, "Specifying byte values"): a number and `b`, `k`, `m` or `g`, each also with
/// a `b` behind it and in either case; without a unit, bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let factor = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1_u64,
        "k" | "kb" => 1 << 10,
        "m" | "mb" => 1 << 20,
        "g" | "gb" => 1 << 30,
        _ => return None,
    };
    let size = number * factor as f64;
    (size < u64::MAX as f64).then_some(size as u64)
}

fn split_number(text: &str) -> Option<(f64, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    Some((number.parse().ok()?, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_those_of_the_specification() {
        for (text, milliseconds) in [
            ("10ms", 10),
            ("40s", 40_000),
            ("1m30s", 90_000),
            ("1h5m30s20ms", 3_930_020),
            ("1.5s", 1500),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "10", "s", "5 s", "-1s", "1d", "1s2", "1..s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_those_of_the_specification() {
        for (text, size) in [
            ("2b", 2),
            ("1024kb", 1 << 20),
            ("300m", 300 << 20),
            ("1gb", 1 << 30),
            ("1.5G", 3 << 29),
            ("64", 64),
        ] {
            assert_eq!(bytes(text), Some(size), "{text}");
        }
        for text in ["", "m", "-1m", "1t", "1 m"] {
            assert_eq!(bytes(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whole_seconds_come_back(hours in 0_u64..1000, minutes in 0_u64..60, seconds in 1_u64..60) {
            let text = format!("{hours}h{minutes}m{seconds}s");
            prop_assert_eq!(duration(&text), Some(Duration::from_secs(hours * 3600 + minutes * 60 + seconds)));
        }

        #[test]
        fn no_text_makes_them_panic(text in "\\PC{0,20}|[0-9.smhgb]{0,20}") {
            let _ = (duration(&text), bytes(&text));
        }
    }
}
