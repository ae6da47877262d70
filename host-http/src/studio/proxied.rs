//! Parts of a project's own API that are asked for its dashboard, with its service key.

use freehold_core::{Error, Result};
use reqwest::{Method as Verb, Url};
use serde_json::Value;
use warp::{http::StatusCode, reply::Response};

use super::{services, status, view::View};
use crate::{
    call::Call,
    error,
    upstream::{self, Upstream},
};

/// A part of a project's API, by the service behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Auth,
    Rest,
    Storage,
}

impl Part {
    const fn service(self) -> &'static str {
        match self {
            Self::Auth => "gotrue",
            Self::Rest => "postgrest",
            Self::Storage => "storage-api",
        }
    }

    /// Where it is behind a project's gateway (Supabase's `kong.yml`).
    const fn path(self) -> &'static str {
        match self {
            Self::Auth => "/auth/v1",
            Self::Rest => "/rest/v1",
            Self::Storage => "/storage/v1",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::Auth => "auth API",
            Self::Rest => "data API",
            Self::Storage => "storage API",
        }
    }
}

/// A part that can be asked now, or the reply that says why not: 503 while the project is not up or has no key.
///
/// # Errors
/// `Unsupported` if the project's stack has no such service, or it is excluded.
pub(super) async fn open(call: &Call, view: &View, part: Part) -> Result<Result<Upstream, Response>> {
    let (reference, id) = (&view.project.reference, call.request_id());
    let refused =
        |message: String| error::refusal(StatusCode::SERVICE_UNAVAILABLE, "unavailable", &message, id);
    let there = view.stack.as_ref().and_then(|stack| services::named(stack, part.service()));
    let runs = there.is_some_and(|name| !view.project.excluded.contains(name));
    if runs && !status::is_active(view.project.status) {
        // The words that the clients of earlier control planes know, whatever the project is at.
        let message = format!("Project {reference} is still provisioning; {} unavailable", part.title());
        return Ok(Err(refused(message)));
    }
    let upstream = Upstream::of(call, view, part.service(), part.path()).await;
    match upstream {
        Ok(upstream) => Ok(Ok(upstream)),
        Err(_) if runs && super::keys::Keys::of(call, &view.project).await?.service().is_empty() => {
            Ok(Err(refused(format!("Project {reference} is missing a service role key"))))
        }
        Err(error) => Err(error),
    }
}

/// Asks a part, and passes on what it answers: its success as it is, its refusals in the words that Studio reads.
pub(super) async fn pass(
    call: &Call,
    view: &View,
    part: Part,
    (verb, path): (Verb, &str),
    body: Option<&Value>,
) -> Result<Response> {
    let upstream = match open(call, view, part).await? {
        Ok(upstream) => upstream,
        Err(refusal) => return Ok(refusal),
    };
    let answer = upstream.ask(call, verb, path, body).await?;
    if answer.status().is_success() {
        return Ok(upstream::passed_on(answer));
    }
    Ok(upstream::refusal(call, answer).await)
}

/// Asks a part, and reads what it answers; or the reply that passes its refusal on.
pub(super) async fn read(
    call: &Call,
    view: &View,
    part: Part,
    (verb, path): (Verb, &str),
    body: Option<&Value>,
) -> Result<Result<Value, Response>> {
    let upstream = match open(call, view, part).await? {
        Ok(upstream) => upstream,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let answer = upstream.ask(call, verb, path, body).await?;
    if !answer.status().is_success() {
        return Ok(Err(upstream::refusal(call, answer).await));
    }
    upstream::value(answer, &format!("what the {} answered", part.title())).await.map(Ok)
}

/// A parameter of our path as a part of another: it leads nowhere else.
///
/// # Errors
/// `InvalidInput` for what would be a step up or no segment at all.
pub(super) fn segment<'a>(call: &'a Call, name: &str) -> Result<&'a str> {
    let raw = call.parameter(name);
    let plain = raw.to_ascii_lowercase().replace("%2e", ".");
    let legal = |c: char| c.is_ascii_alphanumeric() || "-_.~!$&'()*+,;=:@%".contains(c);
    // Some gateways read these as what they stand for, and then what is around them as steps.
    let hidden = ["%2f", "%5c"].iter().any(|code| plain.contains(code));
    if plain == "." || plain == ".." || hidden || !raw.chars().all(legal) {
        return Err(Error::invalid(name, "is no name"));
    }
    Ok(raw)
}

/// A path in a bucket, as a part of a URL's path.
///
/// # Errors
/// `InvalidInput` for one with a step up.
pub(super) fn object_path(field: &str, path: &str) -> Result<String> {
    let steps: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let wrong = || Error::invalid(field, "is no path of an object");
    if steps.iter().any(|step| matches!(*step, "." | "..")) || path.trim_matches('/').is_empty() {
        return Err(wrong());
    }
    let mut url = Url::parse("http://bucket").map_err(|_| wrong())?;
    url.path_segments_mut().map_err(|()| wrong())?.clear().extend(steps);
    Ok(url.path().trim_start_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::object_path;

    #[test]
    fn a_path_in_a_bucket_stays_there() {
        assert_eq!(object_path("path", "/a b/ü?#%2e.png").unwrap(), "a%20b/%C3%BC%3F%23%252e.png");
        for wrong in ["", "/", "../x", "a/../../b", "a/./b"] {
            assert!(object_path("path", wrong).is_err(), "{wrong}");
        }
    }
}
