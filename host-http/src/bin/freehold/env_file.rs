//! Files of NAME=VALUE lines, for what must not stand on a command line.

use std::{collections::BTreeMap, fs, path::Path};

use freehold_core::SecretString;
use freehold_host::wire::Secret;

use crate::exit::{Failure, Result};

/// Reads a file of NAME=VALUE lines: the value is everything after the first `=`; empty lines and those that begin with
/// `#` are passed over.
///
/// # Errors
/// Naming the file and the line, never its content.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<String, Secret>> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("read {}: {error}", path.display())))?;
    parse(&text).map_err(|line| Failure::usage(format!("{}, line {line}: is not NAME=VALUE", path.display())))
}

fn parse(text: &str) -> Result<BTreeMap<String, Secret>, usize> {
    let mut values = BTreeMap::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, value) = line.split_once('=').ok_or(index + 1)?;
        values.insert(name.trim().to_owned(), SecretString::from(value).into());
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_taken_as_they_stand() {
        let values = parse("# a comment\n\nPASSWORD=a=b #c\nEMPTY=\n").unwrap();
        assert_eq!(values["PASSWORD"].expose(), "a=b #c");
        assert_eq!(values["EMPTY"].expose(), "");
        assert_eq!(parse("A=1\nhunter2\n").unwrap_err(), 2);
    }
}
