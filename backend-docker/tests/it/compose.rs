//! What a Compose file says takes effect on the engine.

use std::fs;

use bollard::{
    models::{ContainerInspectResponse, HostConfig},
    query_parameters::InspectContainerOptions,
};
use freehold_core::{Destroyer, ProjectRef, Provisioner, Wish};

use crate::fixture::{Fixture, ctx, shell, stack};

const MANIFEST: &str = "name = \"settings\"\n[[secrets]]\nname = \"token\"\nvariable = \"TOKEN\"\ngenerate = { kind = \"token\", length = 32 }\n";

/// Every setting that is promised. The image is a stand-in for any that has a shell.
const FIRST: &str = r#"
services:
  web:
    image: freehold-test/postgres:1
    entrypoint: [sleep]
    command: infinity
    container_name: the-web
    hostname: web1
    domainname: example.org
    user: "1:1"
    working_dir: /srv
    init: true
    tty: true
    stdin_open: true
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    security_opt: ["no-new-privileges:true"]
    group_add: ["7"]
    extra_hosts: ["gate=10.0.0.1", "other:10.0.0.2"]
    dns: 10.0.0.53
    dns_search: [example.org]
    dns_opt: ["ndots:2"]
    sysctls: {net.core.somaxconn: 100}
    ulimits: {nproc: 6000, nofile: {soft: 100, hard: 200}}
    shm_size: 32m
    stop_signal: SIGKILL
    stop_grace_period: 7s
    restart: on-failure:3
    logging: {driver: json-file, options: {max-size: 1m}}
    mem_limit: 256m
    mem_reservation: 64m
    memswap_limit: 256m
    oom_score_adj: 100
    cpu_shares: 512
    cpuset: "0"
    pids_limit: 50
    labels: {org.example.owner: team}
    tmpfs: ["/scratch:size=1m,mode=1777"]
    volumes:
      - data:/data
      - {type: volume, source: data, target: /uncopied, volume: {nocopy: true}}
      - {type: tmpfs, target: /memory, tmpfs: {size: 2m}}
    configs:
      - site
      - {source: inline, target: /etc/inline.conf, uid: "1", gid: "1", mode: 0400}
    secrets: [token, {source: key, target: the_key}]
    networks: {back: {aliases: [w]}}
  tight:
    image: freehold-test/postgres:1
    entrypoint: [sleep, infinity]
    read_only: true
    stop_signal: SIGKILL
    cpus: 0.5
    deploy:
      resources: {limits: {memory: 128M, pids: 20}}
      restart_policy: {condition: on-failure, max_attempts: 5}
  unwanted:
    image: freehold-test/absent:1
    profiles: [tools]
configs:
  site: {file: ./site.conf}
  inline: {content: "level = ${LEVEL:-info}\n"}
secrets:
  token: {environment: TOKEN}
  key: {file: ./key}
networks: {back: {internal: true, labels: {org.example.side: back}}}
volumes: {data: {labels: {org.example.kind: data}}}
"#;

/// What is merged over it.
const SECOND: &str =
    "services:\n  web: {hostname: web2, cap_add: !override [SYS_NICE], stdin_open: !reset null}\n";

async fn inspect(fixture: &Fixture, project: &ProjectRef, service: &str) -> ContainerInspectResponse {
    let id = fixture.container(project, service).await;
    fixture.docker.inspect_container(&id, None::<InspectContainerOptions>).await.unwrap()
}

fn limits(host: &HostConfig) -> Vec<(String, i64, i64)> {
    let all = host.ulimits.clone().unwrap_or_default();
    let mut all: Vec<_> = all
        .into_iter()
        .map(|limit| (limit.name.unwrap(), limit.soft.unwrap(), limit.hard.unwrap()))
        .collect();
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn every_setting_of_a_compose_file_reaches_the_engine_and_a_new_one_only_the_service_it_touches() {
    let folder = stack(FIRST, MANIFEST);
    fs::write(folder.path().join("docker-compose.override.yml"), SECOND).unwrap();
    fs::write(folder.path().join("site.conf"), "from the folder\n").unwrap();
    fs::write(folder.path().join("key"), "a key\n").unwrap();
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let mut runtime = fixture.runtime();
    runtime.excluded = fixture.spec.exclusions(None).unwrap();
    assert_eq!(runtime.excluded, ["unwanted".parse::<freehold_core::ServiceName>().unwrap()]);
    let (backend, ctx, project) = (&fixture.backend, ctx(), runtime.project);
    backend.provision(&ctx, &runtime).await.unwrap();

    let web = inspect(&fixture, &project, "web").await;
    let config = web.config.unwrap();
    let labels = config.labels.unwrap();
    assert_eq!(
        (config.hostname.as_deref(), config.domainname.as_deref()),
        (Some("web2"), Some("example.org"))
    );
    assert_eq!((config.user.as_deref(), config.working_dir.as_deref()), (Some("1:1"), Some("/srv")));
    assert_eq!((config.tty, config.open_stdin), (Some(true), Some(false)));
    assert_eq!((config.stop_signal.as_deref(), config.stop_timeout), (Some("SIGKILL"), Some(7)));
    assert_eq!(
        (config.entrypoint.unwrap(), config.cmd.unwrap()),
        (vec!["sleep".into()], vec!["infinity".into()])
    );
    assert_eq!(labels["org.example.owner"], "team");
    let files = &labels["com.docker.compose.project.config_files"];
    assert!(
        files.contains("docker-compose.yml,") && files.ends_with("docker-compose.override.yml"),
        "{files}"
    );

    let host = web.host_config.unwrap();
    assert_eq!(host.init, Some(true));
    // Some engines write CAP_ before the names.
    let capabilities = [host.cap_add.clone().unwrap(), host.cap_drop.clone().unwrap()].concat();
    let capabilities: Vec<_> = capabilities.iter().map(|name| name.trim_start_matches("CAP_")).collect();
    assert_eq!(capabilities, ["SYS_NICE", "MKNOD"]);
    assert_eq!(host.security_opt.clone().unwrap(), ["no-new-privileges:true"]);
    assert_eq!(host.group_add.clone().unwrap(), ["7"]);
    assert_eq!(host.extra_hosts.clone().unwrap(), ["gate:10.0.0.1", "other:10.0.0.2"]);
    assert_eq!(
        (host.dns.clone().unwrap(), host.dns_search.clone().unwrap()),
        (vec!["10.0.0.53".to_owned()], vec!["example.org".to_owned()])
    );
    assert_eq!(host.dns_options.clone().unwrap(), ["ndots:2"]);
    assert_eq!(host.sysctls.clone().unwrap()["net.core.somaxconn"], "100");
    assert_eq!(limits(&host), [("nofile".into(), 100, 200), ("nproc".into(), 6000, 6000)]);
    assert_eq!(
        (host.shm_size, host.memory, host.memory_reservation),
        (Some(32 << 20), Some(256 << 20), Some(64 << 20))
    );
    assert_eq!(
        (host.memory_swap, host.oom_score_adj, host.cpu_shares),
        (Some(256 << 20), Some(100), Some(512))
    );
    assert_eq!((host.cpuset_cpus.as_deref(), host.pids_limit), (Some("0"), Some(50)));
    let restart = host.restart_policy.clone().unwrap();
    assert_eq!(
        (restart.name.unwrap().to_string(), restart.maximum_retry_count),
        ("on-failure".into(), Some(3))
    );
    let logging = host.log_config.clone().unwrap();
    assert_eq!(
        (logging.typ.as_deref(), logging.config.unwrap()["max-size"].as_str()),
        (Some("json-file"), "1m")
    );
    let tmpfs = host.tmpfs.clone().unwrap();
    assert_eq!(
        (tmpfs["/scratch"].as_str(), tmpfs["/memory"].as_str()),
        ("size=1m,mode=1777", "size=2097152")
    );
    let uncopied = host
        .mounts
        .as_ref()
        .unwrap()
        .iter()
        .find(|mount| mount.target.as_deref() == Some("/uncopied"))
        .unwrap();
    assert_eq!(uncopied.volume_options.as_ref().unwrap().no_copy, Some(true));
    let places = web.network_settings.unwrap().networks.unwrap();
    let aliases = places[&format!("fh-{project}_back")].aliases.clone().unwrap();
    for alias in ["web", "the-web", "w"] {
        assert!(aliases.iter().any(|known| known == alias), "{alias} of {aliases:?}");
    }

    assert_eq!(
        shell(
            &fixture,
            &project,
            "web",
            "cat /site; cat /etc/inline.conf; stat -c '%a %u %g' /etc/inline.conf"
        )
        .await,
        "from the folder\nlevel = info\n400 1 1"
    );
    let token = crate::fixture::password(&runtime);
    assert_eq!(
        shell(&fixture, &project, "web", "cat /run/secrets/token; echo; cat /run/secrets/the_key").await,
        format!("{token}\na key")
    );

    let tight = inspect(&fixture, &project, "tight").await.host_config.unwrap();
    assert_eq!((tight.readonly_rootfs, tight.nano_cpus), (Some(true), Some(500_000_000)));
    assert_eq!((tight.memory, tight.pids_limit), (Some(128 << 20), Some(20)));
    assert_eq!(tight.restart_policy.unwrap().maximum_retry_count, Some(5));
    assert!(shell(&fixture, &project, "tight", "touch /x").await.contains("Read-only file system"));

    let network = fixture
        .docker
        .inspect_network(
            &format!("fh-{project}_back"),
            None::<bollard::query_parameters::InspectNetworkOptions>,
        )
        .await
        .unwrap();
    assert_eq!(
        (network.internal, network.labels.unwrap()["org.example.side"].as_str()),
        (Some(true), "back")
    );
    let volume = fixture.docker.inspect_volume(&format!("fh-{project}_data")).await.unwrap();
    assert_eq!(volume.labels["org.example.kind"], "data");
    assert!(backend.plan(&ctx, &runtime, Wish::Active).await.unwrap().is_empty());

    // Another value of a config's variable makes the container that is given it anew, and no other.
    let before = [fixture.container(&project, "web").await, fixture.container(&project, "tight").await];
    runtime.variables.insert("LEVEL".into(), "debug".into());
    runtime.generation += 1;
    backend.reconfigure(&ctx, &runtime).await.unwrap();
    let after = [fixture.container(&project, "web").await, fixture.container(&project, "tight").await];
    assert_ne!(before[0], after[0]);
    assert_eq!(before[1], after[1]);
    assert_eq!(shell(&fixture, &project, "web", "cat /etc/inline.conf").await, "level = debug");
    backend.destroy(&ctx, &project).await.unwrap();
    assert_eq!(fixture.census(&project).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_is_never_to_be_pulled_is_named_when_it_is_not_there() {
    let folder =
        stack("services: {a: {image: 'freehold-test/absent:1', pull_policy: never}}", "name = \"absent\"");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let runtime = fixture.runtime();
    let error = fixture.backend.provision(&ctx(), &runtime).await.unwrap_err();
    assert_eq!(error.kind(), freehold_core::Kind::NotFound, "{error}");
    assert!(error.to_string().contains("find image freehold-test/absent:1"), "{error}");
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stack_with_an_overlay_starts_with_what_the_overlay_adds_and_changes() {
    let folder = tempfile::tempdir().unwrap();
    let source = crate::fixture::webapp().join(".");
    let copied = std::process::Command::new("cp").arg("-r").arg(source).arg(folder.path()).status();
    assert!(copied.unwrap().success());
    let overlay = "
services:
  db: {environment: {POSTGRES_DB: notes}, command: !override [-c, max_connections=33]}
  migrate: {environment: {PGDATABASE: notes}}
  watcher:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    init: true
    networks: [internal]
    depends_on: {migrate: {condition: service_completed_successfully}}
";
    fs::write(folder.path().join("docker-compose.more.yml"), overlay).unwrap();
    let env = fs::read_to_string(folder.path().join(".env")).unwrap();
    let env = format!("{env}\nCOMPOSE_FILE=docker-compose.yml:docker-compose.more.yml\n");
    fs::write(folder.path().join(".env"), env).unwrap();
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let mut runtime = fixture.runtime();
    runtime.excluded = vec!["proxy".parse().unwrap(), "pooler".parse().unwrap()];
    let (backend, ctx, project) = (&fixture.backend, ctx(), runtime.project);
    backend.provision(&ctx, &runtime).await.unwrap();
    let asked =
        shell(&fixture, &project, "db", "psql -U postgres -d notes -Atc 'show max_connections'").await;
    assert_eq!(asked, "33");
    assert!(inspect(&fixture, &project, "watcher").await.state.unwrap().running.unwrap());
    assert!(backend.plan(&ctx, &runtime, Wish::Active).await.unwrap().is_empty());
    backend.destroy(&ctx, &project).await.unwrap();
    assert_eq!(fixture.census(&project).await, [""; 0]);
}
