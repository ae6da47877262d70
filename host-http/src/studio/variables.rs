//! A project's settings: what it sets of its stack's variables, else what the stack has, as far as people may know.

use std::collections::BTreeMap;

use freehold_core::{
    Error, ExposeSecret, Kind, Result, SecretString, StackSpec, control_plane::Reconfigure,
    stack::VariableSpec,
};

use super::view::View;
use crate::call::Call;

/// The settings of one project.
#[derive(Debug)]
pub(crate) struct Variables<'a> {
    view: &'a View,
    set: BTreeMap<String, SecretString>,
}

/// Settings that are to get other values.
#[derive(Debug, Default)]
pub(crate) struct Changes(BTreeMap<String, Option<SecretString>>);

impl<'a> Variables<'a> {
    /// Reads them.
    ///
    /// # Errors
    /// `Internal` if they cannot be opened, `Unavailable`.
    pub(crate) async fn of(call: &Call, view: &'a View) -> Result<Self> {
        Ok(Self { view, set: call.control().variables(&view.project.reference).await? })
    }

    fn spec(&self, name: &str) -> Option<&'a VariableSpec> {
        spec(self.view.stack.as_ref()?, name)
    }

    /// Whether the stack has such a setting.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.spec(name).is_some()
    }

    /// What it is; `None` if the stack has no such setting, or it is nothing, or nobody may read it.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let default = self.spec(name)?.default.as_deref();
        let set = self.set.get(name).map(|value| value.expose_secret());
        set.or(default).filter(|value| !value.is_empty())
    }

    /// It as a number.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.trim().parse().ok()
    }

    /// It as yes or no.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        Some(self.text(name)?.trim().eq_ignore_ascii_case("true"))
    }

    /// Whether the project sets it itself: of what nobody may read, that much is told.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.set.get(name).is_some_and(|value| !value.expose_secret().is_empty())
    }

    /// Notes that a setting is to have another value; nothing if it has it already.
    ///
    /// # Errors
    /// `Unsupported` naming the field, if the stack has no such setting.
    pub(crate) fn change(
        &self,
        changes: &mut Changes,
        field: &str,
        name: &str,
        value: impl Into<String>,
    ) -> Result<()> {
        let value = value.into();
        if !self.has(name) {
            let message = format!("change {field}: the project's stack has no setting {name}");
            return Err(Error::new(Kind::Unsupported, message));
        }
        if value.chars().any(|c| c.is_control() && c != '\n') {
            return Err(Error::invalid(field, "has control characters"));
        }
        if self.text(name).unwrap_or_default() != value {
            changes.0.insert(name.to_owned(), Some(value.into()));
        }
        Ok(())
    }
}

impl Changes {
    /// Whether a setting is to have another value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Brings them into force: the project restarts what they concern. Nothing is done where nothing changes.
    ///
    /// # Errors
    /// `Conflict` while the project cannot be reconfigured.
    pub(crate) async fn apply(self, call: &Call, view: &View) -> Result<()> {
        if !self.0.is_empty() {
            let settings = Reconfigure { amended: self.0, ..Reconfigure::default() };
            call.control().reconfigure(&view.project.reference, settings).await?;
        }
        Ok(())
    }
}

/// A setting of a stack.
pub(crate) fn spec<'a>(stack: &'a StackSpec, name: &str) -> Option<&'a VariableSpec> {
    stack.variables.iter().find(|spec| spec.name == name)
}
