//! Testing one's own service against the mock target with a failure.
//!
//! The service is [`Signup`]: it gives each new customer a project, and has to tell them honestly when that failed. Its
//! test needs no engine: `MemoryBackend` keeps every promise of a backend, and misbehaves when told to.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Keyring, Kind, Result, Status,
    control_plane::{ControlPlane, CreateProject, TargetSettings},
    memory::{MemoryBackend, MemoryStore},
    seal::SealKey,
};

/// The service under test.
struct Signup {
    control: ControlPlane,
}

impl Signup {
    /// Gives a customer a project, and says what they are told.
    async fn welcome(&self, customer: &str) -> Result<String> {
        let create = CreateProject::new(customer.parse()?, "main".parse()?);
        let accepted = self.control.create(create, None).await?;
        let ended = [Status::ActiveHealthy, Status::InitFailed];
        let project = self.control.wait(&accepted.project.reference, &ended, Duration::from_secs(60)).await?;
        Ok(match project.status {
            Status::ActiveHealthy => format!("Welcome, {customer}! Your project is {}.", project.reference),
            _ => format!("Sorry, {customer}: we could not set up your project. We have been told."),
        })
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let backend = Arc::new(MemoryBackend::new()?);
    let control = ControlPlane::builder()
        .store(Arc::new(MemoryStore::new()))
        .sealer(Arc::new(Keyring::new(SealKey::random()?)))
        .target("mock".parse()?, Arc::clone(&backend) as _, TargetSettings::default())
        .build()
        .await?;
    let signup = Signup { control };

    let told = signup.welcome("alice").await?;
    assert!(told.starts_with("Welcome, alice!"), "{told}");
    println!("when all is well:      {told}");

    // The database of the next project will not start.
    backend.fail_next("start service", Kind::Internal);
    let told = signup.welcome("bob").await?;
    assert!(told.starts_with("Sorry, bob"), "{told}");
    println!("when a service fails:  {told}");

    // The engine goes away for a moment: the control plane tries again, and the customer notices nothing.
    backend.fail_next("start service", Kind::Unavailable);
    let told = signup.welcome("carol").await?;
    assert!(told.starts_with("Welcome, carol!"), "{told}");
    println!("when an engine blinks: {told}");

    signup.control.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
