//! How people are known: the part of the configuration, and what is made of it.

use std::{env, sync::Arc, time::Duration};

use freehold_core::{
    OrganizationId, SecretString, StackName, TargetName,
    accounts::{AccountStore, ProjectDefaults},
};
use freehold_host::{
    Accounts, GoTrue, GoTrueConfig, SessionConfig, Sessions, Superuser, TokenDigest, ensure_organization,
    keep_audit_log, wire::Secret,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    config::MASK,
    exit::{Failure, Result},
};

/// How long to wait before GoTrue is tried for the second time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// For how many days the audit log is kept unless the file says otherwise.
const KEEP_AUDIT_DAYS: u64 = 90;

/// How people are known. Each text may come from the environment instead, by the name at its side.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct AccountsConfig {
    /// Where GoTrue is: `FREEHOLD_GOTRUE_URL`.
    gotrue_url: Option<String>,
    /// A key that may administer it: `FREEHOLD_GOTRUE_SERVICE_KEY`.
    gotrue_service_key: Option<Secret>,
    /// The secret of its tokens: `FREEHOLD_JWT_SECRET`.
    jwt_secret: Option<Secret>,
    /// Where the public keys of its tokens are: `FREEHOLD_JWKS_URL`.
    jwks_url: Option<String>,
    /// Whom its tokens must be for: `FREEHOLD_JWT_AUDIENCE`.
    audience: Option<String>,
    /// The superuser: `FREEHOLD_ADMIN_EMAIL` or `PLATFORM_ADMIN_EMAIL`.
    admin_email: Option<String>,
    /// Their password: `FREEHOLD_ADMIN_PASSWORD` or `PLATFORM_ADMIN_PASSWORD`.
    admin_password: Option<Secret>,
    /// The organization that is always there.
    organization: Option<OrganizationId>,
    /// What people call it.
    organization_name: Option<String>,
    /// The target that Studio's wizard makes projects on, where there are several.
    default_target: Option<TargetName>,
    /// The stack that it makes them of.
    default_stack: Option<StackName>,
    /// Origins whose pages may use the API: `FREEHOLD_ORIGINS`, separated by commas.
    origins: Vec<String>,
    /// For how many days the audit log is kept.
    keep_audit_days: Option<u64>,
}

/// The same as it is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    gotrue_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gotrue_service_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwt_secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwks_url: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_password: Option<&'a str>,
    organization: String,
    organization_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_stack: Option<&'a str>,
    origins: &'a [String],
    keep_audit_days: u64,
}

impl AccountsConfig {
    /// What the file says, where the environment says nothing else.
    pub(crate) fn with_environment(self) -> Self {
        self.with(|name| env::var(name).ok())
    }

    fn with(self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set =
            |names: &[&str]| names.iter().find_map(|name| variable(name).filter(|value| !value.is_empty()));
        let secret = |names: &[&str]| set(names).map(|value| SecretString::from(value).into());
        let origins =
            set(&["FREEHOLD_ORIGINS"]).map(|list| list.split(',').map(|one| one.trim().to_owned()).collect());
        Self {
            gotrue_url: set(&["FREEHOLD_GOTRUE_URL"]).or(self.gotrue_url),
            gotrue_service_key: secret(&["FREEHOLD_GOTRUE_SERVICE_KEY"]).or(self.gotrue_service_key),
            jwt_secret: secret(&["FREEHOLD_JWT_SECRET"]).or(self.jwt_secret),
            jwks_url: set(&["FREEHOLD_JWKS_URL"]).or(self.jwks_url),
            audience: set(&["FREEHOLD_JWT_AUDIENCE"]).or(self.audience),
            admin_email: set(&["FREEHOLD_ADMIN_EMAIL", "PLATFORM_ADMIN_EMAIL"]).or(self.admin_email),
            admin_password: secret(&["FREEHOLD_ADMIN_PASSWORD", "PLATFORM_ADMIN_PASSWORD"])
                .or(self.admin_password),
            organization: self.organization,
            organization_name: self.organization_name,
            default_target: self.default_target,
            default_stack: self.default_stack,
            origins: origins.unwrap_or(self.origins),
            keep_audit_days: self.keep_audit_days,
        }
    }

    /// Origins whose pages may use the API.
    pub(crate) fn origins(&self) -> &[String] {
        &self.origins
    }

    /// Where secrets are sent to and keys are taken from, by the setting that says so.
    #[cfg(feature = "docker")]
    pub(crate) fn servers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let named = [("gotrue_url", &self.gotrue_url), ("jwks_url", &self.jwks_url)];
        named.into_iter().filter_map(|(setting, url)| Some((setting, url.as_deref()?)))
    }

    /// What is printed of it.
    pub(crate) fn shown(&self) -> Shown<'_> {
        let masked = |secret: &Option<Secret>| secret.as_ref().map(|_| MASK);
        Shown {
            gotrue_url: self.gotrue_url.as_deref(),
            gotrue_service_key: masked(&self.gotrue_service_key),
            jwt_secret: masked(&self.jwt_secret),
            jwks_url: self.jwks_url.as_deref(),
            audience: self.audience.as_deref(),
            admin_email: self.admin_email.as_deref(),
            admin_password: masked(&self.admin_password),
            organization: self.organization.as_ref().map_or("default".to_owned(), ToString::to_string),
            organization_name: self.organization_name(),
            default_target: self.default_target.as_ref().map(TargetName::as_str),
            default_stack: self.default_stack.as_ref().map(StackName::as_str),
            origins: &self.origins,
            keep_audit_days: self.keep_audit_days(),
        }
    }

    /// What Studio's wizard makes projects with.
    pub(crate) fn defaults(&self) -> ProjectDefaults {
        ProjectDefaults {
            target: self.default_target.clone(),
            stack: self.default_stack.clone(),
            excluded: None,
        }
    }

    fn keep_audit_days(&self) -> u64 {
        self.keep_audit_days.unwrap_or(KEEP_AUDIT_DAYS)
    }

    fn organization_name(&self) -> &str {
        self.organization_name.as_deref().unwrap_or("Default Organization")
    }

    /// Sets accounts up: the default organization now, the superuser in the background.
    ///
    /// # Errors
    /// If what is configured does not fit together, or the store does not answer.
    pub(crate) async fn open(
        &self,
        superuser: TokenDigest,
        store: Arc<dyn AccountStore>,
        shutdown: CancellationToken,
    ) -> Result<Accounts> {
        let organization = self.organization.clone().map_or_else(|| OrganizationId::new("default"), Ok)?;
        let administrator = match (&self.admin_email, &self.admin_password, &self.gotrue_url) {
            (Some(email), Some(password), Some(_)) => {
                Some(Superuser { email: email.clone(), password: password.clone().into_inner() })
            }
            (None, None, _) => None,
            _ => {
                return Err(Failure::usage(
                    "[accounts]: a superuser needs admin_email, admin_password and gotrue_url together",
                ));
            }
        };
        let secrets = [&self.gotrue_service_key, &self.jwt_secret, &self.admin_password];
        if secrets.into_iter().flatten().any(|secret| secret.expose() == MASK) {
            return Err(Failure::usage("[accounts]: a secret is the mask that `freehold config` prints"));
        }
        ensure_organization(&*store, &organization, self.organization_name()).await?;
        let kept = Duration::from_secs(self.keep_audit_days().saturating_mul(24 * 3600));
        keep_audit_log(Arc::clone(&store), kept, shutdown.clone());
        let accounts = Accounts::new(superuser, Arc::clone(&store));
        let mut accounts = accounts.wizard(self.defaults()).audit(kept);
        let secret = |kept: &Option<Secret>| kept.clone().map(Secret::into_inner);
        if self.jwt_secret.is_some() || self.jwks_url.is_some() {
            accounts = accounts.sessions(Sessions::new(SessionConfig {
                secret: secret(&self.jwt_secret),
                jwks_url: self.jwks_url.clone(),
                audience: self.audience.clone(),
            }));
        }
        if let Some(url) = &self.gotrue_url {
            let gotrue = GoTrue::new(GoTrueConfig {
                url: url.clone(),
                service_key: secret(&self.gotrue_service_key),
                secret: secret(&self.jwt_secret),
            });
            if let Some(administrator) = administrator {
                let standing =
                    administrator.ensure(store, gotrue.clone(), organization, FIRST_PAUSE, shutdown);
                accounts = accounts.standing(standing);
            }
            accounts = accounts.gotrue(gotrue);
        }
        Ok(accounts)
    }
}

#[cfg(test)]
mod tests {
    use freehold_core::memory::MemoryAccounts;
    use freehold_host::Token;

    use super::*;

    #[test]
    fn the_environment_goes_before_the_file_and_the_legacy_names_are_known() {
        let file: AccountsConfig =
            toml::from_str("gotrue_url = \"http://a\"\nadmin_email = \"a@example.com\"\n").unwrap();
        let config = file.with(|name| match name {
            "PLATFORM_ADMIN_EMAIL" => Some("b@example.com".into()),
            "PLATFORM_ADMIN_PASSWORD" => Some("hunter2".into()),
            "FREEHOLD_ORIGINS" => Some("http://x, http://y".into()),
            _ => None,
        });
        assert_eq!(config.gotrue_url.as_deref(), Some("http://a"));
        assert_eq!(config.admin_email.as_deref(), Some("b@example.com"));
        assert_eq!(config.origins(), ["http://x", "http://y"]);
        let shown = toml::to_string(&config.shown()).unwrap();
        assert!(shown.contains("***") && !shown.contains("hunter2"), "{shown}");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn a_superuser_without_gotrue_is_told_at_start_and_the_organization_is_made_once() {
        let store = Arc::new(MemoryAccounts::new());
        let digest = Token::random().unwrap().digest();
        let alone: AccountsConfig = toml::from_str("admin_email = \"a@example.com\"\n").unwrap();
        let failure = alone.open(digest, store.clone(), CancellationToken::new()).await.unwrap_err();
        assert!(failure.message().contains("gotrue_url"), "{failure:?}");
        for _ in 0..2 {
            AccountsConfig::default().open(digest, store.clone(), CancellationToken::new()).await.unwrap();
        }
        assert_eq!(store.organizations(None).await.unwrap().len(), 1);
    }
}
