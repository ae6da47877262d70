//! What engine and store do not agree on: told, and removed where it is ours and has no owner.

use std::{collections::BTreeMap, time::Duration};

use freehold_core::{
    Annotations, Context, Destroyer as _, Fact, HashKey, Kind, Limits, PortBlock, Project, ProjectRef,
    Provisioner as _, Runtime, SecretString, Status,
    clock::TokioClock,
    control_plane::{Diagnosis, Finding, Removal, Settings, TargetSettings, Trouble},
    memory::MemoryBackend,
    store::Store as _,
};
use std::sync::Arc;
use time::macros::datetime;

use super::{Fixture, calm, new_store, started};

const MINUTE: Duration = Duration::from_secs(60);

/// A host whose engine tells ages by the same paused clock.
async fn host(settings: Settings) -> Fixture {
    let clock = Arc::new(TokioClock::starting_at(datetime!(2026-11-23 00:00 UTC)));
    let (store, backend) = (new_store(), Arc::new(MemoryBackend::new().unwrap().on_clock(clock)));
    let control = started(&store, &backend, settings, TargetSettings::default()).await.unwrap();
    Fixture { control, backend, store }
}

/// No sweeper: what the doctor finds stays until the doctor removes it.
fn alone() -> Settings {
    Settings { sweep: Duration::ZERO, ..calm() }
}

/// Lets something of a project land on the engine behind the store's back.
async fn land(host: &Fixture, project: ProjectRef, installation: &str, first: u16) {
    let stack = &host.control.targets()[0].description.stacks[0];
    let runtime = Runtime {
        project,
        installation: installation.parse().unwrap(),
        name: "late".parse().unwrap(),
        organization: "acme".parse().unwrap(),
        annotations: Annotations::default(),
        stack: stack.name.clone(),
        digest: stack.digest.clone(),
        generation: 1,
        ports: PortBlock { first, count: stack.port_count() },
        subnet: None,
        secrets: stack.secrets.iter().map(|s| (s.name.clone(), SecretString::from("late"))).collect(),
        hash_key: HashKey::new(vec![1; 32]),
        excluded: stack.exclusions(None).unwrap(),
        variables: BTreeMap::new(),
        accept_data_loss: vec![],
        first_run: vec![],
        limits: Limits::default(),
    };
    host.backend.provision(&Context::new(MINUTE), &runtime).await.unwrap();
}

fn stranger(letter: char) -> ProjectRef {
    letter.to_string().repeat(ProjectRef::LEN).parse().unwrap()
}

fn findings(diagnosis: &Diagnosis) -> &[Finding] {
    diagnosis.targets.values().next().unwrap().as_ref().unwrap()
}

fn only(diagnosis: &Diagnosis) -> &Finding {
    match findings(diagnosis) {
        [finding] => finding,
        other => panic!("{other:?}"),
    }
}

async fn ours(host: &Fixture) -> String {
    host.store.setting("installation").await.unwrap().unwrap()
}

async fn removed(host: &Fixture, name: &str) -> Project {
    let project = host.active(name).await;
    host.control.destroy(&project).await.unwrap();
    host.wait(&project, Status::Removed).await
}

async fn holds(host: &Fixture, project: ProjectRef) -> bool {
    let holdings = host.backend.inventory(&Context::new(MINUTE)).await.unwrap();
    holdings.iter().any(|holding| holding.project == project)
}

#[tokio::test(start_paused = true)]
async fn where_engine_and_store_agree_the_doctor_finds_nothing() {
    let host = host(alone()).await;
    host.active("demo").await;
    let paused = host.active("paused").await;
    host.control.pause(&paused).await.unwrap();
    host.wait(&paused, Status::Inactive).await;
    removed(&host, "gone").await;
    let diagnosis = host.control.doctor(Removal::OlderThan(Duration::ZERO)).await;
    assert!(diagnosis.is_well() && findings(&diagnosis).is_empty(), "{diagnosis:?}");
}

#[tokio::test(start_paused = true)]
async fn a_live_project_of_which_the_engine_has_nothing_is_missing_and_not_removed() {
    let host = host(alone()).await;
    let demo = host.active("demo").await;
    host.backend.destroy(&Context::new(MINUTE), &demo).await.unwrap();
    let diagnosis = host.control.doctor(Removal::OlderThan(Duration::ZERO)).await;
    let finding = only(&diagnosis);
    assert_eq!((finding.project, finding.trouble), (demo, Trouble::Missing));
    assert_eq!(finding.status, Some(Status::ActiveHealthy));
    assert!(finding.removed.is_none() && !diagnosis.is_well());
}

#[tokio::test(start_paused = true)]
async fn what_is_left_of_a_failed_project_is_told_with_its_age_and_left_to_its_owner() {
    let host = host(alone()).await;
    host.backend.fail_next("start service", Kind::Internal);
    host.backend.fail_next("remove data", Kind::Internal);
    let demo = host.create("demo").await.project.reference;
    host.wait(&demo, Status::InitFailed).await;
    tokio::time::advance(120 * MINUTE).await;
    let diagnosis = host.control.doctor(Removal::OlderThan(Duration::ZERO)).await;
    let finding = only(&diagnosis);
    assert_eq!((finding.trouble, finding.status), (Trouble::Failed, Some(Status::InitFailed)));
    assert_eq!(finding.since.unwrap().date(), datetime!(2026-11-23 00:00 UTC).date());
    assert!(finding.removed.is_none() && holds(&host, demo).await);
}

#[tokio::test(start_paused = true)]
async fn what_has_no_owner_is_removed_once_it_is_older_than_the_grace_period() {
    let host = host(alone()).await;
    let ours = ours(&host).await;
    let gone = removed(&host, "gone").await.reference;
    land(&host, gone, &ours, 21_000).await;
    land(&host, stranger('x'), &ours, 21_010).await;
    tokio::time::advance(Duration::from_secs(600)).await;

    let young = host.control.doctor(Removal::AfterGrace).await;
    assert!(findings(&young).iter().all(|finding| finding.removed.is_none()), "{young:?}");
    let told = |diagnosis: &Diagnosis| {
        let mut troubles: Vec<_> = findings(diagnosis).iter().map(|finding| finding.trouble).collect();
        troubles.sort_unstable();
        troubles
    };
    assert_eq!(told(&young), [Trouble::Unknown, Trouble::Removed]);
    assert!(holds(&host, gone).await && holds(&host, stranger('x')).await);

    let old = host.control.doctor(Removal::OlderThan(Duration::from_secs(600))).await;
    assert_eq!(told(&old), [Trouble::Unknown, Trouble::Removed]);
    assert!(old.is_well(), "{old:?}");
    assert!(!holds(&host, gone).await && !holds(&host, stranger('x')).await);
    assert!(findings(&host.control.doctor(Removal::Never).await).is_empty());
}

#[tokio::test(start_paused = true)]
async fn another_installations_project_is_told_and_never_removed() {
    let host = host(alone()).await;
    land(&host, stranger('x'), "somebody-else", 21_000).await;
    let gone = removed(&host, "gone").await.reference;
    land(&host, gone, "somebody-else", 21_010).await;
    let diagnosis = host.control.doctor(Removal::OlderThan(Duration::ZERO)).await;
    assert!(findings(&diagnosis).iter().all(|finding| finding.trouble == Trouble::Foreign), "{diagnosis:?}");
    assert!(diagnosis.is_well() && findings(&diagnosis).len() == 2);
    assert!(holds(&host, stranger('x')).await && holds(&host, gone).await);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_does_not_answer_is_told_and_nothing_is_concluded_from_its_silence() {
    let host = host(alone()).await;
    host.active("demo").await;
    host.backend.disconnect();
    let diagnosis = host.control.doctor(Removal::OlderThan(Duration::ZERO)).await;
    assert!(!diagnosis.is_well());
    let error = diagnosis.targets.into_values().next().unwrap().unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn the_sweeper_removes_what_lands_after_removed_and_the_events_say_so() {
    let settings = Settings { sweep: MINUTE, grace: 5 * MINUTE, ..calm() };
    let host = host(settings).await;
    let ours = ours(&host).await;
    let gone = removed(&host, "gone").await.reference;
    land(&host, gone, &ours, 21_000).await;
    land(&host, stranger('x'), &ours, 21_010).await;
    tokio::time::sleep(4 * MINUTE).await;
    assert!(holds(&host, gone).await, "it is younger than the grace period");

    tokio::time::timeout(60 * MINUTE, async {
        while holds(&host, gone).await {
            tokio::time::sleep(MINUTE).await;
        }
    })
    .await
    .expect("the sweeper removes it");
    let events = host.control.events(0, 1000).await.unwrap().events;
    let swept = events.iter().filter(|event| matches!(&event.fact, Fact::Swept { .. }));
    let swept: Vec<_> = swept.map(|event| event.project).collect();
    assert_eq!(swept, [gone]);
    assert_eq!(host.control.project(&gone).await.unwrap().status, Status::Removed);
    assert!(holds(&host, stranger('x')).await, "what the store does not know is left to people");
}

#[tokio::test(start_paused = true)]
async fn the_sweeper_tells_of_what_resists_once_and_goes_on_trying() {
    let host = host(Settings { sweep: MINUTE, grace: MINUTE, ..calm() }).await;
    let ours = ours(&host).await;
    let gone = removed(&host, "gone").await.reference;
    land(&host, gone, &ours, 21_000).await;
    for _ in 0..3 {
        host.backend.fail_next("remove data", Kind::Internal);
    }
    tokio::time::timeout(60 * MINUTE, async {
        while holds(&host, gone).await {
            tokio::time::sleep(MINUTE).await;
        }
    })
    .await
    .expect("the sweeper removes it in the end");
    let events = host.control.events(0, 1000).await.unwrap().events;
    assert_eq!(events.iter().filter(|event| matches!(&event.fact, Fact::Swept { .. })).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn all_hosts_of_a_store_are_one_installation() {
    let one = host(alone()).await;
    let id = one.control.doctor(Removal::Never).await.installation;
    let other = started(&one.store, &one.backend, alone(), TargetSettings::default()).await.unwrap();
    assert_eq!(other.doctor(Removal::Never).await.installation, id);
    let demo = one.active("demo").await;
    let holdings = one.backend.inventory(&Context::new(MINUTE)).await.unwrap();
    assert_eq!((holdings[0].project, holdings[0].installation.as_ref()), (demo, Some(&id)));
    assert_ne!(host(alone()).await.control.doctor(Removal::Never).await.installation, id);
}
