//! Under a control plane: what was asked for once comes about without help, each effect shows once, nothing is left.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use freehold_core::{
    Fact, Keyring, OperationState, ProjectRef, Result, SecretString, Status,
    control_plane::{Accepted, ControlPlane, CreateProject, Reconfigure, Settings, TargetSettings},
    memory::MemoryStore,
    seal::SealKey,
};

use super::{
    Call, Case, Stage, Step, Trouble, cases,
    stage::{MARGIN, look},
    survive,
};
use crate::fixture::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_engine_does_each_project_comes_to_where_it_is_wished() {
    let cases = cases(|call, trouble| call.mutates() && !is_endless(call, trouble)).await;
    let survived = survive(cases, live).await;
    println!("count: {survived} troubles of the engine survived under a control plane");
}

/// A pull touches no project, so nothing but the operation's deadline bounds it, and then it has failed.
fn is_endless(call: Call, trouble: Trouble) -> bool {
    call == Call::PullImage && matches!(trouble, Trouble::Hangs | Trouble::HangsAfter | Trouble::Late)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_lands_under_a_paused_project_is_taken_away_by_another_pause() {
    let stage = Stage::new().await;
    let control = control_plane(&stage, Duration::from_millis(100)).await;
    let (mut project, mut straggler) = (None, None);
    for step in [Step::Provision, Step::Pause] {
        let accepted = command(&control, step, project).await.unwrap();
        project = Some(accepted.project.reference);
        control.wait_operation(accepted.operation.unwrap().id, PATIENCE).await.unwrap();
        straggler.get_or_insert_with(|| stage.engine.straggler("db"));
    }
    let paused = control.events(0, 1000).await.unwrap().next;
    stage.engine.land(&straggler.unwrap());
    assert_eq!(stage.engine.running(), ["db"]);
    let mut events = control.follow_events(paused);
    let (mut moved, mut why) = (Vec::new(), None);
    while why.is_none() || moved.last() != Some(&Status::Inactive) {
        if let Fact::StatusChanged { to, reason, .. } = events.recv().await.unwrap().unwrap().fact {
            moved.push(to);
            why = why.or(reason);
        }
    }
    assert!(moved.ends_with(&[Status::Pausing, Status::Inactive]), "{moved:?}");
    assert!(
        why.as_ref().is_some_and(|why| why.contains("found though it is paused: container fh-")),
        "{why:?}"
    );
    look(&stage.engine, Step::Pause, &mut stage.engine.volumes()).unwrap();
}

/// A control plane that does nothing by itself unless it watches: what comes about does so in the operation that was asked
/// for.
async fn control_plane(stage: &Stage, watch: Duration) -> ControlPlane {
    let settings = Settings {
        lease_margin: MARGIN,
        poll: Duration::from_millis(50),
        watch,
        sweep: Duration::ZERO,
        attempts: 5,
        backoff: Duration::from_millis(50),
        ..Settings::default()
    };
    ControlPlane::builder()
        .store(Arc::new(MemoryStore::new()))
        .sealer(Arc::new(Keyring::new(SealKey::new([7; 32]))))
        .target("local".parse().unwrap(), stage.backend.clone(), TargetSettings::default())
        .settings(settings)
        .build()
        .await
        .unwrap()
}

async fn live(case: Case) -> std::result::Result<(), String> {
    let stage = Stage::new().await;
    let control = control_plane(&stage, Duration::ZERO).await;
    let (mut project, mut data, mut path) = (None, BTreeMap::new(), Vec::new());
    for step in case.step.life().iter().copied() {
        if step == case.step {
            stage.engine.plan(case.call, case.n, case.trouble);
        }
        let accepted = command(&control, step, project).await.unwrap();
        project = Some(accepted.project.reference);
        let operation = accepted.operation.unwrap().id;
        let ended = control.wait_operation(operation, PATIENCE).await.unwrap();
        if ended.state != OperationState::Succeeded {
            return Err(format!("{step:?} is {}: {:?}", ended.state, ended.error));
        }
        look(&stage.engine, step, &mut data)?;
        path.extend(statuses(step));
    }
    if stage.engine.struck() == 0 {
        return Err("nothing went wrong".into());
    }
    let moved = moves(&control).await;
    if moved != path {
        return Err(format!("it moved through {moved:?}"));
    }
    let left = control.inventory(&"local".parse().unwrap()).await.unwrap();
    if left.is_empty() { Ok(()) } else { Err(format!("left: {left:?}")) }
}

async fn command(control: &ControlPlane, step: Step, project: Option<ProjectRef>) -> Result<Accepted> {
    let Some(project) = project else {
        let create = CreateProject::new("acme".parse().unwrap(), "demo".parse().unwrap());
        return control.create(create, None).await;
    };
    match step {
        Step::Provision => unreachable!("a life has one beginning"),
        Step::Pause => control.pause(&project).await,
        Step::Resume => control.resume(&project).await,
        Step::Restart => control.restart(&project, &[]).await,
        Step::Reconfigure => {
            let greeting = Some(SecretString::from("good day"));
            let amended = BTreeMap::from([("GREETING".to_owned(), greeting)]);
            control.reconfigure(&project, Reconfigure { amended, ..Reconfigure::default() }).await
        }
        Step::Destroy => control.destroy(&project).await,
    }
}

/// What a project moves through in a step, where all goes well.
fn statuses(step: Step) -> [Status; 2] {
    match step {
        Step::Provision => [Status::ComingUp, Status::ActiveHealthy],
        Step::Pause => [Status::Pausing, Status::Inactive],
        Step::Resume => [Status::Restoring, Status::ActiveHealthy],
        Step::Restart | Step::Reconfigure => [Status::Restarting, Status::ActiveHealthy],
        Step::Destroy => [Status::GoingDown, Status::Removed],
    }
}

/// What the project moved through, to its end.
async fn moves(control: &ControlPlane) -> Vec<Status> {
    let (mut events, mut moved) = (control.follow_events(0), Vec::new());
    while moved.last() != Some(&Status::Removed) {
        if let Fact::StatusChanged { to, .. } = events.recv().await.unwrap().unwrap().fact {
            moved.push(to);
        }
    }
    moved
}
