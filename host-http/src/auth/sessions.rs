//! Sessions of people who signed in: checking the access tokens that GoTrue signs (JSON Web Tokens, RFC 7519).

mod keys;

use std::{fmt, sync::Arc};

use freehold_core::{ExposeSecret, SecretString, accounts::Identity};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header, errors::ErrorKind};
use serde::Deserialize;

use self::keys::Keys;
use super::Stranger;

/// How far the clocks of GoTrue and this host may be apart, in seconds.
const LEEWAY: u64 = 10;

/// How sessions are checked.
#[derive(Clone, Debug, Default)]
pub struct SessionConfig {
    /// The secret of tokens signed with HS256: GoTrue's `GOTRUE_JWT_SECRET`.
    pub secret: Option<SecretString>,
    /// Where the public keys of tokens signed with ES256 or RS256 are: GoTrue's `/.well-known/jwks.json`. They are read
    /// when the first such token comes, again when they are ten minutes old, and when a token names one that is unknown.
    pub jwks_url: Option<String>,
    /// Whom tokens must be for; GoTrue says `authenticated`.
    pub audience: Option<String>,
}

/// Checks sessions. A cheap handle.
#[derive(Clone)]
pub struct Sessions(Arc<Inner>);

struct Inner {
    secret: Option<DecodingKey>,
    keys: Option<Keys>,
    audience: String,
}

/// The claims that we read. GoTrue's `supabase/auth`, `internal/tokens`.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    is_anonymous: bool,
}

impl Sessions {
    /// A checker. An empty secret is none: nobody may sign with that.
    #[must_use]
    pub fn new(config: SessionConfig) -> Self {
        let secret = config.secret.filter(|secret| !secret.expose_secret().trim().is_empty());
        Self(Arc::new(Inner {
            secret: secret.map(|secret| DecodingKey::from_secret(secret.expose_secret().trim().as_bytes())),
            keys: config.jwks_url.map(Keys::at),
            audience: config.audience.unwrap_or_else(|| "authenticated".to_owned()),
        }))
    }

    /// Whose session a token is of.
    pub(super) async fn verify(&self, token: &str) -> Result<Identity, Stranger> {
        let header = decode_header(token).map_err(|_| Stranger::Refused("the token is malformed"))?;
        // The kind of key follows from the algorithm, never from the token alone: a public key is no HMAC secret.
        let key = match (header.alg, header.kid) {
            (Algorithm::HS256, _) => self.0.secret.clone(),
            (Algorithm::ES256 | Algorithm::RS256, Some(kid)) => match &self.0.keys {
                Some(keys) => keys.find(&kid, header.alg).await?,
                None => None,
            },
            _ => None,
        };
        let key = key.ok_or(Stranger::Refused("the token is signed by a key that is unknown here"))?;
        let mut validation = Validation::new(header.alg);
        validation.leeway = LEEWAY;
        validation.validate_nbf = true;
        validation.set_audience(&[&self.0.audience]);
        validation.set_required_spec_claims(&["exp", "aud", "sub"]);
        let claims =
            decode::<Claims>(token, &key, &validation).map_err(|error| refused(error.kind()))?.claims;
        if claims.is_anonymous {
            return Err(Stranger::Refused("the token is of somebody who did not sign in"));
        }
        let subject = claims.sub.parse().map_err(|_| Stranger::Refused("the token names nobody"))?;
        Identity::new(subject, &claims.email)
            .map_err(|_| Stranger::Refused("the token names no e-mail address"))
    }
}

fn refused(error: &ErrorKind) -> Stranger {
    Stranger::Refused(match error {
        ErrorKind::ExpiredSignature => "the token has expired",
        ErrorKind::ImmatureSignature => "the token is not valid yet",
        ErrorKind::InvalidAudience => "the token is for another audience",
        ErrorKind::InvalidSignature => "the token's signature is wrong",
        _ => "the token is malformed",
    })
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("audience", &self.0.audience).finish_non_exhaustive()
    }
}
