//! Commands become changes: validated, checked against the lifecycle, with their secrets sealed.

use std::{collections::BTreeMap, time::Duration};

use rand::RngCore as _;
use secrecy::SecretString;

use super::{
    Inner, Target,
    command::{Amendment, Command, CreateProject, Protection, Reconfigure},
    validate::{check_accepted_losses, check_first_run, check_limits, check_variables, chosen_stack},
};
use crate::{
    error::{Detail, Error, Result},
    lifecycle::{self, Status},
    names::{SecretName, ServiceName},
    operation::{Operation, OperationId, OperationKind, OperationState},
    page::PageRequest,
    project::Project,
    project_ref::ProjectRef,
    secrets,
    stack::StackSpec,
    store::{
        Change, Guard, NewOperation, NewProject, OperationFilter, Preemption, ProjectChange, ProjectUpdate,
        StatusChange,
    },
};

/// The version that plans operations.
const PLANNED_BY: &str = env!("CARGO_PKG_VERSION");

/// What a command comes to.
pub(super) enum Prepared {
    /// A change to be committed.
    Change(Box<Change>),
    /// Nothing to do: this is how it stands already.
    Stands(Box<Project>, Option<Box<Operation>>),
}

impl Prepared {
    fn change(change: Change) -> Self {
        Self::Change(Box::new(change))
    }
}

impl Inner {
    pub(super) async fn prepare(&self, command: &Command) -> Result<Prepared> {
        match command {
            Command::Create(create) => self.prepare_create(create).await,
            Command::Retry(project) => {
                self.prepare_operation(project, OperationKind::Retry, vec![], &[]).await
            }
            Command::Pause(project) => {
                self.prepare_operation(project, OperationKind::Pause, vec![], &[]).await
            }
            Command::Resume(project, resume) => {
                self.prepare_operation(project, OperationKind::Resume, vec![], &resume.accept_data_loss).await
            }
            Command::Restart(project, restart) => {
                let scope = self.known_services(project, &restart.services).await?;
                let accepted = &restart.accept_data_loss;
                self.prepare_operation(project, OperationKind::Restart, scope, accepted).await
            }
            Command::Reconfigure(project, settings) => self.prepare_reconfigure(project, settings).await,
            Command::Destroy(project) => self.prepare_destroy(project).await,
            Command::Amend(project, amendment) => {
                let project = self.live_project(project).await?;
                let Amendment { name, protection, annotations, expected } = (**amendment).clone();
                check_seen(&project, expected)?;
                let protected = protection.map(|protection| protection == Protection::On);
                Ok(Prepared::change(amend(ProjectUpdate {
                    name,
                    protected,
                    annotations,
                    ..ProjectUpdate::of(&project)
                })))
            }
            Command::Cancel(operation) => self.prepare_cancel(*operation).await,
        }
    }

    async fn prepare_create(&self, create: &CreateProject) -> Result<Prepared> {
        let target = self.chosen_target(create)?;
        let stack = chosen_stack(target, create)?;
        let excluded = stack.exclusions(create.excluded.as_deref())?;
        check_variables(&create.variables)?;
        check_first_run(stack, &create.first_run)?;
        check_limits(create.limits.memory_bytes, create.limits.cpus)?;
        let secrets = secrets::make(stack, &create.secrets, self.clock.now())?;
        let reference = ProjectRef::random(&mut *self.rng());
        let sealed = self.vault.seal_new(reference, &secrets, &create.variables, &create.first_run).await?;
        let project = NewProject {
            reference,
            name: create.name.clone(),
            organization: create.organization.clone(),
            target: target.name.clone(),
            stack: stack.name.clone(),
            digest: stack.digest.clone(),
            status: lifecycle::CREATED,
            annotations: create.annotations.clone(),
            excluded,
            limits: create.limits,
            machine: target.description.machine.clone(),
            ports: stack.port_count(),
            port_pool: target.settings.port_pool,
            subnet_pool: stack.subnet.then_some(target.settings.subnet_pool),
            bounds: target.settings.bounds,
        };
        Ok(Prepared::change(Change {
            project: ProjectChange::Create(Box::new(project)),
            operation: Some(self.new_operation(OperationKind::Create, vec![], 1)),
            preemption: Preemption::Refuse,
            cancel: None,
            sealed,
            idempotency: None,
            facts: vec![],
        }))
    }

    async fn prepare_operation(
        &self,
        project: &ProjectRef,
        kind: OperationKind,
        scope: Vec<ServiceName>,
        accept_data_loss: &[String],
    ) -> Result<Prepared> {
        check_accepted_losses(accept_data_loss)?;
        let project = self.existing_project(project).await?;
        let update = self.begin(&project, kind).await?;
        let mut operation = self.new_operation(kind, scope, project.generation);
        operation.accept_data_loss = accept_data_loss.to_vec();
        Ok(Prepared::change(command(update, operation)))
    }

    async fn prepare_reconfigure(&self, project: &ProjectRef, settings: &Reconfigure) -> Result<Prepared> {
        let project = self.existing_project(project).await?;
        check_seen(&project, settings.expected)?;
        let mut update = self.begin(&project, OperationKind::Reconfigure).await?;
        let stack = self.stack_of(&project)?;
        let generation = project.generation + 1;
        if let Some(excluded) = &settings.excluded {
            update.excluded = Some(stack.exclusions(Some(excluded))?);
        }
        if let Some(limits) = settings.limits {
            check_limits(limits.memory_bytes, limits.cpus)?;
            update.limits = Some(limits);
        }
        update.annotations.clone_from(&settings.annotations);
        let mut sealed = Vec::new();
        if let Some(variables) = self.other_variables(&project, settings).await? {
            check_variables(&variables)?;
            sealed.push(self.vault.seal_variables(project.reference, generation, &variables).await?);
        }
        if !settings.secrets.is_empty() || !settings.rotate.is_empty() {
            let secrets = self.rotated(&project, stack, settings).await?;
            sealed.extend(self.vault.seal_secrets(project.reference, generation, &secrets).await?);
        }
        update.generation = Some(generation);
        let operation = self.new_operation(OperationKind::Reconfigure, vec![], generation);
        Ok(Prepared::change(Change { sealed, ..command(update, operation) }))
    }

    /// All variables as they are to be, if any changes.
    async fn other_variables(
        &self,
        project: &Project,
        settings: &Reconfigure,
    ) -> Result<Option<BTreeMap<String, SecretString>>> {
        let mut variables = match &settings.variables {
            Some(all) => all.clone(),
            None if settings.amended.is_empty() => return Ok(None),
            None => {
                let items = self.store.sealed(Some(&project.reference)).await?;
                self.vault.open(project.reference, &items).await?.variables
            }
        };
        for (name, value) in &settings.amended {
            match value {
                Some(value) => drop(variables.insert(name.clone(), value.clone())),
                None => drop(variables.remove(name)),
            }
        }
        Ok(Some(variables))
    }

    /// The secrets that change when some are chosen or made anew: those, and what is made from one of them.
    async fn rotated(
        &self,
        project: &Project,
        stack: &StackSpec,
        settings: &Reconfigure,
    ) -> Result<BTreeMap<SecretName, SecretString>> {
        let Reconfigure { secrets: chosen, rotate, .. } = settings;
        secrets::check_chosen(stack, chosen)?;
        for name in rotate {
            secrets::check_known(stack, "rotate", name)?;
            if chosen.contains_key(name) {
                let problem = format_args!("{name} is chosen in `secrets`: it is one or the other");
                return Err(Error::invalid("rotate", problem));
            }
        }
        let items = self.store.sealed(Some(&project.reference)).await?;
        let mut kept = self.vault.open(project.reference, &items).await?.secrets;
        let mut changed: Vec<SecretName> = chosen.keys().chain(rotate).cloned().collect();
        for spec in &stack.secrets {
            let derives = spec.generator.sources().iter().any(|source| changed.contains(source));
            if derives && !changed.contains(&spec.name) {
                changed.push(spec.name.clone());
            }
        }
        kept.retain(|name, _| !changed.contains(name));
        kept.extend(chosen.iter().map(|(name, value)| (name.clone(), value.clone())));
        let mut all = secrets::make(stack, &kept, self.clock.now())?;
        all.retain(|name, _| changed.contains(name));
        Ok(all)
    }

    async fn prepare_destroy(&self, project: &ProjectRef) -> Result<Prepared> {
        let project = self.existing_project(project).await?;
        if matches!(project.status, Status::GoingDown | Status::Removed) {
            let operation = match project.status_operation {
                Some(id) => self.store.operation(id).await?,
                None => None,
            };
            return Ok(Prepared::Stands(Box::new(project), operation.map(Box::new)));
        }
        if project.protected {
            return Err(Error::detailed(
                Detail::Protected,
                format!("destroy project {}: it is protected; lift the protection first", project.reference),
            ));
        }
        let to = lifecycle::next(project.status, lifecycle::Trigger::Destroy)?;
        let status = Some(StatusChange { to, reason: None });
        let update = ProjectUpdate { status, ..ProjectUpdate::of(&project) };
        let operation = self.new_operation(OperationKind::Destroy, vec![], project.generation);
        Ok(Prepared::change(Change { preemption: Preemption::Cancel, ..command(update, operation) }))
    }

    async fn prepare_cancel(&self, id: OperationId) -> Result<Prepared> {
        let operation = self.store.operation(id).await?.ok_or_else(|| Error::not_found("operation", id))?;
        let project = self.existing_project(&operation.project).await?;
        if operation.state.has_ended() || operation.cancel_requested {
            return Ok(Prepared::Stands(Box::new(project), Some(Box::new(operation))));
        }
        let change = Change { cancel: Some(id), ..amend(ProjectUpdate::of(&project)) };
        Ok(Prepared::change(change))
    }

    /// The lifecycle's word on beginning an operation of that kind now. Whether another one is in its way, the store says
    /// when it is committed.
    pub(super) async fn begin(&self, project: &Project, kind: OperationKind) -> Result<ProjectUpdate> {
        let trigger = kind.trigger().ok_or_else(|| Error::internal("begin a project that exists already"))?;
        let Ok(to) = lifecycle::next(project.status, trigger) else {
            let in_flight = self.operation_in_flight(&project.reference).await?;
            return Err(lifecycle::illegal(project.status, trigger, in_flight.map(|operation| operation.id)));
        };
        let status = Some(StatusChange { to, reason: None });
        Ok(ProjectUpdate { guard: Guard::Idle, status, ..ProjectUpdate::of(project) })
    }

    async fn operation_in_flight(&self, project: &ProjectRef) -> Result<Option<Operation>> {
        let filter = OperationFilter {
            project: Some(*project),
            states: vec![OperationState::Running, OperationState::Waiting],
        };
        Ok(self.store.operations(&filter, &PageRequest::first(1)).await?.items.pop())
    }

    pub(super) async fn existing_project(&self, project: &ProjectRef) -> Result<Project> {
        self.store.project(project).await?.ok_or_else(|| Error::not_found("project", project))
    }

    /// A project that is not on its way out.
    async fn live_project(&self, project: &ProjectRef) -> Result<Project> {
        let project = self.existing_project(project).await?;
        if matches!(project.status, Status::Removed) {
            return Err(Error::not_found("project", format_args!("{}: it was destroyed", project.reference)));
        }
        Ok(project)
    }

    async fn known_services(&self, project: &ProjectRef, services: &[String]) -> Result<Vec<ServiceName>> {
        if services.is_empty() {
            return Ok(vec![]);
        }
        let project = self.existing_project(project).await?;
        let stack = self.stack_of(&project)?;
        let mut scope = Vec::with_capacity(services.len());
        for name in services {
            let service = &stack.known_service("services", name.trim())?.name;
            if project.excluded.contains(service) {
                let problem = format!("{service} is excluded from project {}", project.reference);
                return Err(Error::invalid("services", problem));
            }
            if !scope.contains(service) {
                scope.push(service.clone());
            }
        }
        Ok(scope)
    }

    pub(super) fn new_operation(
        &self,
        kind: OperationKind,
        scope: Vec<ServiceName>,
        generation: u64,
    ) -> NewOperation {
        NewOperation {
            id: self.new_operation_id(),
            kind,
            scope,
            accept_data_loss: vec![],
            generation,
            timeout: self.settings.timeouts.of(kind),
            delay: Duration::ZERO,
            planned_by: PLANNED_BY.to_owned(),
        }
    }

    fn new_operation_id(&self) -> OperationId {
        let mut random = [0; 10];
        self.rng().fill_bytes(&mut random);
        let millis = self.clock.now().unix_timestamp_nanos() / 1_000_000;
        let millis = u64::try_from(millis).unwrap_or_default();
        OperationId::from_uuid(uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid())
    }

    /// The target that was asked for; where none was, the only one there is that offers the stack.
    fn chosen_target(&self, create: &CreateProject) -> Result<&Target> {
        let known = || self.targets.keys().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
        if let Some(name) = &create.target {
            return self.targets.get(name).ok_or_else(|| {
                Error::invalid("target", format_args!("there is no target {name:?}: there are {}", known()))
            });
        }
        let offers = |target: &&Target| {
            create
                .stack
                .as_ref()
                .is_none_or(|stack| target.description.stacks.iter().any(|s| s.name == *stack))
        };
        match self.targets.values().filter(offers).collect::<Vec<_>>()[..] {
            [only] => Ok(only),
            [] if create.stack.is_some() => {
                let stacks = self.targets.values().flat_map(|target| &target.description.stacks);
                let stacks: Vec<_> = stacks.map(|stack| stack.name.as_str()).collect();
                let problem = format!("no target offers it: there are {}", stacks.join(", "));
                Err(Error::invalid("stack", problem))
            }
            _ => Err(Error::invalid("target", format_args!("choose one of {}", known()))),
        }
    }

    pub(super) fn target_of(&self, project: &Project) -> Result<&Target> {
        self.targets.get(&project.target).ok_or_else(|| {
            Error::new(
                crate::error::Kind::Unavailable,
                format!("reach target {}: this host does not serve it", project.target),
            )
        })
    }

    fn stack_of(&self, project: &Project) -> Result<&StackSpec> {
        let target = self.target_of(project)?;
        target.description.stacks.iter().find(|stack| stack.name == project.stack).ok_or_else(|| {
            Error::invalid(
                "stack",
                format_args!("target {} does not offer {} any more", target.name, project.stack),
            )
        })
    }
}

/// Whether the project is as it was when the caller decided.
fn check_seen(project: &Project, expected: Option<u64>) -> Result<()> {
    if expected.is_none_or(|version| version == project.version) {
        return Ok(());
    }
    let message =
        format!("change project {}: it changed since it was looked at; try again", project.reference);
    Err(Error::detailed(Detail::LostRace, message))
}

/// A change of the project's row alone.
pub(super) fn amend(update: ProjectUpdate) -> Change {
    Change {
        project: ProjectChange::Update(Box::new(update)),
        operation: None,
        preemption: Preemption::Refuse,
        cancel: None,
        sealed: vec![],
        idempotency: None,
        facts: vec![],
    }
}

/// A change that records an operation.
pub(super) fn command(update: ProjectUpdate, operation: NewOperation) -> Change {
    Change { operation: Some(operation), ..amend(update) }
}
