//! Supabase's folder, in both of its shapes, with the manifest that Freehold ships.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use freehold_core::{ExposeSecret, SecretString};
use tempfile::TempDir;

use super::{tests::surroundings, *};
use crate::{
    config::StackSource,
    graph::{ContainerNode, MountSource},
    stack::tests::runtime,
};

fn source(folder: &Path) -> StackSource {
    StackSource::new(folder).named("supabase".parse().unwrap())
}

fn shape(name: &str) -> Stack {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/stacks").join(name);
    Stack::load(&folder, &source(&folder)).unwrap_or_else(|error| panic!("{name}: {}", error.chain()))
}

fn planned(stack: &Stack, change: impl FnOnce(&mut Runtime)) -> Result<Graph> {
    let mut runtime = runtime(stack);
    for (name, secret) in &mut runtime.secrets {
        *secret = SecretString::from(format!("made-{name}"));
    }
    change(&mut runtime);
    plan(stack, &runtime, &surroundings())
}

fn variable<'a>(node: &'a ContainerNode, name: &str) -> &'a str {
    node.environment[name].as_ref().unwrap().expose_secret()
}

#[test]
fn both_shapes_are_taken_without_a_manifest_of_their_own_and_run_what_a_project_needs() {
    for (name, gateway) in [("supabase-kong", "kong"), ("supabase-envoy", "api-gw")] {
        let stack = shape(name);
        assert_eq!(stack.spec().gateway.as_ref().unwrap().service.as_str(), gateway);
        let graph = planned(&stack, |_| {}).unwrap();
        let mut services: Vec<_> = graph.containers.iter().map(|node| node.service.as_str()).collect();
        services.sort_unstable();
        let mut expected = vec![
            "auth",
            "db",
            "functions",
            "imgproxy",
            "meta",
            "realtime",
            "rest",
            "storage",
            "supavisor",
            gateway,
        ];
        expected.sort_unstable();
        assert_eq!(services, expected, "{name}");
        assert!(
            graph.container(gateway).unwrap().gates.is_empty(),
            "nobody waits for what is off by default"
        );
        let wires: BTreeMap<_, _> =
            stack.spec().services.iter().map(|spec| (spec.name.as_str(), spec.wire.as_str())).collect();
        assert_eq!((wires["auth"], wires["storage"], wires["rest"]), ("gotrue", "storage-api", "postgrest"));
    }
}

#[test]
fn a_project_gets_secrets_addresses_and_a_tenant_of_its_own() {
    for (name, path) in [("supabase-kong", ""), ("supabase-envoy", "/auth/v1")] {
        let stack = shape(name);
        let graph = planned(&stack, |_| {}).unwrap();
        let node = |service: &str| graph.container(service).unwrap();
        let port = |service: &str, inside: u16| {
            node(service).ports.iter().find(|port| port.container_port == inside).unwrap().host_port
        };
        let gateway = stack.spec().gateway.as_ref().unwrap().service.to_string();
        let address = format!("http://example.org:{}{path}", port(&gateway, 8000));
        assert_eq!(variable(node("auth"), "API_EXTERNAL_URL"), address);
        assert_eq!(
            variable(node("auth"), "GOTRUE_DB_DATABASE_URL"),
            "postgres://supabase_auth_admin:made-postgres_password@db:5432/postgres"
        );
        assert_eq!(variable(node("rest"), "PGRST_JWT_SECRET"), "made-jwt_jwks");
        assert_eq!(
            variable(node("functions"), "SUPABASE_PUBLISHABLE_KEYS"),
            r#"{"default":"made-publishable_key"}"#
        );
        assert_eq!(variable(node("supavisor"), "POOLER_TENANT_ID"), graph.project.as_str());
        // The pooler and, other than upstream, the database are published; each by a port of its own.
        let ports = [port("supavisor", 5432), port("supavisor", 6543), port("db", 5432)];
        assert_eq!(ports.iter().collect::<std::collections::BTreeSet<_>>().len(), 3, "{ports:?}");
        let demo = fs::read_to_string(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/stacks").join(name).join(".env.example"),
        );
        let demo = demo.unwrap();
        let values = graph.containers.iter().flat_map(|node| node.environment.values().flatten());
        let told: Vec<_> = values.map(|value| value.expose_secret()).collect();
        for line in demo.lines().filter(|line| line.contains("=demo-")) {
            let (_, value) = line.split_once('=').unwrap();
            assert!(!told.iter().any(|text| text.contains(value)), "{line} of the folder is used");
        }
    }
}

#[test]
fn two_projects_share_nothing_and_each_has_upstreams_names_inside() {
    let stack = shape("supabase-kong");
    let of = |letter: &str| {
        planned(&stack, |runtime| {
            runtime.project = letter.repeat(freehold_core::ProjectRef::LEN).parse().unwrap();
        })
        .unwrap()
    };
    let (one, two) = (of("x"), of("y"));
    let names = |graph: &Graph| {
        let containers = graph.containers.iter().map(|node| node.name.clone());
        let networks = graph.networks.iter().map(|node| node.name.clone());
        let volumes = graph.volumes.iter().map(|node| node.name.clone());
        containers.chain(networks).chain(volumes).collect::<Vec<_>>()
    };
    assert!(names(&one).iter().all(|name| !names(&two).contains(name)));
    for graph in [&one, &two] {
        let aliases = |service: &str| graph.container(service).unwrap().networks[0].aliases.clone();
        assert_eq!(aliases("realtime"), ["realtime", "realtime-dev.supabase-realtime"]);
        assert_eq!(aliases("kong"), ["kong", "supabase-kong", "api-gw"]);
        let volumes = |service: &str| {
            let mounts = graph.container(service).unwrap().mounts.iter();
            mounts.filter(|mount| matches!(mount.source, MountSource::Volume(_))).count()
        };
        assert_eq!((volumes("db"), volumes("storage"), volumes("imgproxy")), (2, 1, 1));
    }
}

#[test]
fn what_is_off_by_default_may_be_turned_on_but_for_what_reads_the_logs_of_others() {
    let stack = shape("supabase-kong");
    let with = |excluded: &[&str]| {
        planned(&stack, |runtime| {
            runtime.excluded = excluded.iter().map(|name| (*name).parse().unwrap()).collect();
        })
    };
    let graph = with(&["vector"]).unwrap();
    let gates: Vec<_> =
        graph.container("kong").unwrap().gates.iter().map(|gate| gate.service.as_str()).collect();
    assert_eq!(gates, ["studio"]);
    assert!(graph.container("analytics").is_some());
    let refused = with(&[]).unwrap_err().to_string();
    assert!(refused.starts_with("excluded_services: must hold vector"), "{refused}");
    assert!(refused.contains("reads every container of the machine"), "{refused}");
}

#[test]
fn other_mail_settings_touch_auth_alone() {
    for name in ["supabase-kong", "supabase-envoy"] {
        let stack = shape(name);
        let hashes = |change: &dyn Fn(&mut Runtime)| -> BTreeMap<String, String> {
            let graph = planned(&stack, change).unwrap();
            graph.containers.iter().map(|node| (node.service.to_string(), node.config_hash.clone())).collect()
        };
        let before = hashes(&|_| {});
        let after = hashes(&|runtime| {
            runtime.variables.insert("SMTP_HOST".into(), "mail.example.org".into());
        });
        let touched: Vec<_> = before.keys().filter(|service| before[*service] != after[*service]).collect();
        assert_eq!(touched, ["auth"], "{name}");
    }
}

#[test]
fn a_folder_from_before_opaque_keys_gives_its_projects_none() {
    let folder = TempDir::new().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/stacks/supabase-kong"), folder.path());
    let file = folder.path().join("docker-compose.yml");
    let text = fs::read_to_string(&file).unwrap();
    let opaque = ["SUPABASE_PUBLISHABLE_KEY", "SUPABASE_SECRET_KEY"];
    let older = text.lines().filter(|line| !opaque.iter().any(|name| line.contains(name)));
    fs::write(&file, older.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let stack = Stack::load(folder.path(), &source(folder.path())).unwrap();
    let has = |name: &str| stack.spec().secrets.iter().any(|secret| secret.name.as_str() == name);
    assert_eq!(["anon_key", "publishable_key", "secret_key"].map(has), [true, false, false]);
    assert!(planned(&stack, |_| {}).is_ok());
}

#[test]
fn a_name_that_no_manifest_is_shipped_for_lists_those_that_are() {
    let folder = crate::stack::tests::folder(&[("compose.yaml", "services: {a: {image: x}}")]);
    let source = StackSource::new(folder.path()).named("supabaze".parse().unwrap());
    let error = Stack::load(folder.path(), &source).unwrap_err().to_string();
    assert!(error.contains("ships a manifest for: supabase (stack: "), "{error}");
}

/// Overlays of the shapes that upstream has: a proxy with certificates in front of the gateway (`docker-compose.caddy.yml`,
/// `docker-compose.nginx.yml`), one for developers (`dev/docker-compose.dev.yml`), and object storage beside it
/// (`docker-compose.s3.yml`, `docker-compose.rustfs.yml`).
const OVERLAYS: [(&str, &str, &[&str]); 3] = [
    (
        "proxy",
        "
services:
  kong:
    ports: !reset []
    environment: {KONG_PORT_MAPS: '443:8000'}
  edge:
    container_name: supabase-edge
    image: example/edge:1
    ports: ['80:80', '443:443', '443:443/udp']
    depends_on: {kong: {condition: service_healthy}, studio: {condition: service_healthy}}
    environment: {PROXY_AUTH_PASSWORD: '${DASHBOARD_PASSWORD}'}
    command: [/bin/sh, -c, 'edge hash \"$$PROXY_AUTH_PASSWORD\" && edge run']
    volumes: ['./volumes/proxy/edge:/etc/edge', 'edge_data:/data']
volumes: {edge_data: }
",
        &["edge"],
    ),
    (
        "dev",
        "
version: '3.8'
services:
  mail: {container_name: supabase-mail, image: example/mail:1, ports: ['2500:2500']}
  auth: {environment: ['GOTRUE_SMTP_USER=']}
  meta: {ports: ['5555:8080']}
  db: {volumes: ['./dev/data.sql:/docker-entrypoint-initdb.d/seed.sql']}
  storage: {volumes: [/var/lib/more]}
",
        &["mail"],
    ),
    (
        "s3",
        "
services:
  objects: {image: example/objects:1, healthcheck: {test: [CMD, 'true']}, volumes: ['objects-data:/data']}
  objects-createbucket:
    image: example/objects:1
    depends_on: {objects: {condition: service_healthy}}
  storage:
    depends_on:
      objects-createbucket: {condition: service_completed_successfully}
      objects: {condition: service_healthy}
    environment: {STORAGE_BACKEND: s3, GLOBAL_S3_ENDPOINT: 'http://objects:9000'}
volumes: {objects-data: }
",
        &["objects", "objects-createbucket"],
    ),
];

#[test]
fn overlays_of_upstreams_shapes_are_taken_and_planned_on_top_of_the_folder() {
    let upstream = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/stacks/supabase-kong");
    let plain = planned(&shape("supabase-kong"), |_| {}).unwrap();
    for (name, overlay, services) in OVERLAYS {
        let folder = TempDir::new().unwrap();
        copy(&upstream, folder.path());
        fs::write(folder.path().join("overlay.yml"), overlay).unwrap();
        fs::create_dir(folder.path().join("dev")).unwrap();
        fs::write(folder.path().join("dev/data.sql"), "select 1;").unwrap();
        let env = fs::read_to_string(upstream.join(".env.example")).unwrap();
        fs::write(
            folder.path().join(".env"),
            format!("{env}\nCOMPOSE_FILE=docker-compose.yml:overlay.yml\n"),
        )
        .unwrap();
        let stack = Stack::load(folder.path(), &source(folder.path()))
            .unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
        let graph = planned(&stack, |_| {}).unwrap_or_else(|error| panic!("{name}: {}", error.chain()));
        assert_eq!(graph.containers.len(), plain.containers.len() + services.len(), "{name}");
        for service in services {
            assert!(graph.container(service).is_some(), "{name}: {service}");
        }
    }
}

/// Upstream's own files, which are not ours to keep, with every overlay that is at hand.
#[test]
fn upstreams_own_folder_is_taken_as_it_is() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/supabase-docker");
    let upstream = env::var_os("FREEHOLD_SUPABASE").map_or_else(beside, PathBuf::from);
    if !upstream.join("docker-compose.yml").is_file() {
        eprintln!("note: upstream's folder is not at {}; the fixtures have its shape", upstream.display());
        return;
    }
    for overlay in ["", ":docker-compose.s3.yml", ":docker-compose.rustfs.yml", ":docker-compose.pg17.yml"] {
        takes_upstreams(&upstream, overlay);
    }
}

fn takes_upstreams(upstream: &Path, overlay: &str) {
    let folder = TempDir::new().unwrap();
    copy(upstream, folder.path());
    let env = fs::read_to_string(upstream.join(".env.example")).unwrap();
    fs::write(folder.path().join(".env"), format!("{env}\nCOMPOSE_FILE=docker-compose.yml{overlay}\n"))
        .unwrap();
    let stack = whole(folder.path());
    let graph = planned(&stack, |_| {}).unwrap();
    assert!(graph.containers.len() >= 10, "{overlay}: {:?}", graph.containers);
    let demo = DEMO_KEYS.map(|name| {
        let line = env.lines().find(|line| line.starts_with(&format!("{name}="))).unwrap().to_owned();
        line.split_once('=').unwrap().1.to_owned()
    });
    for node in &graph.containers {
        for (name, value) in &node.environment {
            let Some(value) = value else { continue };
            let used = demo.iter().find(|demo| value.expose_secret().contains(demo.as_str()));
            assert!(used.is_none(), "{} gets upstream's published {name}", node.service);
        }
    }
}

/// The stack in a copy of upstream's folder. A copy that is not whole gets files that hold nothing for those that it lacks.
fn whole(folder: &Path) -> Stack {
    loop {
        let error = match Stack::load(folder, &source(folder)) {
            Ok(stack) => return stack,
            Err(error) => error.to_string(),
        };
        let lacking = error
            .split_once(".volumes: ")
            .and_then(|(_, said)| said.split_once(" is not in the stack's folder"));
        let (path, _) = lacking.unwrap_or_else(|| panic!("{error}"));
        let path = folder.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

const DEMO_KEYS: [&str; 10] = [
    "POSTGRES_PASSWORD",
    "JWT_SECRET",
    "ANON_KEY",
    "SERVICE_ROLE_KEY",
    "DASHBOARD_PASSWORD",
    "SECRET_KEY_BASE",
    "VAULT_ENC_KEY",
    "PG_META_CRYPTO_KEY",
    "S3_PROTOCOL_ACCESS_KEY_ID",
    "S3_PROTOCOL_ACCESS_KEY_SECRET",
];
