//! Making a project with the wizard.

use std::collections::BTreeMap;

use freehold_core::{
    Error, FirstRunFile, Kind, OrganizationId, ProjectName, Result, StackSpec,
    accounts::{Action, Resource},
    control_plane::{CreateProject, TargetInfo},
    project::Annotations,
};
use serde::Deserialize;
use serde_json::json as object;
use warp::{
    http::{HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::{
    keys::Keys,
    view::View,
    wizard::{self, Chosen, Sent},
};
use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    wire::Secret,
};

pub(crate) const ROUTES: &[Route] = &[Route::new(
    Method::POST,
    "/api/platform/projects",
    Rule::May(Action::Create, Resource::Projects, At::OrganizationIn("organization_slug")),
    |call| Box::pin(create(call)),
)];

/// The file that the wizard's SQL becomes.
const FIRST_RUN: &str = "50-wizard.sql";

/// What the wizard sends. `organization_id` and whatever else it has is passed over.
#[derive(Deserialize)]
struct Create {
    organization_slug: OrganizationId,
    name: ProjectName,
    db_pass: Option<Secret>,
    db_region: Option<String>,
    region_selection: Option<RegionSelection>,
    db_sql: Option<Secret>,
    local_runtime: Option<LocalRuntime>,
}

#[derive(Deserialize)]
struct RegionSelection {
    code: String,
}

#[derive(Deserialize)]
struct LocalRuntime {
    exclude_services: Option<Vec<String>>,
}

/// The stack that a project will be a copy of, where that is certain: the password is a secret of its.
fn stack<'a>(chosen: &Chosen, targets: &'a [TargetInfo]) -> Option<&'a StackSpec> {
    let offered = |target: &&TargetInfo| chosen.target.as_ref().is_none_or(|name| *name == target.name);
    let mut stacks = targets.iter().filter(offered).flat_map(|target| &target.description.stacks);
    stacks.next().filter(|_| stacks.next().is_none())
}

async fn create(call: Call) -> Result<Response> {
    let sent = call.json::<Create>()?;
    let slug = &sent.organization_slug;
    let organization = call.accounts()?.organization(slug).await?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("organization_slug: organization {slug} not found"))
    })?;
    let targets = call.control().targets();
    let region = sent.region_selection.map(|region| region.code).or(sent.db_region);
    let excluded = sent.local_runtime.and_then(|runtime| runtime.exclude_services);
    let chosen = wizard::choose(&Sent { region, excluded }, &targets);

    let mut create = CreateProject::new(organization.id.clone(), sent.name);
    let password = sent.db_pass.filter(|password| !password.expose().is_empty());
    if let Some(password) = password
        && let Some(database) = stack(&chosen, &targets).and_then(|stack| stack.database.as_ref())
    {
        create = create.secret(database.password.clone(), password.into_inner());
    }
    if let Some(sql) = sent.db_sql.filter(|sql| !sql.expose().trim().is_empty()) {
        create.first_run.push(FirstRunFile::new(FIRST_RUN, sql.into_inner())?);
    }
    create.target = chosen.target;
    create.excluded = chosen.excluded;
    let facts =
        [("cloud_provider", wizard::PROVIDER), ("region", wizard::REGION), ("instance_size", wizard::SIZE)];
    let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned()));
    create.annotations = Annotations::new(BTreeMap::from(facts))?;

    let accepted = call.control().create(create, call.header("idempotency-key")).await?;
    let keys = Keys::of(&call, &accepted.project).await?;
    let view = View::of(&call, accepted.project).await?;
    let mut shown = view.row();
    shown["endpoint"] = object!(view.api().map(|address| format!("http://{address}")).unwrap_or_default());
    shown["anon_key"] = object!(keys.anon());
    shown["service_key"] = object!(keys.service());
    shown["local_runtime"] = object!({ "exclude_services": view.excluded() });
    let mut response = json(StatusCode::CREATED, &shown);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}
