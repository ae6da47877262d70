//! What a request may ask for, before anything else is looked at.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};

use super::{Target, command::CreateProject};
use crate::{
    error::{Error, Result},
    runtime::FirstRunFile,
    stack::StackSpec,
};

pub(super) fn chosen_stack<'a>(target: &'a Target, create: &CreateProject) -> Result<&'a StackSpec> {
    let stacks = &target.description.stacks;
    let known = || stacks.iter().map(|stack| stack.name.as_str()).collect::<Vec<_>>().join(", ");
    match &create.stack {
        Some(name) => stacks.iter().find(|stack| stack.name == *name).ok_or_else(|| {
            let problem = format!("target {} has no stack {name:?}: it has {}", target.name, known());
            Error::invalid("stack", problem)
        }),
        None => match &stacks[..] {
            [only] => Ok(only),
            [] => Err(Error::invalid("stack", format_args!("target {} offers none", target.name))),
            _ => Err(Error::invalid("stack", format_args!("choose one of {}", known()))),
        },
    }
}

pub(super) fn check_variables(variables: &BTreeMap<String, SecretString>) -> Result<()> {
    for (name, value) in variables {
        let legal = name.len() <= 128
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !legal {
            let problem = format!("{name:?} is not letters, digits and '_' beginning with no digit");
            return Err(Error::invalid("variables", problem));
        }
        if value.expose_secret().len() > 32 * 1024 || value.expose_secret().contains('\0') {
            let problem = "is not at most 32 KiB of text without NUL";
            return Err(Error::invalid(&format!("variables.{name}"), problem));
        }
    }
    Ok(())
}

pub(super) fn check_first_run(stack: &StackSpec, files: &[FirstRunFile]) -> Result<()> {
    match files {
        [] => Ok(()),
        [first, ..] if stack.first_run.is_none() => Err(Error::invalid(
            "first_run",
            format_args!("stack {} takes no first-run files, and {:?} was given", stack.name, first.name),
        )),
        _ => {
            for (index, file) in files.iter().enumerate() {
                if files[..index].iter().any(|other| other.name == file.name) {
                    return Err(Error::invalid("first_run", format_args!("{:?} stands twice", file.name)));
                }
            }
            Ok(())
        }
    }
}

pub(super) fn check_limits(memory_bytes: Option<u64>, cpus: Option<f64>) -> Result<()> {
    const LEAST: u64 = 16 * 1024 * 1024;
    if let Some(bytes) = memory_bytes.filter(|bytes| *bytes < LEAST) {
        return Err(Error::invalid("limits.memory_bytes", format_args!("{bytes} is less than {LEAST}")));
    }
    if let Some(cpus) = cpus.filter(|cpus| !(cpus.is_finite() && *cpus >= 0.01)) {
        return Err(Error::invalid("limits.cpus", format_args!("{cpus} is not at least 0.01")));
    }
    Ok(())
}

pub(super) fn check_accepted_losses(names: &[String]) -> Result<()> {
    const MOST: usize = 64;
    if names.len() > MOST {
        let problem = format_args!("{} names, and {MOST} are allowed", names.len());
        return Err(Error::invalid("accept_data_loss", problem));
    }
    match names.iter().find(|name| !(1..=4096).contains(&name.len()) || name.chars().any(char::is_control)) {
        Some(name) => {
            Err(Error::invalid("accept_data_loss", format_args!("{name:?} is the name of nothing")))
        }
        None => Ok(()),
    }
}
