//! Counts the statements that requests make: sqlx tells of each, and what is told inside the span of a request is its own.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tracing::{Event, Subscriber};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

/// Counts statements inside requests, on the thread that it was set for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Statements(Arc<AtomicUsize>);

impl Statements {
    /// How many the requests of this work make. It and they have to run on this thread.
    pub(crate) async fn count(work: impl Future<Output = ()>) -> usize {
        let statements = Self::default();
        let _set = tracing::subscriber::set_default(Registry::default().with(statements.clone()));
        work.await;
        statements.0.load(Ordering::Relaxed)
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Statements {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let is_statement = event.metadata().target() == "sqlx::query";
        let in_request = || context.event_scope(event)?.find(|span| span.name() == "request");
        if is_statement && in_request().is_some() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}
