//! A host is killed in the middle of a call, and another takes over.

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use freehold_core::{Destroyer as _, Provisioner as _};

use crate::world::{World, kill, minute, runs, until, written_pid};

/// Not a test of its own: the host that is killed. It runs where the variables say what to do.
#[tokio::test]
async fn host_that_is_killed() {
    let (Ok(data), Ok(project)) = (std::env::var("FREEHOLD_TEST_DATA"), std::env::var("FREEHOLD_TEST_REF"))
    else {
        println!("skipped: this is a part of the other tests here");
        return;
    };
    let backend = freehold_shell::ShellBackend::open(freehold_shell::Config {
        hooks: Some(format!("{data}/../hooks").into()),
        ..freehold_shell::Config::new(&data)
    });
    let _ = backend.unwrap().destroy(&minute(), &project.parse().unwrap()).await;
}

#[tokio::test]
async fn the_hook_of_a_host_that_was_killed_is_ended_before_another_acts() {
    let world = World::pretending(&[("destroy", include_str!("../hooks/hang"))]).await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "takeover::host_that_is_killed"])
        .env("FREEHOLD_TEST_DATA", &world.data)
        .env("FREEHOLD_TEST_REF", project.project.as_str())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let pid = world.root(&project).join("grandchild");
    let grandchild = until("the hook's grandchild", || written_pid(&pid)).await;
    kill("KILL", host.id());
    host.wait().unwrap();
    assert!(runs(grandchild), "a hook outlives its host, and holds the lock");

    let began = Instant::now();
    world.backend.pause(&minute(), &project).await.unwrap();
    assert!(!runs(grandchild));
    assert!(began.elapsed() < Duration::from_secs(50), "it waited for its own deadline");
    // The hook hangs for whoever calls it, so the folder goes another way.
    fs::remove_dir_all(world.data.join("projects").join(project.project.as_str())).unwrap();
}
