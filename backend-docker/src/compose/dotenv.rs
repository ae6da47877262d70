//! `.env` files as Compose reads them (<https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax>).
//!
//! A value without quotes ends at the end of its line or before ` #`; in single quotes it is taken as it stands; in
//! double quotes `\n`, `\r`, `\t`, `\"`, `\\` and `\$` are escapes. Both kinds of quotes may span lines. Variables in values
//! are replaced but for single quotes. A line with a name alone takes the value from outside, if there is one.

use std::collections::BTreeMap;

use super::{
    interpolate::interpolate,
    problem::{Problem, Result},
};

const NO_TEMPLATE: &str = "a '$' in its value names no variable, or one that is required and not set: write '$$' for a \
                           dollar sign, or use single quotes";

/// A parsed file: its lines in order, their variables not yet replaced.
#[derive(Clone, Default)]
pub(crate) struct DotEnv {
    file: String,
    assignments: Vec<Assignment>,
}

#[derive(Clone)]
struct Assignment {
    name: String,
    line: usize,
    value: Written,
}

#[derive(Clone, PartialEq, Eq)]
enum Written {
    /// As it stands.
    Literal(String),
    /// With variables.
    Template(String),
    /// Not at all: the value comes from outside.
    Outside,
}

/// What happens to a name that the file and the outside both give a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precedence {
    /// The outside wins: a stack's `.env`.
    Outside,
    /// The file wins: a service's `env_file`.
    File,
}

impl DotEnv {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Names the line, never the value.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self> {
        let mut rest = Rest { file, text: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
        let mut assignments = Vec::new();
        while rest.skip_to_statement() {
            assignments.push(rest.assignment()?);
        }
        Ok(Self { file: file.to_owned(), assignments })
    }

    /// The names that the file gives a value, in its order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.assignments.iter().map(|assignment| assignment.name.as_str())
    }

    /// The names that this file and another set otherwise, or only one of them sets.
    pub(crate) fn differing(&self, other: &Self) -> Vec<String> {
        let set = |env: &Self| -> BTreeMap<String, Written> {
            env.assignments.iter().map(|line| (line.name.clone(), line.value.clone())).collect()
        };
        let (ours, theirs) = (set(self), set(other));
        let mut names: Vec<_> = ours.keys().chain(theirs.keys()).cloned().collect();
        names.sort();
        names.dedup();
        names.retain(|name| ours.get(name) != theirs.get(name));
        names
    }

    /// The file's variables, each with the variables of its value replaced: by those before it in the file and those from
    /// outside.
    ///
    /// # Errors
    /// Names the line of a value that is no template.
    pub(crate) fn evaluate(
        &self,
        outside: &BTreeMap<String, String>,
        precedence: Precedence,
    ) -> Result<BTreeMap<String, String>> {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for Assignment { name, line, value } in &self.assignments {
            let value = match (value, outside.get(name)) {
                (_, Some(outside)) if precedence == Precedence::Outside => outside.clone(),
                (Written::Outside, Some(outside)) => outside.clone(),
                (Written::Outside, None) => continue,
                (Written::Literal(text), _) => text.clone(),
                (Written::Template(template), _) => {
                    let lookup = |name: &str| values.get(name).or_else(|| outside.get(name)).cloned();
                    let value = interpolate(template, &lookup);
                    // What is wrong with it could show a part of the value.
                    value.map_err(|_| Problem::on_line(&self.file, *line, NO_TEMPLATE).at_key(name))?
                }
            };
            values.insert(name.clone(), value);
        }
        Ok(values)
    }
}

/// What is still to be read.
struct Rest<'a> {
    file: &'a str,
    text: &'a str,
    line: usize,
}

impl<'a> Rest<'a> {
    fn advance(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.text.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.text = rest;
        taken
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem::on_line(self.file, self.line, message)
    }

    /// Skips white space and comments; whether anything is left.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            self.advance(self.text.len() - self.text.trim_start().len());
            if !self.text.starts_with('#') {
                return !self.text.is_empty();
            }
            self.advance(self.text.find('\n').unwrap_or(self.text.len()));
        }
    }

    fn assignment(&mut self) -> Result<Assignment> {
        if let Some(after) = self.text.strip_prefix("export").filter(|after| after.starts_with([' ', '\t'])) {
            self.advance(self.text.len() - after.trim_start_matches([' ', '\t']).len());
        }
        let line = self.line;
        let end = self.text.find(['=', ':', '\n']).unwrap_or(self.text.len());
        let name = self.advance(end).trim_end();
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'[' | b']');
        if name.is_empty() || !name.bytes().all(legal) {
            let message =
                "no assignment: write NAME=value, NAME made of letters, digits, '_', '.', '-', '[' and ']'";
            return Err(Problem::on_line(self.file, line, message));
        }
        let value = if self.text.is_empty() || self.text.starts_with('\n') {
            Written::Outside
        } else {
            self.advance(1);
            let blank = self.text.len() - self.text.trim_start_matches([' ', '\t', '\r']).len();
            self.advance(blank);
            self.value(blank > 0)?
        };
        Ok(Assignment { name: name.to_owned(), line, value })
    }

    fn value(&mut self, blank_before: bool) -> Result<Written> {
        match self.text.chars().next() {
            Some(quote @ ('\'' | '"')) => {
                self.advance(1);
                let end = closing_quote(self.text, quote)
                    .ok_or_else(|| self.problem(format!("a value without its closing {quote}")))?;
                let inside = self.advance(end);
                self.advance(1);
                self.end_of_quoted()?;
                Ok(if quote == '"' {
                    Written::Template(unescape(inside))
                } else {
                    Written::Literal(inside.to_owned())
                })
            }
            _ => {
                let end = self.text.find('\n').unwrap_or(self.text.len());
                let value = self.advance(end);
                if blank_before && value.starts_with('#') {
                    return Ok(Written::Literal(String::new()));
                }
                let comment = [" #", "\t#"].iter().filter_map(|mark| value.find(mark)).min();
                let value = comment.map_or(value, |comment| &value[..comment]);
                Ok(Written::Template(value.trim_end().to_owned()))
            }
        }
    }

    /// Behind a quoted value nothing but a comment may stand.
    fn end_of_quoted(&mut self) -> Result<()> {
        let end = self.text.find('\n').unwrap_or(self.text.len());
        let tail = self.text[..end].trim();
        if !tail.is_empty() && !tail.starts_with('#') {
            return Err(
                self.problem("something stands behind the closing quote: a quote inside is written \\\"")
            );
        }
        self.advance(end);
        Ok(())
    }
}

/// Where the quote stands that ends a value. In double quotes a backslash hides the character behind it.
fn closing_quote(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => return Some(index),
            _ => {}
        }
    }
    None
}

/// Replaces the escapes of a value in double quotes; what comes out is a template.
fn unescape(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        if c != '\\' {
            result.push(c);
            continue;
        }
        match characters.next() {
            Some('n') => result.push('\n'),
            Some('r') => result.push('\r'),
            Some('t') => result.push('\t'),
            Some('$') => result.push_str("$$"),
            Some(c @ ('"' | '\\')) => result.push(c),
            Some(other) => result.extend(['\\', other]),
            None => result.push('\\'),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<BTreeMap<String, String>> {
        DotEnv::parse(".env", text)?.evaluate(&BTreeMap::new(), Precedence::Outside)
    }

    fn value(text: &str) -> String {
        read(text).unwrap().remove("A").unwrap()
    }

    #[test]
    fn the_names_that_two_files_set_otherwise_are_told_whatever_their_order_and_comments() {
        let parse = |text| DotEnv::parse(".env", text).unwrap();
        let one = parse("A=1\nB=two\nC='$x'\n# of old\nD=4\n");
        assert_eq!(one.differing(&parse("D=4\nC='$x'\nB=\"two\"\n\nA=2\nE\n")), ["A", "E"]);
        assert_eq!(one.differing(&one), [""; 0]);
    }

    #[test]
    fn values_are_read_as_compose_reads_them() {
        for (line, expected) in [
            ("A=1", "1"),
            ("A = 1 ", "1"),
            ("export A=1", "1"),
            ("A: yaml style", "yaml style"),
            ("A=", ""),
            ("A=Default Organization", "Default Organization"),
            ("A=x # comment", "x"),
            ("A=x#no comment", "x#no comment"),
            ("A= # comment", ""),
            ("A=a=b+c/d==", "a=b+c/d=="),
            (r#"A={"keys":[{"kty":"oct"}]}"#, r#"{"keys":[{"kty":"oct"}]}"#),
            (r#"A="/auth/v1/verify""#, "/auth/v1/verify"),
            (r#"A="a # b" # comment"#, "a # b"),
            (r#"A='a # b' # comment"#, "a # b"),
            (r#"A="a\nb\t\"c\"\\""#, "a\nb\t\"c\"\\"),
            (r"A='a\nb'", r"a\nb"),
            (r"A='a\'", r"a\"),
            ("A=\"one\ntwo\"", "one\ntwo"),
            (r"A='$B ${B}'", "$B ${B}"),
            (r#"A="\$B \${B}""#, "$B ${B}"),
            ("A=$$B", "$B"),
            ("B=b\nA=${B}-$B-${C:-c}", "b-b-c"),
            ("B=b\nA=\"${B}\"", "b"),
            ("A=1\r\nB=2\r\n", "1"),
            ("\u{feff}A=1", "1"),
            ("A=1\nA=2", "2"),
        ] {
            assert_eq!(value(line), expected, "{line}");
        }
    }

    #[test]
    fn a_name_alone_takes_its_value_from_outside() {
        let file = DotEnv::parse(".env", "A\nB=inside").unwrap();
        let outside =
            BTreeMap::from([("A".to_owned(), "out".to_owned()), ("B".to_owned(), "out".to_owned())]);
        let values = file.evaluate(&outside, Precedence::File).unwrap();
        assert_eq!((values["A"].as_str(), values["B"].as_str()), ("out", "inside"));
        assert_eq!(file.evaluate(&outside, Precedence::Outside).unwrap()["B"], "out");
        assert!(read("A").unwrap().is_empty());
    }

    #[test]
    fn a_value_follows_what_the_outside_gave_another() {
        let file = DotEnv::parse(".env", "PASSWORD=change-me\nURL=postgres://u:${PASSWORD}@db").unwrap();
        let outside = BTreeMap::from([("PASSWORD".to_owned(), "s3cret".to_owned())]);
        assert_eq!(file.evaluate(&outside, Precedence::Outside).unwrap()["URL"], "postgres://u:s3cret@db");
    }

    #[test]
    fn a_broken_line_is_named_and_its_value_is_not_shown() {
        for (text, line) in
            [("A=1\nhunter2 x\n", 2), ("\nA=\"hunter2", 2), ("A='x' hunter2", 1), ("A=hunter2$", 1)]
        {
            let message = read(text).unwrap_err().to_string();
            assert!(message.starts_with(&format!(".env:{line}: ")), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    /// How we write a value that may be anything.
    fn quoted(value: &str) -> String {
        let mut quoted = String::from("\"");
        for c in value.chars() {
            match c {
                '\n' => quoted.push_str("\\n"),
                '\r' => quoted.push_str("\\r"),
                '"' | '\\' | '$' => quoted.extend(['\\', c]),
                _ => quoted.push(c),
            }
        }
        quoted + "\""
    }

    proptest! {
        #[test]
        fn a_quoted_value_comes_back_as_it_was(first in "(?s).{0,60}", second in "[\\\\\"'$#{}\n\r ]{0,20}") {
            let text = format!("A={}\nB={} # comment\n", quoted(&first), quoted(&second));
            let values = read(&text).unwrap();
            prop_assert_eq!(&values["A"], &first);
            prop_assert_eq!(&values["B"], &second);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,80}|[A=:'\"\\\\$#{} \n]{0,40}") {
            let _ = read(&text);
        }
    }
}
