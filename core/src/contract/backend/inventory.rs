//! The inventory lists all that is left, and destroy removes it.

use time::Duration;

use super::{
    interrupt::{Came, How, STEPS, endless},
    stage::{Call, Stage},
};
use crate::{
    clock::{Clock as _, SystemClock},
    contract::failure::{Verified, there},
    project_ref::ProjectRef,
    runtime::Runtime,
};

pub(super) async fn a_project_is_listed_while_anything_of_it_is_left(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    let mut oldest = None;
    for call in [Call::Provision, Call::Pause, Call::Resume] {
        stage.make(call, &runtime).await?;
        let listed = stage.holding(&runtime.project).await?;
        let listed = there(listed, format_args!("in the inventory, the project after {call:?},"))?;
        let alone = stage.holding_alone(&runtime.project).await?;
        ensure_eq!(alone.as_ref(), Some(&listed), "what is told of a project alone after {call:?}");
        ensure!(
            listed.resources.values().any(|count| *count > 0),
            "the inventory lists a project with nothing"
        );
        let whose = listed.installation.as_ref();
        ensure_eq!(whose, Some(&runtime.installation), "the installation that the inventory lists it for");
        // Engines' clocks are not ours.
        let now = SystemClock.now() + Duration::MINUTE;
        ensure!(listed.oldest <= now, "the inventory lists what will be made at {}", listed.oldest);
        let first = oldest.get_or_insert(listed.oldest);
        ensure!(listed.oldest >= *first, "what is oldest was made before the project: {}", listed.oldest);
    }
    stage.make(Call::Destroy, &runtime).await?;
    stage.is_gone(&runtime.project).await
}

pub(super) async fn each_project_is_listed_for_the_installation_that_it_was_made_for(
    stage: &Stage,
) -> Verified {
    let of = |installation: &str| -> Verified<Runtime> {
        Ok(Runtime { installation: installation.parse()?, ..stage.project()? })
    };
    let (ours, theirs) = (of("ours")?, of("theirs")?);
    for call in [Call::Provision, Call::Pause, Call::Resume, Call::Restart] {
        for runtime in [&ours, &theirs] {
            stage.make(call, runtime).await?;
        }
        for runtime in [&ours, &theirs] {
            let listed = stage.holding(&runtime.project).await?;
            let listed = there(listed, format_args!("in the inventory, a project after {call:?},"))?;
            let whose = listed.installation.as_ref();
            ensure_eq!(whose, Some(&runtime.installation), "the installation of a project after {call:?}");
        }
    }
    // What was only begun may say nothing of whose it is, and must not say that it is somebody else's.
    let begun = of("theirs")?;
    for n in 1..STEPS {
        let came = stage.interrupted(How::Fail, Call::Provision, &begun, n).await?;
        let whose = stage.holding(&begun.project).await?.and_then(|listed| listed.installation);
        ensure!(
            whose.as_ref().is_none_or(|whose| *whose == begun.installation),
            "a provision for {} that failed at step {n} is listed for {whose:?}",
            begun.installation
        );
        if let Came::Through = came {
            return Ok(());
        }
    }
    Err(endless(Call::Provision))
}

pub(super) async fn what_a_failed_provision_left_is_listed(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    for n in 1..STEPS {
        let came = stage.interrupted(How::Fail, Call::Provision, &runtime, n).await?;
        let left = stage.leftovers(&runtime.project).await?;
        let listed = stage.holding(&runtime.project).await?;
        ensure!(
            left.is_empty() || listed.is_some(),
            "a provision that failed at step {n} left {left:?}, and the inventory does not list it"
        );
        if let Came::Through = came {
            return Ok(());
        }
    }
    Err(endless(Call::Provision))
}

pub(super) async fn destroying_what_is_not_there_succeeds(stage: &Stage) -> Verified {
    let (bystander, _) = stage.active().await?;
    let runtime = Runtime { project: ProjectRef::random(&mut rand::rng()), ..stage.project()? };
    for _ in 0..2 {
        stage.make(Call::Destroy, &runtime).await?;
        stage.is_gone(&runtime.project).await?;
    }
    stage.arrived(Call::Provision, &bystander).await
}
