//! A project's postgres-meta, and as whom SQL runs there: as the role that people log in as, or as one that only reads.
//!
//! postgres-meta works on the connection in `x-connection-encrypted`, which it decrypts with its own `CRYPTO_KEY`: that is
//! a secret of the project (Supabase's folder: `PG_META_CRYPTO_KEY`). A stack that declares none has postgres-meta's own
//! connection, and none that only reads.

use freehold_core::{Error, ExposeSecret, HashKey, Kind, Result, SecretString};
use postgres_protocol::password;
use reqwest::{Method, Url};
use serde_json::{Value, json as object};

use super::{keys::Keys, view::View};
use crate::{
    call::Call,
    cryptojs,
    upstream::{self, Upstream},
};

/// Where postgres-meta is behind a project's gateway (Supabase's `kong.yml`, route `/pg/`).
const PATH: &str = "/pg";
/// The service.
const SERVICE: &str = "postgres-meta";
/// The project's secret under which connections are encrypted.
pub(super) const CRYPTO_KEY: &str = "pg_meta_crypto_key";
/// The role that only reads.
const READER: &str = "freehold_read_only";
/// What its password is made with, which nobody keeps: it follows from the project's key.
const LABEL: &[u8] = b"freehold: the password of the role that only reads";
/// What its comment is made with.
const MARK: &[u8] = b"freehold: which password";

/// What SQL may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// What the role may that people log in as.
    Write,
    /// Read, and nothing else.
    Read,
}

/// The project's postgres-meta, on the connection for that access.
///
/// # Errors
/// `Unsupported` if the project's stack has no such service, or no such connection; `Unavailable` while it is not up.
pub(crate) async fn meta(call: &Call, view: &View, access: Access) -> Result<Upstream> {
    let own = Upstream::of(call, view, SERVICE, PATH).await?;
    match access {
        Access::Write => {
            let connection = login(view, own.keys())?;
            Ok(own.on(connection))
        }
        Access::Read => {
            let none = || {
                let message =
                    "run SQL that can only read: the project's stack has no key for such a connection";
                Error::new(Kind::Unsupported, message)
            };
            let key = own.keys().secret(CRYPTO_KEY).ok_or_else(none)?.clone();
            let hash_key = HashKey::new(key.expose_secret().as_bytes().to_vec());
            let password = hash_key.hash(LABEL);
            let url = url(view, READER, &password)?;
            let connection = cryptojs::encrypt(&key, &url)?;
            ensure_reader(call, &own, &hash_key, &password).await?;
            Ok(own.on(Some(connection)))
        }
    }
}

/// The connection of the role that people log in as, encrypted; `None` for a stack without a key for it.
fn login(view: &View, keys: &Keys) -> Result<Option<SecretString>> {
    let Some(key) = keys.secret(CRYPTO_KEY) else { return Ok(None) };
    let database = view.stack.as_ref().and_then(|stack| stack.database.as_ref());
    let Some(database) = database else { return Ok(None) };
    let Some(password) = keys.secret(database.password.as_str()) else { return Ok(None) };
    let url = url(view, &database.user, password.expose_secret())?;
    cryptojs::encrypt(key, &url).map(Some)
}

/// Where the database is for the stack's other services: by its name where they have a network of their own, else where
/// we reach it ourselves.
fn url(view: &View, user: &str, password: &str) -> Result<SecretString> {
    let missing = || Error::new(Kind::Unsupported, "reach the project's database: its stack has none");
    let stack = view.stack.as_ref().ok_or_else(missing)?;
    let database = stack.database.as_ref().ok_or_else(missing)?;
    let address = match view.database() {
        Some(connection) if !stack.subnet => connection.endpoint.internal.to_string(),
        _ => format!("{}:{}", database.service, database.port),
    };
    let unusable = |_| Error::internal(format!("write a URL for the database at {address}"));
    let mut url =
        Url::parse(&format!("postgresql://{address}/{}", database.name)).map_err(|_| unusable(()))?;
    url.set_username(user).map_err(unusable)?;
    url.set_password(Some(password)).map_err(unusable)?;
    Ok(String::from(url).into())
}

/// Makes sure of the role that only reads: it reads whatever there is, and every transaction of it begins as one that
/// writes nothing. It owns nothing and was given nothing, so it guards against mistakes; it is no boundary: SQL may end
/// such a transaction's mode, and then call a function that the project lets everybody call and that writes as its owner. Its password goes there as a
/// verifier alone; its comment says of which key the password was made, so that another key makes another.
async fn ensure_reader(call: &Call, own: &Upstream, key: &HashKey, password: &str) -> Result<()> {
    let mark = key.hash(MARK);
    let find = format!(
        "select 1 from pg_roles where rolname = '{READER}' and shobj_description(oid, 'pg_authid') = '{mark}'"
    );
    if run(call, own, &find).await?.as_array().is_some_and(|rows| !rows.is_empty()) {
        return Ok(());
    }
    let verifier = password::scram_sha_256(password.as_bytes());
    let make = format!(
        "do $make$ begin \
         if not exists (select from pg_roles where rolname = '{READER}') then create role {READER}; end if; \
         alter role {READER} login nosuperuser nocreatedb nocreaterole bypassrls password '{verifier}'; \
         grant pg_read_all_data to {READER}; \
         alter role {READER} set default_transaction_read_only = on; \
         comment on role {READER} is '{mark}'; end $make$"
    );
    run(call, own, &make).await.map(drop)
}

/// Runs SQL of our own.
///
/// # Errors
/// `Unavailable` if it does not answer; `Unsupported` if the database refuses.
pub(crate) async fn run(call: &Call, meta: &Upstream, sql: &str) -> Result<Value> {
    let answer = meta.ask(call, Method::POST, "/query", Some(&object!({ "query": sql }))).await?;
    let status = answer.status();
    let body = upstream::value(answer, "what the project's postgres-meta answered").await?;
    if status.is_success() {
        return Ok(body);
    }
    let said = body.get("error").and_then(Value::as_str).unwrap_or("it gave no reason");
    Err(Error::new(Kind::Unsupported, format!("ask the project's database: {said}")))
}
