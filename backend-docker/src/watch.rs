//! Watching one container until it is ready, has done its job, has stopped, or will never be ready.

use std::time::Duration;

use freehold_core::{Context, Error, Kind, Result};
use tokio::time::Instant;

use crate::{
    ending,
    engine::{Engine, State},
    events::{Events, Listener},
    gates::Stage,
    graph::ContainerNode,
    probe::{Prober, Question},
    vantage::Vantage,
};

/// How often a service may end and be started again by the engine while it comes up.
const RESTARTS_TOLERATED: i64 = 3;

/// How long to wait for an event before looking again all the same.
const LOOK_AGAIN: Duration = Duration::from_secs(2);

/// Watches containers of one engine.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    pub(crate) engine: Engine,
    pub(crate) events: Events,
    pub(crate) prober: Prober,
    pub(crate) vantage: Vantage,
}

impl Watch {
    /// Waits until a started container is ready, or done if it is a job.
    ///
    /// # Errors
    /// `Internal` if it ended and will not be ready, `Timeout` with the last probe's answer if it never became ready.
    pub(crate) async fn ready(&self, ctx: &Context, id: &str, node: &ContainerNode) -> Result<Stage> {
        self.answered(ctx, id, node, Question::Ready).await
    }

    /// Waits until a started container answers a question well, or is done if it is a job.
    ///
    /// # Errors
    /// As [`Self::ready`].
    pub(crate) async fn answered(
        &self,
        ctx: &Context,
        id: &str,
        node: &ContainerNode,
        question: Question,
    ) -> Result<Stage> {
        let mut listener = self.events.listen(id);
        let mut last = None;
        let waited = self.until_answered(ctx, id, node, question, &mut listener, &mut last).await;
        waited.map_err(|error| match last {
            Some(answer) if error.kind() == Kind::Timeout => error.with("last answer", answer),
            _ => error,
        })
    }

    async fn until_answered(
        &self,
        ctx: &Context,
        id: &str,
        node: &ContainerNode,
        question: Question,
        listener: &mut Listener,
        last: &mut Option<String>,
    ) -> Result<Stage> {
        let (began, mut restarts) = (Instant::now(), None);
        loop {
            let state = self.engine.state(ctx, id).await?.ok_or_else(|| gone(node))?;
            let restarts = state.restarts - *restarts.get_or_insert(state.restarts);
            if !state.running && !state.restarting {
                return if ending::is_done(node, &state) {
                    Ok(Stage::Done)
                } else {
                    Err(ended(node, &state))
                };
            }
            if restarts > RESTARTS_TOLERATED {
                return Err(ended(node, &state).with("restarts", restarts));
            }
            // What happens to a container is told by an event, so between two looks there are only questions.
            let look_again = Instant::now() + LOOK_AGAIN;
            loop {
                let mut pause = LOOK_AGAIN;
                if state.running && !state.restarting && !node.job {
                    match self.prober.ask(ctx, id, node, &state, question).await? {
                        None if state.is_settled() => return Ok(Stage::Ready),
                        None => *last = Some(format!("started again by the engine {} times", state.restarts)),
                        Some(answer) => {
                            pause = answer.pause(began.elapsed());
                            match answer.problem {
                                None => return Ok(Stage::Ready),
                                Some(problem) => *last = Some(format!("{}: {problem}", answer.probe)),
                            }
                        }
                    }
                }
                let woken = ctx.bounded("become ready", wake(listener, pause)).await?;
                if woken || Instant::now() >= look_again {
                    break;
                }
            }
        }
    }

    /// Waits until a container does not run, at most so long. Answers whether it stopped.
    pub(crate) async fn stopped(&self, ctx: &Context, id: &str, patience: Duration) -> Result<bool> {
        let mut listener = self.events.listen(id);
        let until = Instant::now() + patience;
        loop {
            let state = self.engine.state(ctx, id).await?;
            if state.is_none_or(|state| !state.running) {
                return Ok(true);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            ctx.bounded("stop", wake(&mut listener, left.min(LOOK_AGAIN))).await?;
        }
    }
}

/// Ends with the next event, or after the pause. Answers whether there was an event.
async fn wake(listener: &mut Listener, pause: Duration) -> Result<bool> {
    Ok(tokio::time::timeout(pause, listener.woken()).await.is_ok())
}

fn gone(node: &ContainerNode) -> Error {
    Error::internal(format!("run {}: its container was removed by somebody else", node.service))
}

fn ended(node: &ContainerNode, state: &State) -> Error {
    let error =
        Error::internal(format!("run {}: its container exited with code {}", node.service, state.exit_code));
    error.with("engine", &state.error)
}
