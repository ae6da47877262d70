//! Who may do what: the one table.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a member of an organization is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// May do everything, also make others owners.
    Owner,
    /// May do everything but what changes the organization itself.
    Administrator,
    /// May use and shape projects, not create, stop or remove them.
    Developer,
    /// May look.
    ReadOnly,
}

/// What is done. Most things are read, created, updated or deleted; some are done in a way of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each name is the whole of what there is to say")]
pub enum Action {
    Read,
    Create,
    Update,
    Delete,
    ReadBilling,
    WriteBilling,
    /// Have something done to the stack as a whole: stop it, start it.
    Operate,
    /// Have the sign-in service do something.
    OperateAuth,
    ReadFunctions,
    WriteFunctions,
    ReadSecrets,
    WriteSecrets,
    InspectRealtime,
    InspectStorage,
    AdministerStorage,
    WriteStorage,
    ReadAnalytics,
    AdministerAnalytics,
    /// Run SQL.
    Query,
    ReadSchema,
    WriteSchema,
    DeleteRows,
}

/// What it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each name is the whole of what there is to say")]
pub enum Resource {
    // Of an organization.
    ApprovedApps,
    SourceConnections,
    HostingConnections,
    Notifications,
    OwnApps,
    Members,
    Owners,
    Administrators,
    Developers,
    Organization,
    Telemetry,
    AuditLog,
    LegalDocuments,
    /// Projects that do not exist yet.
    Projects,
    Customer,
    PaymentMethods,
    Subscriptions,
    TaxIds,
    Invitations,
    /// Which roles members have.
    Roles,
    // Of a project.
    /// Whatever the project has.
    Anything,
    ApiKeys,
    MfaFactors,
    Users,
    SigningKeys,
    Backups,
    UserCreation,
    UserInvitation,
    MagicLinks,
    OneTimePasswords,
    Recovery,
    AuthSettings,
    ApiSettings,
    Extensions,
    DatabaseFunctions,
    Policies,
    Publications,
    Tables,
    Triggers,
    SigningSecret,
    Logs,
    PhysicalBackups,
    Branches,
    /// The project itself.
    Project,
    SigningSecretChange,
    RestorePreparation,
    ArchiveRestore,
    Resume,
    Pause,
    Restart,
    ServiceKeys,
    UserContent,
}

/// How far a resource reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is the organization's: only a role in the whole of it counts.
    Organization,
    /// It is a project's: a role for that project counts as well.
    Project,
}

/// A set of roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Roles(u8);

/// One row of the table: these roles may do these things to that.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// What it is done to.
    pub resource: Resource,
    /// What is done.
    pub actions: &'static [Action],
    /// Who may.
    pub roles: Roles,
}

use Action::{
    AdministerAnalytics, AdministerStorage, Create, Delete, DeleteRows, InspectRealtime, InspectStorage,
    Operate, OperateAuth, Query, Read, ReadAnalytics, ReadBilling, ReadFunctions, ReadSchema, ReadSecrets,
    Update, WriteBilling, WriteFunctions, WriteSchema, WriteSecrets, WriteStorage,
};
use Resource as R;

const O: Roles = Roles::of(&[Role::Owner]);
const OA: Roles = Roles::of(&[Role::Owner, Role::Administrator]);
const OAD: Roles = Roles::of(&[Role::Owner, Role::Administrator, Role::Developer]);
const OADR: Roles = Roles::of(&Role::ALL);

/// The table. What no row allows is refused, but to owners, who may do everything in their scope.
pub const MATRIX: &[Rule] = &[
    rule(R::ApprovedApps, &[Create, Delete, Read, Update], OA),
    rule(R::SourceConnections, &[Create, Delete, Read, Update], OA),
    rule(R::HostingConnections, &[Create, Delete, Read, Update], OA),
    rule(R::Notifications, &[Read], OADR),
    rule(R::OwnApps, &[Update], OA),
    rule(R::Members, &[Create, Delete], OAD),
    rule(R::Members, &[Read], OADR),
    rule(R::Owners, &[Create, Delete], O),
    rule(R::Administrators, &[Create, Delete], OA),
    rule(R::Developers, &[Create, Delete], OAD),
    rule(R::Organization, &[Read], OADR),
    rule(R::Organization, &[Update, Delete], O),
    rule(R::Telemetry, &[Read, Update], OA),
    // It has people's addresses and what others did.
    rule(R::AuditLog, &[Read], OADR),
    rule(R::LegalDocuments, &[Read], OADR),
    rule(R::Projects, &[Create], OA),
    rule(R::Customer, &[ReadBilling], OADR),
    rule(R::Customer, &[WriteBilling], OAD),
    rule(R::PaymentMethods, &[ReadBilling], OADR),
    rule(R::PaymentMethods, &[WriteBilling], OAD),
    rule(R::Subscriptions, &[ReadBilling], OADR),
    rule(R::Subscriptions, &[WriteBilling], OAD),
    rule(R::TaxIds, &[ReadBilling], OADR),
    rule(R::TaxIds, &[WriteBilling], OAD),
    rule(R::Invitations, &[Create, Delete], OAD),
    rule(R::Roles, &[Create, Delete], OA),
    rule(R::Anything, &[OperateAuth], OAD),
    rule(R::Anything, &[ReadFunctions], OADR),
    rule(R::Anything, &[WriteFunctions], OAD),
    rule(R::Anything, &[InspectRealtime], OAD),
    rule(R::Anything, &[ReadSecrets], OADR),
    rule(R::Anything, &[WriteSecrets], OAD),
    rule(R::Anything, &[InspectStorage, AdministerStorage, WriteStorage], OAD),
    rule(R::Anything, &[WriteSchema], OAD),
    rule(R::Anything, &[Query], OADR),
    rule(R::ApiKeys, &[Read], OAD),
    rule(R::MfaFactors, &[DeleteRows], OAD),
    rule(R::Users, &[DeleteRows], OAD),
    rule(R::SigningKeys, &[Read], OAD),
    rule(R::Backups, &[Read], OADR),
    rule(R::UserCreation, &[OperateAuth], OAD),
    rule(R::UserInvitation, &[OperateAuth], OAD),
    rule(R::MagicLinks, &[OperateAuth], OAD),
    rule(R::OneTimePasswords, &[OperateAuth], OAD),
    rule(R::Recovery, &[OperateAuth], OAD),
    rule(R::AuthSettings, &[Read, Update], OAD),
    rule(R::ApiSettings, &[Read, Update], OAD),
    rule(R::Extensions, &[ReadSchema], OADR),
    rule(R::DatabaseFunctions, &[ReadSchema], OADR),
    rule(R::Policies, &[ReadSchema], OADR),
    rule(R::Publications, &[ReadSchema], OADR),
    rule(R::Tables, &[ReadSchema], OADR),
    rule(R::Triggers, &[ReadSchema], OADR),
    rule(R::SigningSecret, &[Read], OAD),
    rule(R::Logs, &[AdministerAnalytics], OAD),
    rule(R::Logs, &[ReadAnalytics], OADR),
    rule(R::PhysicalBackups, &[Read], OADR),
    rule(R::Branches, &[Create, Delete, Read, Update], OA),
    rule(R::Project, &[Read], OADR),
    rule(R::Project, &[Update, Delete], OA),
    rule(R::SigningSecretChange, &[Operate], OAD),
    rule(R::RestorePreparation, &[Operate], OA),
    rule(R::ArchiveRestore, &[Operate], OA),
    rule(R::Resume, &[Operate], OA),
    rule(R::Pause, &[Operate], OA),
    rule(R::Restart, &[Operate], OA),
    rule(R::ServiceKeys, &[Read], OAD),
    rule(R::UserContent, &[Create, Read, Update], OAD),
];

const fn rule(resource: Resource, actions: &'static [Action], roles: Roles) -> Rule {
    Rule { resource, actions, roles }
}

impl Role {
    /// All of them, the mightiest first.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Administrator, Self::Developer, Self::ReadOnly];

    /// The role as stores and wires have it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Administrator => "administrator",
            Self::Developer => "developer",
            Self::ReadOnly => "read_only",
        }
    }

    /// What a member with this role is to the table: who may add and remove such a one.
    #[must_use]
    pub const fn members(self) -> Resource {
        match self {
            Self::Owner => Resource::Owners,
            Self::Administrator => Resource::Administrators,
            Self::Developer => Resource::Developers,
            Self::ReadOnly => Resource::Members,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let role = Self::ALL.into_iter().find(|role| role.as_str() == text);
        role.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid("role", format_args!("{text:?} is none of {known}"))
        })
    }
}

impl Roles {
    const fn of(roles: &[Role]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < roles.len() {
            bits |= 1 << roles[index] as u8;
            index += 1;
        }
        Self(bits)
    }

    /// Whether a role is in it.
    #[must_use]
    pub const fn contains(self, role: Role) -> bool {
        self.0 & (1 << role as u8) != 0
    }
}

impl Rule {
    /// Whether the row is about this.
    #[must_use]
    pub fn concerns(&self, action: Action, resource: Resource) -> bool {
        let anything = self.resource == Resource::Anything && resource.reach() == Reach::Project;
        (self.resource == resource || anything) && self.actions.contains(&action)
    }
}

impl Resource {
    /// How far it reaches.
    #[must_use]
    pub const fn reach(self) -> Reach {
        match self {
            Self::ApprovedApps
            | Self::SourceConnections
            | Self::HostingConnections
            | Self::Notifications
            | Self::OwnApps
            | Self::Members
            | Self::Owners
            | Self::Administrators
            | Self::Developers
            | Self::Organization
            | Self::Telemetry
            | Self::AuditLog
            | Self::LegalDocuments
            | Self::Projects
            | Self::Customer
            | Self::PaymentMethods
            | Self::Subscriptions
            | Self::TaxIds
            | Self::Invitations
            | Self::Roles => Reach::Organization,
            Self::Anything
            | Self::ApiKeys
            | Self::MfaFactors
            | Self::Users
            | Self::SigningKeys
            | Self::Backups
            | Self::UserCreation
            | Self::UserInvitation
            | Self::MagicLinks
            | Self::OneTimePasswords
            | Self::Recovery
            | Self::AuthSettings
            | Self::ApiSettings
            | Self::Extensions
            | Self::DatabaseFunctions
            | Self::Policies
            | Self::Publications
            | Self::Tables
            | Self::Triggers
            | Self::SigningSecret
            | Self::Logs
            | Self::PhysicalBackups
            | Self::Branches
            | Self::Project
            | Self::SigningSecretChange
            | Self::RestorePreparation
            | Self::ArchiveRestore
            | Self::Resume
            | Self::Pause
            | Self::Restart
            | Self::ServiceKeys
            | Self::UserContent => Reach::Project,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_may_only_read_is_given_nothing_but_reading() {
        for rule in MATRIX.iter().filter(|rule| rule.roles.contains(Role::ReadOnly)) {
            for action in rule.actions {
                let reads = matches!(
                    action,
                    Read | ReadAnalytics | ReadBilling | ReadFunctions | ReadSecrets | ReadSchema | Query
                );
                assert!(reads, "{action:?} on {:?}", rule.resource);
            }
        }
    }

    #[test]
    fn a_mightier_role_may_do_whatever_a_lesser_one_may() {
        for rule in MATRIX {
            let held: Vec<_> = Role::ALL.into_iter().map(|role| rule.roles.contains(role)).collect();
            assert!(held.is_sorted_by(|mightier, lesser| mightier >= lesser), "{rule:?}");
        }
    }

    #[test]
    fn no_action_on_one_resource_stands_in_two_rows() {
        let pairs = MATRIX.iter().flat_map(|rule| rule.actions.iter().map(|action| (rule.resource, *action)));
        let mut seen = std::collections::BTreeSet::new();
        for pair in pairs {
            assert!(seen.insert(pair), "{pair:?}");
        }
    }

    #[test]
    fn what_stops_starts_creates_and_removes_projects_is_for_owners_and_administrators() {
        for (resource, action) in [
            (R::Projects, Create),
            (R::Project, Delete),
            (R::Project, Update),
            (R::Pause, Operate),
            (R::Resume, Operate),
            (R::Restart, Operate),
        ] {
            let rule = MATRIX.iter().find(|rule| rule.concerns(action, resource)).unwrap();
            assert_eq!(rule.roles, OA, "{resource:?}");
        }
    }

    #[test]
    fn a_role_is_written_and_read_alike() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
        }
        assert!("king".parse::<Role>().unwrap_err().to_string().contains("read_only"));
    }
}
