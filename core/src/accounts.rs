//! Who people are and what they may do: organizations, members, roles, access tokens, and the decision.
//!
//! The decision is a pure function over one table, [`MATRIX`]: [`Caller::decide`] answers for one request, and
//! [`permissions`] lists what somebody's grants come to, from the same table. How somebody proves who they are is the
//! host's; this module begins where that is known.
//!
//! ```
//! use freehold_core::accounts::{Action, Caller, Decision, Grant, Membership, Place, Resource, Role};
//!
//! # fn main() -> freehold_core::Result<()> {
//! let acme = "acme".parse()?;
//! let developer = Membership { organization: "acme".parse()?, grants: vec![Grant::everywhere(Role::Developer)] };
//! let caller = Caller::of_memberships(vec![developer]);
//! let demo = "abcdefghijklmnopqrst".parse()?;
//! let place = Place::project(&acme, &demo);
//! assert_eq!(caller.decide(Action::Read, Resource::Project, place), Decision::Allowed);
//! assert_eq!(caller.decide(Action::Operate, Resource::Pause, place), Decision::Refused);
//!
//! let stranger = Caller::of_memberships(vec![]);
//! assert_eq!(stranger.decide(Action::Read, Resource::Project, place), Decision::Hidden);
//! # Ok(())
//! # }
//! ```

mod audit;
mod decision;
mod matrix;
mod permissions;
mod store;

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

pub use self::{
    audit::{Actor, AuditEntry, AuditLog, AuditPage, Conclusion, Credential, NewAuditEntry, Whose},
    decision::{Caller, Decision, Place},
    matrix::{Action, MATRIX, Reach, Resource, Role, Roles, Rule},
    permissions::{Allowed, Permission, permissions},
    store::AccountStore,
};
use crate::{
    error::{Detail, Error, Kind, Result},
    names::{OrganizationId, ServiceName, StackName, Subject, TargetName},
    project_ref::ProjectRef,
};

/// Those who own projects together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// Its identity, by which projects name it.
    pub id: OrganizationId,
    /// A number for callers that need one; unique in the store.
    pub number: i64,
    /// What people call it.
    pub name: String,
    /// What its projects are made with where nothing is said.
    pub defaults: ProjectDefaults,
    /// When it was created.
    pub created_at: OffsetDateTime,
}

/// What a project is made with where whoever makes it says nothing, nor knows of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectDefaults {
    /// The target.
    pub target: Option<TargetName>,
    /// The stack.
    pub stack: Option<StackName>,
    /// Services that do not run; `None` is what the stack leaves out.
    pub excluded: Option<Vec<ServiceName>>,
}

/// Somebody who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Their number.
    pub id: PersonId,
    /// Who they are to the service that signs people in.
    pub subject: Subject,
    /// Their e-mail address, in lower case.
    pub email: String,
    /// What they are called.
    pub names: Names,
    /// Whether everything is allowed to them. At most one person is the superuser.
    pub superuser: bool,
    /// When they were first seen.
    pub created_at: OffsetDateTime,
}

/// What a person is called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// A short name. It need not be unique.
    pub username: String,
    /// The given name.
    pub first: Option<String>,
    /// The family name.
    pub last: Option<String>,
}

/// Somebody as the service that signs people in knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who they are to it.
    pub subject: Subject,
    /// Their e-mail address, in lower case.
    pub email: String,
}

/// A person's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub i64);

/// A role, and where it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The role.
    pub role: Role,
    /// Where.
    pub scope: Scope,
}

/// Where a role is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In the whole organization.
    Everywhere,
    /// For these of its projects alone.
    Projects(BTreeSet<ProjectRef>),
}

/// What one person holds in one organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The organization.
    pub organization: OrganizationId,
    /// Each role at most once. Never empty.
    pub grants: Vec<Grant>,
}

/// One person of an organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The person.
    pub person: Person,
    /// What they hold there.
    pub grants: Vec<Grant>,
}

/// A token with which programs act as its owner. Neither it nor its digest can be had back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessToken {
    /// Its number.
    pub id: i64,
    /// Whose it is.
    pub owner: PersonId,
    /// What the owner calls it.
    pub name: String,
    /// Enough of its text to tell it from others, and not enough to use it.
    pub alias: String,
    /// When it was made.
    pub created_at: OffsetDateTime,
    /// From when on it is refused; `None` is never.
    pub expires_at: Option<OffsetDateTime>,
    /// When it was used last, to the minute.
    pub last_used_at: Option<OffsetDateTime>,
}

/// A token to be kept.
#[derive(Clone)]
pub struct NewAccessToken {
    /// Whose it is.
    pub owner: PersonId,
    /// What the owner calls it.
    pub name: String,
    /// See [`AccessToken::alias`].
    pub alias: String,
    /// The token's SHA-256 as the host makes it. Stores never see the token.
    pub digest: [u8; 32],
    /// See [`AccessToken::expires_at`].
    pub expires_at: Option<OffsetDateTime>,
}

impl fmt::Debug for NewAccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewAccessToken")
            .field("owner", &self.owner)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A place in an organization that waits for somebody, by their address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its number.
    pub id: i64,
    /// Where to.
    pub organization: OrganizationId,
    /// For whom, in lower case.
    pub email: String,
    /// What they will hold.
    pub grant: Grant,
    /// When it was made, or made anew.
    pub created_at: OffsetDateTime,
    /// From when on it is worth nothing.
    pub expires_at: OffsetDateTime,
}

/// An invitation to be kept.
#[derive(Clone)]
pub struct NewInvitation {
    /// Where to.
    pub organization: OrganizationId,
    /// For whom.
    pub email: String,
    /// What they will hold.
    pub grant: Grant,
    /// The SHA-256 of the token that accepts it. Stores never see the token.
    pub digest: [u8; 32],
    /// See [`Invitation::expires_at`].
    pub expires_at: OffsetDateTime,
}

impl fmt::Debug for NewInvitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewInvitation")
            .field("organization", &self.organization)
            .field("email", &self.email)
            .finish_non_exhaustive()
    }
}

impl Invitation {
    /// Checks that whoever may take back invitations of these roles may take this one back.
    ///
    /// # Errors
    /// [`AboveCaller`](Detail::AboveCaller).
    pub fn yields_to(&self, over: &[Role]) -> Result<()> {
        let role = self.grant.role;
        if over.contains(&role) {
            return Ok(());
        }
        let message =
            format!("take the place of the invitation of {}: it is for the role {role}", self.email);
        Err(Error::detailed(Detail::AboveCaller { role }, message))
    }

    /// Checks that somebody may accept it now.
    ///
    /// # Errors
    /// `Conflict` if it has expired, or is for another address.
    pub fn admits(&self, person: &Person, now: OffsetDateTime) -> Result<()> {
        if self.expires_at <= now {
            return Err(Error::new(
                Kind::Conflict,
                "accept the invitation: it has expired; ask for a new one",
            ));
        }
        if self.email != person.email {
            return Err(Error::new(Kind::Conflict, "accept the invitation: it is for another address"));
        }
        Ok(())
    }
}

/// What somebody holds who is given one grant more: nothing is taken from them.
#[must_use]
pub fn united(mut held: Vec<Grant>, more: &Grant) -> Vec<Grant> {
    match held.iter_mut().find(|grant| grant.role == more.role) {
        None => held.push(more.clone()),
        Some(grant) => match (&mut grant.scope, &more.scope) {
            (Scope::Projects(projects), Scope::Projects(others)) => projects.extend(others),
            (scope, Scope::Everywhere) => *scope = Scope::Everywhere,
            (Scope::Everywhere, Scope::Projects(_)) => {}
        },
    }
    held.sort_by_key(|grant| grant.role);
    held
}

impl Grant {
    /// A role in the whole organization.
    #[must_use]
    pub fn everywhere(role: Role) -> Self {
        Self { role, scope: Scope::Everywhere }
    }

    /// A role for some projects alone.
    #[must_use]
    pub fn on(role: Role, projects: impl IntoIterator<Item = ProjectRef>) -> Self {
        Self { role, scope: Scope::Projects(projects.into_iter().collect()) }
    }
}

impl Scope {
    /// Whether a project is within it.
    #[must_use]
    pub fn covers(&self, project: &ProjectRef) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Projects(projects) => projects.contains(project),
        }
    }
}

impl Identity {
    /// An identity, its e-mail address in lower case.
    ///
    /// # Errors
    /// `InvalidInput` if the address is none.
    pub fn new(subject: Subject, email: &str) -> Result<Self> {
        Ok(Self { subject, email: address(email)? })
    }

    /// What somebody is called before they said so: the part of the address before the `@`.
    #[must_use]
    pub fn username(&self) -> &str {
        self.email.split('@').next().unwrap_or_default()
    }
}

/// An e-mail address in lower case.
///
/// # Errors
/// `InvalidInput` if it is none.
pub fn address(email: &str) -> Result<String> {
    let email = email.trim().to_lowercase();
    let well_formed = email.len() <= 254
        && email.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
        && !email.chars().any(|c| c.is_whitespace() || c.is_control());
    if !well_formed {
        return Err(Error::invalid("email", "is no e-mail address"));
    }
    Ok(email)
}

/// What a store says to an organization whose id is taken: by one that is there, or by one that was deleted.
#[must_use]
pub fn id_taken(id: &OrganizationId, deleted: bool) -> Error {
    let whose = if deleted {
        "it was that of one that was deleted, and is not used again; choose another"
    } else {
        "there is one with that id"
    };
    Error::new(Kind::AlreadyExists, format!("create organization {id}: {whose}"))
}

/// Checks that somebody still holds what whoever changes it saw. The order of grants does not matter.
///
/// # Errors
/// [`LostRace`](Detail::LostRace).
pub fn check_unchanged(organization: &OrganizationId, held: &[Grant], expected: &[Grant]) -> Result<()> {
    if held.len() == expected.len() && held.iter().all(|grant| expected.contains(grant)) {
        return Ok(());
    }
    let message = format!("change what a member of {organization} holds: somebody else changed it meanwhile");
    Err(Error::detailed(Detail::LostRace, message))
}

/// Checks what a store is to keep of somebody in an organization: each role once, no scope without projects.
///
/// # Errors
/// `InvalidInput` naming the role.
pub fn check_grants(grants: &[Grant]) -> Result<()> {
    for (index, grant) in grants.iter().enumerate() {
        if grants[..index].iter().any(|other| other.role == grant.role) {
            return Err(Error::invalid("grants", format_args!("{} stands twice", grant.role)));
        }
        if matches!(&grant.scope, Scope::Projects(projects) if projects.is_empty()) {
            return Err(Error::invalid("grants", format_args!("{} is for no project", grant.role)));
        }
    }
    Ok(())
}

/// Checks what people may call an organization or a token: 1 to 128 characters without control characters.
///
/// # Errors
/// `InvalidInput` naming the field.
pub fn check_name(field: &str, name: &str) -> Result<()> {
    let length = name.chars().count();
    if !(1..=128).contains(&length) || name.trim() != name || name.chars().any(char::is_control) {
        let problem = "is not 1 to 128 characters without white space around them or control characters";
        return Err(Error::invalid(field, problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_kept_in_lower_case_and_names_its_owner() {
        let identity = Identity::new("s1".parse().unwrap(), " Ada@Example.com ").unwrap();
        assert_eq!((identity.email.as_str(), identity.username()), ("ada@example.com", "ada"));
        for wrong in ["", "ada", "@example.com", "ada@", "a b@c"] {
            assert!(Identity::new("s1".parse().unwrap(), wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn who_is_given_more_loses_nothing() {
        let project = |letter: char| letter.to_string().repeat(20).parse::<ProjectRef>().unwrap();
        let held = vec![Grant::everywhere(Role::Developer), Grant::on(Role::ReadOnly, [project('a')])];
        let narrower = united(held.clone(), &Grant::on(Role::Developer, [project('b')]));
        assert_eq!(narrower, held);
        let wider = united(held.clone(), &Grant::on(Role::ReadOnly, [project('b')]));
        assert_eq!(wider[1], Grant::on(Role::ReadOnly, [project('a'), project('b')]));
        let more = united(held, &Grant::everywhere(Role::Administrator));
        assert_eq!((more.len(), more[0].role), (3, Role::Administrator));
    }

    #[test]
    fn a_role_twice_and_a_scope_without_projects_are_refused() {
        let owner = Grant::everywhere(Role::Owner);
        assert!(check_grants(std::slice::from_ref(&owner)).is_ok());
        assert!(check_grants(&[owner.clone(), owner]).is_err());
        assert!(check_grants(&[Grant::on(Role::Developer, [])]).is_err());
    }
}
