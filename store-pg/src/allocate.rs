//! Blocks of ports and networks of addresses, kept apart by the database itself.
//!
//! The search is next-fit: it begins where the last one ended and goes around once, so that neither a full beginning of
//! the pool nor a block that was just given back slows it down. Who allocates holds its machine's row until the end of
//! the transaction; the exclusion constraints stand behind that.

use std::time::Duration;

use freehold_core::{
    Detail, Error, ProjectRef,
    runtime::PortBlock,
    store::{PortPool, SubnetPool},
};
use ipnet::Ipv4Net;
use sqlx::{PgConnection, postgres::types::PgInterval};

use crate::{
    error::{During, Failure, Result},
    rows::number,
};

/// The first free place of `$3` numbers between `$1` and `$2` that begins at a multiple of `$4`.
macro_rules! first_gap {
    ($table:literal) => {
        concat!(
            "WITH start AS (SELECT coalesce((SELECT upper(span) FROM ",
            $table,
            " WHERE span @> $1), $1) AS at), ",
            "gaps AS (",
            "SELECT at AS begins, (SELECT min(lower(span)) FROM ",
            $table,
            " WHERE lower(span) >= at) AS ends FROM start ",
            "UNION ALL ",
            "SELECT upper(span), lead(lower(span)) OVER (ORDER BY lower(span)) FROM ",
            $table,
            ", start ",
            "WHERE lower(span) >= at AND lower(span) < $2), ",
            "aligned AS (SELECT ((begins + $4 - 1) / $4) * $4 AS begins, least(ends, $2) AS ends FROM gaps) ",
            "SELECT begins FROM aligned WHERE begins + $3 <= ends LIMIT 1"
        )
    };
}

const FREE_PORTS: &str = first_gap!("freehold.port_blocks");
const FREE_SUBNET: &str = first_gap!("freehold.subnets");

const ADD_MACHINE: &str = "INSERT INTO freehold.machines (name) VALUES ($1) ON CONFLICT DO NOTHING";
const MACHINE: &str = "SELECT number FROM freehold.machines WHERE name = $1";
const LOCK: &str = "SELECT next_port, next_subnet FROM freehold.machines WHERE number = $1 FOR NO KEY UPDATE";
const END_SET_ASIDE: &str =
    "DELETE FROM freehold.port_blocks WHERE machine = $1 AND set_aside_until <= clock_timestamp()";
const TAKE_PORTS: &str = "\
    WITH cursor AS (UPDATE freehold.machines SET next_port = $5 WHERE number = $1) \
    INSERT INTO freehold.port_blocks (machine, first, count, project) VALUES ($1, $2, $3, $4)";
const TAKE_SUBNET: &str = "\
    WITH cursor AS (UPDATE freehold.machines SET next_subnet = $4 WHERE number = $1) \
    INSERT INTO freehold.subnets (machine, network, project) VALUES ($1, $2::text::cidr, $3)";
const SET_ASIDE: &str = "UPDATE freehold.port_blocks SET project = NULL, set_aside_until = clock_timestamp() + $2 \
    WHERE project = $1";
const FREE_PORTS_OF: &str = "DELETE FROM freehold.port_blocks WHERE project = $1";
const FREE_SUBNET_OF: &str = "DELETE FROM freehold.subnets WHERE project = $1";

const PORTS_OF_A_MACHINE: i64 = 1 << 16;
const ADDRESSES_OF_A_MACHINE: i64 = 1 << 32;

/// The number of a machine, which is known from now on.
pub(crate) async fn machine(connection: &mut PgConnection, name: &str) -> Result<i32> {
    let found: Option<i32> = sqlx::query_scalar(MACHINE)
        .bind(name)
        .fetch_optional(&mut *connection)
        .await
        .during("read a machine")?;
    if let Some(number) = found {
        return Ok(number);
    }
    sqlx::query(ADD_MACHINE).bind(name).execute(&mut *connection).await.during("add a machine")?;
    sqlx::query_scalar(MACHINE).bind(name).fetch_one(connection).await.during("read a machine")
}

/// Allocates a block of ports.
pub(crate) async fn ports(
    connection: &mut PgConnection,
    machine: i32,
    project: &ProjectRef,
    count: u16,
    pool: &PortPool,
) -> Result<PortBlock> {
    let (cursor, _) = lock(connection, machine).await?;
    sqlx::query(END_SET_ASIDE)
        .bind(machine)
        .execute(&mut *connection)
        .await
        .during("give back ports that were set aside")?;
    let origin = i64::from(machine) * PORTS_OF_A_MACHINE;
    let range = (origin + i64::from(pool.first), origin + i64::from(pool.last) + 1);
    let begin = first_gap(connection, FREE_PORTS, cursor, range, i64::from(count), 1)
        .await?
        .ok_or_else(|| exhausted("port_pool", pool.len()))?;
    let block = PortBlock { first: number("a port", begin - origin)?, count };
    sqlx::query(TAKE_PORTS)
        .bind(machine)
        .bind(i32::from(block.first))
        .bind(i32::from(block.count))
        .bind(project.as_str())
        .bind(begin + i64::from(count))
        .execute(connection)
        .await
        .during("allocate ports")?;
    Ok(block)
}

/// Allocates a network.
pub(crate) async fn subnet(
    connection: &mut PgConnection,
    machine: i32,
    project: &ProjectRef,
    pool: &SubnetPool,
) -> Result<Ipv4Net> {
    let (_, cursor) = lock(connection, machine).await?;
    let origin = i64::from(machine) * ADDRESSES_OF_A_MACHINE;
    let first = origin + i64::from(u32::from(pool.network.network()));
    let range = (first, origin + i64::from(u32::from(pool.network.broadcast())) + 1);
    let size = 1_i64 << (32 - u32::from(pool.prefix));
    let begin = first_gap(connection, FREE_SUBNET, cursor, range, size, size)
        .await?
        .ok_or_else(|| exhausted("subnet_pool", u64::from(pool.len())))?;
    let network = number("an index", (begin - first) / size)
        .map(|index| pool.subnet(index))?
        .ok_or(Failure::Unfit { what: "a subnet" })?;
    sqlx::query(TAKE_SUBNET)
        .bind(machine)
        .bind(network.to_string())
        .bind(project.as_str())
        .bind(begin + size)
        .execute(connection)
        .await
        .during("allocate a subnet")?;
    Ok(network)
}

/// Takes a project's block away and keeps it from everybody for a while.
pub(crate) async fn set_aside(
    connection: &mut PgConnection,
    project: &ProjectRef,
    aside: Duration,
) -> Result<()> {
    sqlx::query(SET_ASIDE)
        .bind(project.as_str())
        .bind(interval(aside)?)
        .execute(connection)
        .await
        .during("set ports aside")?;
    Ok(())
}

/// Gives back everything that a project was given.
pub(crate) async fn free(connection: &mut PgConnection, project: &ProjectRef) -> Result<()> {
    for statement in [FREE_PORTS_OF, FREE_SUBNET_OF] {
        sqlx::query(statement)
            .bind(project.as_str())
            .execute(&mut *connection)
            .await
            .during("give back ports and subnet")?;
    }
    Ok(())
}

/// A duration as PostgreSQL takes it.
pub(crate) fn interval(duration: Duration) -> Result<PgInterval> {
    let microseconds = number("a duration", duration.as_micros())?;
    Ok(PgInterval { months: 0, days: 0, microseconds })
}

async fn lock(connection: &mut PgConnection, machine: i32) -> Result<(i64, i64)> {
    sqlx::query_as(LOCK).bind(machine).fetch_one(connection).await.during("lock a machine's pools")
}

/// From the cursor to the end, and once more from the beginning.
async fn first_gap(
    connection: &mut PgConnection,
    statement: &'static str,
    cursor: i64,
    (first, end): (i64, i64),
    size: i64,
    alignment: i64,
) -> Result<Option<i64>> {
    let cursor = if (first..end).contains(&cursor) { cursor } else { first };
    for begin in [cursor, first] {
        let found = sqlx::query_scalar(statement)
            .bind(begin)
            .bind(end)
            .bind(size)
            .bind(alignment)
            .fetch_optional(&mut *connection)
            .await
            .during("look for a free block")?;
        if found.is_some() {
            return Ok(found);
        }
        if cursor == first {
            break;
        }
    }
    Ok(None)
}

fn exhausted(setting: &str, limit: u64) -> Failure {
    Error::detailed(
        Detail::Bound { setting: setting.to_owned(), limit },
        format!("allocate from {setting}: nothing is free; make the pool larger or destroy projects"),
    )
    .into()
}
