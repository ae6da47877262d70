//! Callers who give one command after another.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use freehold_core::{ControlPlane, ProjectRef, control_plane::Accepted};

use crate::{
    figures::Figures,
    world::{Ends, World, create},
};

/// Lets every caller go round on its share of the projects: pause, resume, restart, and create and destroy another one,
/// so that as many projects are there in the end as before. A duration runs from the command to the event that tells its
/// end.
pub(crate) async fn run(world: &World, callers: usize, operations: usize) -> Figures {
    static ROUND: AtomicUsize = AtomicUsize::new(0);
    let round = ROUND.fetch_add(1, Ordering::Relaxed);
    let left = Arc::new(AtomicUsize::new(operations));
    let mut load = tokio::task::JoinSet::new();
    let (begun, before) = (Instant::now(), world.processor());
    for number in 0..callers.min(world.projects.len()) {
        let caller = Caller {
            host: world.hosts[number % world.hosts.len()].clone(),
            projects: world.projects.iter().skip(number).step_by(callers).copied().collect(),
            ends: Arc::clone(&world.ends),
            left: Arc::clone(&left),
            name: format!("extra {round}-{number}"),
            took: vec![],
        };
        load.spawn(caller.run());
    }
    let durations = load.join_all().await.into_iter().flatten().collect();
    Figures::new(durations, begun.elapsed(), world.processor().since(before))
}

struct Caller {
    host: ControlPlane,
    projects: Vec<ProjectRef>,
    ends: Arc<Ends>,
    left: Arc<AtomicUsize>,
    name: String,
    took: Vec<Duration>,
}

impl Caller {
    async fn run(mut self) -> Vec<Duration> {
        for project in self.projects.clone().into_iter().cycle() {
            let host = self.host.clone();
            self.measured(host.pause(&project)).await;
            self.measured(host.resume(&project)).await;
            self.measured(host.restart(&project, &[])).await;
            let name = self.name.clone();
            let extra = self.measured(async { Ok(create(&host, &name).await) }).await;
            self.measured(host.destroy(&extra)).await;
            // A round is always ended, so that everything is as it was.
            if self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(5))
                .is_err()
            {
                break;
            }
        }
        self.took
    }

    async fn measured(
        &mut self,
        command: impl Future<Output = freehold_core::Result<Accepted>>,
    ) -> ProjectRef {
        let begun = Instant::now();
        let accepted = command.await.expect("the command is taken");
        let project = accepted.project.reference;
        self.ends.wait(accepted).await;
        self.took.push(begun.elapsed());
        project
    }
}
