//! Both audit logs, the one in memory and this one, keep the promises of the trait.

use std::collections::BTreeMap;

use freehold_core::accounts::{
    Actor, AuditLog as _, AuditPage, Conclusion, Credential, NewAuditEntry, PersonId, Whose,
};
use time::{Duration, OffsetDateTime};

use crate::{accounts::stores, fixture::Database};

fn entry(subject: &str, credential: Credential, organization: Option<&str>) -> NewAuditEntry {
    NewAuditEntry {
        actor: Actor {
            person: Some(PersonId(7)),
            subject: Some(subject.parse().unwrap()),
            email: Some(format!("{subject}@example.com")),
            credential,
        },
        action: "POST /projects/{ref}/pause".into(),
        organization: organization.map(|id| id.parse().unwrap()),
        project: None,
        details: BTreeMap::from([("role_id".to_owned(), "3".to_owned())]),
        address: Some("2001:db8::1".parse().unwrap()),
        request_id: "r1".into(),
    }
}

fn of(organization: &str) -> AuditPage {
    AuditPage::newest(Whose::Organization(organization.parse().unwrap()))
}

#[tokio::test]
async fn what_was_recorded_is_read_as_it_was_and_concluded_once() {
    for store in stores().await {
        let paused = entry("ada", Credential::Token(3), Some("acme"));
        let first = store.record(&paused).await.unwrap();
        let made = store.record(&entry("ada", Credential::Session, None)).await.unwrap();
        let project = "a".repeat(20).parse().unwrap();
        let other = Some("other".parse().unwrap());
        let conclusion = Conclusion { outcome: 201, organization: other, project: Some(project) };
        for outcome in [&conclusion, &Conclusion { outcome: 500, ..Conclusion::default() }] {
            store.conclude(first, outcome).await.unwrap();
        }
        let kept = store.audit_log(&of("acme")).await.unwrap();
        assert_eq!((kept.len(), kept[0].id, kept[0].outcome), (1, first, Some(201)), "{store:?}: {kept:?}");
        assert_eq!(kept[0].entry, NewAuditEntry { project: Some(project), ..paused }, "{store:?}");
        // What is made has no name before it is made; what never ended has no outcome.
        store.conclude(made, &conclusion).await.unwrap();
        let unended = store.record(&entry("ada", Credential::Superuser, Some("other"))).await.unwrap();
        let kept = store.audit_log(&of("other")).await.unwrap();
        let ids: Vec<_> = kept.iter().map(|entry| (entry.id, entry.outcome)).collect();
        assert_eq!(ids, [(unended, None), (made, Some(201))], "{store:?}");
        assert_eq!(kept[0].entry.actor.credential, Credential::Superuser, "{store:?}");
        store.conclude(-1, &conclusion).await.unwrap();
    }
}

#[tokio::test]
async fn a_page_is_bounded_newest_first_and_of_one_organization_or_one_person() {
    for store in stores().await {
        let mut numbers = Vec::new();
        for round in 0..6 {
            let (subject, organization) = if round % 2 == 0 { ("ada", "acme") } else { ("bob", "umbra") };
            let recorded = store.record(&entry(subject, Credential::Session, Some(organization))).await;
            numbers.push(recorded.unwrap());
        }
        let ids = async |page: AuditPage| {
            store.audit_log(&page).await.unwrap().iter().map(|entry| entry.id).collect::<Vec<_>>()
        };
        assert_eq!(ids(of("acme")).await, [numbers[4], numbers[2], numbers[0]], "{store:?}");
        let bobs = AuditPage::newest(Whose::Subject("bob".parse().unwrap()));
        assert_eq!(ids(bobs).await, [numbers[5], numbers[3], numbers[1]], "{store:?}");
        assert_eq!(ids(AuditPage { limit: 2, ..of("acme") }).await, [numbers[4], numbers[2]]);
        assert_eq!(ids(AuditPage { limit: 0, ..of("acme") }).await, [numbers[4]], "{store:?}");
        assert_eq!(ids(AuditPage { before: Some(numbers[2]), ..of("acme") }).await, [numbers[0]]);
        let now = OffsetDateTime::now_utc();
        let (hour_ago, in_an_hour) = (Some(now - Duration::HOUR), Some(now + Duration::HOUR));
        assert_eq!(ids(AuditPage { from: hour_ago, to: in_an_hour, ..of("acme") }).await.len(), 3);
        assert_eq!(ids(AuditPage { from: in_an_hour, ..of("acme") }).await, [0; 0], "{store:?}");
        assert_eq!(ids(AuditPage { to: hour_ago, ..of("acme") }).await, [0; 0], "{store:?}");
        store.expire_audit_log(std::time::Duration::from_secs(3600)).await.unwrap();
        assert_eq!(ids(of("umbra")).await.len(), 3, "{store:?}");
        store.expire_audit_log(std::time::Duration::ZERO).await.unwrap();
        assert_eq!(ids(of("umbra")).await, [0; 0], "{store:?}");
    }
}

/// More than one statement may have time for, and a trigger that refuses to forget them all at once.
const BACKLOG: &str = "
    INSERT INTO freehold.audit_log (credential, action, details, request_id)
    SELECT 'superuser', 'POST /', '{}', n::text FROM generate_series(1, 20001) AS n;
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN
        IF (SELECT count(*) FROM gone) > 10000 THEN RAISE 'too many at once'; END IF;
        RETURN NULL;
    END$$;
    CREATE TRIGGER refuse AFTER DELETE ON freehold.audit_log REFERENCING OLD TABLE AS gone
        FOR EACH STATEMENT EXECUTE FUNCTION refuse();";

#[tokio::test]
async fn what_is_too_old_is_forgotten_some_at_a_time_until_nothing_of_it_is_left() {
    let Some(database) = Database::migrated().await else { return };
    let (store, mut connection) = (database.store().await, database.connection().await);
    sqlx::raw_sql(BACKLOG).execute(&mut connection).await.unwrap();
    store.expire_audit_log(std::time::Duration::ZERO).await.unwrap();
    let left = sqlx::query_scalar("SELECT count(*) FROM freehold.audit_log");
    let left: i64 = left.fetch_one(&mut connection).await.unwrap();
    assert_eq!(left, 0);
}
