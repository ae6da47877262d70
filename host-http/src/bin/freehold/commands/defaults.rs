//! What an organization's projects are made with where nothing is said.

use freehold_host::wire::{Organization, ProjectDefaults};

use super::Session;
use crate::{cli::DefaultsArguments, exit::Result, print};

/// Sets what is named, and shows what holds then.
pub(super) async fn run(session: &Session, arguments: &DefaultsArguments) -> Result<()> {
    let path = format!("organizations/{}", arguments.organization);
    let mut organization: Organization = session.client.get(&path, &[]).await?;
    let before = organization.defaults.clone();
    let wanted =
        changed(if arguments.clear { ProjectDefaults::default() } else { before.clone() }, arguments)?;
    if wanted != before {
        organization = session.client.put(&format!("{path}/defaults"), &wanted).await?;
    }
    if session.json {
        return print::json(&organization);
    }
    let ProjectDefaults { target, stack, excluded_services } = &organization.defaults;
    let unset = || "as the host says".to_owned();
    println!("organization  {}", organization.slug);
    println!("target        {}", target.as_ref().map_or_else(unset, ToString::to_string));
    println!("stack         {}", stack.as_ref().map_or_else(unset, ToString::to_string));
    let excluded = excluded_services.as_ref().map_or_else(
        || "as the stack says".to_owned(),
        |names| {
            let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
            if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
        },
    );
    println!("excluded      {excluded}");
    Ok(())
}

fn changed(mut defaults: ProjectDefaults, arguments: &DefaultsArguments) -> Result<ProjectDefaults> {
    if let Some(target) = &arguments.target {
        defaults.target = Some(target.parse()?);
    }
    if let Some(stack) = &arguments.stack {
        defaults.stack = Some(stack.parse()?);
    }
    if let Some(services) = arguments.exclusions.said() {
        let names = services.iter().map(|name| name.parse()).collect::<Result<_, freehold_core::Error>>()?;
        defaults.excluded_services = Some(names);
    }
    Ok(defaults)
}
