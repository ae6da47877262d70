//! The calls that look at projects and change nothing: health, plan, inventory.

use std::collections::BTreeMap;

use freehold_core::{
    Context, Health, Holding, Plan, ProjectRef, Result, Runtime, ServiceHealth, ServiceState, Wish,
};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::{ShellBackend, hook::Hook, input::Request};

impl ShellBackend {
    /// What `health` says of each service that is not excluded.
    pub(crate) async fn probe(&self, ctx: &Context, runtime: &Runtime) -> Result<Health> {
        let stack = self.stack_of(&runtime.digest)?;
        let request = Self::request(ctx, Hook::Health, &stack, Some(runtime));
        let began = Instant::now();
        let output = self.invocation(&stack, &request, None)?.run(ctx).await?.output;
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let services = stack.spec.services.iter().filter(|service| !runtime.excluded.contains(&service.name));
        let services = services.map(|service| {
            let said = output.health.iter().find(|line| line.service == service.name);
            let state = said.map_or(ServiceState::Unknown, |line| line.state);
            let probe = said.map_or_else(|| "not probed".to_owned(), |line| line.probe.clone());
            ServiceHealth {
                last_error: said.and_then(|line| line.error.clone()),
                latency_ms: said.map(|_| took),
                ..ServiceHealth::new(service.name.clone(), state, probe)
            }
        });
        Ok(Health { services: services.collect() })
    }

    /// What `plan` says would have to be done.
    pub(crate) async fn differences(&self, ctx: &Context, runtime: &Runtime, wish: Wish) -> Result<Plan> {
        let stack = self.stack_of(&runtime.digest)?;
        let request = Request { wish: Some(wish), ..Self::request(ctx, Hook::Plan, &stack, Some(runtime)) };
        let output = self.invocation(&stack, &request, None)?.run(ctx).await?.output;
        Ok(Plan { changes: output.changes })
    }

    /// The folders of projects, and what `inventory` found outside of them.
    pub(crate) async fn count(&self, ctx: &Context) -> Result<Vec<Holding>> {
        let mut found: BTreeMap<ProjectRef, Holding> = BTreeMap::new();
        for project in self.folder.list()? {
            // One that is gone by now was destroyed meanwhile.
            let folder = self.folder.project(&project);
            if let Ok(oldest) = folder.age() {
                let resources = BTreeMap::from([("folder".to_owned(), 1)]);
                let installation = folder.record().and_then(|record| record.installation);
                found.insert(project, Holding { project, installation, resources, oldest });
            }
        }
        let stack = self.present()?;
        let request = Self::request(ctx, Hook::Inventory, &stack, None);
        let output = self.invocation(&stack, &request, None)?.run(ctx).await?.output;
        for line in output.holdings {
            let holding = found.entry(line.project).or_insert_with(|| Holding {
                project: line.project,
                // Whose it is stands in the folder.
                installation: None,
                resources: BTreeMap::new(),
                // A folder is made before everything else and removed after it: without one, nothing is in the making.
                oldest: OffsetDateTime::UNIX_EPOCH,
            });
            *holding.resources.entry(line.kind).or_default() += line.count;
        }
        Ok(found.into_values().collect())
    }
}
