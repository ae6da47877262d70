//! YAML 1.2.2 as a tree that knows its lines.
//!
//! Weighed: `serde-saphyr`, `yaml_serde` and `serde_yaml_ng` turn text into types at once, which leaves no place for
//! interpolation between parsing and typing and loses the line of a value; `saphyr`'s own tree keeps lines but lets a
//! repeated key pass and leaves merges to its user; `marked-yaml` knows neither anchors nor merges. So the events of
//! `saphyr-parser` (pure Rust, two small dependencies, passes the YAML test suite) are made into a tree here: anchors
//! and `<<` merges are resolved, a repeated key is an error, and what an alias can blow a file up to is bounded.
//!
//! A scalar stays the text that was written: `52428800`, `16.8` and `"5432"` are passed on as they stand.

use std::{collections::HashMap, fmt, sync::Arc};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::problem::{Problem, Result};

/// How many nodes a file may come to once its aliases are resolved, and how deep they may nest.
const MAX_NODES: usize = 100_000;
const MAX_DEPTH: usize = 64;

/// A value, and the file and line that it begins on.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) file: Arc<str>,
    pub(crate) line: usize,
    pub(crate) over: Over,
    pub(crate) value: Value,
}

/// What becomes of a value of an earlier file under the same key (Compose specification, chapter 13, "Merge").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// The two are merged.
    Merge,
    /// `!reset`: it is taken away, and this value with it.
    Reset,
    /// `!override`: this value stands in its place.
    Replace,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the file; merged entries stand behind those of the mapping itself.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) line: usize,
    pub(crate) node: Node,
}

/// A piece of text. `Debug` shows what was written, not what its variables came to.
#[derive(Clone)]
pub(crate) struct Scalar {
    pub(crate) written: String,
    /// What it came to, once it is interpolated.
    pub(crate) text: String,
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.written, f)
    }
}

/// The one document of a file.
///
/// # Errors
/// Names the line of what is no YAML, stands twice or is tagged with something that means nothing here.
pub(crate) fn parse(file: &str, text: &str) -> Result<Node> {
    let file = Arc::from(file);
    let mut builder = Builder { file, open: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| builder.not_yaml(&error))?;
        builder.take(event, span)?;
    }
    let Builder { file, root, .. } = builder;
    Ok(root.unwrap_or(Node { file, line: 1, over: Over::Merge, value: Value::Null }))
}

impl Node {
    /// Another value in the same place.
    pub(crate) fn with(&self, value: Value) -> Self {
        Self { file: Arc::clone(&self.file), line: self.line, over: self.over, value }
    }

    fn count(&self) -> usize {
        1 + match &self.value {
            Value::Null | Value::Scalar(_) => 0,
            Value::List(items) => items.iter().map(Self::count).sum(),
            Value::Map(entries) => entries.iter().map(|entry| entry.node.count()).sum(),
        }
    }
}

struct Builder {
    file: Arc<str>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

/// A list or mapping whose end was not read yet.
enum Open {
    List { anchor: usize, place: Place, items: Vec<Node> },
    Map { anchor: usize, place: Place, entries: Vec<Entry>, key: Option<(String, usize)>, merges: Vec<Node> },
}

/// Where a value begins, and how it is tagged.
#[derive(Clone, Copy)]
struct Place {
    line: usize,
    over: Over,
}

impl Builder {
    fn node(&self, Place { line, over }: Place, value: Value) -> Node {
        Node { file: Arc::clone(&self.file), line, over, value }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<()> {
        let line = span.start.line();
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned();
                let node =
                    node.ok_or_else(|| self.problem(line, "this alias stands inside what it refers to"))?;
                self.nodes += node.count();
                self.complete(node, 0)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let over = self.tagged(line, tag.as_deref())?;
                let plain = style == ScalarStyle::Plain && (tag.is_none() || over != Over::Merge);
                self.nodes += 1;
                self.complete(self.node(Place { line, over }, scalar(&text, plain)), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                let place = Place { line, over: self.tagged(line, tag.as_deref())? };
                self.open(line, Open::List { anchor, place, items: Vec::new() })
            }
            Event::MappingStart(anchor, tag) => {
                let place = Place { line, over: self.tagged(line, tag.as_deref())? };
                let (entries, merges) = (Vec::new(), Vec::new());
                self.open(line, Open::Map { anchor, place, entries, key: None, merges })
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List { anchor, place, items }) => {
                    self.complete(self.node(place, Value::List(items)), anchor)
                }
                Some(Open::Map { anchor, place, entries, merges, .. }) => {
                    let entries = self.merge(entries, merges)?;
                    self.complete(self.node(place, Value::Map(entries)), anchor)
                }
                None => Err(self.problem(line, "an end without a beginning")),
            },
        }
    }

    fn open(&mut self, line: usize, opened: Open) -> Result<()> {
        self.nodes += 1;
        self.open.push(opened);
        if self.open.len() > MAX_DEPTH {
            return Err(self.problem(line, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        Ok(())
    }

    /// Puts a finished node where it belongs: into the list or mapping around it, or at the root.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<()> {
        let line = node.line;
        if self.nodes > MAX_NODES {
            return Err(self.problem(line, format!("aliases make more than {MAX_NODES} values of this file")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut() {
            None if self.root.is_some() => Err(self.problem(line, "a second document: write one only")),
            None => {
                self.root = Some(node);
                Ok(())
            }
            Some(Open::List { .. }) if node.over != Over::Merge => {
                Err(self.problem(line, "!reset and !override stand at a key, not at an item of a list"))
            }
            Some(Open::List { items, .. }) => {
                items.push(node);
                Ok(())
            }
            Some(Open::Map { entries, key, merges, .. }) => match (key.take(), &node.value) {
                (None, Value::Scalar(name)) => {
                    *key = Some((name.text.clone(), line));
                    Ok(())
                }
                (None, _) => Err(self.problem(line, "a key that is no text")),
                (Some((name, _)), _) if name == "<<" => {
                    merges.push(node);
                    Ok(())
                }
                (Some((name, key_line)), _) => {
                    if let Some(first) = entries.iter().find(|entry| entry.key == name) {
                        let message = format!("the key {name:?} stands twice, first on line {}", first.line);
                        return Err(self.problem(key_line, message));
                    }
                    entries.push(Entry { key: name, line: key_line, node });
                    Ok(())
                }
            },
        }
    }

    /// Adds what `<<` refers to: the mapping's own keys win, then the mappings in their order
    /// (<https://yaml.org/type/merge.html>).
    fn merge(&self, mut entries: Vec<Entry>, merges: Vec<Node>) -> Result<Vec<Entry>> {
        let mut sources = Vec::new();
        for merge in merges {
            match merge.value {
                Value::List(items) => sources.extend(items),
                _ => sources.push(merge),
            }
        }
        for source in sources {
            let Value::Map(merged) = source.value else {
                return Err(self.problem(source.line, "<< takes a mapping or a list of mappings"));
            };
            for entry in merged {
                if !entries.iter().any(|own| own.key == entry.key) {
                    entries.push(entry);
                }
            }
        }
        Ok(entries)
    }

    fn tagged(&self, line: usize, tag: Option<&Tag>) -> Result<Over> {
        let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) else { return Ok(Over::Merge) };
        match tag.to_string().as_str() {
            "!reset" => Ok(Over::Reset),
            "!override" => Ok(Over::Replace),
            tag => {
                let message = format!("the tag {tag} is not supported: write the value as it should be");
                Err(self.problem(line, message))
            }
        }
    }

    fn problem(&self, line: usize, message: impl Into<String>) -> Problem {
        Problem::on_line(&*self.file, line, message)
    }

    fn not_yaml(&self, error: &ScanError) -> Problem {
        self.problem(error.marker().line(), format!("no YAML: {}", error.info()))
    }
}

/// A scalar as the core schema has it (YAML 1.2.2, 10.3.2), its truth values written the one way.
fn scalar(text: &str, plain: bool) -> Value {
    let text = match text {
        "" | "~" | "null" | "Null" | "NULL" if plain => return Value::Null,
        "True" | "TRUE" if plain => "true",
        "False" | "FALSE" if plain => "false",
        other => other,
    };
    Value::Scalar(Scalar { written: text.to_owned(), text: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".into(),
            Value::Scalar(scalar) => format!("{scalar:?}"),
            Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries = entries.iter().map(|entry| format!("{}={}", entry.key, show(&entry.node)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    fn parsed(text: &str) -> String {
        match parse("f.yml", text) {
            Ok(node) => show(&node),
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn scalars_stay_as_they_are_written() {
        let text = "{a: 52428800, b: 16.8, c: '01', d: no, e: True, f: ~, g: 'null', h: !!str 5}";
        assert_eq!(parsed(text), r#"{a="52428800" b="16.8" c="01" d="no" e="true" f=null g="null" h="5"}"#);
        assert_eq!(parsed("a: >\n  one\n  two\nb: |\n  one\n  two\n"), r#"{a="one two\n" b="one\ntwo\n"}"#);
        assert_eq!(parsed(""), "null");
    }

    #[test]
    fn merges_keep_a_mappings_own_keys_and_take_the_first_of_several() {
        let text = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], c: 3}\n";
        assert!(parsed(text).ends_with(r#"z={c="3" a="1" b="1"}}"#), "{}", parsed(text));
        assert_eq!(parsed("a:\n  <<: 5\n"), "f.yml:2: << takes a mapping or a list of mappings");
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(parsed("a: 1\nb: 2\na: 3\n"), r#"f.yml:3: the key "a" stands twice, first on line 1"#);
        assert_eq!(
            parsed("a: !include x\n"),
            "f.yml:1: the tag !include is not supported: write the value as it should be"
        );
        assert_eq!(parsed("a: 1\n---\nb: 1\n"), "f.yml:3: a second document: write one only");
        assert!(parsed("a: 1\n b: [\n").starts_with("f.yml:2: no YAML: "), "{}", parsed("a: 1\n b: [\n"));
        assert_eq!(
            parsed("a: [!reset x]\n"),
            "f.yml:1: !reset and !override stand at a key, not at an item of a list"
        );
        assert_eq!(parsed("a: &a [*a]\n"), "f.yml:1: this alias stands inside what it refers to");
    }

    #[test]
    fn aliases_cannot_blow_a_file_up() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..10 {
            let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
        }
        assert!(parsed(&text).contains("aliases make more than"), "{}", parsed(&text));
        assert!(parsed(&"[".repeat(100)).contains("nested deeper"), "{}", parsed(&"[".repeat(100)));
    }
}
