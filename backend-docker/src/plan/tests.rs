use std::path::{Path, PathBuf};

use freehold_core::{ProjectRef, SecretString};
use serde_json::json;

use super::*;
use crate::{
    graph::MountSource,
    stack::tests::{load, load_allowing, runtime, stack, webapp},
};

pub(super) fn surroundings() -> Surroundings {
    Surroundings {
        folder: PathBuf::from("/data/projects/p"),
        bind_address: std::net::Ipv4Addr::LOCALHOST.into(),
        public_host: "example.org".into(),
        epoch: 7,
    }
}

fn planned(compose: &str, manifest_lines: &str, change: impl FnOnce(&mut Runtime)) -> Result<Graph> {
    let stack = stack(compose, manifest_lines, "").unwrap();
    let mut runtime = runtime(&stack);
    change(&mut runtime);
    plan(&stack, &runtime, &surroundings())
}

/// The whole graph, secrets taken out.
fn printed(graph: &Graph, runtime: &Runtime) -> String {
    let containers: Vec<_> = graph
        .containers
        .iter()
        .map(|node| {
            let waits = |gate: &crate::graph::Gate| {
                format!(
                    "{} {:?}{}",
                    gate.service,
                    gate.condition,
                    if gate.required { "" } else { " (not required)" }
                )
            };
            json!({
                "told": hash::told(node, &node.labels),
                "config_hash": node.config_hash,
                "waits_for": node.gates.iter().map(waits).collect::<Vec<_>>(),
                "probe": node.probe.as_ref().map(|probe| format!("{probe:?}")),
                "job": node.job,
            })
        })
        .collect();
    let network = |node: &crate::graph::NetworkNode| json!({"name": node.name, "subnet": node.subnet, "internal": node.internal, "labels": node.labels});
    let volume = |node: &VolumeNode| json!({"name": node.name, "data": node.data, "labels": node.labels});
    let text = json!({
        "project": graph.project,
        "networks": graph.networks.iter().map(network).collect::<Vec<_>>(),
        "volumes": graph.volumes.iter().map(volume).collect::<Vec<_>>(),
        "containers": containers,
        "first_run": graph.first_run.as_ref().map(|place| format!("{}:{}", place.service, place.path)),
    });
    runtime.redactor().redact(&serde_json::to_string_pretty(&text).unwrap()) + "\n"
}

/// Set `UPDATE_GOLDEN` to write the file anew; then read the difference.
#[test]
fn the_plan_of_the_web_application_is_as_it_was() {
    let stack = webapp();
    let mut runtime = runtime(&stack);
    runtime.subnet = Some("10.90.3.0/24".parse().unwrap());
    runtime.generation = 3;
    let plan = printed(&plan(&stack, &runtime, &surroundings()).unwrap(), &runtime);
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/plan/webapp.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &plan).unwrap();
    }
    assert_eq!(plan, std::fs::read_to_string(golden).unwrap());
}

#[test]
fn no_secret_is_in_what_a_graph_prints() {
    let compose = "services:\n  db: {image: x, command: 'run $PASSWORD', environment: {A: $PASSWORD}, healthcheck: {test: 'x $PASSWORD'}}\n";
    let probe = "[services.db.probe]\nkind = \"postgres\"\nport = 5432\n";
    let graph = planned(compose, probe, |_| {}).unwrap();
    assert_eq!(graph.containers[0].command.as_ref().unwrap()[1], "hunter2");
    assert!(!format!("{graph:?} {:?}", graph.containers[0].probe).contains("hunter2"));
}

#[test]
fn two_projects_share_no_name() {
    let compose =
        "services:\n  db: {image: x, container_name: the-db, volumes: ['v:/v', /cache]}\nvolumes: {v: }\n";
    let names = |letter: &str| {
        let graph =
            planned(compose, "", |runtime| runtime.project = letter.repeat(ProjectRef::LEN).parse().unwrap())
                .unwrap();
        let mut names: Vec<_> = graph.containers.into_iter().map(|node| node.name).collect();
        names.extend(graph.networks.into_iter().map(|node| node.name));
        names.extend(graph.volumes.into_iter().map(|node| node.name));
        names
    };
    let (one, two) = (names("x"), names("y"));
    assert_eq!(one.len(), 4);
    assert!(
        one.iter().all(|name| !two.contains(name) && name.starts_with("fh-xxxxxxxxxxxxxxxxxxxx")),
        "{one:?}"
    );
}

#[test]
fn the_hash_covers_settings_and_secrets_and_neither_generation_nor_epoch() {
    let hash = |compose: &str, change: &dyn Fn(&mut Runtime)| {
        planned(compose, "", change).unwrap().containers[0].config_hash.clone()
    };
    const DB: &str = "services:\n  db: {image: x, environment: {A: $PASSWORD}}\n";
    let before = hash(DB, &|_| {});
    assert_eq!(before, hash(DB, &|runtime| runtime.generation = 9));
    assert_ne!(before, hash("services:\n  db: {image: y, environment: {A: $PASSWORD}}\n", &|_| {}));
    assert_ne!(
        before,
        hash(DB, &|runtime| runtime
            .secrets
            .values_mut()
            .for_each(|secret| *secret = SecretString::from("other")))
    );
    assert_ne!(before, hash(DB, &|runtime| runtime.hash_key = freehold_core::HashKey::new(vec![1])));

    let stack = stack(DB, "", "").unwrap();
    let epochs = [1, 2]
        .map(|epoch| plan(&stack, &runtime(&stack), &Surroundings { epoch, ..surroundings() }).unwrap());
    assert_eq!(epochs[0].containers[0].config_hash, epochs[1].containers[0].config_hash);
    assert_ne!(epochs[0].containers[0].labels, epochs[1].containers[0].labels);
}

#[test]
fn each_setting_has_a_short_hash_under_its_own_name_and_equal_values_cannot_be_seen_to_be_equal() {
    let keys = |compose: &str| -> BTreeMap<String, String> {
        let graph = planned(compose, "", |_| {}).unwrap();
        serde_json::from_str(&graph.containers[0].labels[crate::labels::CONFIG_KEYS]).unwrap()
    };
    let one =
        keys("services:\n  db: {image: x, environment: {A: $PASSWORD, B: $PASSWORD}, mem_limit: 64m}\n");
    assert_ne!(one["environment.A"], one["environment.B"]);
    let other =
        keys("services:\n  db: {image: x, environment: {A: $PASSWORD, B: c}, stop_grace_period: 3s}\n");
    let differing: Vec<_> = one
        .iter()
        .filter(|(key, hash)| other.get(*key) != Some(*hash))
        .map(|(key, _)| key.as_str())
        .chain(other.keys().filter(|key| !one.contains_key(*key)).map(String::as_str))
        .collect();
    assert_eq!(differing, ["environment.B", "mem_limit", "stop_grace_period"]);
    assert!(!format!("{one:?}").contains("hunter2"));
}

const THREE: &str = "services:
  web: {image: w, depends_on: [api, logs]}
  api: {image: a, depends_on: [db]}
  db: {image: d, depends_on: {logs: {condition: service_healthy, required: false}}}
  logs: {image: l}
";

#[test]
fn a_service_that_is_off_by_default_takes_its_edges_with_it() {
    let graph = planned(THREE, "[services.logs]\ndefault = false\n", |_| {}).unwrap();
    let names: Vec<_> = graph.containers.iter().map(|node| node.service.as_str()).collect();
    assert_eq!(names, ["db", "api", "web"]);
    let gates: Vec<_> =
        graph.container("web").unwrap().gates.iter().map(|gate| gate.service.as_str()).collect();
    assert_eq!(gates, ["api"]);
    assert!(graph.container("db").unwrap().gates.is_empty());
}

#[test]
fn an_exclusion_that_leaves_a_service_without_what_it_needs_is_an_error() {
    let exclude = |names: &[&str]| {
        planned(THREE, "", |runtime| {
            runtime.excluded = names.iter().map(|name| (*name).parse().unwrap()).collect()
        })
    };
    assert_eq!(
        exclude(&["api"]).unwrap_err().to_string(),
        "excluded_services: api is excluded, and web waits for it (depends_on): exclude web too, or neither"
    );
    assert_eq!(exclude(&["api", "web"]).unwrap().containers.len(), 2);
}

#[test]
fn what_lies_outside_the_folder_is_mounted_only_where_the_operator_allows_it() {
    let compose = "services:\n  db: {image: x}\n  logs: {image: l, volumes: ['/var/run/docker.sock:/var/run/docker.sock:ro']}\n";
    let refused = stack(compose, "", "").unwrap_err().to_string();
    assert!(
        refused.starts_with("compose.yaml: services.logs.volumes: /var/run/docker.sock lies outside"),
        "{refused}"
    );
    assert!(refused.contains("allowed_mounts"), "{refused}");
    assert!(stack(compose, "[services.logs]\ndefault = false\n", "").is_ok());

    let manifest = crate::stack::tests::manifest("");
    let folder = crate::stack::tests::folder(&[("compose.yaml", compose), ("freehold.toml", &manifest)]);
    let stack = load_allowing(folder.path(), "/var/run").unwrap();
    let graph = plan(&stack, &runtime(&stack), &surroundings()).unwrap();
    let mount = &graph.container("logs").unwrap().mounts[0];
    assert_eq!((&mount.source, mount.read_only), (&MountSource::Host("/var/run/docker.sock".into()), true));
}

#[test]
fn ports_keep_their_place_in_the_block_when_a_service_is_excluded() {
    let compose = "services:\n  a: {image: a, ports: ['80', '81']}\n  db: {image: d, ports: ['5432:5432', '53:53/udp']}\n";
    let ports = |excluded: &[&str]| {
        let graph = planned(compose, "", |runtime| {
            runtime.excluded = excluded.iter().map(|name| (*name).parse().unwrap()).collect();
        });
        graph.unwrap().container("db").unwrap().ports.iter().map(|port| port.host_port).collect::<Vec<_>>()
    };
    assert_eq!((ports(&[]), ports(&["a"])), (vec![20_002, 20_003], vec![20_002, 20_003]));
}

#[test]
fn a_variable_cannot_change_which_ports_are_published() {
    let compose = "services:\n  db: {image: d, ports: ['80:${INSIDE:-80}']}\n";
    let error = planned(compose, "", |runtime| {
        runtime.variables.insert("INSIDE".into(), "81".into());
    });
    assert!(
        error
            .unwrap_err()
            .to_string()
            .starts_with("compose.yaml: services.db.ports: 81 is published because of")
    );
}

#[test]
fn addresses_are_divided_among_the_networks_of_a_stack() {
    let compose = "services:\n  db: {image: d, networks: [back]}\n  web: {image: w, networks: [back, front]}\n  x: {image: x}\nnetworks: {back: {internal: true}, front: }\n";
    let subnets = |subnet: &str, excluded: &[&str]| {
        let graph = planned(compose, "", |runtime| {
            runtime.subnet = Some(subnet.parse().unwrap());
            runtime.excluded = excluded.iter().map(|name| (*name).parse().unwrap()).collect();
        })?;
        Ok::<_, Error>(
            graph
                .networks
                .iter()
                .map(|node| format!("{} {}", node.subnet.unwrap(), node.internal))
                .collect::<Vec<_>>(),
        )
    };
    assert_eq!(
        subnets("10.9.0.0/24", &[]).unwrap(),
        ["10.9.0.0/26 true", "10.9.0.64/26 false", "10.9.0.128/26 false"]
    );
    assert_eq!(subnets("10.9.0.0/24", &["x"]).unwrap(), ["10.9.0.0/26 true", "10.9.0.128/26 false"]);
    assert!(subnets("10.9.0.0/28", &[]).unwrap_err().to_string().contains("too small for the 3 networks"));
}

#[test]
fn memory_is_divided_so_that_all_services_stay_within_the_projects_bound() {
    let compose = "services:\n  db: {image: d, mem_limit: 600b, cpus: 4}\n  a: {image: a}\n  b: {image: b, cpus: 0.5}\n";
    let graph = planned(compose, "", |runtime| {
        runtime.limits.memory_bytes = Some(1000);
        runtime.limits.cpus = Some(2.0);
    })
    .unwrap();
    let bounds: Vec<_> = graph.containers.iter().map(|node| (node.memory_bytes, node.cpus)).collect();
    assert_eq!(bounds, [(Some(600), Some(2.0)), (Some(200), Some(2.0)), (Some(200), Some(0.5))]);
}

#[test]
fn a_data_directory_becomes_a_named_volume() {
    let compose =
        "services:\n  db: {image: d, volumes: ['./volumes/db/../db/data:/data:Z', './conf:/conf', /cache]}\n";
    let graph =
        planned(compose, "[[data]]\npath = \"./volumes/db/data\"\nvolume = \"db-data\"\n", |_| {}).unwrap();
    let sources: Vec<_> = graph.containers[0].mounts.iter().map(|mount| mount.source.clone()).collect();
    assert_eq!(sources[0], MountSource::Volume("fh-aaaaaaaaaaaaaaaaaaaa_db-data".into()));
    assert_eq!(sources[1], MountSource::Folder("conf".into()));
    assert!(
        matches!(&sources[2], MountSource::Volume(name) if name.starts_with("fh-aaaaaaaaaaaaaaaaaaaa_db-"))
    );
    assert_eq!(graph.volumes.len(), 2);
}

#[test]
fn an_environment_is_made_of_files_and_what_stands_over_them() {
    let compose =
        "services:\n  db:\n    image: d\n    env_file: [a.env]\n    environment: [B=own, PASSWORD, ABSENT]\n";
    let manifest = crate::stack::tests::manifest("");
    let folder = crate::stack::tests::folder(&[
        ("compose.yaml", compose),
        ("freehold.toml", &manifest),
        ("a.env", "A=$PASSWORD\nB=file\n"),
    ]);
    let stack = load(folder.path()).unwrap();
    let graph = plan(&stack, &runtime(&stack), &surroundings()).unwrap();
    use freehold_core::ExposeSecret;
    let environment: Vec<_> = graph.containers[0]
        .environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_ref().map(|value| value.expose_secret())))
        .collect();
    assert_eq!(
        environment,
        [("A", Some("hunter2")), ("ABSENT", None), ("B", Some("own")), ("PASSWORD", Some("hunter2"))]
    );
}
