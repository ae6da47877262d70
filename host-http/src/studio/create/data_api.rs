//! What is said of a new project's Data API: which schemas PostgREST serves, and to whom new tables are open.

use freehold_core::{Error, FirstRunFile, Kind, Result, StackSpec, control_plane::CreateProject};
use postgres_protocol::escape::{escape_identifier, escape_literal};
use serde::Deserialize;

use crate::studio::{
    config::postgrest::{SCHEMAS, list},
    services, variables,
};

/// The files that prepare the database, before that of the wizard's own SQL.
const API_SCHEMA: &str = "40-api-schema.sql";
const PRIVILEGES: &str = "41-default-privileges.sql";

/// What is said of it, in the words of the body.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct DataApi {
    /// Which schemas it serves. Studio sends an empty list where it shall not be there.
    data_api_exposed_schemas: Option<Vec<String>>,
    /// Whether it serves a schema `api` in place of `public`.
    data_api_use_api_schema: Option<bool>,
    /// Whether it serves new tables only once somebody is granted them.
    data_api_revoke_default_privileges: Option<bool>,
}

impl DataApi {
    /// Has a project made that way.
    ///
    /// # Errors
    /// `Unsupported` if the stack cannot be told; `InvalidInput` for what is no schema.
    pub(super) fn apply(self, create: &mut CreateProject, stack: Option<&StackSpec>) -> Result<()> {
        // Where the choice of a stack is open the control plane refuses it, with the stacks that there are.
        let Some(stack) = stack else { return Ok(()) };
        let use_api_schema = self.data_api_use_api_schema == Some(true);
        let said = self.data_api_exposed_schemas;
        let served = said.map(|names| list("data_api_exposed_schemas", &names.join(","))).transpose()?;
        if served.as_deref() == Some("") && services::named(stack, "postgrest").is_some() {
            // Told of no schema PostgREST would serve `public`, and other services may wait for its own.
            let problem = "names no schema, and then PostgREST would serve `public`: a Data API cannot be left out here";
            return Err(Error::invalid("data_api_exposed_schemas", problem));
        }
        let served = served.filter(|schemas| !schemas.is_empty());
        if use_api_schema || served.is_some() {
            let spec = variables::spec(stack, SCHEMAS).ok_or_else(|| {
                let message =
                    format!("serve other schemas by the Data API: stack {} has no {SCHEMAS}", stack.name);
                Error::new(Kind::Unsupported, message)
            })?;
            let own = spec.default.as_deref().unwrap_or("public");
            let served = served.unwrap_or_else(|| in_place_of_public(own));
            create.variables.insert(SCHEMAS.to_owned(), served.into());
        }
        let user = stack.database.as_ref().map_or("postgres", |database| database.user.as_str());
        if use_api_schema {
            create.first_run.push(FirstRunFile::new(API_SCHEMA, api_schema(user))?);
        }
        if self.data_api_revoke_default_privileges == Some(true) {
            create.first_run.push(FirstRunFile::new(PRIVILEGES, revoked(user))?);
        }
        Ok(())
    }
}

/// The schemas that a stack serves by itself, with `api` for `public`.
fn in_place_of_public(own: &str) -> String {
    let mut names: Vec<_> =
        own.split(',').map(str::trim).filter(|name| !["", "public"].contains(name)).collect();
    names.insert(0, "api");
    names.join(",")
}

/// SQL for each of the roles that the Data API has, where the database has them.
fn for_each_role(statements: &[&str], user: &str) -> String {
    let user = escape_literal(user);
    let executed = statements.iter().map(|statement| format!("execute format({statement}, role, {user});"));
    format!(
        "do $each$ declare role name; begin\n\
         for role in select rolname from pg_roles where rolname in ('anon', 'authenticated', 'service_role') loop\n\
         {}\nend loop; end $each$;\n",
        executed.collect::<Vec<_>>().join("\n")
    )
}

/// The schema, whose tables nobody is granted by itself.
fn api_schema(user: &str) -> String {
    let make = format!("create schema if not exists api authorization {};\n", escape_identifier(user));
    make + &for_each_role(&["'grant usage on schema api to %1$I'"], user)
}

fn revoked(user: &str) -> String {
    for_each_role(
        &[
            "'alter default privileges for role %2$I in schema public revoke all on tables from %1$I'",
            "'alter default privileges for role %2$I in schema public revoke all on sequences from %1$I'",
            "'alter default privileges for role %2$I in schema public revoke all on functions from %1$I'",
        ],
        user,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_api_takes_the_place_of_public_and_leaves_the_others() {
        assert_eq!(in_place_of_public("public,storage, graphql_public"), "api,storage,graphql_public");
        assert_eq!(in_place_of_public(""), "api");
    }

    #[test]
    fn names_are_quoted_where_they_stand() {
        assert!(api_schema("o\"ne").contains("authorization \"o\"\"ne\";"));
        assert!(revoked("o'ne").contains(", role, 'o''ne');"));
    }
}
