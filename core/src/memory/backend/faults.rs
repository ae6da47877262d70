//! Misbehaving on purpose, for tests.

use std::{
    collections::VecDeque,
    future,
    sync::{Mutex, PoisonError},
};

use tokio::sync::oneshot;

use crate::{
    context::Context,
    error::{Error, Kind, Result},
};

/// What goes wrong at steps to come, each thing once.
#[derive(Debug, Default)]
pub(super) struct Faults(Mutex<VecDeque<(String, Fault)>>);

/// What goes wrong at a step.
#[derive(Debug)]
pub(super) enum Fault {
    Fail(Kind),
    Hang(oneshot::Sender<()>),
    Panic,
}

impl Faults {
    /// Goes wrong at the next step of that name.
    pub(super) fn push(&self, step: &str, fault: Fault) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back((step.to_owned(), fault));
    }

    fn take(&self, step: &str) -> Option<Fault> {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let index = faults.iter().position(|(name, _)| name == step)?;
        faults.remove(index).map(|(_, fault)| fault)
    }

    /// Goes wrong if this step was told to.
    pub(super) async fn act(&self, ctx: &Context, step: &str, service: &str) -> Result<()> {
        let named = |error: Error| error.with("step", step).with("service", service);
        match self.take(step) {
            None => Ok(()),
            Some(Fault::Fail(kind)) => Err(named(Error::new(kind, format!("{step}, as a test told it to")))),
            Some(Fault::Hang(reached)) => {
                // The test may have stopped listening; it hangs all the same.
                let _ = reached.send(());
                ctx.bounded(step, future::pending()).await.map_err(named)
            }
            Some(Fault::Panic) => panic!("{step}: panicking, as a test told it to"),
        }
    }
}
