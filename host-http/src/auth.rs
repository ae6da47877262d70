//! Who is calling.

mod sessions;
mod token;

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Error, Kind,
    accounts::{AccountStore, Actor, Caller, Credential, Identity, ProjectDefaults},
};

use crate::{audit, gotrue::GoTrue, superuser::Standing};

pub use self::{
    sessions::{SessionConfig, Sessions},
    token::{Token, TokenDigest},
};

/// How the API tells who is calling.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Auth {
    /// Whoever bears the token of this digest may do everything (RFC 6750 section 2.1).
    Superuser(TokenDigest),
    /// People with accounts, and the superuser.
    Accounts(Accounts),
    /// Whoever gets here may do everything: the embedder's own filters decide before these.
    Embedder,
}

/// What it takes to know people. A cheap handle.
#[derive(Clone, Debug)]
pub struct Accounts {
    superuser: TokenDigest,
    store: Arc<dyn AccountStore>,
    sessions: Option<Sessions>,
    gotrue: Option<GoTrue>,
    standing: Standing,
    wizard: ProjectDefaults,
    audit: Duration,
}

/// Somebody whose credential was checked.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// What they may do.
    pub(crate) caller: Caller,
    /// Who they are to the service that signs people in, where they came by a session: there may be no person yet.
    pub(crate) identity: Option<Identity>,
    /// The number of their access token, where they came by one.
    token: Option<i64>,
}

/// Why nobody is known.
#[derive(Debug)]
pub(crate) enum Stranger {
    /// The credential is none, or not valid: the reason, for people.
    Refused(&'static str),
    /// It cannot be checked now.
    Unchecked(Error),
}

impl From<Error> for Stranger {
    fn from(error: Error) -> Self {
        Self::Unchecked(error)
    }
}

impl Known {
    fn superuser() -> Self {
        Self { caller: Caller::superuser(), identity: None, token: None }
    }

    /// Who they are on the audit log.
    pub(crate) fn actor(&self) -> Actor {
        let (person, identity) = (self.caller.person.as_ref(), self.identity.as_ref());
        Actor {
            person: person.map(|person| person.id),
            subject: person.map(|person| &person.subject).or(identity.map(|one| &one.subject)).cloned(),
            email: person.map(|person| &person.email).or(identity.map(|one| &one.email)).cloned(),
            credential: match (self.token, identity) {
                (Some(token), _) => Credential::Token(token),
                (None, Some(_)) => Credential::Session,
                (None, None) => Credential::Superuser,
            },
        }
    }
}

const NO_CREDENTIAL: &str =
    "this needs the header `Authorization: Bearer TOKEN` with a token that is valid here";
const WRONG_TOKEN: &str = "the token is not valid here";

impl Auth {
    /// Who bears the value of an `Authorization` header.
    pub(crate) async fn known(&self, authorization: Option<&str>) -> Result<Known, Stranger> {
        let token = authorization
            .and_then(|value| value.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim())
            .ok_or(Stranger::Refused(NO_CREDENTIAL));
        match self {
            Self::Embedder => Ok(Known::superuser()),
            Self::Superuser(digest) => {
                let right = digest.matches(token?);
                right.then(Known::superuser).ok_or(Stranger::Refused(WRONG_TOKEN))
            }
            Self::Accounts(accounts) => accounts.known(token?).await,
        }
    }

    /// The accounts, where there are any.
    pub(crate) fn accounts(&self) -> Option<&Accounts> {
        match self {
            Self::Accounts(accounts) => Some(accounts),
            Self::Superuser(_) | Self::Embedder => None,
        }
    }
}

impl Accounts {
    /// People are those of this store, by their access tokens; whoever bears the token of the digest may do everything.
    #[must_use]
    pub fn new(superuser: TokenDigest, store: Arc<dyn AccountStore>) -> Self {
        Self {
            superuser,
            store,
            sessions: None,
            gotrue: None,
            standing: Standing::default(),
            wizard: ProjectDefaults::default(),
            audit: audit::KEPT,
        }
    }

    /// Admits the sessions of people who signed in, too.
    #[must_use]
    pub fn sessions(self, sessions: Sessions) -> Self {
        Self { sessions: Some(sessions), ..self }
    }

    /// Passes on to GoTrue what people need before they are known: signing up, getting a new password.
    #[must_use]
    pub fn gotrue(self, gotrue: GoTrue) -> Self {
        Self { gotrue: Some(gotrue), ..self }
    }

    /// Shows on `/readyz` how far accounts are set up.
    #[must_use]
    pub fn standing(self, standing: Standing) -> Self {
        Self { standing, ..self }
    }

    /// Chooses target and stack for wizards that know of neither, as an unforked Studio's does not.
    #[must_use]
    pub fn wizard(self, wizard: ProjectDefaults) -> Self {
        Self { wizard, ..self }
    }

    /// Keeps the audit log for this long, which is 90 days unless said. What is older is forgotten by
    /// [`keep_audit_log`](crate::keep_audit_log).
    #[must_use]
    pub fn audit(self, kept: Duration) -> Self {
        Self { audit: kept, ..self }
    }

    /// For how many days the audit log is kept.
    pub(crate) fn audit_days(&self) -> u64 {
        self.audit.as_secs() / (24 * 3600)
    }

    pub(crate) fn wizard_defaults(&self) -> &ProjectDefaults {
        &self.wizard
    }

    pub(crate) fn store(&self) -> &dyn AccountStore {
        &*self.store
    }

    pub(crate) fn service(&self) -> Option<&GoTrue> {
        self.gotrue.as_ref()
    }

    /// What keeps `/readyz` from being ready.
    pub(crate) fn trouble(&self) -> Option<Kind> {
        self.standing.trouble()
    }

    async fn known(&self, token: &str) -> Result<Known, Stranger> {
        if self.superuser.matches(token) {
            return Ok(Known::superuser());
        }
        let (person, identity, token) = if token.starts_with(token::PERSONAL) {
            let used = self.store.use_token(&TokenDigest::of(token).bytes()).await?;
            let (owner, number) = used.ok_or(Stranger::Refused(WRONG_TOKEN))?;
            (Some(owner), None, Some(number))
        } else {
            let sessions = self.sessions.as_ref().ok_or(Stranger::Refused(WRONG_TOKEN))?;
            let identity = sessions.verify(token).await?;
            (self.store.person(&identity.subject).await?, Some(identity), None)
        };
        let caller = match person {
            Some(person) => {
                let memberships = self.store.memberships(person.id).await?;
                Caller::of(person, memberships)
            }
            None => Caller::of_memberships(Vec::new()),
        };
        Ok(Known { caller, identity, token })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn admits(auth: &Auth, authorization: Option<&str>) -> bool {
        auth.known(authorization).await.is_ok_and(|known| known.caller.superuser)
    }

    #[tokio::test]
    async fn only_the_right_token_in_the_right_scheme_is_admitted() {
        let token = Token::random().unwrap();
        let auth = Auth::Superuser(token.digest());
        assert!(admits(&auth, Some(&format!("Bearer {}", token.expose()))).await);
        assert!(admits(&auth, Some(&format!("bearer {}", token.expose()))).await);
        let wrong = format!("Bearer {}0", token.expose());
        let basic = format!("Basic {}", token.expose());
        for refused in [
            None,
            Some(""),
            Some("Bearer"),
            Some("Bearer "),
            Some(token.expose()),
            Some(&wrong),
            Some(&basic),
        ] {
            assert!(!admits(&auth, refused).await, "{refused:?}");
        }
    }
}
