//! A project as Studio sees it: what its replies are made of.

use freehold_core::{
    Address, Connection, DatabaseConnection, Error, Kind, OrganizationId, Project, Result, StackSpec,
    accounts::Organization,
};
use serde_json::{Value, json};

use super::{moment, status, wizard};
use crate::call::Call;

/// A project with what is needed to show it.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) project: Project,
    pub(crate) organization: Organization,
    /// Its stack as its target offers it now; `None` if this host does not serve it.
    pub(crate) stack: Option<StackSpec>,
}

/// The end of the word for a connection that can only read.
pub(crate) const READ_ONLY: &str = ":read-only";

/// What there is none of, in Studio's words: it compares them.
pub(crate) fn not_found() -> Error {
    Error::new(Kind::NotFound, "Project not found")
}

impl View {
    /// The project that the path names.
    ///
    /// # Errors
    /// `NotFound` if it is on its way out, or belongs to nobody who has an account.
    pub(crate) async fn named(call: &Call) -> Result<Self> {
        let project = call.kept().cloned().ok_or_else(not_found)?;
        if status::shown(project.status).is_none() {
            return Err(not_found());
        }
        Self::of(call, project).await
    }

    /// A project that was looked up.
    ///
    /// # Errors
    /// `NotFound` if it belongs to nobody who has an account.
    pub(crate) async fn of(call: &Call, project: Project) -> Result<Self> {
        let organization = call.accounts()?.organization(&project.organization).await?;
        let organization = organization.ok_or_else(not_found)?;
        Ok(Self { stack: stack(call, &project), project, organization })
    }

    pub(crate) fn status(&self) -> &'static str {
        // Those that are not shown never get here: see `named` and the lists.
        status::shown(self.project.status).unwrap_or("GOING_DOWN")
    }

    pub(crate) fn provider(&self) -> &str {
        self.project.annotations.value("cloud_provider").unwrap_or(wizard::PROVIDER)
    }

    pub(crate) fn region(&self) -> &str {
        self.project.annotations.value("region").unwrap_or(wizard::REGION)
    }

    pub(crate) fn size(&self) -> &str {
        self.project.annotations.value("instance_size").unwrap_or(wizard::SIZE)
    }

    pub(crate) fn created_at(&self) -> String {
        moment(self.project.created_at)
    }

    /// Services that do not run, by the names that wizards have for them.
    pub(crate) fn excluded(&self) -> Vec<&str> {
        let wire = |name: &freehold_core::ServiceName| {
            let services = self.stack.iter().flat_map(|stack| &stack.services);
            services.into_iter().find(|service| service.name == *name).map(|service| service.wire.as_str())
        };
        self.project.excluded.iter().map(|name| wire(name).unwrap_or(name.as_str())).collect()
    }

    fn connection(&self) -> Option<&Connection> {
        self.project.connection.as_ref()
    }

    pub(crate) fn database(&self) -> Option<&DatabaseConnection> {
        self.connection()?.database.as_ref()
    }

    /// Where people reach the project's API, once it was up.
    pub(crate) fn api(&self) -> Option<&Address> {
        Some(&self.connection()?.api.as_ref()?.public)
    }

    pub(crate) fn rest_url(&self) -> String {
        self.api().map(|address| format!("http://{address}/rest/v1/")).unwrap_or_default()
    }

    pub(crate) fn database_host(&self) -> &str {
        self.database().map_or("", |database| database.endpoint.public.host.as_str())
    }

    /// The port that people are told, else the one that the stack has inside.
    pub(crate) fn database_port(&self) -> u16 {
        let declared = || self.stack.as_ref()?.database.as_ref().map(|database| database.port);
        self.database().map(|database| database.endpoint.public.port).or_else(declared).unwrap_or_default()
    }

    pub(crate) fn database_name(&self) -> &str {
        let declared = || self.stack.as_ref()?.database.as_ref().map(|database| database.name.as_str());
        self.database().map(|database| database.name.as_str()).or_else(declared).unwrap_or_default()
    }

    pub(crate) fn database_user(&self) -> &str {
        let declared = || self.stack.as_ref()?.database.as_ref().map(|database| database.user.as_str());
        self.database().map(|database| database.user.as_str()).or_else(declared).unwrap_or_default()
    }

    /// What Studio sends back with every query. It names the project and holds no password; there is none while the
    /// project is not up.
    pub(crate) fn connection_string(&self) -> Option<String> {
        let up = status::is_active(self.project.status) && self.database().is_some();
        up.then(|| format!("freehold:{}", self.project.reference))
    }

    /// The same for a connection that can only read, where the stack has what it takes.
    pub(crate) fn read_only_connection_string(&self) -> Option<String> {
        let secrets = &self.stack.as_ref()?.secrets;
        let can = secrets.iter().any(|secret| secret.name.as_str() == super::meta::CRYPTO_KEY);
        self.connection_string().filter(|_| can).map(|word| format!("{word}{READ_ONLY}"))
    }

    /// The whole project, as Studio's pages of it read it.
    pub(crate) fn detail(&self) -> Value {
        let version = self.database().map(|database| database.version.as_str());
        json!({
            "id": self.project.id,
            "ref": self.project.reference,
            "name": self.project.name,
            "organization_id": self.organization.number,
            "status": self.status(),
            "region": self.region(),
            "cloud_provider": self.provider(),
            "db_host": self.database_host(),
            "restUrl": self.rest_url(),
            "connectionString": self.connection_string(),
            "dbVersion": version,
            "high_availability": false,
            "infra_compute_size": self.size(),
            "inserted_at": self.created_at(),
            "updated_at": moment(self.project.updated_at),
            "is_branch_enabled": false,
            "is_physical_backups_enabled": false,
            "is_hibernating": false,
            "integration_source": null,
            "subscription_id": "",
            "local_runtime": { "exclude_services": self.excluded() },
        })
    }

    /// The project as the list of all projects has it.
    pub(crate) fn row(&self) -> Value {
        json!({
            "id": self.project.id,
            "ref": self.project.reference,
            "name": self.project.name,
            "organization_id": self.organization.number,
            "organization_slug": self.organization.id,
            "status": self.status(),
            "region": self.region(),
            "cloud_provider": self.provider(),
            "infra_compute_size": self.size(),
            "inserted_at": self.created_at(),
            "is_branch_enabled": false,
            "is_physical_backups_enabled": false,
            "preview_branch_refs": [],
            "subscription_id": null,
        })
    }

    /// The project as its organization's list has it.
    pub(crate) fn card(&self) -> Value {
        json!({
            "ref": self.project.reference,
            "name": self.project.name,
            "status": self.status(),
            "region": self.region(),
            "cloud_provider": self.provider(),
            "inserted_at": self.created_at(),
            "is_branch": false,
            "databases": [{
                "identifier": self.project.reference,
                "cloud_provider": self.provider(),
                "region": self.region(),
                "status": status::of_database(self.project.status),
                "type": "PRIMARY",
                "infra_compute_size": self.size(),
            }],
        })
    }
}

/// The stack of a project as its target offers it.
fn stack(call: &Call, project: &Project) -> Option<StackSpec> {
    let target = call.control().targets().into_iter().find(|target| target.name == project.target)?;
    target.description.stacks.into_iter().find(|stack| stack.name == project.stack)
}

/// Every project of some organizations that the caller may see and that is shown.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn all(call: &Call, organizations: &[Organization]) -> Result<Vec<View>> {
    use freehold_core::{PageRequest, ProjectFilter, accounts::Place};
    let targets = call.control().targets();
    let mut found = Vec::new();
    for organization in organizations {
        let id: OrganizationId = organization.id.clone();
        let filter = ProjectFilter { organization: Some(id), ..ProjectFilter::default() };
        let mut page = PageRequest::first(PageRequest::MAX);
        loop {
            let projects = call.control().projects(&filter, &page).await?;
            for project in projects.items {
                let place = Place::project(&project.organization, &project.reference);
                if status::shown(project.status).is_none() || !call.caller().sees(place) {
                    continue;
                }
                let target = targets.iter().find(|target| target.name == project.target);
                let stacks = target.into_iter().flat_map(|target| &target.description.stacks);
                let stack = stacks.into_iter().find(|stack| stack.name == project.stack).cloned();
                found.push(View { project, organization: organization.clone(), stack });
            }
            let Some(next) = projects.next else { break };
            page = PageRequest::first(PageRequest::MAX).after(next);
        }
    }
    Ok(found)
}
