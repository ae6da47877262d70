//! Accounts in memory.

mod audit;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use time::{Duration, OffsetDateTime};

use crate::{
    accounts::{
        AccessToken, AccountStore, AuditEntry, Grant, Identity, Invitation, Member, Membership, Names,
        NewAccessToken, NewInvitation, Organization, Person, PersonId, ProjectDefaults, Role, Scope, address,
        check_grants, check_name, check_unchanged, id_taken, united,
    },
    clock::{Clock, SystemClock},
    error::{Error, Kind, Result},
    names::{OrganizationId, Subject},
};

/// How exact the last use of a token is.
const MINUTE: Duration = Duration::MINUTE;

/// An [`AccountStore`] that forgets everything when it is dropped. It keeps every promise of the trait but durability.
pub struct MemoryAccounts {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    numbers: i64,
    organizations: BTreeMap<OrganizationId, Organization>,
    deleted: BTreeSet<OrganizationId>,
    people: BTreeMap<PersonId, Person>,
    grants: BTreeMap<(OrganizationId, PersonId), Vec<Grant>>,
    tokens: BTreeMap<i64, ([u8; 32], AccessToken)>,
    invitations: BTreeMap<i64, ([u8; 32], Invitation)>,
    audit: BTreeMap<i64, AuditEntry>,
}

impl MemoryAccounts {
    /// No accounts, on the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::on_clock(Arc::new(SystemClock))
    }

    /// No accounts, on a clock of the caller's: tokens expire by it.
    #[must_use]
    pub fn on_clock(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock was reported where it happened; what is there is still the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryAccounts {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        let (organizations, people) = (state.organizations.len(), state.people.len());
        f.debug_struct("MemoryAccounts")
            .field("organizations", &organizations)
            .field("people", &people)
            .finish_non_exhaustive()
    }
}

impl State {
    fn next(&mut self) -> i64 {
        self.numbers += 1;
        self.numbers
    }

    fn by_subject(&mut self, subject: &Subject) -> Option<&mut Person> {
        self.people.values_mut().find(|person| person.subject == *subject)
    }

    fn enroll(&mut self, identity: &Identity, now: OffsetDateTime) -> (Person, bool) {
        if let Some(person) = self.by_subject(&identity.subject) {
            person.email.clone_from(&identity.email);
            return (person.clone(), false);
        }
        let person = Person {
            id: PersonId(self.next()),
            subject: identity.subject.clone(),
            email: identity.email.clone(),
            names: Names { username: identity.username().to_owned(), ..Names::default() },
            superuser: false,
            created_at: now,
        };
        self.people.insert(person.id, person.clone());
        (person, true)
    }

    fn existing(&mut self, id: PersonId) -> Result<&mut Person> {
        self.people.get_mut(&id).ok_or_else(|| Error::not_found("person", id.0))
    }

    fn has_owner(&self, organization: &OrganizationId) -> bool {
        self.grants.iter().any(|((of, _), grants)| of == organization && owns(grants))
    }

    fn has_members(&self, organization: &OrganizationId) -> bool {
        self.grants.keys().any(|(of, _)| of == organization)
    }
}

fn owns(grants: &[Grant]) -> bool {
    grants.iter().any(|grant| grant.role == Role::Owner && grant.scope == Scope::Everywhere)
}

#[async_trait]
impl AccountStore for MemoryAccounts {
    async fn create_organization(
        &self,
        id: &OrganizationId,
        name: &str,
        owner: Option<PersonId>,
    ) -> Result<Organization> {
        check_name("name", name)?;
        let mut state = self.state();
        if let Some(owner) = owner {
            state.existing(owner)?;
        }
        let deleted = state.deleted.contains(id);
        if deleted || state.organizations.contains_key(id) {
            return Err(id_taken(id, deleted));
        }
        let number = state.next();
        let made = Organization {
            id: id.clone(),
            number,
            name: name.to_owned(),
            defaults: ProjectDefaults::default(),
            created_at: self.clock.now(),
        };
        state.organizations.insert(id.clone(), made.clone());
        if let Some(owner) = owner {
            state.grants.insert((id.clone(), owner), vec![Grant::everywhere(Role::Owner)]);
        }
        Ok(made)
    }

    async fn organization(&self, id: &OrganizationId) -> Result<Option<Organization>> {
        Ok(self.state().organizations.get(id).cloned())
    }

    async fn organizations(&self, member: Option<PersonId>) -> Result<Vec<Organization>> {
        let state = self.state();
        let is_member = |id: &OrganizationId, person| state.grants.contains_key(&(id.clone(), person));
        let mut found: Vec<_> = state
            .organizations
            .values()
            .filter(|organization| member.is_none_or(|person| is_member(&organization.id, person)))
            .cloned()
            .collect();
        found.sort_by_key(|organization| organization.number);
        Ok(found)
    }

    async fn rename_organization(&self, id: &OrganizationId, name: &str) -> Result<Organization> {
        check_name("name", name)?;
        let mut state = self.state();
        let found = state.organizations.get_mut(id).ok_or_else(|| Error::not_found("organization", id))?;
        name.clone_into(&mut found.name);
        Ok(found.clone())
    }

    async fn set_defaults(&self, id: &OrganizationId, defaults: &ProjectDefaults) -> Result<Organization> {
        let mut state = self.state();
        let found = state.organizations.get_mut(id).ok_or_else(|| Error::not_found("organization", id))?;
        found.defaults = defaults.clone();
        Ok(found.clone())
    }

    async fn delete_organization(&self, id: &OrganizationId) -> Result<()> {
        let mut state = self.state();
        state.organizations.remove(id).ok_or_else(|| Error::not_found("organization", id))?;
        state.deleted.insert(id.clone());
        state.grants.retain(|(of, _), _| of != id);
        state.invitations.retain(|_, (_, invitation)| invitation.organization != *id);
        Ok(())
    }

    async fn person(&self, subject: &Subject) -> Result<Option<Person>> {
        Ok(self.state().by_subject(subject).cloned())
    }

    async fn enroll(&self, identity: &Identity) -> Result<(Person, bool)> {
        let now = self.clock.now();
        Ok(self.state().enroll(identity, now))
    }

    async fn rename_person(&self, id: PersonId, names: &Names) -> Result<Person> {
        let mut state = self.state();
        let person = state.existing(id)?;
        person.names = names.clone();
        Ok(person.clone())
    }

    async fn bind_superuser(&self, identity: &Identity) -> Result<Person> {
        let now = self.clock.now();
        let mut state = self.state();
        let known = state.by_subject(&identity.subject).map(|person| person.id);
        let former = state.people.values().find(|person| person.superuser).map(|person| person.id);
        let id = known.or(former).unwrap_or_else(|| state.enroll(identity, now).0.id);
        for person in state.people.values_mut() {
            person.superuser = person.id == id;
        }
        let person = state.existing(id)?;
        person.subject = identity.subject.clone();
        person.email.clone_from(&identity.email);
        Ok(person.clone())
    }

    async fn memberships(&self, person: PersonId) -> Result<Vec<Membership>> {
        let state = self.state();
        let held = state.grants.iter().filter(|((_, of), _)| *of == person);
        Ok(held
            .map(|((organization, _), grants)| Membership {
                organization: organization.clone(),
                grants: grants.clone(),
            })
            .collect())
    }

    async fn members(&self, organization: &OrganizationId) -> Result<Vec<Member>> {
        let state = self.state();
        let held = state.grants.iter().filter(|((of, _), _)| of == organization);
        let member = |((_, person), grants): (&(_, PersonId), &Vec<Grant>)| {
            Some(Member { person: state.people.get(person)?.clone(), grants: grants.clone() })
        };
        Ok(held.filter_map(member).collect())
    }

    async fn put_grants(
        &self,
        organization: &OrganizationId,
        person: PersonId,
        expected: &[Grant],
        grants: &[Grant],
    ) -> Result<()> {
        check_grants(grants)?;
        let mut state = self.state();
        state.existing(person)?;
        if !state.organizations.contains_key(organization) {
            return Err(Error::not_found("organization", organization));
        }
        let key = (organization.clone(), person);
        check_unchanged(organization, state.grants.get(&key).map_or(&[], Vec::as_slice), expected)?;
        let before = state.grants.remove(&key);
        if !grants.is_empty() {
            let mut grants = grants.to_vec();
            grants.sort_by_key(|grant| grant.role);
            state.grants.insert(key.clone(), grants);
        }
        if state.has_members(organization) && !state.has_owner(organization) {
            state.grants.remove(&key);
            state.grants.extend(before.map(|before| (key, before)));
            return Err(last_owner(organization));
        }
        Ok(())
    }

    async fn invite(&self, new: &NewInvitation, over: &[Role]) -> Result<Invitation> {
        let email = address(&new.email)?;
        check_grants(std::slice::from_ref(&new.grant))?;
        let mut state = self.state();
        if !state.organizations.contains_key(&new.organization) {
            return Err(Error::not_found("organization", &new.organization));
        }
        let is_member = |person: &Person| {
            person.email == email && state.grants.contains_key(&(new.organization.clone(), person.id))
        };
        if state.people.values().any(is_member) {
            return Err(member_already(&email));
        }
        let former = |(_, invitation): &&([u8; 32], Invitation)| {
            invitation.organization == new.organization && invitation.email == email
        };
        let former = state.invitations.values().find(former).map(|(_, invitation)| invitation);
        former.map_or(Ok(()), |former| former.yields_to(over))?;
        let former = former.map(|former| former.id);
        let made = Invitation {
            id: former.unwrap_or_else(|| state.next()),
            organization: new.organization.clone(),
            email,
            grant: new.grant.clone(),
            created_at: self.clock.now(),
            expires_at: new.expires_at,
        };
        state.invitations.insert(made.id, (new.digest, made.clone()));
        Ok(made)
    }

    async fn invitations(&self, organization: &OrganizationId) -> Result<Vec<Invitation>> {
        let state = self.state();
        let all = state.invitations.values().map(|(_, invitation)| invitation);
        Ok(all.filter(|invitation| invitation.organization == *organization).cloned().collect())
    }

    async fn delete_invitation(&self, organization: &OrganizationId, id: i64, over: &[Role]) -> Result<bool> {
        let mut state = self.state();
        let found = state.invitations.get(&id).filter(|(_, one)| one.organization == *organization);
        let Some((_, invitation)) = found else { return Ok(false) };
        invitation.yields_to(over)?;
        Ok(state.invitations.remove(&id).is_some())
    }

    async fn invitation(&self, digest: &[u8; 32]) -> Result<Option<Invitation>> {
        let state = self.state();
        let found = state.invitations.values().find(|(of, _)| of == digest);
        Ok(found.map(|(_, invitation)| invitation.clone()))
    }

    async fn accept_invitation(&self, digest: &[u8; 32], person: PersonId) -> Result<Membership> {
        let now = self.clock.now();
        let mut state = self.state();
        let person = state.existing(person)?.clone();
        let found = state.invitations.values().find(|(of, _)| of == digest);
        let (_, invitation) =
            found.cloned().ok_or_else(|| Error::not_found("invitation", "by that token"))?;
        invitation.admits(&person, now)?;
        state.invitations.remove(&invitation.id);
        let key = (invitation.organization.clone(), person.id);
        let held = state.grants.remove(&key).unwrap_or_default();
        let grants = united(held, &invitation.grant);
        state.grants.insert(key, grants.clone());
        Ok(Membership { organization: invitation.organization, grants })
    }

    async fn create_token(&self, token: &NewAccessToken) -> Result<AccessToken> {
        check_name("name", &token.name)?;
        let mut state = self.state();
        state.existing(token.owner)?;
        let made = AccessToken {
            id: state.next(),
            owner: token.owner,
            name: token.name.clone(),
            alias: token.alias.clone(),
            created_at: self.clock.now(),
            expires_at: token.expires_at,
            last_used_at: None,
        };
        state.tokens.insert(made.id, (token.digest, made.clone()));
        Ok(made)
    }

    async fn tokens(&self, owner: PersonId) -> Result<Vec<AccessToken>> {
        let state = self.state();
        let tokens = state.tokens.values().rev().map(|(_, token)| token);
        Ok(tokens.filter(|token| token.owner == owner).cloned().collect())
    }

    async fn delete_token(&self, owner: PersonId, token: i64) -> Result<bool> {
        let mut state = self.state();
        let theirs = state.tokens.get(&token).is_some_and(|(_, token)| token.owner == owner);
        Ok(theirs && state.tokens.remove(&token).is_some())
    }

    async fn use_token(&self, digest: &[u8; 32]) -> Result<Option<(Person, i64)>> {
        let now = self.clock.now();
        let mut state = self.state();
        let found = state.tokens.values_mut().find(|(of, _)| of == digest);
        let Some((_, token)) = found.filter(|(_, token)| token.expires_at.is_none_or(|end| end > now)) else {
            return Ok(None);
        };
        if token.last_used_at.is_none_or(|last| now - last >= MINUTE) {
            token.last_used_at = Some(now);
        }
        let (owner, number) = (token.owner, token.id);
        Ok(state.people.get(&owner).map(|person| (person.clone(), number)))
    }
}

fn member_already(email: &str) -> Error {
    Error::new(Kind::AlreadyExists, format!("invite {email}: they are a member already"))
}

fn last_owner(organization: &OrganizationId) -> Error {
    let message =
        format!("take the last owner from organization {organization}: make somebody else one first");
    Error::new(Kind::Conflict, message)
}
