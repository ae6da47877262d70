//! What the floor's containers are made from: what `docker compose create` made of the stack, taken from the engine.

use std::collections::BTreeMap;

use bollard::{
    Docker,
    models::ContainerCreateBody,
    query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder},
};
use serde_json::{Value, json};

use crate::{
    compose,
    stack::{Stack, copied},
};

/// Everything of one copy of the stack, under Compose's names for it.
pub(crate) struct Blueprint {
    /// The folder that it mounts from, and the project's name: both are replaced in each copy.
    pub(crate) folder: String,
    pub(crate) project: String,
    /// The network.
    pub(crate) network: String,
    /// Services, and the bodies of the requests that make their containers.
    pub(crate) containers: BTreeMap<String, Value>,
}

impl Blueprint {
    pub(crate) async fn of(stack: &Stack, docker: &Docker) -> Self {
        let copy = copied(stack.folder());
        let (folder, project) = (copy.path().display().to_string(), format!("blueprint-{}", stack.name));
        compose::run(copy.path(), &project, 0, &["create"]).await;
        let label = format!("com.docker.compose.project={project}");
        let filters = std::collections::HashMap::from([("label", vec![label.as_str()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let mut blueprint =
            Self { folder, project: project.clone(), network: String::new(), containers: BTreeMap::new() };
        for container in docker.list_containers(Some(options)).await.unwrap() {
            let id = container.id.unwrap();
            let found = docker.inspect_container(&id, None::<InspectContainerOptions>).await.unwrap();
            let found = serde_json::to_value(found).unwrap();
            blueprint.add(&found);
        }
        compose::run(copy.path(), &project, 0, &["down", "--volumes", "--timeout", "0"]).await;
        blueprint
    }

    fn add(&mut self, found: &Value) {
        let service = found["Config"]["Labels"]["com.docker.compose.service"].as_str().unwrap().to_owned();
        let networks = found["NetworkSettings"]["Networks"].as_object().unwrap();
        assert_eq!(networks.len(), 1, "{service}: the floor knows of one network");
        let (network, place) = networks.iter().next().unwrap();
        network.clone_into(&mut self.network);
        let own = found["Id"].as_str().unwrap();
        // The engine adds the container's own id.
        let aliases: Vec<_> = place["Aliases"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|alias| !own.starts_with(alias.as_str().unwrap()))
            .collect();
        let mut body = found["Config"].clone();
        body["HostConfig"] = found["HostConfig"].clone();
        body["NetworkingConfig"] = json!({ "EndpointsConfig": { network: { "Aliases": aliases } } });
        body.as_object_mut().unwrap().remove("Hostname");
        self.containers.insert(service, body);
    }

    /// The names of one copy's network and volumes.
    pub(crate) fn network(&self, project: &str) -> String {
        self.network.replace(&self.project, project)
    }

    /// The named volumes of one copy.
    pub(crate) fn volumes(&self, project: &str) -> Vec<String> {
        let binds =
            self.containers.values().filter_map(|body| body["HostConfig"]["Binds"].as_array()).flatten();
        let mounts =
            self.containers.values().filter_map(|body| body["HostConfig"]["Mounts"].as_array()).flatten();
        let binds = binds.filter_map(|bind| bind.as_str()?.split(':').next());
        let mounts =
            mounts.filter(|mount| mount["Type"] == "volume").filter_map(|mount| mount["Source"].as_str());
        let mut names: Vec<_> = binds
            .chain(mounts)
            .filter(|name| !name.starts_with('/'))
            .map(|name| name.replace(&self.project, project))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The request for one service of one copy.
    pub(crate) fn body(
        &self,
        service: &str,
        project: &str,
        folder: &str,
        number: u16,
    ) -> ContainerCreateBody {
        let mut body = self.containers[service].clone();
        if let Some(ports) = body["HostConfig"]["PortBindings"].as_object_mut() {
            for binding in ports.values_mut().filter_map(Value::as_array_mut).flatten() {
                let port: u16 = binding["HostPort"].as_str().unwrap().parse().unwrap();
                binding["HostPort"] = json!((port + 100 * number).to_string());
            }
        }
        let text = body.to_string().replace(&self.folder, folder).replace(&self.project, project);
        serde_json::from_str(&text).unwrap()
    }
}
