//! Containers on the engine.

mod create;
mod updated;

use std::{collections::HashMap, time::Duration};

use bollard::{
    models::{ContainerInspectResponse, HostConfig},
    query_parameters::{
        InspectContainerOptions, KillContainerOptionsBuilder, ListContainersOptionsBuilder,
        LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
        UploadToContainerOptionsBuilder,
    },
};
use freehold_core::{Context, ProjectRef, Redactor, Report, report::ReportBuilder};
use futures_util::StreamExt;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{Engine, Patience, ours};
use crate::{error::EngineError, labels};

/// How many of a container's last lines are shown when it fails.
const LAST_LINES: &str = "200";

/// How long a container that was started again has to run before it counts as up.
const SETTLED: Duration = Duration::from_secs(10);

/// How much of a container's last line is shown.
const LAST_LINE_LENGTH: usize = 300;

/// A container of ours, as the engine lists it.
#[derive(Clone, Debug)]
pub(crate) struct Container {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) labels: HashMap<String, String>,
    pub(crate) created: Option<OffsetDateTime>,
}

/// Where a container is that was to be made.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) id: String,
    /// Whether it was made just now, so that nobody can have started it.
    pub(crate) is_new: bool,
}

/// A container of ours, looked at closely.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// Whether it runs.
    pub(crate) running: bool,
    /// Whether its processes are frozen, which `docker pause` does. It runs all the same.
    pub(crate) paused: bool,
    /// Whether the engine is about to start it again.
    pub(crate) restarting: bool,
    /// Whether it was ever started.
    pub(crate) started: bool,
    /// Its last exit code.
    pub(crate) exit_code: i64,
    /// What the engine says of its end, for instance that there is no such program.
    pub(crate) error: String,
    /// How often the engine started it again.
    pub(crate) restarts: i64,
    /// When it was started last, or when it ended if it does not run.
    pub(crate) since: Option<OffsetDateTime>,
    /// What the engine's own health check says.
    pub(crate) health: Option<EngineHealth>,
    /// The health check's test that is in force, the image's included; empty if there is none.
    pub(crate) test: Vec<String>,
    /// The signal that stops it.
    pub(crate) stop_signal: String,
    /// How long it may take to stop, in seconds.
    pub(crate) stop_timeout: Option<i64>,
    /// Its addresses, by network.
    pub(crate) addresses: HashMap<String, String>,
    /// The ids of the networks that it is in, by name; empty where the engine knows none until it starts.
    pub(crate) networks: HashMap<String, String>,
    /// What the engine bounds it by, and when it starts it again.
    host: HostConfig,
}

/// What the engine's own health check says.
#[derive(Clone, Debug)]
pub(crate) struct EngineHealth {
    /// `starting`, `healthy` or `unhealthy`.
    pub(crate) status: String,
    /// What the last test printed.
    pub(crate) output: String,
}

impl Container {
    /// The service that it runs.
    pub(crate) fn service(&self) -> &str {
        self.labels.get(labels::SERVICE).map_or("", String::as_str)
    }

    /// The hash of the configuration that it was made from.
    pub(crate) fn config_hash(&self) -> Option<&str> {
        self.labels.get(labels::CONFIG_HASH).map(String::as_str)
    }
}

impl State {
    /// Whether it ended well.
    pub(crate) fn is_done(&self) -> bool {
        self.started && !self.running && !self.restarting && self.exit_code == 0
    }

    /// Since when it runs, as a length of time by this machine's clock.
    pub(crate) fn running_for(&self) -> Duration {
        let since = self.since.filter(|_| self.running);
        since.and_then(|since| (OffsetDateTime::now_utc() - since).try_into().ok()).unwrap_or_default()
    }

    /// Whether it runs to stay, as far as the engine's own starts tell: it was not started again, or has run since for so
    /// long that the engine itself forgets its failures (moby, `restartmanager`, `ShouldRestart`).
    pub(crate) fn is_settled(&self) -> bool {
        self.restarts == 0 || self.running_for() >= SETTLED
    }
}

impl Engine {
    /// The containers of one project, or of all, running or not.
    pub(crate) async fn containers(
        &self,
        ctx: &Context,
        project: Option<&ProjectRef>,
    ) -> Result<Vec<Container>, EngineError> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&ours(project)).build();
        let found =
            self.call(ctx, "list", "containers", self.client().list_containers(Some(options))).await?;
        Ok(found
            .into_iter()
            .map(|container| Container {
                id: container.id.unwrap_or_default(),
                name: plain_name(container.names.unwrap_or_default().first().map_or("", String::as_str)),
                labels: container.labels.unwrap_or_default(),
                created: container.created.and_then(|at| OffsetDateTime::from_unix_timestamp(at).ok()),
            })
            .collect())
    }

    /// How a container is; `None` if it is gone.
    pub(crate) async fn state(&self, ctx: &Context, id: &str) -> Result<Option<State>, EngineError> {
        let inspected = self
            .call(
                ctx,
                "inspect container",
                id,
                self.client().inspect_container(id, None::<InspectContainerOptions>),
            )
            .await;
        match inspected {
            Ok(container) => Ok(Some(state(container))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Starts a container. One that runs is started.
    pub(crate) async fn start_container(&self, ctx: &Context, id: &str) -> Result<(), EngineError> {
        self.call(
            ctx,
            "start container",
            id,
            self.client().start_container(id, None::<StartContainerOptions>),
        )
        .await
    }

    /// Lets a container go on that was frozen. One that is not is as wished.
    pub(crate) async fn unpause_container(&self, ctx: &Context, id: &str) -> Result<(), EngineError> {
        let done = self.call(ctx, "unpause container", id, self.client().unpause_container(id)).await;
        match done {
            Err(error) if error.is_conflict() => Ok(()),
            other => other,
        }
    }

    /// Sends a container a signal. One that does not run has it.
    pub(crate) async fn signal_container(
        &self,
        ctx: &Context,
        id: &str,
        signal: &str,
    ) -> Result<(), EngineError> {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        let sent =
            self.call(ctx, "stop container", id, self.client().kill_container(id, Some(options))).await;
        match sent {
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            other => other,
        }
    }

    /// Removes a container by its id, killing it if it runs. One that is gone is removed. The engine lists a container
    /// before it is made, and after somebody else began to remove it: it answers 404 or 409 then, and is asked again.
    pub(crate) async fn remove_container(&self, ctx: &Context, id: &str) -> Result<(), EngineError> {
        let patience = Patience::new(ctx);
        loop {
            let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
            let removed = self
                .call(ctx, "remove container", id, self.client().remove_container(id, Some(options)))
                .await;
            match removed {
                Err(error) if error.is_not_found() || error.is_conflict() => {
                    if !self.lists(ctx, id).await? {
                        return Ok(());
                    }
                    if !patience.lasts(ctx, "see the engine finish with a container").await? {
                        return Err(EngineError::Busy { verb: "remove container", thing: id.to_owned() });
                    }
                }
                other => return other,
            }
        }
    }

    async fn lists(&self, ctx: &Context, id: &str) -> Result<bool, EngineError> {
        let filters = HashMap::from([("id".to_owned(), vec![id.to_owned()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found =
            self.call(ctx, "list", "containers", self.client().list_containers(Some(options))).await?;
        Ok(!found.is_empty())
    }

    /// Puts files into a container that is not started yet. `archive` is a tar archive of paths from the root.
    pub(crate) async fn upload(&self, ctx: &Context, id: &str, archive: Vec<u8>) -> Result<(), EngineError> {
        let options = UploadToContainerOptionsBuilder::default().path("/").build();
        let body = bollard::body_full(archive.into());
        self.call(ctx, "copy files into", id, self.client().upload_to_container(id, Some(options), body))
            .await
    }

    /// What a container printed last, redacted. It is for an error's report, so an engine that does not tell gives less.
    pub(crate) async fn last_output(&self, ctx: &Context, id: &str, redactor: &Redactor) -> Report {
        let mut report = ReportBuilder::new(redactor);
        let options = LogsOptionsBuilder::default().stdout(true).stderr(true).tail(LAST_LINES).build();
        let read = async {
            let mut lines = std::pin::pin!(self.client().logs(id, Some(options)));
            while let Some(Ok(line)) = lines.next().await {
                match &line {
                    bollard::container::LogOutput::StdErr { message } => report.stderr(message),
                    other => report.stdout(other.as_ref()),
                }
            }
        };
        // Not bounded by the context: the reason why a call failed is wanted most when its deadline has passed.
        let _ = tokio::time::timeout(ctx.margin().max(Duration::from_secs(1)), read).await;
        report.finish()
    }

    /// The last line that a container printed, redacted.
    pub(crate) async fn last_line(&self, ctx: &Context, id: &str, redactor: &Redactor) -> Option<String> {
        last_line(&self.last_output(ctx, id, redactor).await)
    }
}

/// What was said last: of errors if there were any, since what else is printed tells less of an end.
pub(crate) fn last_line(report: &Report) -> Option<String> {
    let last = |text: &str| {
        let line = text.lines().rev().map(str::trim).find(|line| !line.is_empty())?;
        Some(line.chars().take(LAST_LINE_LENGTH).collect())
    };
    last(&report.stderr).or_else(|| last(&report.stdout))
}

fn state(container: ContainerInspectResponse) -> State {
    let config = container.config.unwrap_or_default();
    let state = container.state.unwrap_or_default();
    let running = state.running.unwrap_or_default();
    let since = if running { &state.started_at } else { &state.finished_at };
    let since = since.as_deref().and_then(|at| OffsetDateTime::parse(at, &Rfc3339).ok());
    let health = state.health.and_then(|health| {
        let status = health.status?.to_string();
        let last = health.log.unwrap_or_default().pop();
        let output = last.and_then(|result| result.output).unwrap_or_default();
        (!matches!(status.as_str(), "" | "none"))
            .then(|| EngineHealth { status, output: output.trim().to_owned() })
    });
    let test = config.healthcheck.and_then(|check| check.test).unwrap_or_default();
    let networks = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let ids =
        networks.iter().map(|(name, place)| (name.clone(), place.network_id.clone().unwrap_or_default()));
    State {
        running,
        paused: state.paused.unwrap_or_default(),
        networks: ids.collect(),
        host: container.host_config.unwrap_or_default(),
        restarting: state.restarting.unwrap_or_default(),
        // The engine's zero time: it was never started.
        started: state.started_at.is_some_and(|at| !at.is_empty() && !at.starts_with("0001-")),
        exit_code: state.exit_code.unwrap_or_default(),
        error: state.error.unwrap_or_default(),
        restarts: container.restart_count.unwrap_or_default(),
        since: since.filter(|at| at.year() > 1),
        health,
        test: if test.first().is_some_and(|kind| kind == "NONE") { Vec::new() } else { test },
        stop_signal: config.stop_signal.filter(|s| !s.is_empty()).unwrap_or_else(|| "SIGTERM".into()),
        stop_timeout: config.stop_timeout,
        addresses: networks
            .into_iter()
            .filter_map(|(name, place)| Some((name, place.ip_address.filter(|ip| !ip.is_empty())?)))
            .collect(),
    }
}

/// The engine shows names with a slash before them.
fn plain_name(name: &str) -> String {
    name.trim_start_matches('/').to_owned()
}
