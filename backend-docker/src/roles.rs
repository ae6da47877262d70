//! Credential drift: a database whose roles have other passwords than the store says. It is mended from inside the
//! container, as the superuser whom the server trusts there, so that it takes none of the passwords in question.

use std::{fmt, time::Duration};

use freehold_core::{Context, Error, Kind, Result, SecretString, ServiceName};

use crate::{
    engine::{Engine, Exit, at},
    verifier,
};

/// How long to leave a server that is coming up alone between two tries.
const PAUSE: Duration = Duration::from_millis(100);
/// What psql exits with if it gets no connection (its documentation, "Exit Status").
const NO_CONNECTION: i64 = 2;
/// What a shell, and the engine, say of a program that is not there or cannot be run.
const NO_PROGRAM: [i64; 2] = [126, 127];

/// The roles of the project's database that have one password, and who may set it.
#[derive(Clone)]
pub(crate) struct Roles {
    /// The service that it is.
    pub(crate) service: ServiceName,
    /// The superuser whom the server trusts inside the container.
    pub(crate) superuser: String,
    /// Where it does so, if not at the socket that psql uses by itself.
    pub(crate) host: Option<String>,
    /// The roles.
    pub(crate) names: Vec<String>,
    /// Their password.
    pub(crate) password: SecretString,
}

impl fmt::Debug for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roles")
            .field("service", &self.service)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

impl Roles {
    /// Sets the password of every role whose verifier is another one's, in one transaction, once the server answers
    /// inside the container. Where all match nothing is written.
    ///
    /// A container that has no psql, or whose server does not trust the superuser, is left to the probe that logs in:
    /// it tells whether anything is wrong.
    ///
    /// # Errors
    /// `Cancelled`, `Timeout`; `Internal` if the server refuses the statement.
    pub(crate) async fn mend(&self, engine: &Engine, ctx: &Context, container: &str) -> Result<()> {
        let service = self.service.as_str();
        loop {
            let Some(stored) = self.stored(engine, ctx, container).await? else { return Ok(()) };
            let drifted = self.drifted(stored).await?;
            if drifted.is_empty() {
                return Ok(());
            }
            let names = drifted.join(", ");
            ctx.log(format!("{service}: the password of {names} is not the store's: setting it")).await;
            ctx.step("set passwords", service).await?;
            let exit = self.psql(engine, ctx, container, self.statements(&drifted)).await?;
            match exit.code {
                0 => return Ok(()),
                // An image's first server, which only makes the data, ended meanwhile: what the next one has is asked anew.
                NO_CONNECTION => {}
                code => {
                    let message = format!("set the password of {names}: psql exited {code}");
                    // What it printed names statements, and so verifiers.
                    return Err(at("set passwords", service, Error::internal(message)));
                }
            }
        }
    }

    /// What the server keeps of the roles' passwords, by role; `None` where there is no way to ask.
    async fn stored(
        &self,
        engine: &Engine,
        ctx: &Context,
        container: &str,
    ) -> Result<Option<Vec<(String, String)>>> {
        let names: Vec<_> = self.names.iter().map(|name| quoted(name, '\'')).collect();
        let question = format!(
            "select rolname, coalesce(rolpassword, '-') from pg_catalog.pg_authid where rolname in ({});\n",
            names.join(", ")
        );
        loop {
            let exit = self.psql(engine, ctx, container, question.as_str()).await?;
            if exit.code == 0 {
                let rows = exit.output.lines().filter_map(|line| line.split_once('\t'));
                return Ok(Some(rows.map(|(role, stored)| (role.to_owned(), stored.to_owned())).collect()));
            }
            let is_up = engine.state(ctx, container).await?.is_some_and(|state| state.running);
            let comes_up = exit.code == NO_CONNECTION && !exit.output.contains("authentication failed");
            if !is_up || !comes_up {
                if is_up {
                    let why = if NO_PROGRAM.contains(&exit.code) { "it has no psql" } else { &exit.output };
                    ctx.log(format!(
                        "{}: cannot compare passwords inside the container: {why}",
                        self.service
                    ))
                    .await;
                }
                return Ok(None);
            }
            ctx.pause("reach the database inside its container", PAUSE).await?;
        }
    }

    /// The roles whose verifier is not one of their password.
    async fn drifted(&self, stored: Vec<(String, String)>) -> Result<Vec<String>> {
        let password = self.password.clone();
        let compared = tokio::task::spawn_blocking(move || {
            let drifted =
                stored.into_iter().filter(|(role, stored)| !verifier::matches(stored, role, &password));
            drifted.map(|(role, _)| role).collect()
        });
        compared.await.map_err(|error| Error::internal("compare passwords").because(error))
    }

    fn statements(&self, drifted: &[String]) -> SecretString {
        // Neither the statement nor an error of it is to reach the server's log: it holds a verifier.
        let mut sql = "set log_statement = none;\nset log_min_error_statement = panic;\n\
                       set log_min_duration_statement = -1;\nbegin;\n"
            .to_owned();
        for role in drifted {
            let verifier = verifier::make(&self.password);
            let verifier = freehold_core::ExposeSecret::expose_secret(&verifier);
            sql.push_str(&format!("alter role {} password {};\n", quoted(role, '"'), quoted(verifier, '\'')));
        }
        sql.push_str("commit;\n");
        sql.into()
    }

    /// Runs SQL inside the container. In template1, since whoever owns a database chooses settings of every session in
    /// it. The statements go in on standard input: arguments can be seen by everybody on the machine.
    async fn psql(
        &self,
        engine: &Engine,
        ctx: &Context,
        container: &str,
        sql: impl Into<SecretString>,
    ) -> Result<Exit> {
        let mut command: Vec<String> = [
            "psql",
            "-X",
            "-q",
            "-w",
            "-A",
            "-t",
            "-F",
            "\t",
            "-v",
            "ON_ERROR_STOP=1",
            "-v",
            "VERBOSITY=terse",
        ]
        .map(str::to_owned)
        .into();
        command.extend(["-U".to_owned(), self.superuser.clone(), "-d".to_owned(), "template1".to_owned()]);
        command.extend(self.host.iter().flat_map(|host| ["-h".to_owned(), host.clone()]));
        match engine.exec_with_input(ctx, container, &command, &sql.into()).await {
            Ok(exit) => Ok(exit),
            // The container ended, or has no such program: what is wrong is told by whoever waits for it.
            Err(error) => {
                let error = Error::from(error);
                match error.kind() {
                    Kind::Cancelled | Kind::Timeout | Kind::Unavailable => Err(error),
                    _ => Ok(Exit { code: NO_PROGRAM[0], output: error.to_string() }),
                }
            }
        }
    }
}

/// A literal or an identifier of SQL.
fn quoted(text: &str, quote: char) -> String {
    format!("{quote}{}{quote}", text.replace(quote, &format!("{quote}{quote}")))
}
