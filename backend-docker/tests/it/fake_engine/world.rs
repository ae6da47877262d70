//! What is on the engine, and what each request does to it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

/// All that the engine has.
#[derive(Clone, Default)]
pub(super) struct World {
    ids: u64,
    pub(super) containers: Vec<Container>,
    pub(super) networks: Vec<Network>,
    pub(super) volumes: Vec<Volume>,
    images: BTreeSet<String>,
    /// Container and command by id.
    execs: BTreeMap<String, (String, Vec<String>)>,
    /// Events that nobody was told of yet.
    pub(super) events: Vec<Value>,
}

#[derive(Clone)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) name: String,
    /// What it was created with.
    body: Value,
    networks: BTreeSet<String>,
    pub(super) phase: Phase,
    started: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Created,
    Running,
    /// It runs until it is looked at next, and then ends with this code.
    Ending(i64),
    Exited(i64),
}

#[derive(Clone)]
pub(super) struct Network {
    id: String,
    pub(super) name: String,
    labels: Value,
    subnet: String,
}

#[derive(Clone)]
pub(super) struct Volume {
    /// Another one each time that it is made.
    pub(super) born: u64,
    pub(super) name: String,
    labels: Value,
}

/// An answer with its status and body.
pub(super) struct Answer(pub(super) u16, pub(super) Value);

fn refuse(status: u16, message: impl Into<String>) -> Answer {
    Answer(status, json!({ "message": message.into() }))
}

fn done() -> Answer {
    Answer(204, Value::Null)
}

const LONG_AGO: &str = "2026-11-25T10:00:00Z";

impl Container {
    pub(super) fn runs(&self) -> bool {
        matches!(self.phase, Phase::Running | Phase::Ending(_))
    }

    pub(super) fn label(&self, name: &str) -> &str {
        self.body["Labels"][name].as_str().unwrap_or_default()
    }

    fn mounts(&self, volume: &str) -> bool {
        let mounts = self.body["HostConfig"]["Mounts"].as_array().into_iter().flatten();
        mounts.into_iter().any(|mount| mount["Type"] == "volume" && mount["Source"] == volume)
    }

    fn restarts(&self) -> bool {
        let policy = self.body["HostConfig"]["RestartPolicy"]["Name"].as_str().unwrap_or_default();
        matches!(policy, "always" | "unless-stopped")
    }

    fn inspect(&self) -> Value {
        let (status, code) = match self.phase {
            Phase::Created => ("created", 0),
            Phase::Running | Phase::Ending(_) => ("running", 0),
            Phase::Exited(code) => ("exited", code),
        };
        let never = "0001-01-01T00:00:00Z";
        let networks: BTreeMap<_, _> =
            self.networks.iter().map(|name| (name, json!({ "IPAddress": "10.213.0.2" }))).collect();
        json!({
            "Id": self.id, "Name": format!("/{}", self.name), "RestartCount": 0,
            "State": {
                "Status": status, "Running": self.runs(), "Restarting": false, "ExitCode": code, "Error": "",
                "StartedAt": if self.started { LONG_AGO } else { never },
                "FinishedAt": if matches!(self.phase, Phase::Exited(_)) { LONG_AGO } else { never },
            },
            "Config": {
                "Labels": self.body["Labels"], "Healthcheck": self.body["Healthcheck"],
                "StopSignal": self.body["StopSignal"], "StopTimeout": self.body["StopTimeout"],
            },
            "NetworkSettings": { "Networks": networks },
        })
    }
}

/// Whether labels have all of these, each `name` or `name=value`.
fn match_labels(labels: &Value, wanted: &[String]) -> bool {
    wanted.iter().all(|wanted| match wanted.split_once('=') {
        Some((name, value)) => labels[name] == value,
        None => !labels[wanted].is_null(),
    })
}

impl World {
    fn id(&mut self) -> String {
        self.ids += 1;
        format!("{:064x}", self.ids)
    }

    fn find(&mut self, id: &str) -> Result<&mut Container, Answer> {
        let found = self.containers.iter_mut().find(|container| container.id == id || container.name == id);
        found.ok_or_else(|| refuse(404, format!("No such container: {id}")))
    }

    fn tell(&mut self, action: &str, container: &str, labels: Value) {
        self.events.push(json!({
            "Type": "container", "Action": action, "Actor": { "ID": container, "Attributes": labels },
        }));
    }

    pub(super) fn image(&self, name: &str) -> Answer {
        if self.images.contains(name) {
            return Answer(200, json!({ "Id": name, "Config": { "Volumes": { "/left-to-the-image": {} } } }));
        }
        refuse(404, format!("No such image: {name}"))
    }

    pub(super) fn pull(&mut self, name: &str) -> Answer {
        self.images.insert(name.to_owned());
        Answer(200, json!({ "id": "1", "status": format!("Pulling from {name}") }))
    }

    pub(super) fn create_container(&mut self, name: &str, body: Value) -> Answer {
        if let Some(other) = self.containers.iter().find(|container| container.name == name) {
            let message =
                format!("Conflict. The container name \"/{name}\" is already in use by {}", other.id);
            return refuse(409, message);
        }
        let image = body["Image"].as_str().unwrap_or_default();
        if !self.images.contains(image) {
            return refuse(404, format!("No such image: {image}"));
        }
        for mount in body["HostConfig"]["Mounts"].as_array().into_iter().flatten() {
            if mount["Type"] == "volume" {
                let name = mount["Source"].as_str().unwrap_or_default();
                self.create_volume(name, mount["VolumeOptions"]["Labels"].clone());
            }
        }
        let endpoints = body["NetworkingConfig"]["EndpointsConfig"].as_object();
        let networks = endpoints.into_iter().flat_map(|endpoints| endpoints.keys().cloned()).collect();
        let id = self.id();
        self.containers.push(Container {
            id: id.clone(),
            name: name.to_owned(),
            body,
            networks,
            phase: Phase::Created,
            started: false,
        });
        Answer(201, json!({ "Id": id, "Warnings": [] }))
    }

    /// What was made like this one before runs anew.
    pub(super) fn land(&mut self, container: Container) {
        let id = self.id();
        self.containers.push(Container { id, phase: Phase::Running, ..container });
    }

    pub(super) fn list_containers(&self, labels: &[String], ids: &[String]) -> Answer {
        let listed = self.containers.iter().filter(|container| {
            match_labels(&container.body["Labels"], labels) && (ids.is_empty() || ids.contains(&container.id))
        });
        let listed = listed.map(|container| {
            json!({
                "Id": container.id, "Names": [format!("/{}", container.name)],
                "Labels": container.body["Labels"], "Created": 1_795_000_000,
            })
        });
        Answer(200, listed.collect())
    }

    /// How it is; what is about to end does so behind this look.
    pub(super) fn inspect_container(&mut self, id: &str) -> Answer {
        let container = match self.find(id) {
            Ok(container) => container,
            Err(refusal) => return refusal,
        };
        let seen = container.inspect();
        if let Phase::Ending(code) = container.phase {
            container.phase = Phase::Exited(code);
            let (id, labels) = (container.id.clone(), container.body["Labels"].clone());
            self.tell("die", &id, labels);
        }
        Answer(200, seen)
    }

    pub(super) fn start(&mut self, id: &str) -> Answer {
        let there: BTreeSet<_> = self.networks.iter().map(|network| network.name.clone()).collect();
        let container = match self.find(id) {
            Ok(container) => container,
            Err(refusal) => return refusal,
        };
        if container.runs() {
            return Answer(304, Value::Null);
        }
        if let Some(missing) = container.networks.iter().find(|name| !there.contains(*name)) {
            return refuse(404, format!("network {missing} not found"));
        }
        let is_job = container.body["Image"].as_str().is_some_and(|image| image.contains("job"));
        container.phase = if is_job { Phase::Ending(0) } else { Phase::Running };
        container.started = true;
        let (id, labels) = (container.id.clone(), container.body["Labels"].clone());
        self.tell("start", &id, labels);
        done()
    }

    pub(super) fn signal(&mut self, id: &str) -> Answer {
        let container = match self.find(id) {
            Ok(container) => container,
            Err(refusal) => return refusal,
        };
        if !container.runs() {
            return refuse(409, format!("Container {id} is not running"));
        }
        container.phase = Phase::Ending(0);
        done()
    }

    pub(super) fn remove_container(&mut self, id: &str) -> Answer {
        let Some(at) = self.containers.iter().position(|container| container.id == id) else {
            return refuse(404, format!("No such container: {id}"));
        };
        let removed = self.containers.remove(at);
        self.tell("destroy", id, removed.body["Labels"].clone());
        done()
    }

    pub(super) fn copy_files(&mut self, id: &str) -> Answer {
        self.find(id).map_or_else(|refusal| refusal, |_| Answer(200, Value::Null))
    }

    pub(super) fn create_exec(&mut self, container: &str, body: &Value) -> Answer {
        match self.find(container) {
            Ok(found) if found.runs() => {}
            Ok(_) => return refuse(409, format!("Container {container} is not running")),
            Err(refusal) => return refusal,
        }
        let id = self.id();
        let command = body["Cmd"].as_array().into_iter().flatten();
        let command = command.filter_map(|word| word.as_str().map(str::to_owned)).collect();
        self.execs.insert(id.clone(), (container.to_owned(), command));
        Answer(201, json!({ "Id": id }))
    }

    /// What the program prints.
    pub(super) fn start_exec(&mut self, id: &str) -> Result<&'static str, Answer> {
        let Some((container, command)) = self.execs.get(id).cloned() else {
            return Err(refuse(404, format!("No such exec instance: {id}")));
        };
        if !self.find(&container)?.runs() {
            return Err(refuse(409, format!("Container {container} is not running")));
        }
        Ok(if command == ["postgres", "--version"] { "postgres (PostgreSQL) 15.8\n" } else { "" })
    }

    pub(super) fn inspect_exec(&self, id: &str) -> Answer {
        match self.execs.get(id) {
            Some(_) => Answer(200, json!({ "ID": id, "Running": false, "ExitCode": 0 })),
            None => refuse(404, format!("No such exec instance: {id}")),
        }
    }

    /// Two may share a name, but no two a subnet, as with engines before 25.0.
    pub(super) fn create_network(&mut self, body: &Value) -> Answer {
        let subnet = body["IPAM"]["Config"][0]["Subnet"].as_str().unwrap_or_default().to_owned();
        if self.networks.iter().any(|network| !subnet.is_empty() && network.subnet == subnet) {
            return refuse(403, "Pool overlaps with other one on this address space");
        }
        let id = self.id();
        let name = body["Name"].as_str().unwrap_or_default().to_owned();
        self.networks.push(Network { id: id.clone(), name, labels: body["Labels"].clone(), subnet });
        Answer(201, json!({ "Id": id, "Warning": "" }))
    }

    /// Removes those that nothing runs in.
    pub(super) fn drop_networks(&mut self) {
        let Self { networks, containers, .. } = self;
        let in_use = |name: &str| containers.iter().any(|it| it.runs() && it.networks.contains(name));
        networks.retain(|network| in_use(&network.name));
    }

    pub(super) fn list_networks(&self, labels: &[String]) -> Answer {
        let listed = self.networks.iter().filter(|network| match_labels(&network.labels, labels));
        let listed = listed.map(|network| {
            json!({ "Id": network.id, "Name": network.name, "Labels": network.labels, "Created": LONG_AGO })
        });
        Answer(200, listed.collect())
    }

    pub(super) fn inspect_network(&self, id: &str) -> Answer {
        let Some(network) = self.networks.iter().find(|network| network.id == id || network.name == id)
        else {
            return refuse(404, format!("network {id} not found"));
        };
        let members = self.containers.iter().filter(|container| container.networks.contains(&network.name));
        let members: BTreeMap<_, _> =
            members.map(|container| (&container.id, json!({ "Name": container.name }))).collect();
        Answer(200, json!({ "Id": network.id, "Name": network.name, "Containers": members }))
    }

    pub(super) fn join_network(&mut self, name: &str, body: &Value) -> Answer {
        if self.networks.iter().all(|network| network.name != name) {
            return refuse(404, format!("network {name} not found"));
        }
        let id = body["Container"].as_str().unwrap_or_default();
        match self.find(id) {
            Ok(container) => match container.networks.insert(name.to_owned()) {
                true => Answer(200, Value::Null),
                false => refuse(403, format!("endpoint with name {id} already exists in network {name}")),
            },
            Err(refusal) => refusal,
        }
    }

    pub(super) fn remove_network(&mut self, id: &str) -> Answer {
        let Some(at) = self.networks.iter().position(|network| network.id == id) else {
            return refuse(404, format!("network {id} not found"));
        };
        let name = &self.networks[at].name;
        if self.containers.iter().any(|container| container.runs() && container.networks.contains(name)) {
            return refuse(403, format!("network {name} has active endpoints"));
        }
        self.networks.remove(at);
        done()
    }

    /// Gives the volume of that name if there is one.
    pub(super) fn create_volume(&mut self, name: &str, labels: Value) -> Answer {
        if self.volumes.iter().all(|volume| volume.name != name) {
            self.ids += 1;
            self.volumes.push(Volume { born: self.ids, name: name.to_owned(), labels });
        }
        let made = self.volumes.iter().find(|volume| volume.name == name);
        Answer(201, made.map_or(Value::Null, shown))
    }

    pub(super) fn list_volumes(&self, labels: &[String]) -> Answer {
        let listed = self.volumes.iter().filter(|volume| match_labels(&volume.labels, labels));
        Answer(200, json!({ "Volumes": listed.map(shown).collect::<Vec<_>>(), "Warnings": [] }))
    }

    pub(super) fn remove_volume(&mut self, name: &str) -> Answer {
        if self.containers.iter().any(|container| container.mounts(name)) {
            return refuse(409, format!("remove {name}: volume is in use"));
        }
        let before = self.volumes.len();
        self.volumes.retain(|volume| volume.name != name);
        if self.volumes.len() < before { done() } else { refuse(404, format!("get {name}: no such volume")) }
    }

    /// As after the engine was started again: what ran was killed, and is started again where its policy says so.
    pub(super) fn restart(&mut self) {
        for container in self.containers.iter_mut().filter(|container| container.runs()) {
            container.phase = if container.restarts() { Phase::Running } else { Phase::Exited(137) };
        }
        self.execs.clear();
        self.events.clear();
    }

    /// The services of a project that run, in order.
    pub(super) fn running(&self) -> Vec<String> {
        let mut running: Vec<_> = self
            .containers
            .iter()
            .filter(|container| container.runs())
            .map(|container| container.label("freehold.service").to_owned())
            .collect();
        running.sort();
        running
    }
}

fn shown(volume: &Volume) -> Value {
    json!({
        "Name": volume.name, "Driver": "local", "Mountpoint": format!("/volumes/{}", volume.name),
        "Labels": volume.labels, "Options": {}, "Scope": "local", "CreatedAt": LONG_AGO,
    })
}
