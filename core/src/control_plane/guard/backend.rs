//! A backend that cannot take its caller down with it.

use std::{future::Future, sync::Arc};

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::{panic_text, panicked};
use crate::{
    context::Context,
    destroyer::{Backend, Destroyer},
    error::{Error, Kind, Result},
    health::Health,
    inventory::Holding,
    plan::{Plan, Wish},
    project_ref::ProjectRef,
    provisioner::{Description, LogLine, LogRequest, Outcome, Provisioner, Scope},
    runtime::Runtime,
};

/// Runs each call in a task of its own. A panic ends the task and is an error here, its text redacted; a call that holds
/// its thread without ever awaiting holds that thread alone, and its caller goes on once it is dropped.
#[derive(Debug)]
pub(in super::super) struct GuardedBackend(Arc<dyn Backend>);

impl GuardedBackend {
    pub(in super::super) fn new(backend: Arc<dyn Backend>) -> Self {
        Self(backend)
    }

    async fn run<T, F>(
        &self,
        secrets: Option<&Runtime>,
        call: impl FnOnce(Arc<dyn Backend>) -> F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        let task = tokio::spawn(call(Arc::clone(&self.0)).in_current_span());
        match AbortOnDropHandle::new(task).await {
            Ok(result) => result,
            Err(end) => Err(match end.try_into_panic() {
                Ok(panic) => {
                    let text = panic_text(&*panic);
                    let text = secrets.map_or(text.clone(), |runtime| runtime.redactor().redact(&text));
                    panicked("backend", &text)
                }
                Err(_) => Error::new(Kind::Unavailable, "hear of the backend: this process is ending"),
            }),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provisioner for GuardedBackend {
    async fn describe(&self, ctx: &Context) -> Result<Description> {
        let ctx = ctx.clone();
        self.run(None, |backend| async move { backend.describe(&ctx).await }).await
    }

    async fn provision(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let (ctx, own) = (ctx.clone(), runtime.clone());
        self.run(Some(runtime), |backend| async move { backend.provision(&ctx, &own).await }).await
    }

    async fn pause(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let (ctx, own) = (ctx.clone(), runtime.clone());
        self.run(Some(runtime), |backend| async move { backend.pause(&ctx, &own).await }).await
    }

    async fn resume(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let (ctx, own) = (ctx.clone(), runtime.clone());
        self.run(Some(runtime), |backend| async move { backend.resume(&ctx, &own).await }).await
    }

    async fn restart(&self, ctx: &Context, runtime: &Runtime, scope: &Scope) -> Result<Outcome> {
        let (ctx, own, scope) = (ctx.clone(), runtime.clone(), scope.clone());
        self.run(Some(runtime), |backend| async move { backend.restart(&ctx, &own, &scope).await }).await
    }

    async fn reconfigure(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let (ctx, own) = (ctx.clone(), runtime.clone());
        self.run(Some(runtime), |backend| async move { backend.reconfigure(&ctx, &own).await }).await
    }

    async fn plan(&self, ctx: &Context, runtime: &Runtime, wish: Wish) -> Result<Plan> {
        let (ctx, own) = (ctx.clone(), runtime.clone());
        self.run(Some(runtime), |backend| async move { backend.plan(&ctx, &own, wish).await }).await
    }

    async fn health(&self, ctx: &Context, runtime: &Runtime) -> Result<Health> {
        let (ctx, own) = (ctx.clone(), runtime.clone());
        self.run(Some(runtime), |backend| async move { backend.health(&ctx, &own).await }).await
    }

    async fn logs(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        request: &LogRequest,
    ) -> Result<mpsc::Receiver<Result<LogLine>>> {
        let (ctx, own, request) = (ctx.clone(), runtime.clone(), request.clone());
        self.run(Some(runtime), |backend| async move { backend.logs(&ctx, &own, &request).await }).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Destroyer for GuardedBackend {
    async fn destroy(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome> {
        let (ctx, project) = (ctx.clone(), *project);
        self.run(None, |backend| async move { backend.destroy(&ctx, &project).await }).await
    }

    async fn inventory(&self, ctx: &Context) -> Result<Vec<Holding>> {
        let ctx = ctx.clone();
        self.run(None, |backend| async move { backend.inventory(&ctx).await }).await
    }

    async fn holding(&self, ctx: &Context, project: &ProjectRef) -> Result<Option<Holding>> {
        let (ctx, project) = (ctx.clone(), *project);
        self.run(None, |backend| async move { backend.holding(&ctx, &project).await }).await
    }
}
