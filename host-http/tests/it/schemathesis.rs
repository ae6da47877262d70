//! Schemathesis asks the host whatever its documents allow and more: no answer is a fault, none has a status that its
//! document does not know.
//!
//! `FREEHOLD_EXAMPLES` (3) and `FREEHOLD_EXAMPLE_SECONDS` (8) bound what each document is asked; with `FREEHOLD_SEED` it is
//! asked something else each time.

use std::{env, path::Path, time::Duration};

use freehold_core::accounts::AccountStore;
use freehold_host::{openapi, server};
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::people::{People, session};

/// What does not end, and what would leave nothing to ask.
const LEFT_OUT: [&str; 5] = [
    "follow_events",
    "destroy",
    "deleteProjectsRef",
    "deleteOrganizationsSlug",
    "deleteOrganizationsSlugMembersGotrueId",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_request_of_schemathesis_is_answered_by_a_fault_or_an_undocumented_status() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/fetch-schemathesis");
    let fetched = Command::new(script).output().await.unwrap();
    if !fetched.status.success() {
        let said = String::from_utf8_lossy(&fetched.stderr).trim().to_owned();
        assert!(env::var("CI").is_err(), "Schemathesis is not to be had: {said}");
        eprintln!("skipped: Schemathesis is not to be had: {said}");
        return;
    }
    let program = String::from_utf8_lossy(&fetched.stdout).trim().to_owned();
    let number = |name: &str, default: u64| env::var(name).map_or(default, |text| text.parse().unwrap());
    let (examples, seconds) = (number("FREEHOLD_EXAMPLES", 3), number("FREEHOLD_EXAMPLE_SECONDS", 8));

    let documents = [
        ("freehold", openapi::json()),
        ("studio", openapi::studio_json()),
        ("management", openapi::management_json()),
    ];
    for (name, document) in documents {
        for credential in [Some(session("owner")), None] {
            // New ones, because what is asked changes much.
            let people = People::new().await;
            let project = people.project("asked").await;
            // The organization of the documents' examples.
            let owner = people.person("owner").await;
            let default = "default".parse().unwrap();
            people.accounts.create_organization(&default, "Default", Some(owner.id)).await.unwrap();
            let folder = tempfile::tempdir().unwrap();
            let file = |name: &str, text: &str| {
                let path = folder.path().join(name);
                std::fs::write(&path, text).unwrap();
                path
            };
            // 501 and 503 are answers here: what a stack does not have, and what is not up.
            let config = format!(
                "[parameters]\n\"path.ref\" = \"{project}\"\n\"path.slug\" = \"acme\"\n\
                 [checks.not_a_server_error]\nexpected-statuses = [\"2xx\", \"3xx\", \"4xx\", 501, 503]\n"
            );
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let stop = CancellationToken::new();
            let grace = Duration::from_secs(5);
            let served = tokio::spawn(server::serve(listener, people.filter.clone(), stop.clone(), grace));
            let mut asking = Command::new(&program);
            asking
                .current_dir(folder.path())
                .arg("--config-file")
                .arg(file("schemathesis.toml", &config))
                .arg("run")
                .arg(file("openapi.json", document.as_ref().unwrap()))
                .args(["--url", &url, "--phases", "examples,fuzzing", "--no-color", "--continue-on-failure"])
                .args(["--checks", "not_a_server_error,status_code_conformance"])
                .args(["--max-examples", &examples.to_string(), "--max-time", &seconds.to_string()])
                .args(["--request-timeout", "35", "--no-shrink", "--warnings", "off"]);
            match env::var("FREEHOLD_SEED") {
                Ok(seed) => asking.args(["--seed", &seed]),
                Err(_) => asking.arg("--generation-deterministic"),
            };
            for operation in LEFT_OUT.iter().filter(|operation| {
                document.as_ref().unwrap().contains(&format!("\"operationId\": \"{operation}\""))
            }) {
                asking.args(["--exclude-operation-id", operation]);
            }
            if let Some(credential) = &credential {
                asking.arg("--header").arg(format!("Authorization: Bearer {credential}"));
            }
            let asked = asking.kill_on_drop(true).output().await.unwrap();
            stop.cancel();
            served.await.unwrap();
            let said = String::from_utf8_lossy(&asked.stdout);
            let who = if credential.is_some() { "the owner" } else { "nobody" };
            assert!(
                asked.status.success(),
                "{name} as {who}:\n{said}\n{}",
                String::from_utf8_lossy(&asked.stderr)
            );
            let cases =
                said.lines().find(|line| line.contains(" generated")).unwrap_or("nothing was asked").trim();
            assert!(cases.contains("passed"), "{name} as {who}: {said}");
            let asked = cases.split(' ').next().unwrap_or_default();
            println!("count: {asked} requests of Schemathesis");
        }
    }
}
