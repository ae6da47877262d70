//! What a hook answers: a JSON document, or lines of `KEY=value`, in the file that `FREEHOLD_OUTPUT` names.

use freehold_core::{Action, PlannedChange, ProjectRef, Redactor, ServiceName, ServiceState};
use serde::Deserialize;

use crate::{error::Failure, hook::Hook};

/// A hook's answer. Every part may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Output {
    /// Why it failed, or anything else worth telling.
    pub(crate) message: Option<String>,
    /// The port that somebody else holds.
    pub(crate) port_taken: Option<u16>,
    /// The data that is gone, by the names by which a caller may accept its loss.
    pub(crate) data_gone: Vec<String>,
    /// The version of the database, as it tells it.
    pub(crate) database_version: Option<String>,
    /// Where Freehold reaches the project, if not at 127.0.0.1.
    pub(crate) internal_host: Option<String>,
    /// Where people reach the project, if not at the target's public host.
    pub(crate) public_host: Option<String>,
    /// How the services are.
    pub(crate) health: Vec<HealthLine>,
    /// What would have to be done.
    pub(crate) changes: Vec<PlannedChange>,
    /// What projects have outside their folders.
    pub(crate) holdings: Vec<HoldingLine>,
}

/// How one service is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HealthLine {
    pub(crate) service: ServiceName,
    pub(crate) state: ServiceState,
    /// How that is known.
    pub(crate) probe: String,
    #[serde(default)]
    pub(crate) error: Option<String>,
}

/// So many things of a kind that belong to a project.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HoldingLine {
    #[serde(rename = "ref")]
    pub(crate) project: ProjectRef,
    pub(crate) kind: String,
    pub(crate) count: u32,
}

impl Output {
    /// Reads an answer, and takes the secrets out of its words.
    pub(crate) fn parse(hook: Hook, text: &str, redactor: &Redactor) -> Result<Self, Failure> {
        let parsed = if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| error.to_string())
        } else {
            Self::from_lines(text)
        };
        let parsed = parsed.and_then(Self::with_plain_names);
        let mut output =
            parsed.map_err(|problem| Failure::Answer { hook, problem: redactor.redact(&problem) })?;
        output.redact(redactor);
        Ok(output)
    }

    /// Refuses names that no caller could give back.
    fn with_plain_names(self) -> Result<Self, String> {
        match self.data_gone.iter().find(|name| name.is_empty() || name.contains(char::is_control)) {
            Some(name) => Err(format!("DATA_GONE: {name:?} is the name of nothing")),
            None => Ok(self),
        }
    }

    fn from_lines(text: &str) -> Result<Self, String> {
        let mut output = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (key, value) = line.split_once('=').ok_or_else(|| format!("{line:?} is not KEY=value"))?;
            output.set(key.trim(), value.trim()).map_err(|problem| format!("{key}: {problem}"))?;
        }
        Ok(output)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "MESSAGE" => self.message = Some(value.to_owned()),
            "PORT_TAKEN" => self.port_taken = Some(parse(value)?),
            "DATA_GONE" => self.data_gone.push(value.to_owned()),
            "DATABASE_VERSION" => self.database_version = Some(value.to_owned()),
            "INTERNAL_HOST" => self.internal_host = Some(value.to_owned()),
            "PUBLIC_HOST" => self.public_host = Some(value.to_owned()),
            "HEALTH" => {
                let [service, state, probe] = fields(value)?;
                let error = None;
                self.health.push(HealthLine {
                    service: parse(service)?,
                    state: word(state)?,
                    probe: probe.to_owned(),
                    error,
                });
            }
            "HEALTH_ERROR" => {
                let [service, error] = fields(value)?;
                let line = self.health.iter_mut().find(|line| line.service.as_str() == service);
                line.ok_or_else(|| format!("there is no HEALTH of {service} before it"))?.error =
                    Some(error.to_owned());
            }
            "CHANGE" => {
                let [action, resource, name, service, reason] = fields(value)?;
                self.changes.push(PlannedChange {
                    action: word::<Action>(action)?,
                    resource: resource.to_owned(),
                    name: name.to_owned(),
                    service: service.to_owned(),
                    reason: reason.to_owned(),
                });
            }
            "HOLDING" => {
                let [project, kind, count] = fields(value)?;
                self.holdings.push(HoldingLine {
                    project: parse(project)?,
                    kind: kind.to_owned(),
                    count: parse(count)?,
                });
            }
            _ => return Err("is no key that Freehold knows".to_owned()),
        }
        Ok(())
    }

    fn redact(&mut self, redactor: &Redactor) {
        let health =
            self.health.iter_mut().flat_map(|line| std::iter::once(&mut line.probe).chain(&mut line.error));
        let changes = self.changes.iter_mut().flat_map(|change| [&mut change.name, &mut change.reason]);
        for text in self.message.iter_mut().chain(health).chain(changes) {
            *text = redactor.redact(text);
        }
    }
}

/// So many fields separated by spaces; the last one takes the rest.
fn fields<const N: usize>(value: &str) -> Result<[&str; N], String> {
    let fields: Vec<&str> = value.splitn(N, ' ').collect();
    <[&str; N]>::try_from(fields).map_err(|_| format!("{value:?} has not {N} fields"))
}

fn parse<T: std::str::FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{text:?}: {error}"))
}

/// One of the words that an enum has in JSON.
fn word<T: for<'a> Deserialize<'a>>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Output, String> {
        let redactor = Redactor::new(["hunter2hunter2"]);
        Output::parse(Hook::Health, text, &redactor).map_err(|failure| failure.to_string())
    }

    #[test]
    fn lines_and_json_say_the_same() {
        let lines = "DATABASE_VERSION=15.18\nHEALTH=db unhealthy psql at 20000\nHEALTH_ERROR=db no answer\n\
                     CHANGE=start process postgres-20000 db it does not run\nHOLDING=abcdefghijklmnopqrst user 1\n\
                     DATA_GONE=data\nDATA_GONE=the other data\n";
        let json = r#"{"database_version": "15.18",
            "health": [{"service": "db", "state": "unhealthy", "probe": "psql at 20000", "error": "no answer"}],
            "changes": [{"action": "start", "resource": "process", "name": "postgres-20000", "service": "db",
                         "reason": "it does not run"}],
            "holdings": [{"ref": "abcdefghijklmnopqrst", "kind": "user", "count": 1}],
            "data_gone": ["data", "the other data"]}"#;
        assert_eq!(parse_text(lines).unwrap(), parse_text(json).unwrap());
        assert_eq!(parse_text("").unwrap(), Output::default());
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (text, named) in [
            ("VERSION=15", "VERSION"),
            ("nonsense", "nonsense"),
            ("PORT_TAKEN=99999", "99999"),
            ("DATA_GONE=", "name of nothing"),
            ("HEALTH=db fine", "db fine"),
            ("HEALTH=db fine probe", "fine"),
            (r#"{"version": 15}"#, "version"),
        ] {
            let error = parse_text(text).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_secret_in_an_answer_is_taken_out() {
        assert_eq!(parse_text("MESSAGE=no hunter2hunter2").unwrap().message.unwrap(), "no ***");
        assert!(!parse_text("hunter2hunter2").unwrap_err().contains("hunter2"));
    }
}
