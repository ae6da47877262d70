//! What accounts need before anybody signs in: the default organization, and the superuser known to GoTrue.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use freehold_core::{
    Kind, OrganizationId, Result, SecretString,
    accounts::{AccountStore, Grant, Role},
};
use tokio_util::sync::CancellationToken;

use crate::gotrue::GoTrue;

/// How long to wait at most before trying again.
const LONGEST: Duration = Duration::from_secs(60);

/// Somebody to whom everything is allowed, and who signs in like others.
#[derive(Clone, Debug)]
pub struct Superuser {
    /// Their e-mail address.
    pub email: String,
    /// Their password. It goes to GoTrue and nowhere else.
    pub password: SecretString,
}

/// How far accounts are set up. A cheap handle.
#[derive(Clone, Debug, Default)]
pub struct Standing(Arc<Mutex<Option<Kind>>>);

impl Standing {
    /// What is in the way, if anything is.
    #[must_use]
    pub fn trouble(&self) -> Option<Kind> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, trouble: Option<Kind>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Makes sure that an organization is there, unless it was deleted: that is somebody's wish, and said in the log.
/// Idempotent.
///
/// # Errors
/// `Unavailable` if the store does not answer.
pub async fn ensure_organization(store: &dyn AccountStore, id: &OrganizationId, name: &str) -> Result<()> {
    match store.create_organization(id, name, None).await {
        Err(error) if error.kind() != Kind::AlreadyExists => Err(error),
        Err(error) if store.organization(id).await?.is_none() => {
            tracing::warn!(%error, "the default organization is not there: configure another");
            Ok(())
        }
        _ => Ok(()),
    }
}

impl Superuser {
    /// Makes the superuser a user of GoTrue (or gives the one with that address the password) and an owner of the
    /// organization, in the background: at once, then again and again with growing pauses, beginning with `pause`, until
    /// it is done. It is idempotent, so that every start does it. The standing tells how far it is.
    #[must_use]
    pub fn ensure(
        self,
        store: Arc<dyn AccountStore>,
        gotrue: GoTrue,
        organization: OrganizationId,
        pause: Duration,
        shutdown: CancellationToken,
    ) -> Standing {
        let standing = Standing::default();
        standing.set(Some(Kind::Unavailable));
        let told = standing.clone();
        let work = async move {
            let mut pause = pause;
            while let Err(error) = self.bind(&*store, &gotrue, &organization).await {
                tracing::warn!(error = %error.chain(), "could not set the superuser up; trying again");
                told.set(Some(error.kind()));
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST);
            }
            tracing::info!("the superuser is set up");
            told.set(None);
        };
        tokio::spawn(async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = work => {}
            }
        });
        standing
    }

    async fn bind(
        &self,
        store: &dyn AccountStore,
        gotrue: &GoTrue,
        organization: &OrganizationId,
    ) -> Result<()> {
        let identity = gotrue.ensure_user(&self.email, &self.password).await?;
        let person = store.bind_superuser(&identity).await?;
        let memberships = store.memberships(person.id).await?;
        let is_member = memberships.iter().any(|membership| membership.organization == *organization);
        if is_member || store.organization(organization).await?.is_none() {
            return Ok(());
        }
        store.put_grants(organization, person.id, &[], &[Grant::everywhere(Role::Owner)]).await
    }
}
