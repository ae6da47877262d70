//! What stands in a store that is in use for long.

use sqlx::Connection as _;

use crate::fixture::Database;

/// So many projects that rest, each with so many operations behind it, all told; and a target that is full, with a tenth of
/// them waiting for it. The first three thousand have ports and a network.
pub(super) async fn fill(database: &Database, projects: usize, operations: usize) {
    const FILL: &str = r#"
        INSERT INTO freehold.machines (name, next_port, next_subnet) VALUES ('machine-1', 0, 0);
        INSERT INTO freehold.projects (reference, name, folded_name, organization, target, machine, stack, digest,
            status, annotations, excluded)
        SELECT translate(lpad(n::text, 20, '0'), '0123456789', 'bcdefghijk'), 'p' || n, 'p' || n, 'org-' || n % 100,
            CASE WHEN n % 10 = 0 THEN 'full' ELSE 'local' END, 1, 'webapp', 'sha256:0', 'INACTIVE', '{}', '{}'
        FROM generate_series(1, PROJECTS) AS n;
        INSERT INTO freehold.port_blocks (machine, first, count, project)
        SELECT 1, 20000 + 3 * id::int, 3, reference FROM freehold.projects WHERE id <= 3000;
        INSERT INTO freehold.subnets (machine, network, project)
        SELECT 1, set_masklen('10.213.0.0'::inet + 16 * id, 28)::cidr, reference FROM freehold.projects WHERE id <= 3000;
        INSERT INTO freehold.sealed (project, name, version, key_id, data)
        SELECT reference, 'secret/' || n, 1, 'k1', '\x00' FROM freehold.projects, generate_series(1, 3) AS n;
        INSERT INTO freehold.operations (id, project, target, kind, scope, accept_data_loss, generation, state, attempt, epoch, deadline,
            not_before, planned_by, ended_at)
        SELECT gen_random_uuid(), reference, target, 'pause', '{}', '{}', 1, 'succeeded', 1, 1, now(), now(), 'test', now()
        FROM freehold.projects, generate_series(1, OPERATIONS) AS n;
        INSERT INTO freehold.operations (id, project, target, kind, scope, accept_data_loss, generation, deadline, not_before, planned_by)
        SELECT gen_random_uuid(), reference, target, 'pause', '{}', '{}', 1, now() + '1 h', now(), 'test'
        FROM freehold.projects WHERE target = 'full';
        UPDATE freehold.operations SET state = 'running', attempt = 1, epoch = 1, lease_owner = 'elsewhere',
            lease_expires_at = now() + '1 h'
        WHERE number = (SELECT max(number) FROM freehold.operations);
        INSERT INTO freehold.events (sequence, project, organization, fact)
        SELECT number, project, 'acme', '{"type": "amended", "fields": []}' FROM freehold.operations;
        INSERT INTO freehold.idempotency_keys (organization, key, body, project)
        SELECT organization, reference, 'body', reference FROM freehold.projects;
        UPDATE freehold.event_numbers SET last = (SELECT max(sequence) FROM freehold.events);
        UPDATE freehold.machines SET next_port = 65536 + 29003, next_subnet = 4294967296 + ('10.213.187.160'::inet - '0.0.0.0'::inet);
    "#;
    let mut connection = database.connection().await;
    let fill = FILL.replace("PROJECTS", &projects.to_string()).replace("OPERATIONS", &operations.to_string());
    sqlx::raw_sql(sqlx::AssertSqlSafe(fill)).execute(&mut connection).await.unwrap();
    sqlx::raw_sql("ANALYZE").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
