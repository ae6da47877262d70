//! No call outlives its deadline, and a cancelled one returns promptly.

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    interrupt::{AtStep, Came, How, STEPS, endless},
    stage::{Call, Stage, is_of},
};
use crate::{
    context::ContextBuilder,
    contract::failure::{Verified, refused},
    error::{Error, Kind},
};

pub(super) async fn provision_that_is_cancelled_at_any_step_leaves_only_what_destroy_removes(
    stage: &Stage,
) -> Verified {
    for n in 1..STEPS {
        let runtime = stage.project()?;
        let came = stage.interrupted(How::Cancel, Call::Provision, &runtime, n).await?;
        stage.make(Call::Destroy, &runtime).await?;
        stage.is_gone(&runtime.project).await?;
        if let Came::Through = came {
            ensure!(n > 1, "provision takes no step");
            return Ok(());
        }
    }
    Err(endless(Call::Provision))
}

pub(super) async fn every_call_that_is_cancelled_at_any_step_returns_and_converges_when_it_comes_again(
    stage: &Stage,
) -> Verified {
    let runtime = stage.project()?;
    for call in Call::LIFE {
        stage.against_the_odds(How::Cancel, call, &runtime).await?;
    }
    Ok(())
}

pub(super) async fn every_call_that_is_cancelled_amid_an_effect_returns_and_converges_when_it_comes_again(
    stage: &Stage,
) -> Verified {
    let runtime = stage.project()?;
    for call in Call::LIFE {
        stage.against_the_odds(How::CancelLater, call, &runtime).await?;
    }
    Ok(())
}

pub(super) async fn a_call_that_is_too_late_does_nothing(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    let cancelled = CancellationToken::new();
    cancelled.cancel();
    let late = [
        (Kind::Timeout, ContextBuilder::new(Instant::now())),
        (Kind::Cancelled, Stage::context().cancellation(cancelled)),
    ];
    for (kind, context) in late {
        let ctx = context.build();
        let made = stage.call(Call::Provision, &ctx, &runtime).await;
        is_of(&refused(made, "a call that is too late")?, kind)?;
        stage.is_gone(&runtime.project).await?;
    }
    let (runtime, _) = stage.active().await?;
    let ctx = ContextBuilder::new(Instant::now()).build();
    for call in [Call::Pause, Call::Restart, Call::Destroy] {
        let made = stage.call(call, &ctx, &runtime).await;
        is_of(&refused(made, "a call that is too late")?, Kind::Timeout)?;
        stage.arrived(Call::Provision, &runtime).await?;
    }
    Ok(())
}

pub(super) async fn a_call_that_lost_its_lease_does_nothing_more(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    for call in [Call::Provision, Call::Pause, Call::Resume, Call::Destroy] {
        stage.against_the_odds(How::LoseLease, call, &runtime).await?;
    }
    // A lease that is lost at the first step leaves no time for an effect.
    let runtime = stage.project()?;
    stage.interrupted(How::LoseLease, Call::Provision, &runtime, 1).await?;
    stage.is_gone(&runtime.project).await
}

pub(super) async fn nothing_is_done_before_a_step(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    let refuse = || AtStep::new(0, || Box::pin(async { Err(Error::new(Kind::Unavailable, "begin")) }));
    let first = refuse();
    let ctx = Stage::context().interceptor(first.clone()).build();
    let made = stage.call(Call::Provision, &ctx, &runtime).await;
    is_of(&refused(made, "a provision whose steps fail")?, Kind::Unavailable)?;
    ensure!(first.seen() > 0, "provision takes no step");
    stage.is_gone(&runtime.project).await?;

    stage.make(Call::Provision, &runtime).await?;
    for call in [Call::Pause, Call::Restart, Call::Destroy] {
        let ctx = Stage::context().interceptor(refuse()).build();
        let made = stage.call(call, &ctx, &runtime).await;
        is_of(&refused(made, format_args!("{call:?}, whose steps fail"))?, Kind::Unavailable)?;
        stage.arrived(Call::Provision, &runtime).await?;
    }
    Ok(())
}
