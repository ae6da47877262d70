//! Migrations of a project's database. They are recorded in its own schema `supabase_migrations`, where the Supabase CLI
//! and Studio look for them too; nothing of them is kept here.

use freehold_core::{
    Error, Result,
    accounts::{Action, Resource},
};
use postgres_protocol::escape::escape_literal;
use reqwest::Method as Verb;
use serde::Deserialize;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::v1;
use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    studio::{
        meta::{Access, meta, run},
        sql::MAY_QUERY,
        view::View,
    },
    upstream,
};

pub(crate) const ROUTES: &[[Route; 2]] = &[
    v1!(GET "/projects/{ref}/database/migrations",
        Rule::May(Action::ReadSchema, Resource::Tables, At::Project),
        |call| Box::pin(list(call))),
    v1!(POST "/projects/{ref}/database/migrations", MAY_QUERY, |call| Box::pin(take(call, Deed::RunAndRecord))),
    v1!(PUT "/projects/{ref}/database/migrations", MAY_QUERY, |call| Box::pin(take(call, Deed::RecordAlone))),
];

/// What is done with a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    RunAndRecord,
    /// It was run already, by somebody else.
    RecordAlone,
}

/// The table as the Supabase CLI makes it, and what the Management API records besides. What is there is left alone: it
/// may be the CLI's.
const TABLE: &str = "\
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations
    add column if not exists statements text[],
    add column if not exists name text,
    add column if not exists created_by text,
    add column if not exists idempotency_key text,
    add column if not exists rollback text[];
create unique index if not exists schema_migrations_idempotency_key_key
    on supabase_migrations.schema_migrations (idempotency_key);
";

/// Whether the table is there.
const THERE: &str = "select to_regclass('supabase_migrations.schema_migrations') is not null as there";

/// A row without the columns that a table of the CLI's may lack.
const LIST: &str = "\
select version, to_jsonb(migration) ->> 'name' as name
from supabase_migrations.schema_migrations migration order by version";

/// What is sent. The query may hold what must not be repeated, so that it is no part of any error.
#[derive(Deserialize)]
struct Migration {
    query: String,
    name: Option<String>,
    rollback: Option<String>,
}

async fn list(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let meta = meta(&call, &view, Access::Write).await?;
    if !holds(&run(&call, &meta, THERE).await?, "there") {
        return Ok(json(StatusCode::OK, &object!([])));
    }
    let mut rows = run(&call, &meta, LIST).await?;
    // A name that there is none of is left out, as the clients' types have it.
    for row in rows.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        row.retain(|_, value| !value.is_null());
    }
    Ok(json(StatusCode::OK, &rows))
}

/// Runs a migration and records it, both or neither, unless it ends its transaction itself; or records it alone. One that
/// bears an `Idempotency-Key` is taken once.
async fn take(call: Call, deed: Deed) -> Result<Response> {
    let view = View::named(&call).await?;
    let sent = call.json::<Migration>()?;
    if sent.query.trim().is_empty() {
        return Err(Error::invalid("query", "is empty"));
    }
    let key = call.header("idempotency-key");
    let texts = [("query", Some(sent.query.as_str())), ("name", sent.name.as_deref())];
    let texts = texts.into_iter().chain([("rollback", sent.rollback.as_deref())]);
    for (field, text) in texts {
        if text.is_some_and(|text| text.contains('\0')) {
            return Err(Error::invalid(field, "has a zero byte, which PostgreSQL takes in no text"));
        }
    }
    let meta = meta(&call, &view, Access::Write).await?;
    if let Some(key) = key
        && holds(&run(&call, &meta, THERE).await?, "there")
        && was_applied(&run(&call, &meta, &with_key(key)).await?)
    {
        return Ok(json(StatusCode::OK, &object!({})));
    }
    let author = call.caller().person.as_ref().map(|person| person.email.as_str());
    let sql = statements(&sent, author, key, deed);
    let answer = meta.ask(&call, Verb::POST, "/query", Some(&object!({ "query": sql }))).await?;
    Ok(if answer.status().is_success() {
        json(StatusCode::OK, &object!({}))
    } else {
        upstream::refusal(&call, answer).await
    })
}

/// One text, which PostgreSQL runs in one transaction (its "simple query" protocol, section 55.2.2.1). The record comes
/// first: what a migration sets (a role, say) does not concern it then. Versions are moments, as the CLI's are; the next
/// one after the newest where two come in one second.
fn statements(migration: &Migration, author: Option<&str>, key: Option<&str>, deed: Deed) -> String {
    let text = |text: Option<&str>| text.map_or("null".to_owned(), escape_literal);
    let list = |text: Option<&str>| {
        text.map_or("null".to_owned(), |text| format!("array[{}]", escape_literal(text)))
    };
    format!(
        "{TABLE}select pg_advisory_xact_lock(hashtext('supabase_migrations.schema_migrations'));
insert into supabase_migrations.schema_migrations (version, name, statements, rollback, created_by, idempotency_key)
select greatest(to_char(now() at time zone 'utc', 'YYYYMMDDHH24MISS')::bigint, max(version::bigint) + 1)::text,
    {}, {}, {}, {}, {}
from supabase_migrations.schema_migrations where version ~ '^[0-9]{{14}}$';
{}\n",
        text(migration.name.as_deref()),
        list(Some(&migration.query)),
        list(migration.rollback.as_deref()),
        text(author),
        text(key),
        if deed == Deed::RunAndRecord { &migration.query } else { "" },
    )
}

fn with_key(key: &str) -> String {
    format!(
        "select exists (select from supabase_migrations.schema_migrations migration \
         where to_jsonb(migration) ->> 'idempotency_key' = {}) as applied",
        escape_literal(key)
    )
}

fn was_applied(rows: &Value) -> bool {
    holds(rows, "applied")
}

/// Whether the first row says yes.
fn holds(rows: &Value, column: &str) -> bool {
    rows[0][column].as_bool().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_is_quoted_and_what_is_run_stands_as_it_is() {
        let migration = Migration {
            query: "insert into notes values ('it''s') -- done".to_owned(),
            name: Some("it's".to_owned()),
            rollback: None,
        };
        let sql = statements(&migration, None, Some("k\\1"), Deed::RunAndRecord);
        assert!(
            sql.contains("'it''s', array['insert into notes values (''it''''s'') -- done'], null"),
            "{sql}"
        );
        assert!(
            sql.contains(" E'k\\\\1'") && sql.ends_with("\ninsert into notes values ('it''s') -- done\n"),
            "{sql}"
        );
    }
}
