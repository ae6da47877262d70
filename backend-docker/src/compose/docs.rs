//! `docs/compose.md` says of each key what the parser does with it.

use std::{fmt::Write as _, fs, path::Path};

use super::{
    keys::{ALL, Says},
    tests::read,
};

const BEGIN: &str = "<!-- made from backend-docker/src/compose/keys.rs: UPDATE_GOLDEN=1 writes it anew -->\n";
const END: &str = "<!-- end -->";

/// A file with one service in which `{}` stands for a key of a section and its value.
fn frame(section: &str) -> &'static str {
    match section {
        "The file" => "{services: {a: {image: x}}, {}}",
        "services.NAME" => {
            "{services: {a: {image: x, {}}, b: {image: y}}, networks: {n: }, volumes: {v: }, configs: {c: {content: x}}, secrets: {s: {file: ./s}}}"
        }
        "services.NAME.depends_on.SERVICE" => {
            "{services: {a: {image: x, depends_on: {b: {condition: service_started, {}}}}, b: {image: y}}}"
        }
        "services.NAME.healthcheck" => "{services: {a: {image: x, healthcheck: {{}}}}}",
        "services.NAME.env_file[]" => "{services: {a: {image: x, env_file: [{path: a.env, {}}]}}}",
        "services.NAME.ports[]" => "{services: {a: {image: x, ports: [{target: 80, {}}]}}}",
        "services.NAME.volumes[]" => {
            "{services: {a: {image: x, volumes: [{type: bind, source: ./a, target: /a, {}}]}}}"
        }
        "services.NAME.volumes[].bind" => {
            "{services: {a: {image: x, volumes: [{type: bind, source: ./a, target: /a, bind: {{}}}]}}}"
        }
        "services.NAME.volumes[].volume" => {
            "{services: {a: {image: x, volumes: [{type: volume, target: /a, volume: {{}}}]}}}"
        }
        "services.NAME.volumes[].tmpfs" => {
            "{services: {a: {image: x, volumes: [{type: tmpfs, target: /a, tmpfs: {{}}}]}}}"
        }
        "services.NAME.networks.NETWORK" => "{services: {a: {image: x, networks: {default: {{}}}}}}",
        "services.NAME.configs[] and services.NAME.secrets[]" => {
            "{services: {a: {image: x, configs: [{source: c, {}}]}}, configs: {c: {content: x}}}"
        }
        "services.NAME.logging" => "{services: {a: {image: x, logging: {{}}}}}",
        "services.NAME.ulimits.NAME" => {
            "{services: {a: {image: x, ulimits: {nofile: {soft: 1, hard: 2, {}}}}}}"
        }
        "services.NAME.deploy" => "{services: {a: {image: x, deploy: {{}}}}}",
        "services.NAME.deploy.resources" => "{services: {a: {image: x, deploy: {resources: {{}}}}}}",
        "services.NAME.deploy.resources.limits" => {
            "{services: {a: {image: x, deploy: {resources: {limits: {{}}}}}}}"
        }
        "services.NAME.deploy.resources.reservations" => {
            "{services: {a: {image: x, deploy: {resources: {reservations: {{}}}}}}}"
        }
        "services.NAME.deploy.restart_policy" => {
            "{services: {a: {image: x, deploy: {restart_policy: {{}}}}}}"
        }
        "networks.NAME" => "{services: {a: {image: x}}, networks: {n: {{}}}}",
        "volumes.NAME" => "{services: {a: {image: x}}, volumes: {v: {{}}}}",
        "configs.NAME" => "{services: {a: {image: x}}, configs: {c: {content: x, {}}}}",
        "secrets.NAME" => "{services: {a: {image: x}}, secrets: {s: {file: ./s, {}}}}",
        other => panic!("no frame for {other}"),
    }
}

/// A value that a supported key of a section takes.
fn value(section: &str, key: &str) -> &'static str {
    match (section, key) {
        (
            "services.NAME.deploy.resources.limits" | "services.NAME.deploy.resources.reservations",
            "memory",
        ) => "64M",
        ("services.NAME.deploy.resources.limits", "pids") | ("services.NAME", "pids_limit") => "10",
        ("services.NAME", "tmpfs") => "/run",
        (_, "services") => "{a: {image: x}}",
        (_, "networks" | "volumes") if section == "The file" => "{n: }",
        (_, "configs") if section == "The file" => "{c: {content: x}}",
        (_, "secrets") if section == "The file" => "{s: {file: ./s}}",
        (_, "networks") => "[n]",
        (_, "volumes") => "['v:/v', './a:/a']",
        (_, "configs") => "[c]",
        (_, "secrets") => "[s]",
        (_, "depends_on") => "[b]",
        (
            _,
            "deploy" | "logging" | "healthcheck" | "resources" | "restart_policy" | "limits" | "reservations"
            | "bind" | "volume" | "tmpfs" | "options" | "labels" | "sysctls" | "environment" | "ulimits",
        ) if section != "secrets.NAME" && section != "configs.NAME" => "{}",
        (_, "ports" | "expose") => "['80']",
        (_, "labels") => "{a: b}",
        (_, "extra_hosts") => "['a=10.0.0.1']",
        (_, "environment") => "A",
        (
            _,
            "interval" | "timeout" | "start_period" | "start_interval" | "delay" | "window"
            | "stop_grace_period",
        ) => "5s",
        (_, "mem_limit" | "mem_reservation" | "memswap_limit" | "shm_size" | "size") => "64m",
        (
            _,
            "attach" | "init" | "read_only" | "stdin_open" | "tty" | "required" | "disable" | "nocopy"
            | "create_host_path" | "internal" | "attachable" | "enable_ipv4",
        ) => "true",
        (_, "external") => "false",
        ("services.NAME.depends_on.SERVICE", "restart") => "true",
        (_, "restart") => "always",
        (_, "condition") if section.contains("deploy") => "any",
        (_, "condition") => "service_healthy",
        (
            _,
            "retries" | "max_attempts" | "cpu_shares" | "mem_swappiness" | "oom_score_adj" | "priority"
            | "soft" | "hard" | "cpus" | "uid" | "gid" | "replicas",
        ) => "1",
        ("services.NAME.ports[]", "mode") => "host",
        ("services.NAME.deploy", "mode") => "replicated",
        (_, "mode") => "0440",
        ("networks.NAME", "driver") => "bridge",
        ("volumes.NAME", "driver") => "local",
        (_, "protocol") => "udp",
        (_, "published") => "'8080'",
        (_, "host_ip") => "127.0.0.1",
        (_, "target") if section.ends_with("ports[]") => "80",
        (_, "type") => "bind",
        (_, "source") if section.contains("configs") => "c",
        (_, "source") => "./a",
        (_, "target") => "/a",
        (_, "pull_policy") => "never",
        (
            _,
            "cap_add" | "cap_drop" | "dns" | "dns_opt" | "dns_search" | "group_add" | "security_opt"
            | "profiles" | "aliases",
        ) => "[a]",
        (
            _,
            "version" | "name" | "command" | "entrypoint" | "container_name" | "cpuset" | "domainname"
            | "env_file" | "hostname" | "image" | "stop_signal" | "user" | "working_dir" | "test" | "path"
            | "app_protocol" | "consistency" | "selinux" | "driver" | "file" | "content",
        ) => "a",
        other => panic!("no value for {other:?}"),
    }
}

/// The file with that key in its section; one that the frame has already is replaced.
fn sample(section: &str, key: &str, value: &str) -> String {
    let frame = frame(section);
    let mut text = frame.replacen("{}", &format!("{key}: {value}"), 1);
    for taken in [
        "condition: service_started, ",
        "path: a.env, ",
        "target: 80, ",
        "type: bind, ",
        "source: ./a, ",
        "target: /a, ",
        "source: c, ",
        "soft: 1, ",
        "hard: 2, ",
        "services: {a: {image: x}}, ",
        "content: x, ",
        "file: ./s, ",
        "image: x, ",
    ] {
        let name = taken.split(':').next().unwrap();
        let is_source =
            matches!(name, "content" | "file") && matches!(key, "content" | "file" | "environment");
        if (name == key || is_source) && text.contains(&format!("{taken}{}", "")) {
            text = text.replacen(taken, "", 1);
        }
    }
    text
}

#[test]
fn every_key_is_read_or_refused_as_the_table_says() {
    let mut keys = 0;
    for section in ALL {
        for key in section.keys {
            keys += 1;
            match key.says {
                Says::Is(_) => {
                    let text = sample(section.title, key.name, value(section.title, key.name));
                    if let Err(problem) = read(&text) {
                        panic!("{}: {}: {problem}\n{text}", section.title, key.name);
                    }
                }
                Says::Refused(way_out) => {
                    let text = sample(section.title, key.name, "[]");
                    let problem = read(&text).unwrap_err().to_string();
                    let said = format!("the key {} is not supported: {way_out}", key.name);
                    assert!(problem.ends_with(&said), "{problem}\n{text}");
                }
            }
        }
    }
    assert!(keys > 190, "{keys}");
}

fn tables() -> String {
    let mut text = String::new();
    for section in ALL {
        let title = match section.title {
            title @ "The file" => title.to_owned(),
            title => title.split(" and ").map(|part| format!("`{part}`")).collect::<Vec<_>>().join(" and "),
        };
        write!(text, "\n### {title}\n\n| key | |\n| --- | --- |\n").unwrap();
        for key in section.keys {
            let says = match key.says {
                Says::Is("") => "yes".to_owned(),
                Says::Is(remark) => format!("yes: {remark}"),
                Says::Refused(way_out) => format!("**no**: {way_out}"),
            };
            writeln!(text, "| `{}` | {says} |", key.name).unwrap();
        }
    }
    text + "\n"
}

/// Set `UPDATE_GOLDEN` to write the tables anew; then read the difference.
#[test]
fn the_docs_have_the_tables_of_the_parser() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compose.md");
    let docs = fs::read_to_string(&path).unwrap();
    let (before, rest) = docs.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", tables())).unwrap();
        return;
    }
    assert_eq!(written, tables());
}
