//! Failures on their way to the caller: which status, which body, and what stays inside.

use std::convert::Infallible;

use freehold_core::{Detail, Error, Kind};
use warp::{
    Rejection, Reply,
    filters::cors::CorsForbidden,
    http::{StatusCode, header},
    reject,
    reply::Response,
};

use crate::wire::ErrorBody;

/// The HTTP status of an error: the one place that maps them.
///
/// ```
/// use freehold_core::{Detail, Error};
///
/// let gone = Error::detailed(Detail::Gone { oldest: 7 }, "read events after 3");
/// assert_eq!(freehold_host::error::status(&gone), 410);
/// ```
#[must_use]
pub fn status(error: &Error) -> StatusCode {
    match (error.kind(), error.detail()) {
        (_, Some(Detail::Gone { .. })) => StatusCode::GONE,
        (Kind::InvalidInput, _) => StatusCode::BAD_REQUEST,
        (Kind::NotFound, _) => StatusCode::NOT_FOUND,
        (Kind::AlreadyExists | Kind::Conflict | Kind::Cancelled, _) => StatusCode::CONFLICT,
        (Kind::Unsupported, _) => StatusCode::NOT_IMPLEMENTED,
        // A quota, not a fault of the host: the message names the setting that holds it.
        (Kind::Exhausted, _) => StatusCode::TOO_MANY_REQUESTS,
        (Kind::Unavailable, _) => StatusCode::SERVICE_UNAVAILABLE,
        (Kind::Timeout, _) => StatusCode::GATEWAY_TIMEOUT,
        (Kind::Internal, _) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// What the caller is told of an error. Causes stay in the log; of a fault inside, all of it does.
#[must_use]
pub fn body(error: &Error, request_id: &str) -> ErrorBody {
    let message = match error.kind() {
        Kind::Internal => "a fault inside: the host's log has it under this request id".to_owned(),
        // The cause may tell of what is inside; that it may pass by itself is what the caller has to know.
        // Whoever waits has to know that it does not pass by itself, and what makes it pass.
        Kind::Unavailable if matches!(error.detail(), Some(Detail::StorePassword)) => {
            format!("failed to {error}")
        }
        Kind::Unavailable => format!("failed to {error}: what is behind it does not answer now; try again"),
        _ => error.to_string(),
    };
    ErrorBody {
        code: error.kind().as_str().to_owned(),
        message,
        request_id: request_id.to_owned(),
        detail: error.detail().cloned(),
    }
}

/// The whole reply to a failed request. It is logged here, once.
pub(crate) fn reply(error: &Error, request_id: &str) -> Response {
    let status = status(error);
    if status.is_server_error() {
        tracing::error!(error = %error.chain(), kind = %error.kind(), status = status.as_u16(), "request failed");
    } else {
        tracing::debug!(error = %error.chain(), kind = %error.kind(), status = status.as_u16(), "request refused");
    }
    json(status, &body(error, request_id))
}

/// A reply for a failure that is HTTP's own and that core has no kind for.
pub(crate) fn refusal(status: StatusCode, code: &str, message: &str, request_id: &str) -> Response {
    let body = ErrorBody {
        code: code.to_owned(),
        message: message.to_owned(),
        request_id: request_id.to_owned(),
        detail: None,
    };
    let mut response = json(status, &body);
    if status == StatusCode::UNAUTHORIZED {
        // RFC 6750 section 3: a protected resource answers with its scheme.
        let challenge = header::HeaderValue::from_static("Bearer realm=\"freehold\"");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Answers warp's own rejections: a path that nobody serves, a method that it does not have.
pub(crate) async fn recover(rejection: Rejection) -> Result<Response, Infallible> {
    let id = crate::call::new_request_id();
    let mut response = if rejection.find::<reject::MethodNotAllowed>().is_some() {
        refusal(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path has no such method", &id)
    } else if rejection.find::<CorsForbidden>().is_some() {
        refusal(StatusCode::FORBIDDEN, "forbidden", "pages of this origin may not use this API", &id)
    } else if rejection.is_not_found() {
        refusal(StatusCode::NOT_FOUND, "not_found", "no such path: /openapi.json lists them", &id)
    } else {
        refusal(StatusCode::BAD_REQUEST, "invalid_input", "the request is not one that HTTP allows here", &id)
    };
    crate::call::name_request(&mut response, &id);
    Ok(response)
}

/// A JSON reply that nobody on the way may keep: it holds secrets.
pub(crate) fn private<T: serde::Serialize>(status: StatusCode, body: &T) -> Response {
    let mut response = json(status, body);
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

/// A JSON reply.
pub(crate) fn json<T: serde::Serialize>(status: StatusCode, body: &T) -> Response {
    warp::reply::with_status(warp::reply::json(body), status).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_status_of_its_own_meaning() {
        let of = |kind| status(&Error::new(kind, "x")).as_u16();
        assert_eq!(of(Kind::InvalidInput), 400);
        assert_eq!(of(Kind::NotFound), 404);
        assert_eq!(of(Kind::AlreadyExists), 409);
        assert_eq!(of(Kind::Conflict), 409);
        assert_eq!(of(Kind::Unsupported), 501);
        assert_eq!(of(Kind::Exhausted), 429);
        assert_eq!(of(Kind::Unavailable), 503);
        assert_eq!(of(Kind::Timeout), 504);
        assert_eq!(of(Kind::Cancelled), 409);
        assert_eq!(of(Kind::Internal), 500);
    }

    #[test]
    fn a_fault_inside_stays_inside() {
        let error =
            Error::internal("column secret_key of /var/lib/x").because(std::io::Error::other("db1:5432"));
        let body = body(&error, "r1");
        assert!(!body.message.contains("secret_key") && body.message.contains("log"), "{}", body.message);
    }

    #[test]
    fn causes_stay_inside_too() {
        let cause = std::io::Error::other("connect to 10.0.0.7:5432");
        let error = Error::new(Kind::Unavailable, "reach the store").because(cause);
        let message = body(&error, "r1").message;
        assert!(
            message.starts_with("failed to reach the store: ") && !message.contains("10.0.0.7"),
            "{message}"
        );
    }
}
