//! The backend alone: a call succeeds, or fails so that it may come again, and then converges.

use std::{collections::BTreeMap, time::Duration};

use freehold_core::Kind;

use super::{
    Call, Case, Stage, Step, Trouble, cases,
    stage::{MARGIN, look},
    survive,
};
use crate::fixture::PATIENCE;

/// A call fails over the trouble, and perhaps once more over what the trouble left under way.
const FAILURES: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_the_engine_troubles_succeeds_or_may_come_again_and_converges() {
    let survived = survive(cases(|_, _| true).await, live).await;
    println!("count: {survived} troubles of the engine survived by the Docker backend alone");
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_that_an_earlier_removal_takes_while_a_project_is_resumed_are_made_anew() {
    for call in [Call::CreateContainer, Call::JoinNetwork, Call::StartContainer] {
        let case = Case { step: Step::Resume, call, n: 1, trouble: Trouble::NetworksGo };
        live(case).await.unwrap_or_else(|problem| panic!("{case:?}: {problem}"));
    }
}

async fn live(case: Case) -> Result<(), String> {
    let mut stage = Stage::new().await;
    let mut data = BTreeMap::new();
    for step in case.step.life().iter().copied() {
        if step == Step::Reconfigure {
            stage.runtime.variables.insert("GREETING".into(), "good day".into());
        }
        if step == case.step {
            stage.engine.plan(case.call, case.n, case.trouble);
        }
        converge(&stage, step, case).await?;
        look(&stage.engine, step, &mut data)?;
    }
    if stage.engine.struck() == 0 {
        return Err("nothing went wrong".into());
    }
    match std::fs::read_dir(stage.engine.data().join("projects")).unwrap().next() {
        Some(left) => Err(format!("left: {left:?}")),
        None => Ok(()),
    }
}

/// Calls until it succeeds, and once more if the engine then is not as wished: so does the control plane.
async fn converge(stage: &Stage, step: Step, case: Case) -> Result<(), String> {
    let mut failures = 0;
    loop {
        let called = async {
            stage.call(&stage.ctx_of(patience(case, failures)), step).await?;
            let mut differences = stage.differences(step).await?;
            if !differences.is_empty() {
                stage.call(&stage.ctx(), step).await?;
                differences = stage.differences(step).await?;
            }
            Ok::<_, freehold_core::Error>(differences)
        };
        match called.await {
            Ok(differences) if differences.is_empty() => return Ok(()),
            Ok(differences) => return Err(format!("behind {step:?}: {differences:?}")),
            Err(error) if !matches!(error.kind(), Kind::Unavailable | Kind::Timeout) => {
                return Err(format!("{step:?} is {:?}: {}", error.kind(), error.chain()));
            }
            Err(error) if failures == FAILURES => {
                return Err(format!("{step:?} failed again: {}", error.chain()));
            }
            Err(_) => failures += 1,
        }
        stage.engine.up().await;
    }
}

/// A pull touches no project, so nothing but the deadline bounds it.
fn patience(case: Case, failures: usize) -> Duration {
    match (case.call, case.trouble, failures) {
        (Call::PullImage, Trouble::Hangs | Trouble::HangsAfter | Trouble::Late, 0) => 2 * MARGIN,
        _ => PATIENCE,
    }
}
