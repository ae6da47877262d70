//! What a backend in memory offers to run.

use std::collections::BTreeMap;

use crate::{
    error::Result,
    names::{SecretName, ServiceName, StackName},
    stack::{
        DatabaseSpec, PortSpec, PortTarget, Protocol, SecretGenerator, SecretSpec, ServiceSpec, StackSpec,
    },
};

/// A stack for a [`MemoryBackend`](super::MemoryBackend).
#[derive(Clone, Debug, PartialEq)]
pub struct MemoryStack {
    /// What it declares.
    pub spec: StackSpec,
    /// Services that are meant to end, and do so at once.
    pub one_shots: Vec<ServiceName>,
}

impl MemoryStack {
    /// The stack `mock`: a database `db`, a gateway `api`, a job `worker` that ends at once, and `metrics`, which is off
    /// unless the caller asks for it.
    ///
    /// # Errors
    /// None that a caller can cause: the names in it are checked by the same code as everybody's.
    pub fn mock() -> Result<Self> {
        let (db, api, worker): (ServiceName, ServiceName, ServiceName) =
            ("db".parse()?, "api".parse()?, "worker".parse()?);
        let (password, signing_key): (SecretName, SecretName) =
            ("db_password".parse()?, "jwt_secret".parse()?);
        let claims = BTreeMap::from([("role".to_owned(), "anon".into())]);
        let spec = StackSpec {
            name: StackName::new("mock")?,
            digest: "memory:mock-1".to_owned(),
            services: vec![
                service(&db, Start::Default, "Database", "Keeps what is written to it."),
                service(&api, Start::Default, "API", "Answers for the database."),
                service(&worker, Start::Default, "Worker", "Does one thing and ends."),
                service(&"metrics".parse()?, Start::OnDemand, "Metrics", "Counts what the others do."),
            ],
            secrets: vec![
                SecretSpec { name: password.clone(), generator: SecretGenerator::Token { length: 32 } },
                SecretSpec { name: signing_key.clone(), generator: SecretGenerator::Hex { bytes: 32 } },
                SecretSpec {
                    name: "anon_key".parse()?,
                    generator: SecretGenerator::Jwt { key: signing_key, claims, days: 3650 },
                },
            ],
            ports: vec![port(&db, 5432), port(&api, 8000)],
            database: Some(DatabaseSpec {
                service: db.clone(),
                port: 5432,
                user: "postgres".to_owned(),
                name: "postgres".to_owned(),
                password,
            }),
            pooler: None,
            gateway: Some(PortTarget { service: api, port: 8000 }),
            data: vec!["data".to_owned()],
            first_run: Some(db),
            subnet: false,
            variables: Vec::new(),
        };
        Ok(Self { spec, one_shots: vec![worker] })
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Start {
    Default,
    OnDemand,
}

fn service(name: &ServiceName, start: Start, label: &str, description: &str) -> ServiceSpec {
    ServiceSpec {
        name: name.clone(),
        wire: name.as_str().to_owned(),
        default_on: start == Start::Default,
        label: label.to_owned(),
        description: description.to_owned(),
    }
}

fn port(service: &ServiceName, container_port: u16) -> PortSpec {
    PortSpec { service: service.clone(), container_port, protocol: Protocol::Tcp }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stack_mock_is_sound_and_leaves_one_service_off() {
        let spec = MemoryStack::mock().unwrap().spec;
        spec.validate().unwrap();
        assert_eq!(spec.exclusions(None).unwrap(), [ServiceName::new("metrics").unwrap()]);
    }
}
