//! Variables in values, as the Compose specification has them (chapter 12, "Interpolation"): `$NAME`, `${NAME}`,
//! `${NAME:-default}`, `${NAME-default}`, `${NAME:?error}`, `${NAME?error}`, `${NAME:+replacement}`,
//! `${NAME+replacement}`, each word a template of its own, and `$$` for a dollar sign.
//!
//! A word ends at the brace that closes it, whatever braces stand in it: `${JWKS:-{"keys":[]}}` is one expression.

use super::{
    problem::{Problem, Result},
    yaml::{Entry, Node, Scalar, Value},
};

/// How deep words may nest.
const MAX_DEPTH: usize = 32;

/// Where variables come from.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Replaces the variables in every value of a tree. Keys stay as they are.
///
/// # Errors
/// Names the line of a value that is no template, or whose required variable is not set.
pub(crate) fn interpolate_tree(node: &Node, lookup: Lookup<'_>) -> Result<Node> {
    interpolate_node(node, "", lookup)
}

fn interpolate_node(node: &Node, key: &str, lookup: Lookup<'_>) -> Result<Node> {
    let value = match &node.value {
        Value::Null => Value::Null,
        Value::Scalar(Scalar { written, .. }) => {
            let text = interpolate(written, lookup)
                .map_err(|message| Problem::on_line(&*node.file, node.line, message).at_key(key))?;
            Value::Scalar(Scalar { written: written.clone(), text })
        }
        Value::List(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(index, item)| interpolate_node(item, &format!("{key}[{index}]"), lookup));
            Value::List(items.collect::<Result<_>>()?)
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|entry| {
                let path = if key.is_empty() { entry.key.clone() } else { format!("{key}.{}", entry.key) };
                let node = interpolate_node(&entry.node, &path, lookup)?;
                Ok(Entry { key: entry.key.clone(), line: entry.line, node })
            });
            Value::Map(entries.collect::<Result<_>>()?)
        }
    };
    Ok(node.with(value))
}

/// Replaces the variables in a template.
///
/// # Errors
/// Says which part is no template, or which required variable is not set and why it is needed.
pub(crate) fn interpolate(template: &str, lookup: Lookup<'_>) -> Result<String, String> {
    expand(template, lookup, 0)
}

fn expand(template: &str, lookup: Lookup<'_>, depth: usize) -> Result<String, String> {
    if depth > MAX_DEPTH {
        return Err(format!("variables nest deeper than {MAX_DEPTH} levels"));
    }
    let mut result = String::with_capacity(template.len());
    let mut rest = template;
    while let Some(dollar) = rest.find('$') {
        result.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        rest = if let Some(after) = after.strip_prefix('$') {
            result.push('$');
            after
        } else if let Some(inside) = after.strip_prefix('{') {
            let end = closing_brace(inside).ok_or_else(|| format!("\"${{{inside}\" has no closing brace"))?;
            result.push_str(&braced(&inside[..end], lookup, depth)?);
            &inside[end + 1..]
        } else {
            let (name, after) = split_name(after);
            if name.is_empty() {
                let wrong: String = rest[dollar..].chars().take(10).collect();
                return Err(format!("{wrong:?} names no variable: a dollar sign is written \"$$\""));
            }
            result.push_str(&lookup(name).unwrap_or_default());
            after
        };
    }
    result.push_str(rest);
    Ok(result)
}

/// The variables that a template reads, those of words too.
pub(crate) fn variables_of(template: &str) -> impl Iterator<Item = &str> {
    let mut rest = template;
    std::iter::from_fn(move || {
        loop {
            let (_, after) = rest.split_once('$')?;
            if let Some(after) = after.strip_prefix('$') {
                rest = after;
                continue;
            }
            let (name, after) = split_name(after.strip_prefix('{').unwrap_or(after));
            rest = after;
            if !name.is_empty() {
                return Some(name);
            }
        }
    })
}

/// What stands between the braces of `${…}`.
fn braced(inside: &str, lookup: Lookup<'_>, depth: usize) -> Result<String, String> {
    let wrong = || {
        format!("\"${{{inside}}}\" is no variable: write NAME, or NAME with :-, -, :?, ?, :+ or + and a word")
    };
    let (name, operator) = split_name(inside);
    if name.is_empty() {
        return Err(wrong());
    }
    let value = lookup(name);
    if operator.is_empty() {
        return Ok(value.unwrap_or_default());
    }
    // With a colon, an empty variable counts as one that is not set.
    let (value, operator) = match operator.strip_prefix(':') {
        Some(operator) => (value.filter(|value| !value.is_empty()), operator),
        None => (value, operator),
    };
    let mut characters = operator.chars();
    let (kind, word) = (characters.next(), characters.as_str());
    match (kind, value) {
        (Some('-' | '?'), Some(value)) => Ok(value),
        (Some('-'), None) | (Some('+'), Some(_)) => expand(word, lookup, depth + 1),
        (Some('+'), None) => Ok(String::new()),
        (Some('?'), None) => {
            let reason = expand(word, lookup, depth + 1)?;
            let reason = if reason.is_empty() { "the stack requires it" } else { &reason };
            Err(format!("the variable {name} is not set: {reason}"))
        }
        _ => Err(wrong()),
    }
}

/// A name (a letter or `_`, then also digits) and what follows it.
fn split_name(text: &str) -> (&str, &str) {
    let end = text
        .char_indices()
        .find(|(index, c)| !(c.is_ascii_alphabetic() || *c == '_' || (*index > 0 && c.is_ascii_digit())))
        .map_or(text.len(), |(index, _)| index);
    text.split_at(end)
}

/// Where the brace stands that closes an expression. Braces in pairs belong to the word; if they do not pair, only those
/// of nested expressions count.
fn closing_brace(inside: &str) -> Option<usize> {
    let search = |plain_braces_count: bool| {
        let (mut depth, mut previous) = (0_usize, None);
        for (index, c) in inside.char_indices() {
            match c {
                '{' if plain_braces_count || previous == Some('$') => depth += 1,
                '}' if depth == 0 => return Some(index),
                '}' => depth -= 1,
                _ => {}
            }
            // The second of two dollar signs opens nothing.
            previous = if c == '$' && previous == Some('$') { None } else { Some(c) };
        }
        None
    };
    search(true).or_else(|| search(false))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with(template: &str) -> Result<String, String> {
        interpolate(template, &|name| match name {
            "SET" | "_x1" => Some("value".into()),
            "EMPTY" => Some(String::new()),
            "DOLLAR" => Some("$SET ${SET}".into()),
            _ => None,
        })
    }

    #[test]
    fn every_form_of_the_specification_is_understood() {
        for (template, expected) in [
            ("$SET/${SET}/$_x1", "value/value/value"),
            ("$UNSET${UNSET}$EMPTY", ""),
            ("${UNSET:-d}${EMPTY:-d}${SET:-d}", "ddvalue"),
            ("${UNSET-d}${EMPTY-d}${SET-d}", "dvalue"),
            ("${SET:?e}${SET?e}${EMPTY?e}", "valuevalue"),
            ("${UNSET:+r}${EMPTY:+r}${SET:+r}", "r"),
            ("${UNSET+r}${EMPTY+r}${SET+r}", "rr"),
            ("${UNSET:-}${UNSET-}", ""),
            ("${UNSET:-${EMPTY:-${SET}}}", "value"),
            ("${UNSET:-$SET}:${UNSET:-8000}", "value:8000"),
            ("${SET:+${UNSET:-nested}}", "nested"),
            ("$$SET $${SET} $$$SET", "$SET ${SET} $value"),
            (r#"${UNSET:-{"keys":[]}}"#, r#"{"keys":[]}"#),
            (r#"${SET:-{"keys":[]}}"#, "value"),
            (r#"{"default":"${SET:-}"}"#, r#"{"default":"value"}"#),
            ("${UNSET:-{}", "{"),
            ("${UNSET:-a:-b?c+d}", "a:-b?c+d"),
            ("${UNSET:-$$}", "$"),
            ("ünï ${SET} ✓", "ünï value ✓"),
        ] {
            assert_eq!(with(template).as_deref(), Ok(expected), "{template}");
        }
    }

    #[test]
    fn a_value_is_not_expanded_again() {
        assert_eq!(with("${DOLLAR} ${UNSET:-${DOLLAR}}").unwrap(), "$SET ${SET} $SET ${SET}");
    }

    #[test]
    fn a_required_variable_says_why_it_is_needed() {
        assert_eq!(
            with("${UNSET:?set it in .env}").unwrap_err(),
            "the variable UNSET is not set: set it in .env"
        );
        assert_eq!(with("${EMPTY:?}").unwrap_err(), "the variable EMPTY is not set: the stack requires it");
    }

    #[test]
    fn the_variables_of_a_template_are_found_wherever_they_stand() {
        let found: Vec<_> = variables_of("$A ${B:-${C:?$D}} $$E ${F").collect();
        assert_eq!(found, ["A", "B", "C", "D", "F"]);
    }

    #[test]
    fn a_word_that_is_not_needed_is_not_looked_at() {
        assert_eq!(with("${SET:-${UNSET:?never}}").unwrap(), "value");
    }

    #[test]
    fn what_is_no_template_is_named() {
        for template in
            ["$", "a $ b", "$1", "${}", "${1}", "${SET", "${SET!x}", "${SET:x}", "${SET:-${UNSET}"]
        {
            assert!(with(template).is_err(), "{template}");
        }
        assert!(with("costs 5$.").unwrap_err().contains("\"$.\" names no variable"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(template in "\\PC{0,40}|[${}:A-Z?+-]{0,40}") {
            let _ = with(&template);
        }

        #[test]
        fn a_text_with_its_dollars_doubled_comes_out_as_it_was(text in "\\PC{0,60}") {
            prop_assert_eq!(with(&text.replace('$', "$$")).unwrap(), text);
        }

        #[test]
        fn a_default_with_paired_braces_comes_out_whole(keys in "[a-z\":,\\[\\]]{0,20}") {
            let template = format!("${{UNSET:-{{{keys}}}}}!");
            prop_assert_eq!(with(&template).unwrap(), format!("{{{keys}}}!"));
        }
    }
}
