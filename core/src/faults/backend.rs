//! A backend that goes wrong by plan.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::injector::{InCall, Injector};
use crate::{
    context::Context,
    destroyer::{Backend, Destroyer},
    error::Result,
    health::Health,
    inventory::Holding,
    plan::{Plan, Wish},
    project_ref::ProjectRef,
    provisioner::{Description, LogLine, LogRequest, Outcome, Provisioner, Scope},
    runtime::Runtime,
};

/// Any backend, with a fault plan acting before and after each call and at each step in it.
#[derive(Debug)]
pub struct FaultyBackend {
    backend: Arc<dyn Backend>,
    injector: Arc<Injector>,
}

impl FaultyBackend {
    /// Wraps a backend.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, injector: Arc<Injector>) -> Self {
        Self { backend, injector }
    }

    /// The context for a call: the plan acts at its steps too.
    fn within(&self, ctx: &Context, call: &'static str) -> Context {
        let (injector, other) = (Arc::clone(&self.injector), ctx.interceptor().cloned());
        ctx.intercepted_by(Arc::new(InCall { injector, call, other }))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Provisioner for FaultyBackend {
    async fn describe(&self, ctx: &Context) -> Result<Description> {
        let ctx = &self.within(ctx, "describe");
        self.injector.around("call", "describe", || self.backend.describe(ctx)).await
    }

    async fn provision(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let ctx = &self.within(ctx, "provision");
        self.injector.around("call", "provision", || self.backend.provision(ctx, runtime)).await
    }

    async fn pause(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let ctx = &self.within(ctx, "pause");
        self.injector.around("call", "pause", || self.backend.pause(ctx, runtime)).await
    }

    async fn resume(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let ctx = &self.within(ctx, "resume");
        self.injector.around("call", "resume", || self.backend.resume(ctx, runtime)).await
    }

    async fn restart(&self, ctx: &Context, runtime: &Runtime, scope: &Scope) -> Result<Outcome> {
        let ctx = &self.within(ctx, "restart");
        self.injector.around("call", "restart", || self.backend.restart(ctx, runtime, scope)).await
    }

    async fn reconfigure(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let ctx = &self.within(ctx, "reconfigure");
        self.injector.around("call", "reconfigure", || self.backend.reconfigure(ctx, runtime)).await
    }

    async fn plan(&self, ctx: &Context, runtime: &Runtime, wish: Wish) -> Result<Plan> {
        let ctx = &self.within(ctx, "plan");
        self.injector.around("call", "plan", || self.backend.plan(ctx, runtime, wish)).await
    }

    async fn health(&self, ctx: &Context, runtime: &Runtime) -> Result<Health> {
        let ctx = &self.within(ctx, "health");
        self.injector.around("call", "health", || self.backend.health(ctx, runtime)).await
    }

    async fn logs(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        request: &LogRequest,
    ) -> Result<mpsc::Receiver<Result<LogLine>>> {
        let ctx = &self.within(ctx, "logs");
        self.injector.around("call", "logs", || self.backend.logs(ctx, runtime, request)).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Destroyer for FaultyBackend {
    async fn destroy(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome> {
        let ctx = &self.within(ctx, "destroy");
        self.injector.around("call", "destroy", || self.backend.destroy(ctx, project)).await
    }

    async fn inventory(&self, ctx: &Context) -> Result<Vec<Holding>> {
        let ctx = &self.within(ctx, "inventory");
        self.injector.around("call", "inventory", || self.backend.inventory(ctx)).await
    }

    async fn holding(&self, ctx: &Context, project: &ProjectRef) -> Result<Option<Holding>> {
        let ctx = &self.within(ctx, "holding");
        self.injector.around("call", "holding", || self.backend.holding(ctx, project)).await
    }
}
