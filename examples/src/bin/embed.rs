//! A control plane inside someone else's program: one library call gives a running, isolated project.
//!
//! Each project here is a real PostgreSQL of its own, run by the hooks that `freehold-shell` ships. The store is in
//! memory; put `freehold_pg::PgStore` in its place to keep projects across restarts.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Keyring, Status,
    control_plane::{ControlPlane, CreateProject, TargetSettings},
    memory::MemoryStore,
    seal::SealKey,
};
use freehold_shell::{Config, ShellBackend};

const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder =
        std::env::args().nth(1).ok_or("usage: embed FOLDER (an empty folder for the projects' data)")?;
    let backend = ShellBackend::open(Config::new(folder))?;
    let control = ControlPlane::builder()
        .store(Arc::new(MemoryStore::new()))
        .sealer(Arc::new(Keyring::new(SealKey::random()?)))
        .target("local".parse()?, Arc::new(backend), TargetSettings::default())
        .build()
        .await?;

    let accepted = control.create(CreateProject::new("acme".parse()?, "demo".parse()?), None).await?;
    let demo = accepted.project.reference;
    let project = control.wait(&demo, &[Status::ActiveHealthy], PATIENCE).await?;
    let database = project.connection.and_then(|connection| connection.database).ok_or("no database")?;
    println!("{demo} is {}: PostgreSQL {} at {}", project.status, database.version, database.endpoint.public);

    control.destroy(&demo).await?;
    println!("{demo} is {}", control.wait(&demo, &[Status::Removed], PATIENCE).await?.status);
    control.shutdown(PATIENCE).await;
    Ok(())
}
