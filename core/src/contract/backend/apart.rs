//! Nothing outside the project is touched.

use std::collections::BTreeMap;

use super::stage::{Call, Stage};
use crate::{
    contract::failure::{Failure, Verified, refused, there},
    error::Detail,
    plan::Wish,
    project::Annotations,
};

pub(super) async fn two_projects_share_nothing(stage: &Stage) -> Verified {
    let (one, other) = (stage.project()?, stage.project()?);
    let (first, second) =
        tokio::try_join!(stage.make(Call::Provision, &one), stage.make(Call::Provision, &other))?;
    stage.mark(&one, "of one").await?;
    stage.mark(&other, "of the other").await?;
    stage.is_marked(&one, "of one").await?;
    if !stage.spec.ports.is_empty() {
        ensure!(first.connection != second.connection, "two projects are reached by {:?}", first.connection);
    }
    // Whatever happens to one, the other stays as it is.
    for call in [Call::Restart, Call::Pause, Call::Destroy] {
        stage.make(call, &one).await?;
        stage.arrived(call, &one).await?;
        let named = |failure: Failure| failure.of(format_args!("another project after {call:?} of one"));
        stage.is_as(Wish::Active, &other).await.map_err(named)?;
        stage.is_marked(&other, "of the other").await.map_err(named)?;
    }
    Ok(())
}

pub(super) async fn projects_do_not_share_ports(stage: &Stage) -> Verified {
    let (one, _) = stage.active().await?;
    let mut other = stage.project()?;
    let ports = other.ports;
    other.ports = one.ports;
    let made = stage.call(Call::Provision, &Stage::context().build(), &other).await;
    let error = refused(made, "a project on another one's ports")?;
    let taken = match error.detail() {
        Some(Detail::PortTaken { port }) => one.ports.contains(*port),
        _ => false,
    };
    ensure!(taken, "it was refused with {error:?}");
    stage.is_as(Wish::Active, &one).await?;
    other.ports = ports;
    stage.make(Call::Provision, &other).await?;
    stage.arrived(Call::Provision, &other).await
}

pub(super) async fn the_longest_and_most_hostile_texts_harm_nobody(stage: &Stage) -> Verified {
    let hostile = "'; $(touch pwned) `id` \"$HOME\" \\ %s ${X:-y} | & ; > < * ? ~ # = ✓ \u{1F9ED}\u{200B}";
    let value = format!("one\ntwo\r\n\tthree\u{7f}{hostile}\n'EOF'\nEOF\n");
    let mut longest: String = hostile.chars().take(60).collect();
    longest.extend(std::iter::repeat_n('ü', 64 - longest.chars().count()));
    for name in [longest, "-rf".to_owned(), "..".to_owned(), "a\\b/c".to_owned()] {
        let mut runtime = stage.project()?;
        runtime.name = name.parse()?;
        runtime.organization = "a'$(b)`c`\"d\\e;f|g&h>i%s${PATH}".parse()?;
        let entries =
            BTreeMap::from([("region".to_owned(), value.clone()), (hostile.to_owned(), value.clone())]);
        runtime.annotations = Annotations::new(entries)?;
        let connection = stage.make(Call::Provision, &runtime).await?.connection;
        there(connection, format_args!("the connection of a project called {name:?}"))?;
        stage.arrived(Call::Provision, &runtime).await?;
        stage.make(Call::Destroy, &runtime).await?;
        stage.is_gone(&runtime.project).await?;
    }
    Ok(())
}
