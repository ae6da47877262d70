//! Any call may come again.

use super::{
    interrupt::How,
    stage::{Call, Stage},
};
use crate::{connection::Connection, contract::failure::Verified};

/// How often a call comes.
const TIMES: usize = 3;

pub(super) async fn every_call_gives_the_same_answer_when_it_comes_again(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    let mut reached: Option<Connection> = None;
    for call in Call::LIFE {
        let mut first = None;
        for turn in 1..=TIMES {
            let connection = stage.make(call, &runtime).await?.connection;
            let first = first.get_or_insert_with(|| connection.clone());
            ensure_eq!(connection, *first, "the connection that {call:?} gives the {turn}. time");
        }
        stage.arrived(call, &runtime).await?;
        if let Some(connection) = first.flatten() {
            let reached = reached.get_or_insert_with(|| connection.clone());
            ensure_eq!(connection, *reached, "the connection that {call:?} gives");
        }
    }
    Ok(())
}

pub(super) async fn a_call_that_its_caller_dropped_at_any_step_converges_when_it_comes_again(
    stage: &Stage,
) -> Verified {
    let runtime = stage.project()?;
    for call in Call::LIFE {
        stage.against_the_odds(How::Drop, call, &runtime).await?;
    }
    Ok(())
}

pub(super) async fn a_call_that_had_too_little_time_converges_when_it_comes_again(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    for call in Call::LIFE {
        stage.against_the_clock(call, &runtime).await?;
    }
    Ok(())
}

pub(super) async fn a_call_that_panicked_at_any_step_converges_when_it_comes_again(
    stage: &Stage,
) -> Verified {
    let runtime = stage.project()?;
    for call in [Call::Provision, Call::Restart, Call::Destroy] {
        stage.against_the_odds(How::Panic, call, &runtime).await?;
    }
    Ok(())
}

pub(super) async fn what_was_destroyed_begins_anew(stage: &Stage) -> Verified {
    let (first, _) = stage.active().await?;
    stage.make(Call::Destroy, &first).await?;
    stage.is_gone(&first.project).await?;
    // The same ref with other ports and secrets: nothing of the former may be in the way.
    let mut second = stage.project()?;
    second.project = first.project;
    stage.make(Call::Provision, &second).await?;
    stage.arrived(Call::Provision, &second).await
}
