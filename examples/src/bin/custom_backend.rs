//! A backend of the reader's own, `freehold_examples::key_value`, under a control plane: data that outlives a pause.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Keyring, Status,
    control_plane::{ControlPlane, CreateProject, TargetSettings},
    memory::MemoryStore,
    seal::SealKey,
};
use freehold_examples::key_value::{KeyValueServers, ask};

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let control = ControlPlane::builder()
        .store(Arc::new(MemoryStore::default()))
        .sealer(Arc::new(Keyring::new(SealKey::random()?)))
        .target("kv".parse()?, Arc::new(KeyValueServers::default()), TargetSettings::default())
        .build()
        .await?;

    let demo =
        control.create(CreateProject::new("acme".parse()?, "demo".parse()?), None).await?.project.reference;
    let project = control.wait(&demo, &[Status::ActiveHealthy], PATIENCE).await?;
    let address = project.connection.and_then(|connection| connection.api).ok_or("no address")?.public;
    println!("demo is {} at {address}", project.status);
    println!("set greeting: {}", ask(&address, "set greeting hello").await?);

    control.pause(&demo).await?;
    println!("paused: {}", control.wait(&demo, &[Status::Inactive], PATIENCE).await?.status);
    control.resume(&demo).await?;
    control.wait(&demo, &[Status::ActiveHealthy], PATIENCE).await?;
    println!("after resume, greeting is still: {}", ask(&address, "get greeting").await?);

    control.destroy(&demo).await?;
    println!("destroyed: {}", control.wait(&demo, &[Status::Removed], PATIENCE).await?.status);
    control.shutdown(PATIENCE).await;
    Ok(())
}
