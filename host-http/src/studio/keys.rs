//! A project's API keys, found among its secrets by what they say of themselves: they are JSON Web Tokens with a role.

use std::collections::BTreeMap;

use freehold_core::{ExposeSecret, Project, Result, SecretName, SecretString, stack::SecretGenerator};
use jsonwebtoken::{Algorithm, dangerous::insecure_decode_claims, decode_header};
use serde::Deserialize;

use super::view::View;
use crate::call::Call;

/// A project's secrets, as far as its API is concerned.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    anon: Option<SecretString>,
    service: Option<SecretString>,
    secrets: BTreeMap<SecretName, SecretString>,
}

#[derive(Deserialize)]
struct Claims {
    role: String,
}

impl Keys {
    /// Reads them.
    ///
    /// # Errors
    /// `Internal` if they cannot be opened, `Unavailable`.
    pub(crate) async fn of(call: &Call, project: &Project) -> Result<Self> {
        Ok(Self::among(call.control().secrets(&project.reference).await?))
    }

    fn among(secrets: BTreeMap<SecretName, SecretString>) -> Self {
        let with_role = |role: &str| {
            let key = |secret: &&SecretString| is_key(secret.expose_secret(), role);
            secrets.values().find(key).cloned()
        };
        Self { anon: with_role("anon"), service: with_role("service_role"), secrets }
    }

    /// The key that anybody may have; empty if the stack has none.
    pub(crate) fn anon(&self) -> &str {
        self.anon.as_ref().map_or("", |key| key.expose_secret())
    }

    /// The key that may do everything; empty if the stack has none.
    pub(crate) fn service(&self) -> &str {
        self.service.as_ref().map_or("", |key| key.expose_secret())
    }

    /// A secret by its name.
    pub(crate) fn secret(&self, name: &str) -> Option<&SecretString> {
        self.secrets.iter().find(|(known, _)| known.as_str() == name).map(|(_, secret)| secret)
    }

    /// The secret that both are signed by.
    pub(crate) fn signing_secret(&self, view: &View) -> Option<&str> {
        let declared = view.stack.as_ref()?.secrets.iter();
        let mut signing = declared.filter_map(|secret| match &secret.generator {
            SecretGenerator::Jwt { key, .. } => self.secrets.get(key),
            _ => None,
        });
        signing.next().map(|secret| secret.expose_secret())
    }
}

/// Whether a text is a key of that role, signed by a shared secret as the legacy keys are. We made it, so that reading
/// it is enough.
fn is_key(text: &str, role: &str) -> bool {
    decode_header(text).is_ok_and(|header| header.alg == Algorithm::HS256)
        && insecure_decode_claims::<Claims>(text).is_ok_and(|claims| claims.role == role)
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{EncodingKey, Header, encode};
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_are_found_by_their_role_whatever_they_are_called() {
        let key = |role: &str| -> SecretString {
            let claims = json!({ "role": role, "exp": 1 });
            encode(&Header::default(), &claims, &EncodingKey::from_secret(b"x")).unwrap().into()
        };
        let secrets = [("a", "hunter2".into()), ("b", key("service_role")), ("c", key("anon"))];
        let secrets = secrets.map(|(name, value): (&str, SecretString)| (name.parse().unwrap(), value));
        let keys = Keys::among(BTreeMap::from(secrets));
        assert_eq!(keys.anon(), key("anon").expose_secret());
        assert_eq!(keys.service(), key("service_role").expose_secret());
        assert_eq!(Keys::default().anon(), "");
    }
}
