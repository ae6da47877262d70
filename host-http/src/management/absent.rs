//! What clients ask of a project that Freehold has not. It is refused to those who may see the project, in the shape that
//! clients show, so that nobody takes silence for an answer.

use freehold_core::{
    Error, Kind, Result,
    accounts::{Action, Resource},
};
use warp::{http::Method, reply::Response};

use super::v1;
use crate::{
    call::Call,
    route::Route,
    rule::{At, Rule},
    studio::view::View,
};

const SEEN: Rule = Rule::May(Action::Read, Resource::Project, At::Project);

macro_rules! absent {
    ($method:ident $path:literal, $what:ident) => {
        v1!($method $path, SEEN, |call| Box::pin(refuse(call, $what)))
    };
}

const FUNCTIONS: &str = "manage edge functions: they are files of the stack's folder (`volumes/functions`), the same for its projects";
const SECRETS: &str = "manage secrets of edge functions: they are variables of the stack (`freehold reconfigure --variables FILE`)";
const BRANCHES: &str = "branch a project: Freehold has no branches";
const LOGS: &str =
    "query logs by SQL: Freehold keeps none; `freehold logs` shows what the project's services say";
const ADVICE: &str = "give advice: Freehold has no advisors";
const BACKUPS: &str = "back up or restore a database: Freehold takes no backups";
const DOMAINS: &str = "give a project a domain: that is for the proxy in front of it";
const UPGRADES: &str = "upgrade a project: it stays on the stack that it was made from";
const DATABASE: &str = "change the database's own settings: they stand in the stack's files";
const SNIPPETS: &str = "keep SQL snippets: Freehold has no saved content";

pub(crate) const ROUTES: &[[Route; 2]] = &[
    absent!(GET "/projects/{ref}/functions", FUNCTIONS),
    absent!(POST "/projects/{ref}/functions", FUNCTIONS),
    absent!(POST "/projects/{ref}/functions/deploy", FUNCTIONS),
    absent!(GET "/projects/{ref}/functions/{function}", FUNCTIONS),
    absent!(PATCH "/projects/{ref}/functions/{function}", FUNCTIONS),
    absent!(DELETE "/projects/{ref}/functions/{function}", FUNCTIONS),
    absent!(GET "/projects/{ref}/functions/{function}/body", FUNCTIONS),
    absent!(GET "/projects/{ref}/secrets", SECRETS),
    absent!(POST "/projects/{ref}/secrets", SECRETS),
    absent!(DELETE "/projects/{ref}/secrets", SECRETS),
    absent!(POST "/projects/{ref}/branches", BRANCHES),
    absent!(DELETE "/projects/{ref}/branches", BRANCHES),
    absent!(GET "/projects/{ref}/analytics/endpoints/logs", LOGS),
    absent!(GET "/projects/{ref}/analytics/endpoints/logs.all", LOGS),
    absent!(GET "/projects/{ref}/advisors/performance", ADVICE),
    absent!(GET "/projects/{ref}/advisors/security", ADVICE),
    absent!(GET "/projects/{ref}/database/backups", BACKUPS),
    absent!(POST "/projects/{ref}/database/backups/restore-pitr", BACKUPS),
    absent!(GET "/projects/{ref}/custom-hostname", DOMAINS),
    absent!(GET "/projects/{ref}/vanity-subdomain", DOMAINS),
    absent!(POST "/projects/{ref}/upgrade", UPGRADES),
    absent!(GET "/projects/{ref}/config/database/postgres", DATABASE),
    absent!(PUT "/projects/{ref}/config/database/postgres", DATABASE),
    // Of nobody's project: whoever is known is told.
    v1!(GET "/snippets", Rule::Known, |_| Box::pin(async { Err(Error::new(Kind::Unsupported, SNIPPETS)) })),
];

async fn refuse(call: Call, what: &'static str) -> Result<Response> {
    View::named(&call).await?;
    Err(Error::new(Kind::Unsupported, what))
}
