//! Pause keeps data, destroy removes all of it, and nothing else deletes any.

use super::{
    interrupt::{Came, How, STEPS, endless},
    stage::{Call, Stage},
};
use crate::contract::failure::{Failure, Verified, refused};

pub(super) async fn data_survives_everything_but_destroy(stage: &Stage) -> Verified {
    let (runtime, _) = stage.active().await?;
    // Each round writes to a running project and ends with one.
    let rounds: [&[Call]; 5] = [
        &[Call::Provision],
        &[Call::Restart],
        &[Call::Reconfigure],
        &[Call::Pause, Call::Resume],
        &[Call::Pause, Call::Restart],
    ];
    for calls in rounds {
        let marker = format!("written before {calls:?}");
        stage.mark(&runtime, &marker).await?;
        for call in calls {
            stage.make(*call, &runtime).await?;
        }
        stage.is_marked(&runtime, &marker).await?;
    }
    Ok(())
}

pub(super) async fn data_survives_calls_that_fail_at_any_step(stage: &Stage) -> Verified {
    let (runtime, _) = stage.active().await?;
    stage.mark(&runtime, "kept").await?;
    for call in [Call::Pause, Call::Resume, Call::Restart, Call::Reconfigure] {
        stage.against_the_odds(How::Fail, call, &runtime).await?;
        if call != Call::Pause {
            let named =
                |failure: Failure| failure.of(format_args!("after {call:?} that failed at each step"));
            stage.is_marked(&runtime, "kept").await.map_err(named)?;
        }
    }
    Ok(())
}

pub(super) async fn what_was_destroyed_has_no_data_when_it_begins_anew(stage: &Stage) -> Verified {
    let (runtime, _) = stage.active().await?;
    stage.mark(&runtime, "old").await?;
    stage.make(Call::Destroy, &runtime).await?;
    stage.make(Call::Provision, &runtime).await?;
    ensure_eq!(stage.fixture.read(&runtime).await?, None, "the data of a project that begins anew");
    Ok(())
}

pub(super) async fn resume_makes_nothing_that_was_never_there(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    let resumed = stage.call(Call::Resume, &Stage::context().build(), &runtime).await;
    refused(resumed, "the resume of a project that was never there")?;
    stage.is_gone(&runtime.project).await
}

pub(super) async fn a_project_that_did_not_come_back_is_paused_and_resumed(stage: &Stage) -> Verified {
    let (runtime, _) = stage.active().await?;
    stage.mark(&runtime, "kept").await?;
    stage.make(Call::Pause, &runtime).await?;
    // It fails at its first step, then at its second, and is paused in between.
    for n in 1..STEPS {
        if let Came::Through = stage.interrupted(How::Fail, Call::Resume, &runtime, n).await? {
            stage.arrived(Call::Resume, &runtime).await?;
            return stage.is_marked(&runtime, "kept").await;
        }
        stage.make(Call::Pause, &runtime).await?;
        stage.arrived(Call::Pause, &runtime).await?;
    }
    Err(endless(Call::Resume))
}
