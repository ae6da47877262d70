//! Inviting people to an organization. No mail is sent: whoever invites is shown the token once, and passes on the link.

use freehold_core::{
    Detail, Error, Kind, Result,
    accounts::{Action, Invitation, NewInvitation, Organization, Resource},
};
use serde::Deserialize;
use serde_json::{Value, json as object};
use time::{Duration, OffsetDateTime};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{
    empty,
    members::{Assign, may, refused, roles_within_reach},
    moment,
    organizations::named,
    roles,
};
use crate::{
    audit,
    auth::{Token, TokenDigest},
    call::Call,
    error::{json, private},
    route::Route,
    rule::{At, Rule},
    throttle::Allowance,
};

const LIST: &str = "/api/platform/organizations/{slug}/members/invitations";
const BY_TOKEN: &str = "/api/platform/organizations/{slug}/members/invitations/{token}";

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, LIST, Rule::May(Action::Read, Resource::Members, At::Organization), |call| {
        Box::pin(list(call))
    }),
    Route::new(
        Method::POST,
        LIST,
        Rule::May(Action::Create, Resource::Invitations, At::Organization),
        |call| Box::pin(create(call)),
    ),
    Route::new(
        Method::DELETE,
        "/api/platform/organizations/{slug}/members/invitations/{id}",
        Rule::May(Action::Delete, Resource::Invitations, At::Organization),
        |call| Box::pin(delete(call)),
    ),
    Route::new(Method::GET, BY_TOKEN, Rule::Invited, |call| Box::pin(look_up(call))),
    Route::new(Method::POST, BY_TOKEN, Rule::Invited, |call| Box::pin(accept(call))),
];

/// How long an invitation is good for.
const LIFE: Duration = Duration::days(7);

fn shown(invitation: &Invitation) -> Value {
    object!({
        "id": invitation.id,
        "invited_at": moment(invitation.created_at),
        "invited_email": invitation.email,
        "role_id": roles::id(invitation.grant.role),
        "expires_at": moment(invitation.expires_at),
    })
}

async fn list(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    let invitations = call.accounts()?.invitations(&organization.id).await?;
    let invitations: Vec<_> = invitations.iter().map(shown).collect();
    Ok(json(StatusCode::OK, &object!({ "invitations": invitations })))
}

#[derive(Deserialize)]
struct Create {
    email: String,
    #[serde(flatten)]
    assign: Assign,
}

async fn create(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    let Create { email, assign } = call.json()?;
    let grant = assign.grant(&call, &organization).await?;
    let role = grant.role;
    if !may(&call, &organization, Action::Create, role) {
        return Ok(refused(&call, role));
    }
    // Whoever invites anew takes back what stands: they must be allowed both.
    let over = roles_within_reach(&call, &organization, Action::Delete);
    let token = Token::random()?;
    let invitation = NewInvitation {
        organization: organization.id,
        email,
        grant,
        digest: token.digest().bytes(),
        expires_at: OffsetDateTime::now_utc() + LIFE,
    };
    let made = match call.accounts()?.invite(&invitation, &over).await {
        Err(error) => return above(&call, error),
        Ok(made) => made,
    };
    let mut made = shown(&made);
    made["token"] = token.expose().into();
    Ok(private(StatusCode::CREATED, &made))
}

/// What to answer when an invitation stays because the caller may not take it back.
fn above(call: &Call, error: Error) -> Result<Response> {
    match error.detail() {
        Some(Detail::AboveCaller { role }) => Ok(refused(call, *role)),
        _ => Err(error),
    }
}

async fn delete(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    let absent = || Error::new(Kind::NotFound, "Invitation not found");
    let id = call.parameter("id").parse().map_err(|_| absent())?;
    let over = roles_within_reach(&call, &organization, Action::Delete);
    match call.accounts()?.delete_invitation(&organization.id, id, &over).await {
        Ok(true) => Ok(empty(StatusCode::NO_CONTENT)),
        Ok(false) => Err(absent()),
        Err(error) => above(&call, error),
    }
}

/// The invitation of the token in the path, if it is to the organization there.
async fn found(call: &Call) -> Result<Option<(Invitation, Organization)>> {
    let digest = TokenDigest::of(call.parameter("token")).bytes();
    let accounts = call.accounts()?;
    let Some(invitation) = accounts.invitation(&digest).await? else { return Ok(None) };
    if invitation.organization.as_str() != call.parameter("slug") {
        return Ok(None);
    }
    let organization = accounts.organization(&invitation.organization).await?;
    Ok(organization.map(|organization| (invitation, organization)))
}

/// The caller's address.
fn email(call: &Call) -> Option<&str> {
    let person = call.caller().person.as_ref().map(|person| person.email.as_str());
    person.or_else(|| call.identity().map(|identity| identity.email.as_str()))
}

async fn look_up(call: Call) -> Result<Response> {
    let found = found(&call).await?;
    if found.is_none()
        && let Some(refusal) = call.overspent(Allowance::Refusals)
    {
        return Ok(refusal);
    }
    let invitation = found.as_ref().map(|(invitation, _)| invitation);
    let matches = invitation.is_some_and(|invitation| Some(invitation.email.as_str()) == email(&call));
    let expired = invitation.is_some_and(|invitation| invitation.expires_at <= OffsetDateTime::now_utc());
    let shown = object!({
        "authorized_user": email(&call).is_some(),
        "email_match": matches,
        "expired_token": expired,
        "invite_id": invitation.map(|invitation| invitation.id),
        "organization_name": found.as_ref().map_or("", |(_, organization)| organization.name.as_str()),
        "sso_mismatch": false,
        "token_does_not_exist": found.is_none(),
    });
    Ok(json(StatusCode::OK, &shown))
}

async fn accept(call: Call) -> Result<Response> {
    let absent = || Error::new(Kind::NotFound, "Invitation not found");
    if found(&call).await?.is_none() {
        return Err(absent());
    }
    let accounts = call.accounts()?;
    let person = match (&call.caller().person, call.identity()) {
        (Some(person), _) => person.id,
        (None, Some(identity)) => accounts.enroll(identity).await?.0.id,
        (None, None) => return Err(Error::new(Kind::Conflict, "accept the invitation: a person has to")),
    };
    let digest = TokenDigest::of(call.parameter("token")).bytes();
    let joined = accounts.accept_invitation(&digest, person).await?;
    Ok(audit::made_in(empty(StatusCode::CREATED), joined.organization))
}
