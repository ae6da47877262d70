//! What somebody's grants come to, as a list: for those who show only what can be done.

use std::collections::BTreeSet;

use super::{Action, Grant, MATRIX, Reach, Resource, Role, Rule, Scope};
use crate::project_ref::ProjectRef;

/// Something that is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// What.
    pub allowed: Allowed,
    /// For these projects alone; `None` is the whole organization.
    pub projects: Option<BTreeSet<ProjectRef>>,
}

/// What a permission allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// Everything.
    Everything,
    /// These actions on that.
    Actions(&'static [Action], Resource),
}

/// Everything that grants in one organization allow, from the same table as the decision.
///
/// First comes what holds for the whole organization. Then, for the projects that a role is held for, all that holds
/// there, what the whole organization gives included: readers may let a project's own permissions take the place of the
/// organization's.
#[must_use]
pub fn permissions(grants: &[Grant]) -> Vec<Permission> {
    let everywhere = |role| grants.iter().any(|grant| grant.role == role && grant.scope == Scope::Everywhere);
    if everywhere(Role::Owner) {
        return vec![Permission { allowed: Allowed::Everything, projects: None }];
    }
    let allowed_everywhere =
        |rule: &Rule| Role::ALL.into_iter().any(|role| rule.roles.contains(role) && everywhere(role));
    let scopes: Vec<_> = grants
        .iter()
        .filter_map(|grant| match &grant.scope {
            Scope::Everywhere => None,
            Scope::Projects(projects) => Some((grant.role, projects)),
        })
        .collect();
    let all_scoped: BTreeSet<_> = scopes.iter().flat_map(|(_, projects)| projects.iter().copied()).collect();

    let mut found: Vec<_> = MATRIX
        .iter()
        .filter(|rule| allowed_everywhere(rule))
        .map(|rule| Permission { allowed: allowed(rule), projects: None })
        .collect();
    for (_, projects) in scopes.iter().filter(|(role, _)| *role == Role::Owner) {
        found.push(Permission { allowed: Allowed::Everything, projects: Some((*projects).clone()) });
    }
    for rule in MATRIX.iter().filter(|rule| rule.resource.reach() == Reach::Project) {
        let projects: BTreeSet<_> = if allowed_everywhere(rule) {
            all_scoped.clone()
        } else {
            let held = scopes.iter().filter(|(role, _)| *role != Role::Owner && rule.roles.contains(*role));
            held.flat_map(|(_, projects)| projects.iter().copied()).collect()
        };
        if !projects.is_empty() {
            found.push(Permission { allowed: allowed(rule), projects: Some(projects) });
        }
    }
    found
}

fn allowed(rule: &Rule) -> Allowed {
    Allowed::Actions(rule.actions, rule.resource)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accounts::{Caller, Decision, Membership, Place};

    fn project(letter: char) -> ProjectRef {
        letter.to_string().repeat(20).parse().unwrap()
    }

    fn listed(found: &[Permission], resource: Resource) -> bool {
        found.iter().any(|permission| matches!(permission.allowed, Allowed::Actions(_, of) if of == resource))
    }

    #[test]
    fn an_owner_is_listed_as_everything_for_the_whole_organization() {
        let found =
            permissions(&[Grant::everywhere(Role::Owner), Grant::on(Role::Developer, [project('a')])]);
        assert_eq!(found, [Permission { allowed: Allowed::Everything, projects: None }]);
        assert_eq!(permissions(&[]), []);
    }

    #[test]
    fn a_developer_of_one_project_is_listed_for_that_alone_and_for_no_branches() {
        let mine = project('a');
        let found = permissions(&[Grant::on(Role::Developer, [mine])]);
        assert!(found.iter().all(|permission| permission.projects == Some(BTreeSet::from([mine]))));
        assert!(listed(&found, Resource::Project) && !listed(&found, Resource::Branches));
        assert!(!listed(&found, Resource::SourceConnections));
    }

    #[test]
    fn an_administrator_is_listed_for_every_row_that_names_them() {
        let found = permissions(&[Grant::everywhere(Role::Administrator)]);
        let rows = MATRIX.iter().filter(|rule| rule.roles.contains(Role::Administrator)).count();
        assert_eq!(found.len(), rows);
        assert!(found.iter().all(|permission| permission.projects.is_none()));
    }

    #[test]
    fn the_list_and_the_decision_agree_on_every_row_scope_and_role() {
        let (mine, other) = (project('a'), project('b'));
        let acme = "acme".parse().unwrap();
        let scopes = [Scope::Everywhere, Scope::Projects(BTreeSet::from([mine]))];
        let one = Role::ALL.into_iter().flat_map(|role| scopes.clone().map(|scope| Grant { role, scope }));
        let one: Vec<_> = one.collect();
        let pairs =
            one.iter().flat_map(|first| one.iter().map(move |second| vec![first.clone(), second.clone()]));
        for grants in pairs.filter(|pair| pair[0].role != pair[1].role) {
            let found = permissions(&grants);
            let membership = Membership { organization: "acme".parse().unwrap(), grants: grants.clone() };
            let caller = Caller::of_memberships(vec![membership]);
            for (rule, project) in MATRIX.iter().flat_map(|rule| [(rule, mine), (rule, other)]) {
                // As Studio reads the list: what is said for the project takes the organization's place.
                let own: Vec<_> = found
                    .iter()
                    .filter(|permission| permission.projects.as_ref().is_some_and(|of| of.contains(&project)))
                    .collect();
                let general = found.iter().filter(|permission| permission.projects.is_none()).collect();
                let valid = match rule.resource.reach() {
                    Reach::Project if !own.is_empty() => own,
                    _ => general,
                };
                for action in rule.actions {
                    let shown = valid.iter().any(|permission| match permission.allowed {
                        Allowed::Everything => true,
                        Allowed::Actions(actions, resource) => {
                            Rule { resource, actions, roles: rule.roles }.concerns(*action, rule.resource)
                        }
                    });
                    let place = Place::project(&acme, &project);
                    let decided = caller.decide(*action, rule.resource, place) == Decision::Allowed;
                    assert_eq!(shown, decided, "{action:?} on {:?} with {grants:?}", rule.resource);
                }
            }
        }
    }
}
