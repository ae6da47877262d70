//! What a backend says of itself, and how its projects are reached.

use super::stage::{Call, Stage, is_of};
use crate::{
    connection::Endpoint,
    context::Context,
    contract::failure::{Verified, there},
    error::Kind,
    provisioner::Scope,
};

pub(super) async fn the_description_is_sound_and_stays_the_same(stage: &Stage) -> Verified {
    let description = &stage.description;
    ensure!(!description.engine.is_empty(), "the engine has no identity");
    ensure!(!description.machine.is_empty(), "the machine has no identity");
    for spec in &description.stacks {
        spec.validate()?;
        ensure!(!spec.digest.is_empty(), "stack {} has no digest", spec.name);
        ensure!(!spec.services.is_empty(), "stack {} has no service", spec.name);
        let of_that_name = description.stacks.iter().filter(|other| other.name == spec.name).count();
        ensure_eq!(of_that_name, 1, "how many stacks are called {}", spec.name);
    }
    let again = stage.backend.describe(&Stage::context().build()).await?;
    ensure_eq!(again, *description, "the description");
    if let Err(error) = stage.backend.describe(&Context::new(std::time::Duration::ZERO)).await {
        is_of(&error, Kind::Timeout)?;
    }
    Ok(())
}

pub(super) async fn a_project_is_reached_as_its_stack_declares(stage: &Stage) -> Verified {
    let (runtime, connection) = stage.active().await?;
    let spec = &stage.spec;
    let mut endpoints: Vec<&Endpoint> = Vec::new();
    ensure_eq!(connection.database.is_some(), spec.database.is_some(), "whether there is a database");
    ensure_eq!(connection.pooler.is_some(), spec.pooler.is_some(), "whether there is a pooler");
    ensure_eq!(connection.api.is_some(), spec.gateway.is_some(), "whether there is an API");
    if let (Some(database), Some(declared)) = (&connection.database, &spec.database) {
        let found = (&database.user, &database.name, &database.password);
        ensure_eq!(found, (&declared.user, &declared.name, &declared.password), "the database");
        ensure!(!database.version.is_empty(), "nobody knows the version of the database");
        endpoints.push(&database.endpoint);
    }
    endpoints.extend(connection.pooler.iter().chain(&connection.api));
    for endpoint in endpoints {
        let (public, internal) = (&endpoint.public, &endpoint.internal);
        ensure!(
            runtime.ports.contains(public.port),
            "{public} is told, which is none of the project's ports"
        );
        ensure!(
            !public.host.is_empty() && !internal.host.is_empty() && internal.port > 0,
            "{endpoint:?} is no address"
        );
    }
    let mut secrets = connection.secrets.clone();
    let mut declared: Vec<_> = spec.secrets.iter().map(|secret| secret.name.clone()).collect();
    secrets.sort();
    declared.sort();
    ensure_eq!(secrets, declared, "the names of the secrets");
    Ok(())
}

pub(super) async fn some_services_are_restarted_by_their_names(stage: &Stage) -> Verified {
    let (runtime, connection) = stage.active().await?;
    stage.mark(&runtime, "kept").await?;
    let services = stage.spec.services.iter().map(|service| &service.name);
    for service in services.filter(|name| !runtime.excluded.contains(name)) {
        let ctx = Stage::context().build();
        let scope = Scope::Services(vec![service.clone()]);
        let restarted =
            there(stage.backend.restart(&ctx, &runtime, &scope).await?.connection, "the connection")?;
        ensure_eq!(restarted, connection, "the connection after a restart of {service}");
        stage.arrived(Call::Restart, &runtime).await?;
    }
    stage.is_marked(&runtime, "kept").await
}
