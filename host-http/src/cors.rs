//! Pages from elsewhere (Cross-Origin Resource Sharing, Fetch Standard): only from origins that were named, with what an
//! unforked Studio sends.

use freehold_core::{Error, Result};
use warp::{
    Filter,
    filters::BoxedFilter,
    http::{Method, Uri},
    reply::Response,
};

use crate::error;

/// What pages may send. Studio's own headers are among them.
const HEADERS: [&str; 8] = [
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "version",
    "x-connection-encrypted",
    "x-pg-application-name",
    "x-request-id",
];
/// What pages may read besides what they always may.
const EXPOSED: [&str; 4] = ["location", "retry-after", "x-request-id", "x-total-count"];
const METHODS: [Method; 6] =
    [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];
/// How long browsers may remember the answer, in seconds.
const MAX_AGE: u32 = 600;

/// Checks that each is an origin: a scheme, a host, and perhaps a port.
///
/// # Errors
/// `InvalidInput` naming the first that is none.
pub(crate) fn check(origins: &[String]) -> Result<()> {
    for origin in origins {
        let wrong = || {
            Error::invalid(
                "origins",
                format_args!("{origin:?} is no origin, like https://studio.example.com"),
            )
        };
        let rest =
            origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://")).ok_or_else(wrong)?;
        let uri: Uri = origin.parse().map_err(|_| wrong())?;
        if rest.contains(['/', '?', '#', '@', '*']) || uri.host().is_none_or(str::is_empty) {
            return Err(wrong());
        }
    }
    Ok(())
}

/// The filter, open to pages of those origins: to none if there is none.
pub(crate) fn wrap(filter: BoxedFilter<(Response,)>, origins: &[String]) -> BoxedFilter<(Response,)> {
    if origins.is_empty() {
        return filter;
    }
    let cors = warp::cors()
        .allow_origins(origins.iter().map(String::as_str))
        .allow_credentials(true)
        .allow_headers(HEADERS)
        .allow_methods(&METHODS)
        .expose_headers(EXPOSED)
        .max_age(MAX_AGE)
        .build();
    filter.with(cors).map(warp::Reply::into_response).recover(error::recover).unify().boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_are_origins() {
        check(&["https://studio.example.com".into(), "http://localhost:8082".into()]).unwrap();
        for wrong in
            ["*", "studio.example.com", "https://", "https://a/b", "https://*.a", "https://u@a", "null"]
        {
            assert!(check(&[wrong.into()]).is_err(), "{wrong}");
        }
    }
}
