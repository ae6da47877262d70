//! Who may connect to a project's database: Freehold bans nobody, restricts no addresses and asks for no encryption of its
//! own. What there is none of is told; what would need it is refused.

use freehold_core::{
    Error, Kind, Result,
    accounts::{Action, Resource},
};
use serde::Deserialize;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::v1;
use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    studio::view::View,
};

const SEEN: Rule = Rule::May(Action::Read, Resource::Project, At::Project);
const UPDATE: Rule = Rule::May(Action::Update, Resource::Project, At::Project);

/// The same about every project that is shown.
macro_rules! of_project {
    ($method:ident $path:literal, $status:ident, $($json:tt)+) => {
        v1!($method $path, SEEN, |call| {
            Box::pin(async move {
                View::named(&call).await?;
                Ok(json(StatusCode::$status, &object!($($json)+)))
            })
        })
    };
}

pub(crate) const ROUTES: &[[Route; 2]] = &[
    of_project!(POST "/projects/{ref}/network-bans/retrieve", CREATED, { "banned_ipv4_addresses": [] }),
    of_project!(POST "/projects/{ref}/network-bans/retrieve/enriched", CREATED, { "banned_ipv4_addresses": [] }),
    of_project!(GET "/projects/{ref}/network-restrictions", OK, {
        "entitlement": "disallowed", "status": "applied", "config": {}
    }),
    v1!(POST "/projects/{ref}/network-restrictions/apply", UPDATE, |call| Box::pin(restrict(call))),
    of_project!(GET "/projects/{ref}/ssl-enforcement", OK, {
        "appliedSuccessfully": true, "currentConfig": { "database": false }
    }),
    v1!(PUT "/projects/{ref}/ssl-enforcement", UPDATE, |call| Box::pin(enforce(call))),
    of_project!(GET "/projects/{ref}/readonly", OK, {
        "enabled": false, "override_enabled": false, "override_active_until": ""
    }),
];

async fn restrict(call: Call) -> Result<Response> {
    View::named(&call).await?;
    let message = "restrict who may connect: the machine's firewall decides that";
    Err(Error::new(Kind::Unsupported, message))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Enforce {
    requested_config: Requested,
}

#[derive(Deserialize)]
struct Requested {
    database: bool,
}

async fn enforce(call: Call) -> Result<Response> {
    View::named(&call).await?;
    if call.json::<Enforce>()?.requested_config.database {
        let message = "refuse connections without TLS: the stack's own database decides that";
        return Err(Error::new(Kind::Unsupported, message));
    }
    let shown: Value = object!({ "appliedSuccessfully": true, "currentConfig": { "database": false } });
    Ok(json(StatusCode::OK, &shown))
}
