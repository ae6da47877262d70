//! A node and the way to it, so that whatever is wrong with it can be said with file, line and key.

use super::{
    keys::Section,
    problem::{Problem, Result},
    yaml::{Node, Value},
};

/// A value of the file and the key that it stands under.
#[derive(Clone)]
pub(crate) struct At<'a> {
    key: String,
    line: usize,
    node: &'a Node,
}

impl<'a> At<'a> {
    /// The root.
    pub(crate) fn root(node: &'a Node) -> Self {
        Self { key: String::new(), line: node.line, node }
    }

    /// The last part of the key.
    pub(crate) fn name(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or_default()
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// What is wrong with this value.
    pub(crate) fn problem(&self, message: impl Into<String>) -> Problem {
        let problem = Problem::on_line(&*self.node.file, self.line, message);
        if self.key.is_empty() { problem } else { problem.at_key(&self.key) }
    }

    /// What is wrong with this value, shown as it is written in the file, and how it is written rightly.
    pub(crate) fn bad(&self, right: &str) -> Problem {
        match &self.node.value {
            Value::Scalar(scalar) => self.problem(format!("{:?} is wrong: write {right}", scalar.written)),
            Value::Null => self.problem(format!("nothing is written: write {right}")),
            Value::List(_) => self.problem(format!("a list is wrong: write {right}")),
            Value::Map(_) => self.problem(format!("a mapping is wrong: write {right}")),
        }
    }

    /// The text of a scalar.
    pub(crate) fn text(&self) -> Result<&'a str> {
        match &self.node.value {
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
        match &self.node.value {
            Value::Scalar(scalar) => read(&scalar.text).ok_or_else(|| self.bad(right)),
            _ => Err(self.bad(right)),
        }
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Result<bool> {
        self.read("true or false", |text| text.parse().ok())
    }

    /// For `external`: only `false` says nothing.
    pub(crate) fn only_false(&self) -> Result<()> {
        if self.flag()? { Err(self.bad("false: a project touches nothing outside itself")) } else { Ok(()) }
    }

    /// A whole number.
    pub(crate) fn number<T: std::str::FromStr>(&self) -> Result<T> {
        self.read("a whole number", |text| text.parse().ok())
    }

    /// The items of a list; none if nothing is written.
    pub(crate) fn items(&self) -> Result<Vec<At<'a>>> {
        match &self.node.value {
            Value::Null => Ok(Vec::new()),
            Value::List(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, node)| At { key: format!("{}[{index}]", self.key), line: node.line, node })
                .collect()),
            _ => Err(self.bad("a list")),
        }
    }

    /// The items of a list, or the one value that stands for a list of one.
    pub(crate) fn one_or_more(&self) -> Result<Vec<At<'a>>> {
        if matches!(self.node.value, Value::Scalar(_) | Value::Map(_)) {
            return Ok(vec![self.clone()]);
        }
        self.items()
    }

    /// The texts of a list.
    pub(crate) fn texts(&self) -> Result<Vec<String>> {
        self.items()?.iter().map(|item| item.text().map(str::to_owned)).collect()
    }

    /// The entries of a mapping, by name; none if nothing is written.
    pub(crate) fn entries(&self) -> Result<Vec<(&'a str, At<'a>)>> {
        match &self.node.value {
            Value::Null => Ok(Vec::new()),
            Value::Map(entries) => Ok(entries
                .iter()
                .map(|entry| {
                    let key = match self.key.as_str() {
                        "" => entry.key.clone(),
                        key => format!("{key}.{}", entry.key),
                    };
                    (entry.key.as_str(), At { key, line: entry.line, node: &entry.node })
                })
                .collect()),
            _ => Err(self.bad("a mapping")),
        }
    }

    /// For a key of `section` that nothing was made of: fine if it is an extension (`x-…`), else an error that names it
    /// and says what to do instead.
    pub(crate) fn unknown(&self, section: &Section) -> Result<()> {
        let name = self.name();
        if name.starts_with("x-") { Ok(()) } else { Err(self.problem(section.refusal(name))) }
    }
}
