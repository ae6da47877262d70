//! A node and the way to it, so that whatever is wrong with it can be said with file, line and key.

use super::{
    problem::{Problem, Result},
    yaml::{Node, Value},
};

/// A value of the file and the key that it stands under.
#[derive(Clone)]
pub(crate) struct At<'a> {
    file: &'a str,
    key: String,
    line: usize,
    value: &'a Value,
}

impl<'a> At<'a> {
    /// The file's root.
    pub(crate) fn root(file: &'a str, node: &'a Node) -> Self {
        Self { file, key: String::new(), line: node.line, value: &node.value }
    }

    /// The last part of the key.
    pub(crate) fn name(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or_default()
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    /// What is wrong with this value.
    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        let problem = Problem::on_line(self.file, self.line, message);
        if self.key.is_empty() { problem } else { problem.at_key(&self.key) }
    }

    /// What is wrong with this value, shown as it is written in the file, and how it is written rightly.
    pub(crate) fn bad(&self, right: &str) -> Problem {
        match self.value {
            Value::Scalar(scalar) => self.problem(format!("{:?} is wrong: write {right}", scalar.written)),
            Value::Null => self.problem(format!("nothing is written: write {right}")),
            Value::List(_) => self.problem(format!("a list is wrong: write {right}")),
            Value::Map(_) => self.problem(format!("a mapping is wrong: write {right}")),
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Result<&'a str> {
        match self.value {
            Value::Scalar(scalar) => Ok(&scalar.text),
            _ => Err(self.bad("a single value")),
        }
    }

    /// The text of a scalar that says something.
    pub(crate) fn filled(&self) -> Result<&'a str> {
        Some(self.text()?)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.bad("a value that is not empty"))
    }

    /// A scalar, read by `read`; `right` says what is allowed.
    pub(crate) fn read<T>(&self, right: &str, read: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        match self.value {
            Value::Scalar(scalar) => read(&scalar.text).ok_or_else(|| self.bad(right)),
            _ => Err(self.bad(right)),
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Result<bool> {
        self.read("true or false", |text| text.parse().ok())
    }

    /// The items of a list; none if nothing is written.
    pub(crate) fn items(&self) -> Result<Vec<At<'a>>> {
        match self.value {
            Value::Null => Ok(Vec::new()),
            Value::List(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, item)| At {
                    file: self.file,
                    key: format!("{}[{index}]", self.key),
                    line: item.line,
                    value: &item.value,
                })
                .collect()),
            _ => Err(self.bad("a list")),
        }
    }

    /// The texts of a list.
    pub(crate) fn texts(&self) -> Result<Vec<String>> {
        self.items()?.iter().map(|item| item.text().map(str::to_owned)).collect()
    }

    /// The entries of a mapping, by name; none if nothing is written.
    pub(crate) fn entries(&self) -> Result<Vec<(&'a str, At<'a>)>> {
        match self.value {
            Value::Null => Ok(Vec::new()),
            Value::Map(entries) => Ok(entries
                .iter()
                .map(|entry| {
                    let key = match self.key.as_str() {
                        "" => entry.key.clone(),
                        key => format!("{key}.{}", entry.key),
                    };
                    let at = At { file: self.file, key, line: entry.line, value: &entry.node.value };
                    (entry.key.as_str(), at)
                })
                .collect()),
            _ => Err(self.bad("a mapping")),
        }
    }

    /// For a key that nothing was made of: fine if it is an extension (`x-…`), else an error that names it.
    pub(crate) fn unknown(&self) -> Result<()> {
        let name = self.name();
        if name.starts_with("x-") {
            return Ok(());
        }
        let way_out = match name {
            "build" | "develop" => "build and tag the image first, and name it in image",
            "scale" | "deploy" => "Freehold runs one container of each service",
            "profiles" => "take the key away, and name services that are off by default in freehold.toml",
            "extends" | "include" => "write everything into this file; anchors and << save repetitions",
            "external" => "a project touches nothing outside itself",
            "ipam" | "ipv4_address" | "ipv6_address" => "addresses come from Freehold's own pool",
            "network_mode" | "links" | "external_links" => {
                "services of a project find each other by their names"
            }
            "secrets" | "configs" => "mount a file of the stack's folder, or use environment",
            "privileged" | "devices" | "pid" | "ipc" | "cgroup" => "a project stays apart from its machine",
            _ => "take it away, or name it x-… if another tool reads it",
        };
        Err(self.problem(format!("the key {name} is not supported: {way_out}")))
    }
}
