//! Testing one's own service against projects that fail.
//!
//! The service is [`Signup`]: it gives each new customer a project, and has to tell them honestly when that failed. Its
//! test needs no engine: the store and the backend in memory keep every promise, and a fault plan breaks some.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Keyring, Kind, Result, Status,
    control_plane::{Accepted, ControlPlane, CreateProject, TargetSettings},
    faults::{Fault, Faults, Injector, Then},
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
        let accepted = self.project_for(customer).await?;
        let ended = [Status::ActiveHealthy, Status::InitFailed];
        let project = self.control.wait(&accepted.project.reference, &ended, Duration::from_secs(60)).await?;
        Ok(match project.status {
            Status::ActiveHealthy => format!("Welcome, {customer}! Your project is {}.", project.reference),
            _ => format!("Sorry, {customer}: we could not set up your project. We have been told."),
        })
    }

    /// Asks for a project, and asks again if no answer comes. The idempotency key keeps that from making two.
    async fn project_for(&self, customer: &str) -> Result<Accepted> {
        let mut tries = 0;
        loop {
            let create = CreateProject::new(customer.parse()?, "main".parse()?);
            match self.control.create(create, Some("sign-up")).await {
                Err(error) if error.kind() == Kind::Unavailable && tries < 3 => tries += 1,
                answer => return answer,
            }
        }
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let start = "step start service db";
    let faults = vec![
        // The second customer's database does not start.
        Fault::new(start, Then::Fail(Kind::Internal)).nth(2),
        // The engine goes away for a moment when it is to start the third one's.
        Fault::new(start, Then::Fail(Kind::Unavailable)).nth(3),
        // The fourth project is recorded, and the answer is lost.
        Fault::new("store commit after", Then::Fail(Kind::Unavailable)).nth(4),
    ];
    let control = ControlPlane::builder()
        .store(Arc::new(MemoryStore::new()))
        .sealer(Arc::new(Keyring::new(SealKey::random()?)))
        .target("mock".parse()?, Arc::new(MemoryBackend::new()?), TargetSettings::default())
        .faults(Arc::new(Injector::new(Faults { faults, ..Faults::default() })?))
        .build()
        .await?;
    let signup = Signup { control };

    let told = signup.welcome("alice").await?;
    assert!(told.starts_with("Welcome, alice!"), "{told}");
    println!("when all is well:         {told}");

    let told = signup.welcome("bob").await?;
    assert!(told.starts_with("Sorry, bob"), "{told}");
    println!("when a service fails:     {told}");

    // The control plane tries again, and the customer notices nothing.
    let told = signup.welcome("carol").await?;
    assert!(told.starts_with("Welcome, carol!"), "{told}");
    println!("when an engine blinks:    {told}");

    let told = signup.welcome("dave").await?;
    assert!(told.starts_with("Welcome, dave!"), "{told}");
    println!("when an answer is lost:   {told}");

    signup.control.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
