//! The backend in memory keeps the promises of a backend, and misbehaves when told to.

mod calls;
mod misbehaviour;
mod observing;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use freehold_core::{
    Annotations, Context, ContextBuilder, FirstRunFile, HashKey, Limits, PortBlock, Progress, ProjectRef,
    Runtime, SecretString, ServiceName,
    clock::TokioClock,
    memory::{MemoryBackend, MemoryStack},
};
use time::OffsetDateTime;
use tokio::{sync::mpsc, time::Instant};

const MINUTE: Duration = Duration::from_secs(60);

fn new_backend() -> MemoryBackend {
    let clock = TokioClock::starting_at(OffsetDateTime::UNIX_EPOCH);
    MemoryBackend::new().unwrap().on_clock(Arc::new(clock))
}

fn service(name: &str) -> ServiceName {
    name.parse().unwrap()
}

/// A project of the stack `mock` with its defaults, on the ports from `first` on.
pub(crate) fn runtime(letter: char, first: u16) -> Runtime {
    let spec = MemoryStack::mock().unwrap().spec;
    let secret = |name: &str| SecretString::from(format!("the {name} of {letter}"));
    Runtime {
        installation: "here".parse().unwrap(),
        project: letter.to_string().repeat(ProjectRef::LEN).parse().unwrap(),
        name: "demo".parse().unwrap(),
        organization: "acme".parse().unwrap(),
        annotations: Annotations::default(),
        excluded: spec.exclusions(None).unwrap(),
        ports: PortBlock { first, count: spec.port_count() },
        secrets: spec.secrets.iter().map(|s| (s.name.clone(), secret(s.name.as_str()))).collect(),
        stack: spec.name,
        digest: spec.digest,
        generation: 1,
        subnet: None,
        hash_key: HashKey::new(vec![1; 32]),
        variables: BTreeMap::new(),
        accept_data_loss: vec![],
        first_run: vec![FirstRunFile::new("10-schema.sql", "select 1").unwrap()],
        limits: Limits::default(),
    }
}

pub(crate) fn ctx() -> Context {
    Context::new(MINUTE)
}

/// A context, and what is reported to it.
fn recorded() -> (Context, mpsc::Receiver<Progress>) {
    let (sender, receiver) = mpsc::channel(100);
    (ContextBuilder::new(Instant::now() + MINUTE).progress(sender).build(), receiver)
}

/// The steps that were taken, as `step service`.
fn steps(mut receiver: mpsc::Receiver<Progress>) -> Vec<String> {
    let mut steps = Vec::new();
    while let Ok(progress) = receiver.try_recv() {
        if let Progress::Step { name, service } = progress {
            steps.push(format!("{name} {service}").trim().to_owned());
        }
    }
    steps
}
