//! Making a project with the wizard.

mod data_api;

use std::collections::BTreeMap;

use freehold_core::{
    Error, FirstRunFile, Kind, ProjectName, Result,
    accounts::{Action, Resource},
    control_plane::CreateProject,
    project::Annotations,
};
use serde::Deserialize;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use self::data_api::DataApi;
use super::{
    keys::Keys,
    variables,
    view::View,
    wizard::{self, Sent},
};
use crate::{
    audit,
    call::Call,
    error::private,
    route::Route,
    rule::{At, Rule},
    wire::Secret,
};

pub(crate) const ROUTES: &[Route] = &[Route::new(
    Method::POST,
    "/api/platform/projects",
    Rule::May(Action::Create, Resource::Projects, At::OrganizationIn(&["organization_slug"])),
    |call| Box::pin(create(call)),
)];

/// Where the application is, to GoTrue.
const SITE_URL: &str = "SITE_URL";
/// The file that the wizard's SQL becomes.
const FIRST_RUN: &str = "50-wizard.sql";

/// What the wizard sends. The organization is the one that the rule looked at. What is here decided by the target and the
/// stack is passed over: the cloud provider, sizes, plans, prices, PostgreSQL's version and release channel.
#[derive(Deserialize)]
struct Create {
    name: ProjectName,
    db_pass: Option<Secret>,
    /// A display name from Studio's wizard; the Management API calls it `region`.
    #[serde(alias = "region")]
    db_region: Option<String>,
    region_selection: Option<RegionSelection>,
    db_sql: Option<Secret>,
    local_runtime: Option<LocalRuntime>,
    auth_site_url: Option<String>,
}

/// What Freehold has not. Who asks for it would take silence for a yes.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Absent {
    high_availability: Option<bool>,
    template_url: Option<String>,
    github_repository_id: Option<Value>,
}

impl Absent {
    /// # Errors
    /// `Unsupported` naming the field.
    fn refuse(&self) -> Result<()> {
        let has = |value: &Option<Value>| value.as_ref().is_some_and(|value| !value.is_null());
        let asked = [
            (self.high_availability == Some(true), "high_availability", "a project has one database"),
            (
                self.template_url.as_ref().is_some_and(|url| !url.is_empty()),
                "template_url",
                "nothing is fetched; send its SQL as db_sql",
            ),
            (has(&self.github_repository_id), "github_repository_id", "Freehold has no integrations"),
        ];
        match asked.into_iter().find(|(asked, ..)| *asked) {
            Some((_, field, reason)) => {
                Err(Error::new(Kind::Unsupported, format!("make a project with {field}: {reason}")))
            }
            None => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct RegionSelection {
    code: String,
}

#[derive(Deserialize)]
struct LocalRuntime {
    exclude_services: Option<Vec<String>>,
}

async fn create(call: Call) -> Result<Response> {
    let view = made(&call).await?;
    let keys = Keys::of(&call, &view.project).await?;
    let mut shown = view.row();
    shown["endpoint"] = object!(view.api().map(|address| format!("http://{address}")).unwrap_or_default());
    shown["anon_key"] = object!(keys.anon());
    shown["service_key"] = object!(keys.service());
    shown["local_runtime"] = object!({ "exclude_services": view.excluded() });
    Ok(audit::made_project(private(StatusCode::CREATED, &shown), view.project.reference))
}

/// Makes the project that the body describes, as the Management API does too.
pub(crate) async fn made(call: &Call) -> Result<View> {
    let sent = call.json::<Create>()?;
    call.json::<Absent>()?.refuse()?;
    let slug = call.kept_organization().ok_or_else(|| Error::invalid("organization_slug", "is missing"))?;
    let organization = call.accounts()?.organization(slug).await?.ok_or_else(|| {
        Error::new(Kind::NotFound, format!("organization_slug: organization {slug} not found"))
    })?;
    let targets = call.control().targets();
    let region = sent.region_selection.map(|region| region.code).or(sent.db_region);
    let excluded = sent.local_runtime.and_then(|runtime| runtime.exclude_services);
    let chosen = wizard::choose(
        &Sent { region, excluded },
        &targets,
        &wizard::over(&organization.defaults, call.wizard_defaults()),
    );

    let mut create = CreateProject::new(organization.id.clone(), sent.name);
    let password = sent.db_pass.filter(|password| !password.expose().is_empty());
    if let Some(password) = password
        && let Some(database) = chosen.spec(&targets).and_then(|stack| stack.database.as_ref())
    {
        create = create.secret(database.password.clone(), password.into_inner());
    }
    if let Some(sql) = sent.db_sql.filter(|sql| !sql.expose().trim().is_empty()) {
        create.first_run.push(FirstRunFile::new(FIRST_RUN, sql.into_inner())?);
    }
    let has = |name: &str| chosen.spec(&targets).is_some_and(|stack| variables::spec(stack, name).is_some());
    if let Some(url) = sent.auth_site_url.filter(|url| !url.is_empty() && has(SITE_URL)) {
        create = create.variable(SITE_URL, url);
    }
    call.json::<DataApi>()?.apply(&mut create, chosen.spec(&targets))?;
    create.target = chosen.target;
    create.stack = chosen.stack;
    create.excluded = chosen.excluded;
    let facts =
        [("cloud_provider", wizard::PROVIDER), ("region", wizard::REGION), ("instance_size", wizard::SIZE)];
    let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned()));
    create.annotations = Annotations::new(BTreeMap::from(facts))?;

    let accepted = call.control().create(create, call.header("idempotency-key")).await?;
    View::of(call, accepted.project).await
}
