//! Several files as one (Compose specification, chapter 13, "Merge"): a later file adds to mappings and lists, replaces
//! what is a single value, takes away with `!reset`, and replaces whole with `!override`.
//!
//! What stands in a list under the same name twice (a mount's target, a variable) is settled where the list is read: the
//! later one counts.

use super::{
    problem::{Problem, Result},
    yaml::{Entry, Node, Over, Scalar, Value},
};

/// What a key holds that can be written in more than one way, or is not merged as its shape says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As it is written.
    Plain,
    /// Replaced whole: a command, a test.
    Whole,
    /// `NAME=value` items, or a mapping of them.
    Pairs,
    /// Names, or a mapping of names to what is said of them.
    Names,
    /// A list, or one value for a list of one.
    OneOrMore,
    /// `HOST=ADDRESS` items, or a mapping of hosts to an address or several.
    Hosts,
    /// Options count for one driver.
    Driver,
}

fn form(path: &[&str]) -> Form {
    match path {
        ["services", _, "command" | "entrypoint"] | ["services", _, "healthcheck", "test"] => Form::Whole,
        ["services", _, "environment" | "labels" | "sysctls"]
        | ["networks" | "volumes" | "configs" | "secrets", _, "labels"] => Form::Pairs,
        ["services", _, "extra_hosts"] => Form::Hosts,
        ["services", _, "depends_on" | "networks"] => Form::Names,
        ["services", _, "dns" | "dns_opt" | "dns_search" | "env_file" | "tmpfs"] => Form::OneOrMore,
        ["services", _, "logging"] => Form::Driver,
        _ => Form::Plain,
    }
}

/// Merges files, already interpolated, in their order.
///
/// # Errors
/// Names the value that cannot be merged with the one of an earlier file.
pub(crate) fn merge(files: Vec<Node>) -> Result<Node> {
    let mut files = files.into_iter();
    let Some(first) = files.next() else { return Err(Problem::of_file("", "no Compose file")) };
    files.try_fold(settled(first), |base, over| merged(base, over, &mut Vec::new()))
}

fn merged(base: Node, over: Node, path: &mut Vec<String>) -> Result<Node> {
    if over.over == Over::Replace {
        return Ok(over);
    }
    let names: Vec<&str> = path.iter().map(String::as_str).collect();
    let form = form(&names);
    let (base, over) = (in_form(base, form), in_form(over, form));
    if form == Form::Whole {
        return Ok(over);
    }
    match (&base.value, &over.value) {
        // Nothing is said of it.
        (_, Value::Null) => Ok(base),
        (Value::Null, _) | (Value::Scalar(_), Value::Scalar(_)) => Ok(over),
        (Value::Map(old), Value::Map(new)) => {
            if form == Form::Driver && is_another_driver(old, new) {
                return Ok(over);
            }
            let entries = merged_entries(old.clone(), new.clone(), path)?;
            Ok(over.with(Value::Map(entries)))
        }
        (Value::List(old), Value::List(new)) => {
            let items = old.iter().chain(new).cloned().collect();
            Ok(over.with(Value::List(items)))
        }
        // A number for both bounds of a limit, or both bounds.
        _ if matches!(names.as_slice(), ["services", _, "ulimits", _]) => Ok(over),
        _ => {
            let message = format!(
                "it is of another kind than on line {} of {}: write both alike, or !override",
                base.line, base.file
            );
            Err(Problem::on_line(&*over.file, over.line, message).at_key(path.join(".")))
        }
    }
}

fn merged_entries(mut old: Vec<Entry>, new: Vec<Entry>, path: &mut Vec<String>) -> Result<Vec<Entry>> {
    for entry in new {
        let position = old.iter().position(|other| other.key == entry.key);
        match position {
            Some(position) if entry.node.over == Over::Reset => drop(old.remove(position)),
            Some(position) => {
                path.push(entry.key.clone());
                let node = merged(old[position].node.clone(), entry.node, path)?;
                path.pop();
                old[position] = Entry { key: entry.key, line: entry.line, node };
            }
            None if entry.node.over == Over::Reset => {}
            None => old.push(Entry { node: settled(entry.node), ..entry }),
        }
    }
    Ok(old)
}

/// Without what is marked to be taken away: in a first file, and below what no earlier file has.
fn settled(node: Node) -> Node {
    let Value::Map(entries) = node.value else { return node };
    let entries = entries.into_iter().filter(|entry| entry.node.over != Over::Reset);
    let entries = entries.map(|entry| Entry { node: settled(entry.node), ..entry }).collect();
    Node { value: Value::Map(entries), ..node }
}

fn is_another_driver(old: &[Entry], new: &[Entry]) -> bool {
    let driver = |entries: &[Entry]| {
        entries.iter().find(|entry| entry.key == "driver").and_then(|entry| match &entry.node.value {
            Value::Scalar(scalar) => Some(scalar.text.clone()),
            _ => None,
        })
    };
    matches!((driver(old), driver(new)), (Some(old), Some(new)) if old != new)
}

/// The one shape that two ways of writing something are merged in.
fn in_form(node: Node, form: Form) -> Node {
    let value = match (form, &node.value) {
        (Form::Pairs, Value::List(items)) => pairs(items),
        (Form::Names, Value::List(items)) => names(items),
        (Form::Hosts, Value::Map(entries)) => Some(Value::List(hosts(entries))),
        (Form::OneOrMore, Value::Scalar(_)) => Some(Value::List(vec![node.clone()])),
        _ => None,
    };
    match value {
        Some(value) => node.with(value),
        None => node,
    }
}

/// Items `NAME=value` as a mapping; `None` for what is no such list, which is refused where it is read.
fn pairs(items: &[Node]) -> Option<Value> {
    let mut entries: Vec<Entry> = Vec::with_capacity(items.len());
    for item in items {
        let Value::Scalar(scalar) = &item.value else { return None };
        let (name, value) = match scalar.text.split_once('=') {
            Some((name, text)) => {
                let text = text.to_owned();
                (name, Value::Scalar(Scalar { written: scalar.written.clone(), text }))
            }
            None => (scalar.text.as_str(), Value::Null),
        };
        entries.retain(|entry| entry.key != *name);
        entries.push(Entry { key: name.to_owned(), line: item.line, node: item.with(value) });
    }
    Some(Value::Map(entries))
}

/// A mapping of hosts as items.
fn hosts(entries: &[Entry]) -> Vec<Node> {
    let line = |host: &str, node: &Node| {
        let Value::Scalar(address) = &node.value else { return node.clone() };
        let text = format!("{host}={}", address.text);
        node.with(Value::Scalar(Scalar { written: address.written.clone(), text }))
    };
    let lines = entries.iter().flat_map(|entry| match &entry.node.value {
        Value::List(items) => items.iter().map(|item| line(&entry.key, item)).collect(),
        _ => vec![line(&entry.key, &entry.node)],
    });
    lines.collect()
}

/// Names as a mapping of nothing said; `None` as for [`pairs`].
fn names(items: &[Node]) -> Option<Value> {
    let entry = |item: &Node| match &item.value {
        Value::Scalar(name) => {
            Some(Entry { key: name.text.clone(), line: item.line, node: item.with(Value::Null) })
        }
        _ => None,
    };
    items.iter().map(entry).collect::<Option<_>>().map(Value::Map)
}

#[cfg(test)]
mod tests {
    use super::{super::yaml, *};

    fn show(node: &Node) -> String {
        match &node.value {
            Value::Null => "~".into(),
            Value::Scalar(scalar) => scalar.text.clone(),
            Value::List(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(" ")),
            Value::Map(entries) => {
                let entries = entries.iter().map(|entry| format!("{}:{}", entry.key, show(&entry.node)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    /// What the service `a` comes to.
    fn service(files: &[&str]) -> String {
        let parsed = files.iter().enumerate().map(|(number, lines)| {
            yaml::parse(&format!("{}.yml", number + 1), &format!("services: {{a: {{{lines}}}}}")).unwrap()
        });
        match merge(parsed.collect()) {
            Ok(node) => {
                let shown = show(&node);
                shown["{services:{a:".len()..shown.len() - "}}".len()].to_owned()
            }
            Err(problem) => problem.to_string(),
        }
    }

    #[test]
    fn single_values_are_replaced_and_mappings_and_lists_are_added_to() {
        assert_eq!(service(&["image: a, ports: ['1']", "image: b, ports: ['2']"]), "{image:b ports:[1 2]}");
        assert_eq!(service(&["command: [a, b]", "command: [c]"]), "{command:[c]}");
        assert_eq!(service(&["environment: {A: 1}", "environment: [B=2, A=3]"]), "{environment:{A:3 B:2}}");
        assert_eq!(service(&["tmpfs: /a", "tmpfs: [/b]"]), "{tmpfs:[/a /b]}");
        assert_eq!(
            service(&["depends_on: [b]", "depends_on: {c: {condition: service_healthy}}"]),
            "{depends_on:{b:~ c:{condition:service_healthy}}}"
        );
        assert_eq!(service(&["image: a", "image: "]), "{image:a}");
    }

    #[test]
    fn options_of_a_logging_driver_go_with_it() {
        let one = "logging: {driver: local, options: {a: 1}}";
        assert_eq!(
            service(&[one, "logging: {options: {b: 2}}"]),
            "{logging:{driver:local options:{a:1 b:2}}}"
        );
        assert_eq!(
            service(&[one, "logging: {driver: syslog, options: {b: 2}}"]),
            "{logging:{driver:syslog options:{b:2}}}"
        );
    }

    #[test]
    fn reset_takes_away_and_override_replaces() {
        let one = "ports: ['1'], environment: {A: 1, B: 2}";
        assert_eq!(service(&[one, "ports: !reset [], environment: {A: !reset null}"]), "{environment:{B:2}}");
        assert_eq!(
            service(&[one, "ports: !override ['2'], environment: !override {C: 3}"]),
            "{ports:[2] environment:{C:3}}"
        );
        assert_eq!(service(&["image: a, ports: !reset ['1']"]), "{image:a}");
        assert_eq!(service(&[one, "ports: !reset []", "ports: ['3']"]), "{environment:{A:1 B:2} ports:[3]}");
    }

    #[test]
    fn values_of_two_kinds_are_named_with_both_places() {
        assert_eq!(
            service(&["healthcheck: {retries: 1}", "healthcheck: []"]),
            "2.yml:1: services.a.healthcheck: it is of another kind than on line 1 of 1.yml: write both alike, or !override"
        );
    }
}
