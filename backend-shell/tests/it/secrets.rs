//! Where secrets may be seen, and where not.

use std::{
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use freehold_core::{ExposeSecret as _, Kind, Provisioner as _, Scope};

use crate::world::{World, minute, secret};

const WITNESS: &str = include_str!("../hooks/witness");

#[tokio::test]
async fn a_hook_gets_secrets_on_standard_input_and_nowhere_else() {
    let world = World::pretending(&[("provision", WITNESS), ("destroy", WITNESS)]).await;
    let mut project = world.project();
    project.variables.insert("SMTP_PASSWORD".into(), "variable-canary".to_owned().into());
    world.backend.provision(&minute(), &project).await.unwrap();
    let seen =
        |what: &str| fs::read_to_string(world.root(&project).join(format!("provision.{what}"))).unwrap();

    let input: serde_json::Value = serde_json::from_str(&seen("stdin")).unwrap();
    assert_eq!(input["secrets"]["token"], secret(&project, "token"));
    assert_eq!(input["variables"]["SMTP_PASSWORD"], "variable-canary");
    assert_eq!(input["ports"][0]["port"], project.ports.first);
    assert_eq!(input["ref"], project.project.as_str());
    assert_eq!(input["annotations"]["region"], "here");

    let environment = seen("env");
    for expected in [
        format!("PROJECT_REF={}", project.project),
        "PROJECT_NAME=Ünïcödé '$(reboot)'".to_owned(),
        "PROJECT_ORG=acme".to_owned(),
        "PROJECT_REGION=here".to_owned(),
        format!("PROJECT_ROOT={}", world.root(&project).display()),
        "FREEHOLD_EPOCH=0".to_owned(),
        "FREEHOLD_LOCK_FD=9".to_owned(),
    ] {
        assert!(environment.lines().any(|line| line == expected), "{expected} is not in\n{environment}");
    }
    assert_eq!(seen("arguments"), "1\nprovision\n");
    for place in ["env", "argv"] {
        assert!(
            !seen(place).contains(secret(&project, "token")) && !seen(place).contains("variable-canary"),
            "{place}"
        );
    }
}

#[tokio::test]
async fn what_a_hook_says_of_a_secret_is_taken_out() {
    let world = World::pretending(&[("provision", include_str!("../hooks/blab"))]).await;
    let mut project = world.project();
    project.secrets.values_mut().for_each(|value| *value = "canary-in-the-coal-mine".into());
    let error = world.backend.provision(&minute(), &project).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "75 asks for another try");
    assert_eq!(error.message(), "provision: refused with ***");
    let report = error.report().unwrap();
    assert_eq!(
        (report.stdout.as_str(), report.stderr.as_str()),
        ("the token is ***\n", "the token is ***\n")
    );
    assert!(!format!("{error:?}{}", error.chain()).contains("canary"));
}

/// All of a machine's arguments and environments, again and again, while a project goes through its life.
#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_hooks_show_a_password_to_no_process_list() {
    let world = World::postgres().await;
    let project = world.project();
    let password = secret(&project, "db_pass").to_owned();
    let (over, canary) = (Arc::new(AtomicBool::new(false)), password.clone());
    let watching = over.clone();
    let watcher = std::thread::spawn(move || {
        let (mut rounds, mut seen) = (0, Vec::new());
        while !watching.load(Ordering::Relaxed) {
            for entry in fs::read_dir("/proc").unwrap().flatten() {
                for file in ["cmdline", "environ"] {
                    let text = fs::read(entry.path().join(file)).unwrap_or_default();
                    if text.windows(canary.len()).any(|window| window == canary.as_bytes()) {
                        seen.push(format!("{file}: {}", String::from_utf8_lossy(&text)));
                    }
                }
            }
            rounds += 1;
        }
        (rounds, seen)
    });
    let backend = &world.backend;
    let mut reports = vec![backend.provision(&minute(), &project).await.unwrap().report];
    backend.health(&minute(), &project).await.unwrap();
    reports.push(backend.pause(&minute(), &project).await.unwrap().report);
    reports.push(backend.resume(&minute(), &project).await.unwrap().report);
    reports.push(backend.restart(&minute(), &project, &Scope::All).await.unwrap().report);
    over.store(true, Ordering::Relaxed);
    let (rounds, seen) = watcher.join().unwrap();
    assert!(rounds > 10, "{rounds}");
    assert_eq!(seen, [""; 0]);
    assert!(!format!("{reports:?}{project:?}").contains(&password));
    let log = fs::read_to_string(world.root(&project).join("log/postgres.log")).unwrap();
    assert!(!log.contains(&password));
    assert!(!project.secrets.values().next().unwrap().expose_secret().is_empty());
}
