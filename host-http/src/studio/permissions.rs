//! What the caller may do, in the words by which Studio looks it up: `@supabase/shared-types`, `PermissionAction`.

use std::collections::BTreeSet;

use freehold_core::{
    Kind, ProjectRef, Result,
    accounts::{Action, Allowed, Organization, Permission, Resource, Role, permissions},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::roles;
use crate::call::Call;

/// One entry. Studio takes a missing `condition` for a refusal, and matches `%` as anything.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    actions: Vec<&'static str>,
    resources: Vec<&'static str>,
    condition: Value,
    organization_id: i64,
    organization_slug: String,
    project_ids: Option<Vec<i64>>,
    project_refs: Option<Vec<ProjectRef>>,
    restrictive: bool,
}

/// Everything that the caller may do.
pub(super) async fn of(call: &Call) -> Result<Vec<Entry>> {
    let caller = call.caller();
    let everything = || vec![Permission { allowed: Allowed::Everything, projects: None }];
    let member = if caller.superuser { None } else { caller.person.as_ref().map(|person| person.id) };
    if member.is_none() && !caller.superuser {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for organization in call.accounts()?.organizations(member).await? {
        let held = if caller.superuser { everything() } else { permissions(caller.grants(&organization.id)) };
        for permission in held {
            if let Some(projects) = projects(call, &organization, permission.projects.as_ref()).await? {
                entries.push(entry(&organization, permission.allowed, projects));
            }
        }
    }
    Ok(entries)
}

/// Refs and ids of those projects that are the organization's and not gone; `None` if nothing is left of them.
type Projects = Option<Vec<(ProjectRef, i64)>>;

async fn projects(
    call: &Call,
    organization: &Organization,
    refs: Option<&BTreeSet<ProjectRef>>,
) -> Result<Option<Projects>> {
    let Some(refs) = refs else { return Ok(Some(None)) };
    let mut found = Vec::new();
    for reference in refs {
        match call.control().project(reference).await {
            Ok(project) if project.organization == organization.id => found.push((*reference, project.id)),
            Ok(_) => {}
            Err(error) if error.kind() == Kind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(if found.is_empty() { None } else { Some(Some(found)) })
}

fn entry(organization: &Organization, allowed: Allowed, projects: Projects) -> Entry {
    let (actions, resources, condition) = match allowed {
        Allowed::Everything => (vec!["%"], vec!["%"], Value::Null),
        Allowed::Actions(actions, resource) => {
            (actions.iter().map(|action| word(*action)).collect(), vec![name(resource)], condition(resource))
        }
    };
    let (refs, ids) = match projects {
        None => (None, None),
        Some(projects) => {
            let (refs, ids) = projects.into_iter().unzip();
            (Some(refs), Some(ids))
        }
    };
    Entry {
        actions,
        resources,
        condition,
        organization_id: organization.number,
        organization_slug: organization.id.as_str().to_owned(),
        project_ids: ids,
        project_refs: refs,
        restrictive: false,
    }
}

/// Only owners make owners, and they have an entry for everything.
fn condition(resource: Resource) -> Value {
    if resource == Resource::Roles {
        let ids: Vec<_> = Role::ALL.into_iter().filter(|role| *role != Role::Owner).map(roles::id).collect();
        return json!({ "in": [{ "var": "resource.role_id" }, ids] });
    }
    Value::Null
}

const fn word(action: Action) -> &'static str {
    match action {
        Action::Read => "read:Read",
        Action::Create => "write:Create",
        Action::Update => "write:Update",
        Action::Delete => "write:Delete",
        Action::ReadBilling => "billing:Read",
        Action::WriteBilling => "billing:Write",
        Action::Operate => "infra:Execute",
        Action::OperateAuth => "auth:Execute",
        Action::ReadFunctions => "functions:Read",
        Action::WriteFunctions => "functions:Write",
        Action::ReadSecrets => "secrets:Read",
        Action::WriteSecrets => "secrets:Write",
        Action::InspectRealtime => "realtime:Admin:Read",
        Action::InspectStorage => "storage:Admin:Read",
        Action::AdministerStorage => "storage:Admin:Write",
        Action::WriteStorage => "storage:Write",
        Action::ReadAnalytics => "analytics:Read",
        Action::AdministerAnalytics => "analytics:Admin:Write",
        Action::Query => "tenant:Sql:Query",
        Action::ReadSchema => "tenant:Sql:Admin:Read",
        Action::WriteSchema => "tenant:Sql:Admin:Write",
        Action::DeleteRows => "tenant:Sql:Write:Delete",
    }
}

const fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::ApprovedApps => "approved_oauth_apps",
        Resource::SourceConnections => "integrations.github_connections",
        Resource::HostingConnections => "integrations.vercel_connections",
        Resource::Notifications => "notifications",
        Resource::OwnApps => "oauth_apps",
        Resource::Members => "organization_members",
        Resource::Owners => "organization_members.owner",
        Resource::Administrators => "organization_members.admin",
        Resource::Developers => "organization_members.developer",
        Resource::Organization => "organizations",
        Resource::Telemetry => "openai_telemetry",
        Resource::AuditLog => "audit_logs",
        Resource::LegalDocuments => "legal_documents",
        Resource::Projects | Resource::Project => "projects",
        Resource::Customer => "stripe.customer",
        Resource::PaymentMethods => "stripe.payment_methods",
        Resource::Subscriptions => "stripe.subscriptions",
        Resource::TaxIds => "stripe.tax_ids",
        Resource::Invitations => "user_invites",
        Resource::Roles => "auth.subject_roles",
        Resource::Anything => "%",
        Resource::ApiKeys => "api_keys",
        Resource::MfaFactors => "auth.mfa_factors",
        Resource::Users => "auth.users",
        Resource::SigningKeys => "auth_signing_keys",
        Resource::Backups => "back_ups",
        Resource::UserCreation => "create_user",
        Resource::UserInvitation => "invite_user",
        Resource::MagicLinks => "send_magic_link",
        Resource::OneTimePasswords => "send_otp",
        Resource::Recovery => "send_recovery",
        Resource::AuthSettings => "custom_config_gotrue",
        Resource::ApiSettings => "custom_config_postgrest",
        Resource::Extensions => "extensions",
        Resource::DatabaseFunctions => "functions",
        Resource::Policies => "policies",
        Resource::Publications => "publications",
        Resource::Tables => "tables",
        Resource::Triggers => "triggers",
        Resource::SigningSecret => "field.jwt_secret",
        Resource::Logs => "logflare",
        Resource::PhysicalBackups => "physical_backups",
        Resource::Branches => "preview_branches",
        Resource::SigningSecretChange => "queue_job.projects.update_jwt",
        Resource::RestorePreparation => "queue_job.restore.prepare",
        Resource::ArchiveRestore => "queue_job.walg.prepare_restore",
        Resource::Resume => "queue_jobs.projects.initialize_or_resume",
        Resource::Pause => "queue_jobs.projects.pause",
        Resource::Restart => "reboot",
        Resource::ServiceKeys => "service_api_keys",
        Resource::UserContent => "user_content",
    }
}

#[cfg(test)]
mod tests {
    use freehold_core::accounts::{Grant, MATRIX};

    use super::*;

    #[test]
    fn an_owner_has_the_one_entry_that_studio_takes_for_everything() {
        let organization = Organization {
            id: "acme".parse().unwrap(),
            number: 7,
            name: "Acme".into(),
            defaults: freehold_core::accounts::ProjectDefaults::default(),
            created_at: time::OffsetDateTime::UNIX_EPOCH,
        };
        let held = permissions(&[Grant::everywhere(Role::Owner)]);
        let shown = serde_json::to_value(entry(&organization, held[0].allowed, None)).unwrap();
        let expected = json!({
            "actions": ["%"], "resources": ["%"], "condition": null, "organization_id": 7,
            "organization_slug": "acme", "project_ids": null, "project_refs": null, "restrictive": false,
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn no_two_resources_of_one_reach_share_a_name() {
        let mut seen = std::collections::BTreeMap::new();
        for rule in MATRIX {
            let other = seen.insert((name(rule.resource), rule.resource.reach() as u8), rule.resource);
            assert!(other.is_none_or(|other| other == rule.resource), "{:?}", rule.resource);
        }
    }
}
