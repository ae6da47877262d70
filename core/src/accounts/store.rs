//! What keeps accounts, and what it promises.

use std::fmt::Debug;

use async_trait::async_trait;

use super::{
    AccessToken, AuditLog, Grant, Identity, Invitation, Member, Membership, Names, NewAccessToken,
    NewInvitation, Organization, Person, PersonId, ProjectDefaults, Role,
};
use crate::{
    error::Result,
    names::{OrganizationId, Subject},
};

/// Keeps organizations, people, what they hold, their access tokens, and the log of what they did.
///
/// # Guarantees
/// - What was answered is durable; each call is one transaction.
/// - An organization that has members has one who holds [`Owner`](super::Role::Owner) everywhere, also when two calls
///   take it from the last two at once.
/// - At most one person is the superuser.
///
/// # Errors
/// `Unavailable` if the store cannot be reached. Besides that, what each method says.
#[async_trait]
pub trait AccountStore: AuditLog + Debug + Send + Sync + 'static {
    /// Makes an organization, with its owner where one is named. The id of one that was deleted is not used again: what is
    /// on record under it is not the new one's.
    ///
    /// # Errors
    /// `AlreadyExists` (id, also of one that was deleted), `NotFound` (owner), `InvalidInput` (name).
    async fn create_organization(
        &self,
        id: &OrganizationId,
        name: &str,
        owner: Option<PersonId>,
    ) -> Result<Organization>;

    /// An organization.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>>;

    /// The organizations of a person, or (`None`) all, by number.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn organizations(&self, member: Option<PersonId>) -> Result<Vec<Organization>>;

    /// Gives an organization another name.
    ///
    /// # Errors
    /// `NotFound`, `InvalidInput` (name).
    async fn rename_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization>;

    /// Sets what an organization's projects are made with where nothing is said.
    ///
    /// # Errors
    /// `NotFound`.
    async fn set_defaults(&self, id: &OrganizationId, defaults: &ProjectDefaults) -> Result<Organization>;

    /// Removes an organization with all that is held in it; its id stays taken. Its projects are the caller's to see to,
    /// because this store knows of none: close it first ([`Store::close_organization`](crate::Store::close_organization)).
    ///
    /// # Errors
    /// `NotFound`.
    async fn delete_organization(&self, id: &OrganizationId) -> Result<()>;

    /// The person of a subject.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn person(&self, subject: &Subject) -> Result<Option<Person>>;

    /// The person of an identity, made at first sight. Their address is brought up to date. True if they are new.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn enroll(&self, identity: &Identity) -> Result<(Person, bool)>;

    /// Changes what a person is called.
    ///
    /// # Errors
    /// `NotFound`.
    async fn rename_person(&self, id: PersonId, names: &Names) -> Result<Person>;

    /// Makes the person of this identity the superuser, and nobody else. If nobody has the subject yet, whoever was the
    /// superuser gets it, with what they hold.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn bind_superuser(&self, identity: &Identity) -> Result<Person>;

    /// What a person holds, by organization.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn memberships(&self, person: PersonId) -> Result<Vec<Membership>>;

    /// The members of an organization, by person.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn members(&self, organization: &OrganizationId) -> Result<Vec<Member>>;

    /// Sets what a person holds in an organization, if that is still what the caller saw; nothing ends the membership.
    ///
    /// # Errors
    /// [`LostRace`](crate::Detail::LostRace) if they hold something else than `expected`: look again, and decide again.
    /// `NotFound` (either), `InvalidInput` (see [`check_grants`](super::check_grants)), `Conflict` if it would leave
    /// members without an owner.
    async fn put_grants(
        &self,
        organization: &OrganizationId,
        person: PersonId,
        expected: &[Grant],
        grants: &[Grant],
    ) -> Result<()>;

    /// Keeps an invitation; one for the same address in the same organization becomes this one, if its role is one of
    /// those that `over` has.
    ///
    /// # Errors
    /// [`AboveCaller`](crate::Detail::AboveCaller) if that one stays; `NotFound` (organization), `InvalidInput` (address,
    /// grant), `AlreadyExists` if somebody of that address is a member.
    async fn invite(&self, invitation: &NewInvitation, over: &[Role]) -> Result<Invitation>;

    /// The invitations to an organization, oldest first, those that expired included.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn invitations(&self, organization: &OrganizationId) -> Result<Vec<Invitation>>;

    /// Takes an invitation back, if its role is one of those that `over` has. False if there is no such invitation.
    ///
    /// # Errors
    /// [`AboveCaller`](crate::Detail::AboveCaller) if it stays.
    async fn delete_invitation(&self, organization: &OrganizationId, id: i64, over: &[Role]) -> Result<bool>;

    /// The invitation whose token has this digest, also if it has expired.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn invitation(&self, digest: &[u8; 32]) -> Result<Option<Invitation>>;

    /// Gives a person what the invitation holds for them, beside what they hold, and removes it.
    ///
    /// # Errors
    /// `NotFound`; as [`Invitation::admits`].
    async fn accept_invitation(&self, digest: &[u8; 32], person: PersonId) -> Result<Membership>;

    /// Keeps a token.
    ///
    /// # Errors
    /// `NotFound` (owner), `InvalidInput` (name).
    async fn create_token(&self, token: &NewAccessToken) -> Result<AccessToken>;

    /// A person's tokens, newest first, those that expired included.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn tokens(&self, owner: PersonId) -> Result<Vec<AccessToken>>;

    /// Removes a person's token. False if they have no such.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn delete_token(&self, owner: PersonId, token: i64) -> Result<bool>;

    /// Whose token has this digest, and its number, if it has not expired on the store's clock. The use is noted, to the
    /// minute.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn use_token(&self, digest: &[u8; 32]) -> Result<Option<(Person, i64)>>;
}
