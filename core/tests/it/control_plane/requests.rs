//! What callers may ask for, and what they are told when they may not.

use std::{collections::BTreeMap, sync::Arc};

use freehold_core::{
    ControlPlane, Detail, ExposeSecret, FirstRunFile, Keyring, Kind, Limits, PageRequest, ProjectFilter,
    Status,
    control_plane::{Amendment, Reconfigure, TargetSettings},
    memory::{MemoryBackend, MemoryStack, MemoryStore},
    project::Annotations,
    store::{Bounds, PortPool},
};

use super::{Fixture, calm, demo};

#[tokio::test(start_paused = true)]
async fn bad_input_names_the_field_and_the_way_out() {
    let host = Fixture::new().await;
    let refused = async |create| {
        let error = host.control.create(create, None).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput);
        error.to_string()
    };
    let mut unknown_service = demo("a");
    unknown_service.excluded = Some(vec!["metrix".into()]);
    assert!(refused(unknown_service).await.contains("db, api, worker, metrics"));
    let other_target = demo("a").on("moon".parse().unwrap());
    assert!(refused(other_target).await.contains("there are local"));
    let other_stack = demo("a").stack("x".parse().unwrap());
    assert!(refused(other_stack).await.contains("there are mock"));
    assert!(refused(demo("a").variable("9X", "x")).await.starts_with("variables: "));
    assert!(
        refused(demo("a").secret("nope".parse().unwrap(), "x")).await.contains("db_password, jwt_secret")
    );
    let mut twice = demo("a");
    let file = FirstRunFile::new("a.sql", "select 1").unwrap();
    twice.first_run = vec![file.clone(), file];
    assert!(refused(twice).await.contains("twice"));
    let mut tiny = demo("a");
    tiny.limits = Limits { memory_bytes: Some(1), cpus: None };
    assert!(refused(tiny).await.starts_with("limits.memory_bytes"));
}

#[tokio::test(start_paused = true)]
async fn no_word_on_exclusions_means_the_defaults_and_an_empty_list_excludes_nothing() {
    let host = Fixture::new().await;
    assert_eq!(
        host.create("a").await.project.excluded,
        [freehold_core::ServiceName::new("metrics").unwrap()]
    );
    let mut all = demo("b");
    all.excluded = Some(vec![]);
    let project = host.control.create(all, None).await.unwrap().project.reference;
    host.wait(&project, Status::ActiveHealthy).await;
    assert_eq!(host.control.health(&project).await.unwrap().services.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_chosen_secret_is_the_real_one_and_others_differ_between_projects() {
    let host = Fixture::new().await;
    let chosen = demo("a").secret("db_password".parse().unwrap(), r#"q"uo\te$"#);
    let one = host.control.create(chosen, None).await.unwrap().project.reference;
    let two = host.create("b").await.project.reference;
    let (one, two) = (host.control.secrets(&one).await.unwrap(), host.control.secrets(&two).await.unwrap());
    let value = |secrets: &BTreeMap<_, freehold_core::SecretString>, name: &str| {
        secrets[&freehold_core::SecretName::new(name).unwrap()].expose_secret().to_owned()
    };
    assert_eq!(value(&one, "db_password"), r#"q"uo\te$"#);
    assert_ne!(value(&one, "jwt_secret"), value(&two, "jwt_secret"));
}

#[tokio::test(start_paused = true)]
async fn rotating_a_signing_key_makes_the_tokens_anew_that_it_signs() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    let before = host.control.secrets(&demo).await.unwrap();
    let key: freehold_core::SecretName = "jwt_secret".parse().unwrap();
    let settings = Reconfigure {
        secrets: BTreeMap::from([(key.clone(), "another-key".into())]),
        ..Reconfigure::default()
    };
    host.control.reconfigure(&demo, settings).await.unwrap();
    let project = host.wait(&demo, Status::ActiveHealthy).await;
    assert_eq!(project.generation, 2);
    let after = host.control.secrets(&demo).await.unwrap();
    let same = |name: &str| {
        let name = name.parse().unwrap();
        before[&name].expose_secret() == after[&name].expose_secret()
    };
    assert_eq!(after[&key].expose_secret(), "another-key");
    assert!(same("db_password") && !same("anon_key"));
}

#[tokio::test(start_paused = true)]
async fn the_same_key_and_request_are_carried_out_once_and_another_request_is_a_conflict() {
    let host = Fixture::new().await;
    let secret = |value: &str| demo("demo").secret("db_password".parse().unwrap(), value);
    let first = host.control.create(secret("one-password"), Some("key-1")).await.unwrap();
    let again = host.control.create(secret("one-password"), Some("key-1")).await.unwrap();
    assert!(again.replayed && !first.replayed);
    assert_eq!(again.project.reference, first.project.reference);
    let error = host.control.create(secret("other-password"), Some("key-1")).await.unwrap_err();
    assert_eq!(error.detail(), Some(&Detail::KeyReused), "the secret is part of the request");
}

#[tokio::test(start_paused = true)]
async fn an_exhausted_bound_names_its_setting() {
    let bounded = |bounds| TargetSettings { bounds, ..TargetSettings::default() };
    let few_ports =
        TargetSettings { port_pool: PortPool { first: 20_000, last: 20_002 }, ..TargetSettings::default() };
    let one = Some(1);
    for (target, setting) in [
        (few_ports, "port_pool"),
        (bounded(Bounds { max_projects: one, ..Bounds::default() }), "max_projects"),
        (
            bounded(Bounds { max_projects_per_organization: one, ..Bounds::default() }),
            "max_projects_per_organization",
        ),
    ] {
        let host = Fixture::with(calm(), target).await;
        let first = host.active("first").await;
        let error = host.control.create(demo("second"), None).await.unwrap_err();
        assert!(
            matches!(error.detail(), Some(Detail::Bound { setting: named, .. }) if named == setting),
            "{setting}: {error:?}"
        );
        host.control.destroy(&first).await.unwrap();
        host.wait(&first, Status::Removed).await;
        host.active("second").await;
    }
}

#[tokio::test(start_paused = true)]
async fn lists_are_filtered_and_paged_without_gaps_while_rows_come() {
    let host = Fixture::new().await;
    for name in ["a", "b", "c"] {
        host.create(name).await;
    }
    let filter = ProjectFilter::default();
    let first = host.control.projects(&filter, &PageRequest::first(2)).await.unwrap();
    host.create("d").await;
    let page = PageRequest::first(2).after(first.next.clone().unwrap());
    let second = host.control.projects(&filter, &page).await.unwrap();
    let names: Vec<_> =
        first.items.iter().chain(&second.items).map(|project| project.name.to_string()).collect();
    assert_eq!((names, second.next), (vec!["a".into(), "b".into(), "c".into(), "d".into()], None));

    let named = ProjectFilter { name: Some("C".parse().unwrap()), ..ProjectFilter::default() };
    assert_eq!(host.control.projects(&named, &PageRequest::default()).await.unwrap().items.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stack_that_one_target_offers_needs_no_target_to_be_named() {
    let named = |name: &str| {
        let mut stack = MemoryStack::mock().unwrap();
        stack.spec.name = name.parse().unwrap();
        Arc::new(MemoryBackend::new().unwrap().with_stacks(vec![stack]).with_engine(name))
    };
    let control = ControlPlane::builder()
        .store(Arc::new(MemoryStore::new()))
        .sealer(Arc::new(Keyring::new(super::key())))
        .target("left".parse().unwrap(), named("blog"), TargetSettings::default())
        .target("right".parse().unwrap(), named("shop"), TargetSettings::default())
        .build()
        .await
        .unwrap();
    let shop = control.create(demo("a").stack("shop".parse().unwrap()), None).await.unwrap();
    assert_eq!(shop.project.target.as_str(), "right");
    let error = control.create(demo("b"), None).await.unwrap_err().to_string();
    assert!(error.contains("choose one of left, right"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn what_was_decided_on_a_project_that_changed_since_is_a_lost_race_and_changes_nothing() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    let seen = host.control.project(&demo).await.unwrap().version;
    let note = |text: &str| {
        let entries = BTreeMap::from([("note".to_owned(), text.to_owned())]);
        (Some(Annotations::new(entries).unwrap()), Some(seen))
    };
    let amendment = |text: &str| {
        let (annotations, expected) = note(text);
        Amendment { annotations, expected, ..Amendment::default() }
    };
    let settings = |text: &str| {
        let (annotations, expected) = note(text);
        Reconfigure { annotations, expected, ..Reconfigure::default() }
    };
    let first = host.control.amend(&demo, amendment("first")).await.unwrap();
    let late = host.control.amend(&demo, amendment("late")).await.unwrap_err();
    assert!(late.is_lost_race(), "{late:?}");
    let late = host.control.reconfigure(&demo, settings("late")).await.unwrap_err();
    assert!(late.is_lost_race(), "{late:?}");
    assert_eq!(host.control.project(&demo).await.unwrap(), first);
    let again = Reconfigure { expected: Some(first.version), ..settings("again") };
    let accepted = host.control.reconfigure(&demo, again).await.unwrap();
    assert_eq!(accepted.project.annotations.value("note"), Some("again"));
}
