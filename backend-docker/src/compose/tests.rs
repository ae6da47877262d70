use std::time::Duration;

use super::*;
use crate::graph::{Condition, Restart};

pub(super) fn read(text: &str) -> Result<ComposeFile> {
    let tree = yaml::parse("docker-compose.yml", text)?;
    let variables = |name: &str| (name == "SECRET").then(|| "hunter2".to_owned());
    ComposeFile::read(&interpolate::interpolate_tree(&tree, &variables)?)
}

/// A service `db` with these lines below its image.
fn service(lines: &str) -> Result<Service> {
    let text = format!("services:\n  db:\n    image: postgres\n{lines}\nvolumes:\n  data:\n");
    Ok(read(&text)?.services.remove(0))
}

fn wrong(lines: &str) -> String {
    service(lines).map(|service| format!("{service:?}")).unwrap_err().to_string()
}

#[test]
fn every_key_that_is_promised_is_read() {
    let db = service(
        r#"
    command: postgres -c "log_min_messages=fatal"
    entrypoint: [/bin/sh, -c, "echo $$HOME"]
    environment: {PORT: 4000, DEBUG: true, RATIO: 16.8, PASSWORD: "${SECRET}", INHERITED: }
    env_file: [a.env, {path: b.env, required: false}]
    ports: ["${UNSET}:5432", {target: 53, published: "53", protocol: udp}]
    volumes: ["data:/data:ro", "./conf:/conf:ro,z", /cache, {type: bind, source: ./x, target: /x, read_only: true}]
    tmpfs: /run
    networks: {default: {aliases: [database]}}
    healthcheck: {test: "pg_isready", interval: 1m30s, timeout: 3s, retries: 5, start_period: 500ms, start_interval: 1s}
    restart: on-failure:3
    user: "999:999"
    working_dir: /srv
    init: true
    labels: [a=b, c]
    container_name: the-db
    hostname: db1
    stop_signal: SIGINT
    stop_grace_period: 1m
    mem_limit: 512m
    cpus: 0.5
    shm_size: 64m
    cap_add: [SYS_NICE]
    cap_drop: [ALL]
    security_opt: ["label=disable"]
    read_only: true
    extra_hosts: ["gate=10.0.0.1"]
    ulimits: {nproc: 65535, nofile: {soft: 1, hard: 2}}
    expose: [5432]
    x-note: anything
"#,
    )
    .unwrap();
    assert_eq!(db.command.unwrap(), ["postgres", "-c", "log_min_messages=fatal"]);
    assert_eq!(db.entrypoint.unwrap(), ["/bin/sh", "-c", "echo $HOME"]);
    let environment: Vec<_> = db.environment.iter().map(|(k, v)| (k.as_str(), v.as_deref())).collect();
    assert_eq!(
        environment,
        [
            ("DEBUG", Some("true")),
            ("INHERITED", None),
            ("PASSWORD", Some("hunter2")),
            ("PORT", Some("4000")),
            ("RATIO", Some("16.8"))
        ]
    );
    assert_eq!(
        db.env_files.iter().map(|file| (file.path.as_str(), file.required)).collect::<Vec<_>>(),
        [("a.env", true), ("b.env", false)]
    );
    assert_eq!(db.ports.iter().map(|port| port.container_port).collect::<Vec<_>>(), [5432, 53]);
    let mounts: Vec<_> =
        db.mounts.iter().map(|m| (m.source.clone(), m.target.as_str(), m.read_only)).collect();
    assert_eq!(
        mounts,
        [
            (Source::Named("data".into()), "/data", true),
            (Source::Path("./conf".into()), "/conf", true),
            (Source::Anonymous, "/cache", false),
            (Source::Path("./x".into()), "/x", true),
            (Source::Tmpfs(vec![]), "/run", false),
        ]
    );
    assert_eq!(db.networks, [("default".to_owned(), vec!["database".to_owned()])]);
    let check = db.healthcheck.clone().unwrap();
    assert_eq!(
        (check.test.join(" "), check.interval),
        ("CMD-SHELL pg_isready".into(), Some(Duration::from_secs(90)))
    );
    assert_eq!((check.retries, check.start_period), (Some(5), Some(Duration::from_millis(500))));
    assert_eq!(
        (db.restart.unwrap(), db.init, db.stop_grace),
        (Restart::OnFailure(Some(3)), Some(true), Some(Duration::from_secs(60)))
    );
    assert_eq!(db.extras.extra_hosts, ["gate:10.0.0.1"]);
    assert_eq!(db.extras.ulimits, [("nproc".to_owned(), 65535, 65535), ("nofile".to_owned(), 1, 2)]);
    assert_eq!((db.memory_bytes, db.cpus), (Some(512 << 20), Some(0.5)));
    assert_eq!((db.labels["a"].as_str(), db.labels["c"].as_str()), ("b", ""));
    assert_eq!((db.container_name.as_deref(), db.hostname.as_deref()), (Some("the-db"), Some("db1")));
}

#[test]
fn a_service_waits_for_others_on_three_conditions() {
    let file = read(
        "services:
  a: {image: a}
  b: {image: b, depends_on: [a]}
  c:
    image: c
    depends_on:
      a: {condition: service_healthy, restart: true}
      b: {condition: service_completed_successfully, required: false}
",
    )
    .unwrap();
    let conditions = |name: &str| {
        let edges = &file.service(name).unwrap().depends_on;
        edges.iter().map(|edge| (edge.condition, edge.required)).collect::<Vec<_>>()
    };
    assert_eq!(conditions("b"), [(Condition::Started, true)]);
    assert_eq!(conditions("c"), [(Condition::Healthy, true), (Condition::Completed, false)]);
}

#[test]
fn services_start_behind_what_they_wait_for() {
    let file = read(
        "services:\n  web: {image: w, depends_on: [api, cache]}\n  api: {image: a, depends_on: [db]}\n  db: {image: d}\n  cache: {image: c}\n",
    )
    .unwrap();
    let order: Vec<_> = file.start_order().unwrap().iter().map(|service| service.name.as_str()).collect();
    assert_eq!(order, ["db", "api", "cache", "web"]);
}

#[test]
fn a_health_check_may_be_a_list_a_line_or_none() {
    for (lines, expected) in [
        ("    healthcheck: {test: [CMD, pg_isready, -U, postgres]}", "CMD pg_isready -U postgres"),
        ("    healthcheck: {test: [CMD-SHELL, exit 0]}", "CMD-SHELL exit 0"),
        ("    healthcheck: {test: exit 0}", "CMD-SHELL exit 0"),
        ("    healthcheck: {test: [NONE]}", "NONE"),
        ("    healthcheck: {disable: true}", "NONE"),
        ("    healthcheck: {interval: 5s}", ""),
    ] {
        assert_eq!(service(lines).unwrap().healthcheck.unwrap().test.join(" "), expected, "{lines}");
    }
}

#[test]
fn an_unknown_key_is_named_with_file_line_and_service_and_the_way_out() {
    assert_eq!(
        wrong("    build: ."),
        "docker-compose.yml:4: services.db.build: the key build is not supported: build and tag the image first, and name \
         it in image"
    );
    for (lines, key) in [
        ("    privileged: true", "services.db.privileged"),
        ("    healthcheck: {tests: x}", "services.db.healthcheck.tests"),
        ("    depends_on: {db: {condition: service_healthy, when: now}}", "services.db.depends_on.db.when"),
        ("    ports: [{target: 80, publish: 80}]", "services.db.ports[0].publish"),
        (
            "    volumes: [{type: volume, source: data, target: /d, volume: {subpath: x}}]",
            "services.db.volumes[0].volume.subpath",
        ),
        ("    networks: {default: {ipv4_address: 10.0.0.2}}", "services.db.networks.default.ipv4_address"),
    ] {
        let message = wrong(lines);
        assert!(message.starts_with(&format!("docker-compose.yml:4: {key}: the key ")), "{message}");
    }
    let message = read("services: {db: {image: x}}\ninclude: [a.yml]\n").unwrap_err().to_string();
    assert!(
        message.starts_with("docker-compose.yml:2: include: the key include is not supported"),
        "{message}"
    );
}

#[test]
fn a_bad_value_is_shown_with_what_is_allowed() {
    for (lines, message) in [
        (
            "    restart: sometimes",
            r#"services.db.restart: "sometimes" is wrong: write no, always, unless-stopped"#,
        ),
        ("    ports: ['80:x']", r#"services.db.ports[0]: "80:x" is wrong: write CONTAINER"#),
        ("    volumes: ['./a:b']", r#"services.db.volumes[0]: "./a:b" is wrong: write TARGET"#),
        (
            "    volumes: ['./a:/b:rshared']",
            r#"services.db.volumes[0]: the option "rshared" is not supported"#,
        ),
        (
            "    healthcheck: {interval: 10}",
            r#"services.db.healthcheck.interval: "10" is wrong: write a duration"#,
        ),
        (
            "    healthcheck: {test: [pg_isready]}",
            r#"services.db.healthcheck.test: a list is wrong: write ["CMD""#,
        ),
        (
            "    depends_on: {db: {condition: healthy}}",
            r#"services.db.depends_on.db.condition: "healthy" is wrong: write service_started"#,
        ),
        ("    depends_on: {db: {}}", "services.db.depends_on.db: the key condition is missing"),
        ("    init: maybe", r#"services.db.init: "maybe" is wrong: write true or false"#),
        ("    command: 'a \"b'", "services.db.command: \"a \\\"b\" is wrong: write words"),
        ("    user:", "services.db.user: nothing is written: write a single value"),
        ("    image: x", "the key \"image\" stands twice, first on line 3"),
        ("    labels: {freehold.ref: x}", "services.db.labels: the label freehold.ref is reserved"),
    ] {
        let wrong = wrong(lines);
        assert!(wrong.starts_with(&format!("docker-compose.yml:4: {message}")), "{wrong}");
    }
}

#[test]
fn what_is_referred_to_must_be_there() {
    assert!(
        wrong("    volumes: ['other:/x']").contains("services.db.volumes: the volume other is not declared")
    );
    assert!(
        wrong("    networks: [front]").contains("services.db.networks: the network front is not declared")
    );
    assert!(wrong("    depends_on: [web]").contains("services.db.depends_on: there is no service web"));
    assert!(wrong("    depends_on: [db]").contains("services: db waits for db: break the circle"));
    assert!(read("name: x").unwrap_err().to_string().contains("no services"));
    assert!(
        read("services:\n  db: {restart: always}")
            .unwrap_err()
            .to_string()
            .contains("services.db: the key image")
    );
}

#[test]
fn what_a_variable_came_to_is_never_shown() {
    for lines in [
        "    restart: $SECRET",
        "    ports: ['${SECRET}']",
        "    healthcheck: {interval: '${SECRET}'}",
        "    volumes: ['${SECRET}:x']",
        "    labels: {freehold.x: $SECRET}",
    ] {
        assert!(!wrong(lines).contains("hunter2"), "{}", wrong(lines));
    }
    let shown = format!("{:?}", service("    environment: {A: $SECRET}\n    command: $SECRET").unwrap());
    assert!(!shown.contains("hunter2"), "{shown}");
}
