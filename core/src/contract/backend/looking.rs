//! Health and plan tell how it is, and change nothing.

use super::stage::{Call, Stage};
use crate::{
    contract::failure::Verified,
    health::Health,
    plan::{Plan, Wish},
    provisioner::LogRequest,
    runtime::Runtime,
};

impl Stage {
    async fn plan(&self, runtime: &Runtime, wish: Wish) -> Verified<Plan> {
        Ok(self.backend.plan(&Self::context().build(), runtime, wish).await?)
    }

    async fn health(&self, runtime: &Runtime) -> Verified<Health> {
        let health = self.backend.health(&Self::context().build(), runtime).await?;
        let mut answered: Vec<_> = health.services.iter().map(|entry| entry.service.clone()).collect();
        let services = self.spec.services.iter().map(|service| &service.name);
        let mut expected: Vec<_> =
            services.filter(|name| !runtime.excluded.contains(name)).cloned().collect();
        answered.sort();
        expected.sort();
        ensure_eq!(answered, expected, "the services that health answers for");
        Ok(health)
    }
}

pub(super) async fn health_and_plan_tell_where_a_project_stands(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    let not_there = "of a project that is not there";
    ensure!(
        !stage.plan(&runtime, Wish::Active).await?.is_empty(),
        "nothing is to be done for the start {not_there}"
    );
    ensure!(!stage.health(&runtime).await?.is_healthy(), "a project that is not there is healthy");
    for call in [Call::Provision, Call::Pause, Call::Resume] {
        stage.make(call, &runtime).await?;
        let is_active = call.leads_to() == Some(Wish::Active);
        for wish in [Wish::Active, Wish::Paused] {
            let plan = stage.plan(&runtime, wish).await?;
            let as_wished = (wish == Wish::Active) == is_active;
            ensure_eq!(
                plan.is_empty(),
                as_wished,
                "whether the plan for {wish:?} is empty after {call:?}: {plan:?}"
            );
        }
        let health = stage.health(&runtime).await?;
        ensure_eq!(
            health.is_healthy(),
            is_active,
            "whether it is healthy after {call:?}: {}",
            health.complaints()
        );
    }
    Ok(())
}

pub(super) async fn looking_changes_nothing(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    look(stage, &runtime).await?;
    stage.is_gone(&runtime.project).await?;
    for call in [Call::Provision, Call::Pause] {
        stage.make(call, &runtime).await?;
        let before = (stage.leftovers(&runtime.project).await?, stage.holding(&runtime.project).await?);
        look(stage, &runtime).await?;
        let after = (stage.leftovers(&runtime.project).await?, stage.holding(&runtime.project).await?);
        ensure_eq!(after, before, "what there is after somebody looked, after {call:?}");
        stage.arrived(call, &runtime).await?;
    }
    Ok(())
}

/// Looks at a project in every way. An error is an answer.
async fn look(stage: &Stage, runtime: &Runtime) -> Verified {
    let ctx = Stage::context().build();
    for wish in [Wish::Active, Wish::Paused] {
        stage.plan(runtime, wish).await?;
    }
    stage.health(runtime).await?;
    if let Ok(mut lines) = stage.backend.logs(&ctx, runtime, &LogRequest::default()).await {
        while lines.recv().await.is_some() {}
    }
    stage.backend.inventory(&ctx).await?;
    Ok(())
}

pub(super) async fn what_broke_is_seen_and_mended(stage: &Stage) -> Verified {
    let (runtime, connection) = stage.active().await?;
    stage.mark(&runtime, "kept").await?;
    for mend in [Call::Restart, Call::Provision, Call::Resume] {
        stage.fixture.damage(&runtime).await?;
        ensure!(!stage.health(&runtime).await?.is_healthy(), "what is broken is healthy");
        ensure!(
            !stage.plan(&runtime, Wish::Active).await?.is_empty(),
            "nothing is to be done for what is broken"
        );
        let mended = stage.make(mend, &runtime).await?;
        ensure_eq!(mended.connection.as_ref(), Some(&connection), "the connection after {mend:?} mended it");
        stage.arrived(mend, &runtime).await?;
        stage.is_marked(&runtime, "kept").await?;
    }
    // What is broken can still be stopped and removed.
    for call in [Call::Pause, Call::Resume, Call::Destroy] {
        if call != Call::Resume {
            stage.fixture.damage(&runtime).await?;
        }
        stage.make(call, &runtime).await?;
        stage.arrived(call, &runtime).await?;
    }
    Ok(())
}

pub(super) async fn settings_that_differ_are_seen_and_come_into_force(stage: &Stage) -> Verified {
    let (before, _) = stage.active().await?;
    stage.mark(&before, "kept").await?;
    let mut after = stage.fixture.changed(before.clone());
    after.generation = before.generation + 1;
    ensure!(!stage.plan(&after, Wish::Active).await?.is_empty(), "nothing is to be done for other settings");
    for _ in 0..2 {
        stage.make(Call::Reconfigure, &after).await?;
        stage.arrived(Call::Reconfigure, &after).await?;
    }
    stage.is_marked(&after, "kept").await?;
    ensure!(!stage.plan(&before, Wish::Active).await?.is_empty(), "the former settings are still in force");
    // Settings that change while it is paused come into force when it is resumed.
    stage.make(Call::Pause, &after).await?;
    stage.make(Call::Resume, &before).await?;
    stage.arrived(Call::Resume, &before).await?;
    stage.is_marked(&before, "kept").await
}
