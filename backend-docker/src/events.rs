//! The engine's events, read once for all projects. An event only wakes whoever waits; what is so is looked up. So
//! a lost event costs nothing but the time until the next, and after a broken subscription everybody looks again.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use tokio::sync::broadcast;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{engine::Engine, labels};

/// How many events may wait for a slow listener. One that falls behind looks again, as after a broken subscription.
const BACKLOG: usize = 1024;

/// How long to wait before subscribing again, at first and at most.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// The one subscription of a backend. It ends with the last clone.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    sender: broadcast::Sender<Wake>,
    _reader: Arc<AbortOnDropHandle<()>>,
}

/// Whom an event is for.
#[derive(Clone, Debug)]
enum Wake {
    /// Whoever watches this container.
    Container(String),
    /// Everybody: the subscription is new, and nobody knows what happened before.
    Everybody,
}

/// Listens for what happens to one container.
#[derive(Debug)]
pub(crate) struct Listener {
    receiver: broadcast::Receiver<Wake>,
    container: String,
}

impl Events {
    /// Subscribes, and subscribes again whenever the engine goes away.
    pub(crate) fn subscribe(engine: Engine, stop: CancellationToken) -> Self {
        let (sender, _) = broadcast::channel(BACKLOG);
        let reader = tokio::spawn({
            let sender = sender.clone();
            async move {
                stop.run_until_cancelled(read(&engine, &sender)).await;
            }
        });
        Self { sender, _reader: Arc::new(AbortOnDropHandle::new(reader)) }
    }

    /// A listener for one container. What happens from now on wakes it, so look once after making it.
    pub(crate) fn listen(&self, container: &str) -> Listener {
        Listener { receiver: self.sender.subscribe(), container: container.to_owned() }
    }
}

impl Listener {
    /// Ends when something may have happened to the container.
    pub(crate) async fn woken(&mut self) {
        loop {
            match self.receiver.recv().await {
                Ok(Wake::Container(id)) if id != self.container => {}
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => return,
                // The backend is going away, and its calls with it.
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

async fn read(engine: &Engine, sender: &broadcast::Sender<Wake>) {
    let filters = HashMap::from([
        ("type", vec!["container"]),
        ("label", vec![labels::REF]),
        ("event", vec!["start", "die", "oom", "destroy", "health_status"]),
    ]);
    let mut since: Option<String> = None;
    let mut pause = BACK_OFF.0;
    loop {
        let mut options = EventsOptionsBuilder::default().filters(&filters);
        if let Some(since) = &since {
            options = options.since(since);
        }
        let mut events = std::pin::pin!(engine.client().events(Some(options.build())));
        // Nobody may be listening, and that is no error.
        let _ = sender.send(Wake::Everybody);
        while let Some(event) = events.next().await {
            let event = match event {
                Ok(event) => event,
                Err(error) => {
                    tracing::debug!(%error, "the engine's event stream broke");
                    break;
                }
            };
            pause = BACK_OFF.0;
            if let Some(nanos) = event.time_nano {
                since = Some(format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000));
            }
            if let Some(id) = event.actor.and_then(|actor| actor.id) {
                let _ = sender.send(Wake::Container(id));
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(BACK_OFF.1);
    }
}
