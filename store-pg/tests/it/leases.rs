//! What PostgreSQL's text cannot hold.

use freehold_core::{
    Progress, Report, Store,
    store::{End, RecordedProgress, Settlement},
};

use crate::fixture::*;

#[tokio::test]
async fn a_nul_in_what_was_printed_is_replaced() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    create(&store, "demo").await;
    let lease = store.claim(&claim_by("worker")).await.unwrap().remove(0).lease;
    let at = store.now().await.unwrap();
    let step = Progress::Step { name: "st\0ep".into(), service: "d\0b".into() };
    let progress = [step, Progress::Log("li\0ne".into())].map(|progress| RecordedProgress { at, progress });
    store.renew(&lease, LEASE, &progress).await.unwrap();
    let report = Some(Report { stdout: "out".into(), stderr: "err\0".into(), duration_ms: 3 });
    let (operation, end) = (lease.operation, End::Released { not_before: at });
    store
        .settle(Settlement { lease, end, error: None, report, progress: Vec::new(), facts: Vec::new() })
        .await
        .unwrap();
    let operation = store.operation(operation).await.unwrap().unwrap();
    assert_eq!(
        (operation.steps[0].name.as_str(), operation.steps[0].service.as_str()),
        ("st\u{fffd}ep", "d\u{fffd}b")
    );
    assert_eq!(operation.log[0].message, "li\u{fffd}ne");
    assert_eq!(operation.report.unwrap().stderr, "err\u{fffd}");
}
