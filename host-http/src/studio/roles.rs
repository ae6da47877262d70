//! Roles as Studio has them: by number, with one more for each member whose role is for some projects alone.

use freehold_core::accounts::{Grant, PersonId, Role, Scope};

/// The number of a role that is held in the whole organization.
pub(super) const fn id(role: Role) -> i64 {
    match role {
        Role::Owner => 1,
        Role::Administrator => 2,
        Role::Developer => 3,
        Role::ReadOnly => 4,
    }
}

/// What a role is called.
pub(crate) const fn title(role: Role) -> &'static str {
    match role {
        Role::Owner => "Owner",
        Role::Administrator => "Administrator",
        Role::Developer => "Developer",
        Role::ReadOnly => "Read-only",
    }
}

/// The number of what a member holds: the role's, or one that nobody else has. It follows from member and role, so that
/// it need not be kept.
pub(super) fn grant_id(person: PersonId, grant: &Grant) -> i64 {
    match grant.scope {
        Scope::Everywhere => id(grant.role),
        Scope::Projects(_) => person.0 * 10 + 100 + id(grant.role),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_members_roles_share_a_number_unless_they_hold_it_everywhere() {
        let project = "abcdefghijklmnopqrst".parse().unwrap();
        let mut seen = std::collections::BTreeSet::from(Role::ALL.map(id));
        for person in 1..50 {
            for role in Role::ALL {
                assert!(seen.insert(grant_id(PersonId(person), &Grant::on(role, [project]))));
            }
        }
    }
}
