//! Projects: the lists, one of them, its name, its end.

use freehold_core::{
    ProjectName, Result,
    accounts::{Action, Resource},
};
use serde::Deserialize;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{
    organizations,
    view::{self, View},
};
use crate::{
    call::{Call, List},
    error::json,
    route::Route,
    rule::{At, Rule},
};

const SEEN: Rule = Rule::May(Action::Read, Resource::Project, At::Project);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/platform/projects", Rule::Known, |call| Box::pin(list(call))),
    Route::new(Method::GET, "/api/platform/organizations/{slug}/projects", Rule::Member, |call| {
        Box::pin(of_organization(call))
    }),
    Route::new(Method::GET, "/api/platform/projects/{ref}", SEEN, |call| Box::pin(show(call))),
    Route::new(Method::GET, "/api/platform/projects/{ref}/status", SEEN, |call| Box::pin(status(call))),
    Route::new(
        Method::PATCH,
        "/api/platform/projects/{ref}",
        Rule::May(Action::Update, Resource::Project, At::Project),
        |call| Box::pin(rename(call)),
    ),
    Route::new(
        Method::DELETE,
        "/api/platform/projects/{ref}",
        Rule::May(Action::Delete, Resource::Project, At::Project),
        |call| Box::pin(delete(call)),
    ),
];

/// What Studio asks of a list. Unknown parameters are passed over: the next Studio may send more.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Query {
    limit: Option<usize>,
    offset: usize,
    search: String,
    sort: String,
    statuses: List,
}

/// One page, with the frame that Studio expects around it.
fn page(mut views: Vec<View>, query: &Query, shown: impl Fn(&View) -> Value) -> Result<Value> {
    let statuses: Vec<String> = query.statuses.words();
    let search = query.search.to_lowercase();
    views.retain(|view| {
        let (name, reference) = (view.project.name.folded(), view.project.reference.as_str());
        (search.is_empty() || name.contains(&search) || reference.contains(&search))
            && (statuses.is_empty() || statuses.iter().any(|status| status == view.status()))
    });
    match query.sort.as_str() {
        "name_desc" => views.sort_by_key(|view| std::cmp::Reverse(view.project.name.folded())),
        "created_asc" => views.sort_by_key(|view| view.project.id),
        "created_desc" => views.sort_by_key(|view| std::cmp::Reverse(view.project.id)),
        _ => views.sort_by_key(|view| view.project.name.folded()),
    }
    let (count, limit) = (views.len(), query.limit.unwrap_or(100).min(1000));
    let shown: Vec<_> = views.iter().skip(query.offset).take(limit).map(shown).collect();
    Ok(
        object!({ "pagination": { "count": count, "limit": limit, "offset": query.offset }, "projects": shown }),
    )
}

/// All projects that the caller sees. A client that does not send `Version: 2` expects them bare.
async fn list(call: Call) -> Result<Response> {
    let views = view::all(&call, &organizations::of_caller(&call).await?).await?;
    let page = page(views, &call.query()?, View::row)?;
    let paged = call.header("version") == Some("2");
    Ok(json(StatusCode::OK, if paged { &page } else { &page["projects"] }))
}

pub(crate) async fn of_organization(call: Call) -> Result<Response> {
    let organization = organizations::named(&call).await?;
    let views = view::all(&call, &[organization]).await?;
    Ok(json(StatusCode::OK, &page(views, &call.query()?, View::card)?))
}

async fn show(call: Call) -> Result<Response> {
    Ok(json(StatusCode::OK, &View::named(&call).await?.detail()))
}

async fn status(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    Ok(json(StatusCode::OK, &object!({ "status": view.status() })))
}

#[derive(Deserialize)]
struct Rename {
    name: ProjectName,
}

pub(crate) async fn rename(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let project = call.control().rename(&view.project.reference, call.json::<Rename>()?.name).await?;
    let shown = object!({ "id": project.id, "ref": project.reference, "name": project.name });
    Ok(json(StatusCode::OK, &shown))
}

/// Destroys a project. From then on it is answered as absent, though the work goes on.
async fn delete(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let project = call.control().destroy(&view.project.reference).await?.project;
    let shown = object!({ "id": project.id, "ref": project.reference, "name": project.name });
    Ok(json(StatusCode::OK, &shown))
}
