//! The decision on one request.

use super::{Action, Grant, MATRIX, Membership, Person, Reach, Resource, Role, Scope};
use crate::{names::OrganizationId, project_ref::ProjectRef};

/// Somebody whose credential was checked, and what they hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The person, where it is one: a superuser may be a mere token.
    pub person: Option<Person>,
    /// Whether everything is allowed.
    pub superuser: bool,
    /// What they hold, by organization.
    pub memberships: Vec<Membership>,
}

/// Where something is done.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// In this organization.
    pub organization: &'a OrganizationId,
    /// To this project of it, or to the organization itself.
    pub project: Option<&'a ProjectRef>,
}

/// What is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// They may.
    Allowed,
    /// They may see it, but not do that to it.
    Refused,
    /// They may not know that it exists: answer as if it did not.
    Hidden,
}

impl<'a> Place<'a> {
    /// An organization itself.
    #[must_use]
    pub fn organization(organization: &'a OrganizationId) -> Self {
        Self { organization, project: None }
    }

    /// A project of an organization.
    #[must_use]
    pub fn project(organization: &'a OrganizationId, project: &'a ProjectRef) -> Self {
        Self { organization, project: Some(project) }
    }
}

impl Caller {
    /// Whoever may do everything without being a person.
    #[must_use]
    pub fn superuser() -> Self {
        Self { person: None, superuser: true, memberships: Vec::new() }
    }

    /// A person with what they hold.
    #[must_use]
    pub fn of(person: Person, memberships: Vec<Membership>) -> Self {
        Self { superuser: person.superuser, person: Some(person), memberships }
    }

    /// Somebody of whom nothing is known but what they hold.
    #[must_use]
    pub fn of_memberships(memberships: Vec<Membership>) -> Self {
        Self { person: None, superuser: false, memberships }
    }

    /// What they hold in an organization.
    #[must_use]
    pub fn grants(&self, organization: &OrganizationId) -> &[Grant] {
        let membership = self.memberships.iter().find(|membership| membership.organization == *organization);
        membership.map_or(&[], |membership| &membership.grants)
    }

    /// Whether they may know of a place: an organization that they are a member of, a project that they may read.
    #[must_use]
    pub fn sees(&self, place: Place<'_>) -> bool {
        let grants = self.grants(place.organization);
        self.superuser
            || match place.project {
                None => !grants.is_empty(),
                Some(_) => allows(grants, Action::Read, Resource::Project, place.project),
            }
    }

    /// Whether they may do something to something there.
    #[must_use]
    pub fn decide(&self, action: Action, resource: Resource, place: Place<'_>) -> Decision {
        if self.superuser || allows(self.grants(place.organization), action, resource, place.project) {
            Decision::Allowed
        } else if self.sees(place) {
            Decision::Refused
        } else {
            Decision::Hidden
        }
    }
}

/// Whether any of the grants allows it.
fn allows(grants: &[Grant], action: Action, resource: Resource, project: Option<&ProjectRef>) -> bool {
    grants.iter().any(|grant| {
        let reaches = match (&grant.scope, resource.reach(), project) {
            (Scope::Everywhere, _, _) => true,
            (Scope::Projects(_), Reach::Project, Some(project)) => grant.scope.covers(project),
            (Scope::Projects(_), _, _) => false,
        };
        reaches && (grant.role == Role::Owner || may(grant.role, action, resource))
    })
}

/// Whether the table allows it to a role.
pub(super) fn may(role: Role, action: Action, resource: Resource) -> bool {
    MATRIX.iter().any(|rule| rule.roles.contains(role) && rule.concerns(action, resource))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: (Action, Resource) = (Action::Operate, Resource::Pause);
    const READ: (Action, Resource) = (Action::Read, Resource::Project);

    fn project(letter: char) -> ProjectRef {
        letter.to_string().repeat(20).parse().unwrap()
    }

    fn decide(grants: Vec<Grant>, what: (Action, Resource), project: Option<&ProjectRef>) -> Decision {
        let acme = OrganizationId::new("acme").unwrap();
        let memberships = match grants.is_empty() {
            true => vec![],
            false => vec![Membership { organization: acme.clone(), grants }],
        };
        Caller::of_memberships(memberships).decide(what.0, what.1, Place { organization: &acme, project })
    }

    #[test]
    fn each_role_is_allowed_what_the_table_gives_it_and_owners_everything() {
        let place = project('a');
        for (role, pause) in [
            (Role::Owner, Decision::Allowed),
            (Role::Administrator, Decision::Allowed),
            (Role::Developer, Decision::Refused),
            (Role::ReadOnly, Decision::Refused),
        ] {
            assert_eq!(decide(vec![Grant::everywhere(role)], PAUSE, Some(&place)), pause, "{role}");
            assert_eq!(
                decide(vec![Grant::everywhere(role)], READ, Some(&place)),
                Decision::Allowed,
                "{role}"
            );
        }
        // No row speaks of it.
        let unlisted = (Action::Update, Resource::Backups);
        assert_eq!(decide(vec![Grant::everywhere(Role::Owner)], unlisted, Some(&place)), Decision::Allowed);
        assert_eq!(
            decide(vec![Grant::everywhere(Role::Administrator)], unlisted, Some(&place)),
            Decision::Refused
        );
    }

    #[test]
    fn a_stranger_learns_of_neither_organization_nor_project() {
        assert_eq!(decide(vec![], READ, Some(&project('a'))), Decision::Hidden);
        assert_eq!(decide(vec![], (Action::Read, Resource::Organization), None), Decision::Hidden);
    }

    #[test]
    fn a_role_for_some_projects_hides_the_others_and_gives_nothing_of_the_organization() {
        let (mine, other) = (project('a'), project('b'));
        let grants = || vec![Grant::on(Role::Owner, [mine])];
        assert_eq!(decide(grants(), PAUSE, Some(&mine)), Decision::Allowed);
        assert_eq!(decide(grants(), READ, Some(&other)), Decision::Hidden);
        assert_eq!(decide(grants(), (Action::Create, Resource::Projects), None), Decision::Refused);
    }

    #[test]
    fn what_is_held_everywhere_and_for_a_project_adds_up() {
        let (mine, other) = (project('a'), project('b'));
        let grants = || vec![Grant::everywhere(Role::ReadOnly), Grant::on(Role::Administrator, [mine])];
        assert_eq!(decide(grants(), PAUSE, Some(&mine)), Decision::Allowed);
        assert_eq!(decide(grants(), PAUSE, Some(&other)), Decision::Refused);
    }

    #[test]
    fn the_superuser_may_do_everything_everywhere() {
        let nowhere = OrganizationId::new("nowhere").unwrap();
        let decision =
            Caller::superuser().decide(Action::Delete, Resource::Organization, Place::organization(&nowhere));
        assert_eq!(decision, Decision::Allowed);
    }
}
