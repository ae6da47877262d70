//! Secrets that get other values, and repair, which gives them none.

use std::collections::{BTreeMap, BTreeSet};

use freehold_core::{
    Error, ExposeSecret as _, Kind, ProjectRef, SecretName, Status,
    control_plane::{Accepted, Reconfigure},
};

use super::Fixture;

async fn secrets(host: &Fixture, project: &ProjectRef) -> BTreeMap<String, String> {
    let secrets = host.control.secrets(project).await.unwrap();
    secrets.into_iter().map(|(name, value)| (name.to_string(), value.expose_secret().to_owned())).collect()
}

async fn rotate(host: &Fixture, project: &ProjectRef, names: &[&str]) -> Result<Accepted, Error> {
    let rotate: BTreeSet<_> = names.iter().map(|name| SecretName::new(*name).unwrap()).collect();
    host.control.reconfigure(project, Reconfigure { rotate, ..Reconfigure::default() }).await
}

fn changed(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<String> {
    assert!(before.keys().eq(after.keys()));
    before.iter().filter(|(name, value)| after[*name] != **value).map(|(name, _)| name.clone()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_rotated_secret_gets_a_new_value_and_so_does_the_token_that_it_signs() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    let before = secrets(&host, &demo).await;
    let accepted = rotate(&host, &demo, &["jwt_secret"]).await.unwrap();
    host.end(&accepted).await;
    let after = secrets(&host, &demo).await;
    assert_eq!(changed(&before, &after), ["anon_key", "jwt_secret"]);
    let project = host.wait(&demo, Status::ActiveHealthy).await;
    assert_eq!(project.generation, 2);
    host.end(&rotate(&host, &demo, &["db_password"]).await.unwrap()).await;
    assert_eq!(changed(&after, &secrets(&host, &demo).await), ["db_password"]);
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_the_stack_does_not_have_cannot_be_rotated_and_those_it_has_are_listed() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    let error = rotate(&host, &demo, &["nonsense"]).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert!(error.to_string().contains("db_password"), "{error}");
    let name = SecretName::new("db_password").unwrap();
    let both = Reconfigure {
        secrets: BTreeMap::from([(name.clone(), "chosen by the caller".into())]),
        rotate: BTreeSet::from([name]),
        ..Reconfigure::default()
    };
    assert_eq!(host.control.reconfigure(&demo, both).await.unwrap_err().kind(), Kind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn a_rotation_whose_attempts_fail_in_their_middle_settles_on_one_new_value() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    let before = secrets(&host, &demo).await;
    for _ in 0..2 {
        host.backend.fail_next("start service", Kind::Unavailable);
    }
    let accepted = rotate(&host, &demo, &["db_password"]).await.unwrap();
    let committed = secrets(&host, &demo).await;
    assert_eq!(changed(&before, &committed), ["db_password"]);
    host.end(&accepted).await;
    assert_eq!(secrets(&host, &demo).await, committed);
    let operation = host.control.operation(accepted.operation.unwrap().id).await.unwrap();
    assert_eq!(operation.attempt, 3);
    assert!(host.control.plan(&demo).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn repair_brings_everything_into_force_once_more_and_changes_no_secret() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    let before = secrets(&host, &demo).await;
    host.backend.kill(&demo, &"db".parse().unwrap());
    let accepted = host.control.repair(&demo).await.unwrap();
    host.end(&accepted).await;
    assert_eq!(secrets(&host, &demo).await, before);
    assert!(host.control.health(&demo).await.unwrap().is_healthy());
    assert_eq!(host.control.project(&demo).await.unwrap().generation, 2);
}

#[tokio::test(start_paused = true)]
async fn amended_variables_change_alone_and_without_a_value_are_the_stacks_own_again() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    let amend = |variables: &[(&str, Option<&str>)]| Reconfigure {
        amended: variables.iter().map(|(name, value)| ((*name).into(), value.map(Into::into))).collect(),
        ..Reconfigure::default()
    };
    let variables = async || {
        let variables = host.control.variables(&demo).await.unwrap();
        let shown = variables.into_iter().map(|(name, value)| format!("{name}={}", value.expose_secret()));
        shown.collect::<Vec<_>>()
    };
    let first = amend(&[("ROWS", Some("100")), ("SCHEMAS", Some("public"))]);
    host.end(&host.control.reconfigure(&demo, first).await.unwrap()).await;
    assert_eq!(variables().await, ["ROWS=100", "SCHEMAS=public"]);
    let second = amend(&[("ROWS", None), ("SCHEMAS", Some("api"))]);
    host.end(&host.control.reconfigure(&demo, second).await.unwrap()).await;
    assert_eq!(variables().await, ["SCHEMAS=api"]);
    let wrong = host.control.reconfigure(&demo, amend(&[("9", Some("x"))])).await.unwrap_err();
    assert_eq!(wrong.kind(), Kind::InvalidInput);
}
