//! What may come at the same time, and what waits for what.

use std::{pin::pin, sync::Arc};

use futures_util::future::BoxFuture;
use tokio::{sync::Semaphore, time::timeout};
use tokio_util::sync::CancellationToken;

use super::{
    interrupt::AtStep,
    stage::{Call, PATIENCE, Stage},
};
use crate::{
    contract::failure::{Failure, Verified},
    error::Result,
    plan::Wish,
    provisioner::Outcome,
    runtime::Runtime,
};

/// Provisions a project, holds the call at a step, and does something else meanwhile; then the call goes on. The token
/// cancels it.
async fn beside<T>(
    stage: &Stage,
    runtime: &Runtime,
    step: usize,
    cancel: &CancellationToken,
    meanwhile: impl Future<Output = T> + Send,
) -> Verified<(Result<Outcome>, T)> {
    let (reached, go_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let act = {
        let (reached, go_on) = (Arc::clone(&reached), Arc::clone(&go_on));
        move || -> BoxFuture<'static, Result<()>> {
            let (reached, go_on) = (Arc::clone(&reached), Arc::clone(&go_on));
            Box::pin(async move {
                reached.add_permits(1);
                // Neither is ever closed.
                let _ = go_on.acquire().await;
                Ok(())
            })
        }
    };
    let ctx = Stage::context().cancellation(cancel.clone()).interceptor(AtStep::new(step, act)).build();
    let mut call = pin!(stage.call(Call::Provision, &ctx, runtime));
    tokio::select! {
        made = &mut call => {
            made?;
            return Err(Failure::new(format!("provision did not come to its step {step}")));
        }
        _ = reached.acquire() => {}
    }
    let meanwhile = async {
        let done = meanwhile.await;
        go_on.add_permits(1);
        done
    };
    Ok(tokio::join!(call, meanwhile))
}

/// How many steps a provision has.
async fn steps(stage: &Stage) -> Verified<usize> {
    let (runtime, counted) = (stage.project()?, AtStep::count());
    let ctx = Stage::context().interceptor(counted.clone()).build();
    stage.call(Call::Provision, &ctx, &runtime).await?;
    stage.make(Call::Destroy, &runtime).await?;
    Ok(counted.seen())
}

pub(super) async fn projects_do_not_wait_for_each_other(stage: &Stage) -> Verified {
    let last = steps(stage).await?;
    for step in [1, last] {
        let (slow, quick) = (stage.project()?, stage.project()?);
        let life = async {
            for call in Call::LIFE {
                stage.make(call, &quick).await?;
            }
            Ok(())
        };
        let waits = |_| Err(Failure::new(format!("a project waits for another that is held at step {step}")));
        let life = async { timeout(PATIENCE / 2, life).await.unwrap_or_else(waits) };
        let (made, lived) = beside(stage, &slow, step, &CancellationToken::new(), life).await?;
        lived?;
        made?;
        stage.arrived(Call::Provision, &slow).await?;
    }
    Ok(())
}

pub(super) async fn looking_waits_for_no_call(stage: &Stage) -> Verified {
    let last = steps(stage).await?;
    let runtime = stage.project()?;
    for step in [1, last.div_ceil(2), last] {
        let look = timeout(PATIENCE / 2, look(stage, &runtime));
        let (made, looked) = beside(stage, &runtime, step, &CancellationToken::new(), look).await?;
        looked.map_err(|_| Failure::new(format!("somebody who looks waits for a call at step {step}")))?;
        made?;
        stage.arrived(Call::Provision, &runtime).await?;
        stage.make(Call::Destroy, &runtime).await?;
    }
    Ok(())
}

/// Looks at a project that is under way: whatever the answer is, it comes.
async fn look(stage: &Stage, runtime: &Runtime) {
    let ctx = Stage::context().build();
    let _ = stage.backend.health(&ctx, runtime).await;
    let _ = stage.backend.plan(&ctx, runtime, Wish::Active).await;
    let _ = stage.backend.inventory(&ctx).await;
}

pub(super) async fn destroy_comes_at_any_time(stage: &Stage) -> Verified {
    let last = steps(stage).await?;
    for step in 1..=last {
        let (runtime, cancel) = (stage.project()?, CancellationToken::new());
        let destroy = async {
            cancel.cancel();
            // The cancelled call may still be ending.
            stage.call(Call::Destroy, &Stage::context().build(), &runtime).await
        };
        let (_, destroyed) = beside(stage, &runtime, step, &cancel, destroy).await?;
        let named = |failure: Failure| failure.of(format_args!("destroy beside a provision at step {step}"));
        destroyed.map_err(|error| named(error.into()))?;
        // One late request may have landed after it; it is found by the next one.
        stage.make(Call::Destroy, &runtime).await.map_err(named)?;
        stage.is_gone(&runtime.project).await.map_err(named)?;
    }
    Ok(())
}
