//! Errors say what to do.

use super::{
    interrupt::AtStep,
    stage::{Call, Stage, is_of},
};
use crate::{
    contract::failure::{Failure, Verified, refused, there},
    error::{Detail, Error, Kind},
    provisioner::{LogRequest, Scope},
    runtime::Runtime,
};

pub(super) async fn a_failed_step_is_told_as_it_failed_and_named(stage: &Stage) -> Verified {
    for kind in [Kind::Unavailable, Kind::Timeout, Kind::Exhausted, Kind::Internal] {
        let runtime = stage.project()?;
        let fail = move || -> futures_util::future::BoxFuture<'static, crate::Result<()>> {
            Box::pin(async move { Err(Error::new(kind, "go on, as a test told it to fail")) })
        };
        let ctx = Stage::context().interceptor(AtStep::new(2, fail)).build();
        for call in [Call::Provision, Call::Destroy] {
            match stage.call(call, &ctx, &runtime).await {
                Err(error) => {
                    is_of(&error, kind)?;
                    let step = there(error.context("step"), "the name of the step that failed")?;
                    ensure!(!step.is_empty(), "the step that failed has no name");
                    ensure!(
                        error.chain().contains("as a test told it to fail"),
                        "the cause is lost: {error}"
                    );
                    break;
                }
                // A call of one step has no second.
                Ok(_) if call == Call::Provision => {}
                Ok(_) => return Err(Failure::new("no call fails at its second step")),
            }
        }
    }
    Ok(())
}

pub(super) async fn what_cannot_be_run_is_refused_and_named(stage: &Stage) -> Verified {
    let good = stage.project()?;
    let unknown = "no-such-thing";
    let wrong = [
        Runtime { stack: unknown.parse()?, digest: unknown.to_owned(), ..good.clone() },
        Runtime { digest: unknown.to_owned(), ..good.clone() },
    ];
    for runtime in wrong {
        let made = stage.call(Call::Provision, &Stage::context().build(), &runtime).await;
        let error = refused(made, "a stack that the backend does not have")?;
        is_of(&error, Kind::InvalidInput)?;
        ensure!(error.to_string().contains(unknown), "it does not say what is wrong: {error}");
        stage.is_gone(&good.project).await?;
    }
    stage.make(Call::Provision, &good).await?;
    let ctx = Stage::context().build();
    let scope = Scope::Services(vec![unknown.parse()?]);
    let restarted = stage.backend.restart(&ctx, &good, &scope).await;
    is_of(&refused(restarted, "the restart of a service that the stack does not have")?, Kind::InvalidInput)?;
    let request = LogRequest { services: vec![unknown.parse()?], ..LogRequest::default() };
    let logs = stage.backend.logs(&ctx, &good, &request).await;
    is_of(&refused(logs, "the logs of a service that the stack does not have")?, Kind::InvalidInput)?;
    stage.arrived(Call::Provision, &good).await
}

pub(super) async fn a_port_that_a_stranger_holds_is_named_and_may_be_freed(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    let port = runtime.ports.first;
    let taken = |made: crate::Result<_>, what: &str| {
        let error = refused(made, what)?;
        let named = error.detail() == Some(&Detail::PortTaken { port });
        if named { Ok(()) } else { Err(Failure::new(format!("{what} was refused with {error:?}"))) }
    };
    let stranger = stage.fixture.occupy(port).await?;
    let made = stage.call(Call::Provision, &Stage::context().build(), &runtime).await;
    taken(made.map(drop), "a project on a stranger's port")?;
    drop(stranger);
    stage.make(Call::Provision, &runtime).await?;
    stage.arrived(Call::Provision, &runtime).await?;

    stage.make(Call::Pause, &runtime).await?;
    let stranger = stage.fixture.occupy(port).await?;
    let made = stage.call(Call::Resume, &Stage::context().build(), &runtime).await;
    taken(made.map(drop), "a project that comes back to a stranger's port")?;
    drop(stranger);
    stage.make(Call::Resume, &runtime).await?;
    stage.arrived(Call::Resume, &runtime).await
}
