//! A command line as words, as a POSIX shell splits it (Shell Command Language, 2.2 "Quoting"), without anything else that
//! a shell does: Compose reads `command` and `entrypoint` so when they are one string.

/// The words of a line; `None` if a quote is not closed.
pub(crate) fn split(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        match c {
            ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '\'' => break,
                        c => word.push(c),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match characters.next()? {
                        '"' => break,
                        '\\' => match characters.next()? {
                            '\n' => {}
                            c @ ('"' | '\\' | '$' | '`') => word.push(c),
                            c => word.extend(['\\', c]),
                        },
                        c => word.push(c),
                    }
                }
            }
            '\\' => match characters.next() {
                Some('\n') => {}
                Some(c) => word.get_or_insert_default().push(c),
                None => word.get_or_insert_default().push('\\'),
            },
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn words_are_split_as_a_shell_splits_them() {
        for (line, words) in [
            ("", vec![]),
            ("postgres -c x=1", vec!["postgres", "-c", "x=1"]),
            ("  a\n\tb  ", vec!["a", "b"]),
            (r#"sh -c "echo \"hi\" && exit 0""#, vec!["sh", "-c", r#"echo "hi" && exit 0"#]),
            (r"a\ b 'c d'e ''", vec!["a b", "c de", ""]),
            (r#"'a\b' "a\b""#, vec![r"a\b", r"a\b"]),
            ("bash -c 'eval \"x\" > ~/kong.yml && go'", vec!["bash", "-c", "eval \"x\" > ~/kong.yml && go"]),
        ] {
            assert_eq!(split(line).unwrap(), words, "{line}");
        }
        assert_eq!((split("a 'b"), split("\"a")), (None, None));
    }

    proptest! {
        #[test]
        fn quoted_words_come_back(words in proptest::collection::vec("(?s).{0,20}", 0..6)) {
            let line: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
            prop_assert_eq!(split(&line.join(" ")).unwrap(), words);
        }
    }
}
