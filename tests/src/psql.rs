//! Asking a real PostgreSQL by its own client.

use freehold_core::{Address, ControlPlane, ExposeSecret as _, ProjectRef};
use tokio::process::Command;

/// Where and as whom SQL is sent.
#[derive(Clone)]
pub struct Psql {
    address: Address,
    password: String,
}

impl std::fmt::Debug for Psql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Psql({})", self.address)
    }
}

/// The database's address as people are told it, and the password of its login role.
///
/// # Panics
/// If the project has no connection, or its secrets cannot be opened.
pub async fn connection_password(control: &ControlPlane, project: &ProjectRef) -> (Address, String) {
    let row = control.project(project).await.expect("the project is there");
    let database =
        row.connection.and_then(|connection| connection.database).expect("an active project says where");
    let secrets = control.secrets(project).await.expect("its secrets open");
    let password = secrets.get(&database.password).expect("the password is among them");
    (database.endpoint.public, password.expose_secret().to_owned())
}

impl Psql {
    /// As `postgres`, there, with that password.
    #[must_use]
    pub fn new(address: Address, password: impl Into<String>) -> Self {
        Self { address, password: password.into() }
    }

    /// To a project's database.
    ///
    /// # Panics
    /// As [`connection_password`].
    pub async fn to(control: &ControlPlane, project: &ProjectRef) -> Self {
        let (address, password) = connection_password(control, project).await;
        Self::new(address, password)
    }

    /// The same server by another port, for instance through a proxy.
    #[must_use]
    pub fn through(&self, port: u16) -> Self {
        Self { address: Address { port, ..self.address.clone() }, ..self.clone() }
    }

    /// Runs SQL and gives what was answered, or what the client complained of.
    ///
    /// # Errors
    /// The client's own words.
    ///
    /// # Panics
    /// If there is no `psql`.
    pub async fn run(&self, sql: &str) -> Result<String, String> {
        let output = Command::new("psql")
            .args(["--no-psqlrc", "--no-align", "--tuples-only", "--quiet", "--no-password"])
            .args(["--set", "ON_ERROR_STOP=1", "--username", "postgres", "--dbname", "postgres"])
            .args(["--host", &self.address.host, "--port", &self.address.port.to_string()])
            .args(["--command", sql])
            .env("PGPASSWORD", &self.password)
            .env("PGCONNECT_TIMEOUT", "5")
            .output()
            .await
            .expect("psql is there: the PostgreSQL client");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
        }
    }
}
