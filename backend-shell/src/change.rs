//! The calls that change a project: a step, the lock, a hook, and what it came to.

use std::{io, net::Ipv4Addr};

use freehold_core::{
    Address, Connection, Context, DatabaseConnection, Detail, Endpoint, Error, Outcome, ProjectRef, Result,
    Runtime, ServiceName,
    stack::{PortTarget, Protocol},
};
use time::OffsetDateTime;
use tokio::net::{TcpListener, UdpSocket};

use crate::{
    ShellBackend,
    error::Failure,
    folder::Record,
    hook::{Finished, Hook},
    input::Request,
    lock::ProjectLock,
    output::Output,
    stack::Stack,
};

impl ShellBackend {
    /// Makes the project's folder, unless it is there, and runs `provision`.
    pub(crate) async fn bring_up(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let stack = self.stack_of(&runtime.digest)?;
        let folder = self.folder.project(&runtime.project);
        if folder.record().is_none() {
            // Once the folder is there, its own project may be what listens: then the hook has to tell.
            ctx.step("check ports", "").await?;
            check_ports(&stack, runtime).await?;
        }
        ctx.step("make folder", "").await?;
        let lock = ProjectLock::take(ctx, folder.clone()).await?;
        folder.begin(&Record {
            project: runtime.project,
            installation: Some(runtime.installation.clone()),
            stack: stack.spec.name.to_string(),
            digest: stack.spec.digest.clone(),
            created: OffsetDateTime::now_utc(),
        })?;
        self.change_locked(ctx, Hook::Provision, &stack, runtime, &[], &lock).await
    }

    /// Runs the hook of any other change.
    pub(crate) async fn change(
        &self,
        ctx: &Context,
        hook: Hook,
        runtime: &Runtime,
        named: &[ServiceName],
    ) -> Result<Outcome> {
        let stack = self.stack_of(&runtime.digest)?;
        let mut services = stack.services(named)?;
        services.retain(|service| named.contains(service) || !runtime.excluded.contains(service));
        let folder = self.folder.project(&runtime.project);
        if folder.record().is_none() {
            runtime.accepts_loss_of([folder.path().display().to_string()])?;
            return self.bring_up(ctx, runtime).await;
        }
        if hook != Hook::Pause && !folder.root().is_dir() {
            runtime.accepts_loss_of([folder.root().display().to_string()])?;
            return self.bring_up(ctx, runtime).await;
        }
        ctx.step("lock folder", "").await?;
        let lock = ProjectLock::take(ctx, folder).await?;
        self.change_locked(ctx, hook, &stack, runtime, &services, &lock).await
    }

    async fn change_locked(
        &self,
        ctx: &Context,
        hook: Hook,
        stack: &Stack,
        runtime: &Runtime,
        services: &[ServiceName],
        lock: &ProjectLock,
    ) -> Result<Outcome> {
        ctx.step(hook.as_str(), "").await?;
        let request = Request { services, ..Self::request(ctx, hook, stack, Some(runtime)) };
        let Finished { output, report } = self.invocation(stack, &request, Some(lock))?.run(ctx).await?;
        let connection = match hook {
            Hook::Pause => None,
            _ => match self.connection(hook, stack, runtime, output) {
                Ok(connection) => Some(connection),
                Err(error) => return Err(error.with_report(report)),
            },
        };
        Ok(Outcome { connection, report })
    }

    /// Runs `destroy` and removes the folder. The hook is run also when there is no folder: there may be something left
    /// elsewhere.
    pub(crate) async fn tear_down(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome> {
        let folder = self.folder.project(project);
        let digest = folder.record().map(|record| record.digest);
        // A record that names a stack which is not kept any more leaves the present one, which may know.
        let stack = match digest.and_then(|digest| self.stack_of(&digest).ok()) {
            Some(stack) => stack,
            None => self.present()?,
        };
        ctx.step("lock folder", "").await?;
        let lock = ProjectLock::take(ctx, folder.clone()).await?;

        ctx.step(Hook::Destroy.as_str(), "").await?;
        let request = Request { project: Some(project), ..Self::request(ctx, Hook::Destroy, &stack, None) };
        let left = |error: Error| error.with("left", folder.path().display());
        let Finished { report, .. } =
            self.invocation(&stack, &request, Some(&lock))?.run(ctx).await.map_err(left)?;

        ctx.step("remove folder", "").await?;
        let removed = folder.clone();
        let removed = tokio::task::spawn_blocking(move || removed.remove())
            .await
            .map_err(|error| Error::internal("remove the project's folder").because(error))?;
        removed.map_err(|failure| left(failure.into()))?;
        drop(lock);
        Ok(Outcome { connection: None, report })
    }

    /// How the project is reached: the stack says by which ports, the hook may say where.
    fn connection(&self, hook: Hook, stack: &Stack, runtime: &Runtime, output: Output) -> Result<Connection> {
        let internal = output.internal_host.unwrap_or_else(|| Ipv4Addr::LOCALHOST.to_string());
        let public = output.public_host.unwrap_or_else(|| self.config.public_host.clone());
        let endpoint = |service: &ServiceName, container_port: u16| {
            let offset = stack.spec.port_offset(service, container_port, Protocol::Tcp);
            let port = offset.and_then(|offset| runtime.ports.port(offset)).ok_or_else(|| {
                Error::internal(format!("find a port for {service}: {} were given", runtime.ports.count))
            })?;
            let at = |host: &String| Address { host: host.clone(), port };
            Ok::<_, Error>(Endpoint { internal: at(&internal), public: at(&public) })
        };
        let target = |target: &Option<PortTarget>| {
            target.as_ref().map(|target| endpoint(&target.service, target.port)).transpose()
        };
        let database = match &stack.spec.database {
            None => None,
            Some(database) => Some(DatabaseConnection {
                endpoint: endpoint(&database.service, database.port)?,
                user: database.user.clone(),
                name: database.name.clone(),
                password: database.password.clone(),
                version: output.database_version.ok_or_else(|| Failure::Answer {
                    hook,
                    problem: "the version of the database is missing (DATABASE_VERSION)".to_owned(),
                })?,
            }),
        };
        Ok(Connection {
            database,
            pooler: target(&stack.spec.pooler)?,
            api: target(&stack.spec.gateway)?,
            secrets: stack.spec.secrets.iter().map(|secret| secret.name.clone()).collect(),
        })
    }
}

/// Fails with `PortTaken` if somebody listens on one of the project's ports.
async fn check_ports(stack: &Stack, runtime: &Runtime) -> Result<()> {
    for (spec, port) in stack.spec.ports.iter().zip(runtime.ports.iter()) {
        let address = (Ipv4Addr::LOCALHOST, port);
        let bound = match spec.protocol {
            Protocol::Tcp => TcpListener::bind(address).await.map(drop),
            Protocol::Udp => UdpSocket::bind(address).await.map(drop),
        };
        match bound {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let message = format!("use port {port}: another program holds it");
                return Err(
                    Error::detailed(Detail::PortTaken { port }, message).with("service", &spec.service)
                );
            }
            // Whatever else is wrong with it, the hook meets it too and knows whether it matters.
            _ => {}
        }
    }
    Ok(())
}
