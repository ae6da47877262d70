//! The [`AccountStore`]: each method is answered by the file that is named for what it is about.

mod audit;
mod grants;
mod invitations;
mod organizations;
mod people;
mod tokens;

use async_trait::async_trait;
use freehold_core::{
    OrganizationId, Result, Subject,
    accounts::{
        AccessToken, AccountStore, Grant, Identity, Invitation, Member, Membership, Names, NewAccessToken,
        NewInvitation, Organization, Person, PersonId, ProjectDefaults, Role, address, check_grants,
        check_name,
    },
};

use crate::store::PgStore;

#[async_trait]
impl AccountStore for PgStore {
    async fn create_organization(
        &self,
        id: &OrganizationId,
        name: &str,
        owner: Option<PersonId>,
    ) -> Result<Organization> {
        check_name("name", name)?;
        Ok(organizations::create(self.pool(), id, name, owner).await?)
    }

    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>> {
        Ok(organizations::one(self.pool(), id).await?)
    }

    async fn organizations(&self, member: Option<PersonId>) -> Result<Vec<Organization>> {
        Ok(organizations::of(self.pool(), member).await?)
    }

    async fn rename_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization> {
        check_name("name", name)?;
        Ok(organizations::rename(self.pool(), id, name).await?)
    }

    async fn set_defaults(&self, id: &OrganizationId, defaults: &ProjectDefaults) -> Result<Organization> {
        Ok(organizations::set_defaults(self.pool(), id, defaults).await?)
    }

    async fn delete_organization(&self, id: &OrganizationId) -> Result<()> {
        Ok(organizations::delete(self.pool(), id).await?)
    }

    async fn person(&self, subject: &Subject) -> Result<Option<Person>> {
        Ok(people::of_subject(self.pool(), subject).await?)
    }

    async fn enroll(&self, identity: &Identity) -> Result<(Person, bool)> {
        Ok(people::enroll(self.pool(), identity).await?)
    }

    async fn rename_person(&self, id: PersonId, names: &Names) -> Result<Person> {
        Ok(people::rename(self.pool(), id, names).await?)
    }

    async fn bind_superuser(&self, identity: &Identity) -> Result<Person> {
        Ok(people::bind_superuser(self.pool(), identity).await?)
    }

    async fn memberships(&self, person: PersonId) -> Result<Vec<Membership>> {
        Ok(grants::memberships(self.pool(), person).await?)
    }

    async fn members(&self, organization: &OrganizationId) -> Result<Vec<Member>> {
        Ok(grants::members(self.pool(), organization).await?)
    }

    async fn put_grants(
        &self,
        organization: &OrganizationId,
        person: PersonId,
        expected: &[Grant],
        grants: &[Grant],
    ) -> Result<()> {
        check_grants(grants)?;
        Ok(grants::put(self.pool(), organization, person, expected, grants).await?)
    }

    async fn invite(&self, invitation: &NewInvitation, over: &[Role]) -> Result<Invitation> {
        let email = address(&invitation.email)?;
        check_grants(std::slice::from_ref(&invitation.grant))?;
        Ok(invitations::invite(self.pool(), &email, invitation, over).await?)
    }

    async fn invitations(&self, organization: &OrganizationId) -> Result<Vec<Invitation>> {
        Ok(invitations::of(self.pool(), organization).await?)
    }

    async fn delete_invitation(&self, organization: &OrganizationId, id: i64, over: &[Role]) -> Result<bool> {
        Ok(invitations::delete(self.pool(), organization, id, over).await?)
    }

    async fn invitation(&self, digest: &[u8; 32]) -> Result<Option<Invitation>> {
        Ok(invitations::by_digest(self.pool(), digest).await?)
    }

    async fn accept_invitation(&self, digest: &[u8; 32], person: PersonId) -> Result<Membership> {
        Ok(invitations::accept(self.pool(), digest, person).await?)
    }

    async fn create_token(&self, token: &NewAccessToken) -> Result<AccessToken> {
        check_name("name", &token.name)?;
        Ok(tokens::create(self.pool(), token).await?)
    }

    async fn tokens(&self, owner: PersonId) -> Result<Vec<AccessToken>> {
        Ok(tokens::of(self.pool(), owner).await?)
    }

    async fn delete_token(&self, owner: PersonId, token: i64) -> Result<bool> {
        Ok(tokens::delete(self.pool(), owner, token).await?)
    }

    async fn use_token(&self, digest: &[u8; 32]) -> Result<Option<(Person, i64)>> {
        Ok(tokens::used(self.pool(), digest).await?)
    }
}
