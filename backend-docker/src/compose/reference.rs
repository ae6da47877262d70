//! What we make of Compose files against what `docker compose config` makes of them: a corpus of our own files
//! (`tests/corpus`), and upstream's self-hosting folder where it is to be had.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Map, Value, json};

use super::{ComposeFile, Declared, Service, Sort, Source, quantity};
use crate::{
    compose::files::Grant,
    graph::{Condition, HealthCheck, Pull, Restart},
    stack::{
        Place, Stack, place,
        tests::{bare, runtime},
    },
};

/// The reference, which `scripts/fetch-docker-compose` puts into the cache.
fn docker_compose() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cache = env::var_os("FREEHOLD_CACHE").map_or_else(|| root.join(".cache"), PathBuf::from);
    let program = cache.join("docker-compose/docker-compose");
    if program.is_file() {
        return Some(program);
    }
    assert_ne!(
        env::var("CI").as_deref(),
        Ok("true"),
        "no {}: run scripts/fetch-docker-compose",
        program.display()
    );
    eprintln!("skipped: no {}: run scripts/fetch-docker-compose", program.display());
    None
}

/// What the reference makes of the files in a folder.
fn reference(program: &Path, folder: &Path) -> Value {
    let output = Command::new(program)
        .args(["config", "--format", "json"])
        .current_dir(folder)
        .env_clear()
        .output()
        .unwrap();
    assert!(output.status.success(), "{}: {}", folder.display(), String::from_utf8_lossy(&output.stderr));
    unescaped(serde_json::from_slice(&output.stdout).unwrap())
}

/// It doubles dollar signs, so that what it prints is a Compose file again.
fn unescaped(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace("$$", "$")),
        Value::Array(items) => items.into_iter().map(unescaped).collect(),
        Value::Object(fields) => {
            Value::Object(fields.into_iter().map(|(key, value)| (key, unescaped(value))).collect())
        }
        other => other,
    }
}

fn compare(program: &Path, folder: &Path) {
    let folder = fs::canonicalize(folder).unwrap();
    let stack = bare(&folder).unwrap_or_else(|error| panic!("{}: {}", folder.display(), error.chain()));
    let compose = stack.compose(&variables(&stack)).unwrap();
    let active: Vec<_> = compose
        .services
        .iter()
        .filter(|service| {
            stack.spec().services.iter().any(|spec| spec.name == service.name && spec.default_on)
        })
        .collect();
    let ours = ours(&stack, &compose, &active);
    let theirs = theirs(&reference(program, &folder), &folder);
    for (part, theirs) in theirs.as_object().unwrap() {
        let (ours, theirs) = (ours[part].as_object().unwrap(), theirs.as_object().unwrap());
        let names = |part: &Map<String, Value>| part.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(ours), names(theirs), "{part} of {}", folder.display());
        for (name, theirs) in theirs {
            assert_eq!(
                serde_json::to_string_pretty(&ours[name]).unwrap(),
                serde_json::to_string_pretty(theirs).unwrap(),
                "{part}.{name} of {} (ours, the reference's)",
                folder.display()
            );
        }
    }
}

#[test]
fn the_corpus_comes_to_what_docker_compose_makes_of_it() {
    let Some(program) = docker_compose() else { return };
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut folders: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 15, "{folders:?}");
    folders.iter().for_each(|folder| compare(&program, folder));
}

/// Upstream's files are not ours to keep: they are looked for in FREEHOLD_SUPABASE, or beside the repository.
#[test]
fn upstreams_files_come_to_what_docker_compose_makes_of_them() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/supabase-docker");
    let upstream = env::var_os("FREEHOLD_SUPABASE").map_or_else(beside, PathBuf::from);
    if !upstream.join("docker-compose.yml").is_file() {
        eprintln!("note: upstream's folder is not at {}; the corpus has its shape", upstream.display());
        return;
    }
    let Some(program) = docker_compose() else { return };
    for overlays in ["", ":docker-compose.s3.yml", ":docker-compose.rustfs.yml", ":docker-compose.pg17.yml"] {
        let folder = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(&upstream).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
            }
        }
        let env = fs::read_to_string(upstream.join(".env.example")).unwrap();
        let env = format!("{env}\nCOMPOSE_FILE=docker-compose.yml{overlays}\n");
        fs::write(folder.path().join(".env"), env).unwrap();
        compare(&program, folder.path());
    }
}

/// Those of `.env` alone.
fn variables(stack: &Stack) -> BTreeMap<String, String> {
    stack.variables(&runtime(stack), "localhost").unwrap()
}

fn ours(stack: &Stack, compose: &ComposeFile, active: &[&Service]) -> Value {
    let services: BTreeMap<_, _> =
        active.iter().map(|service| (service.name.to_string(), our_service(stack, service))).collect();
    let used = |name: &str| active.iter().any(|service| service.networks.iter().any(|(own, _)| own == name));
    let networks: BTreeMap<_, _> = compose
        .networks
        .iter()
        .filter(|(name, _)| used(name))
        .map(|(name, network)| (name, told(json!({"internal": network.internal, "labels": network.labels}))))
        .collect();
    let mounted = |name: &str| {
        let mut mounts = active.iter().flat_map(|service| &service.mounts);
        mounts.any(|mount| matches!(&mount.source, Source::Named(own) if own == name))
    };
    let volumes: BTreeMap<_, _> = compose
        .volumes
        .iter()
        .filter(|(name, _)| mounted(name))
        .map(|(name, labels)| (name, told(json!({"labels": labels}))))
        .collect();
    let declared = |sort: Sort| -> BTreeMap<_, _> {
        let of_sort = compose.files.iter().filter(|((own, _), _)| *own == sort);
        of_sort
            .map(|((_, name), declared)| {
                let said = match declared {
                    Declared::File(path) => json!({"file": our_path(path)}),
                    Declared::Content(text) => json!({"content": text}),
                    Declared::Variable(name) => json!({"environment": name}),
                };
                (name.clone(), said)
            })
            .collect()
    };
    json!({
        "services": services,
        "networks": networks,
        "volumes": volumes,
        "configs": declared(Sort::Config),
        "secrets": declared(Sort::Secret),
    })
}

fn our_path(path: &str) -> String {
    match place(path) {
        Place::Inside(path) => path.display().to_string(),
        Place::Outside(path) => path.display().to_string(),
    }
}

fn our_service(stack: &Stack, service: &Service) -> Value {
    let extras = &service.extras;
    let grants = |wanted: Sort| -> Vec<Value> {
        let of_sort = service.grants.iter().filter(|(sort, _)| *sort == wanted);
        of_sort
            .map(|(_, Grant { source, target, uid, gid, mode })| {
                told(json!({"source": source, "target": target, "uid": uid, "gid": gid, "mode": mode}))
            })
            .collect()
    };
    let depends_on: BTreeMap<_, _> = service
        .depends_on
        .iter()
        .map(|edge| {
            let condition = match edge.condition {
                Condition::Started => "service_started",
                Condition::Healthy => "service_healthy",
                Condition::Completed => "service_completed_successfully",
            };
            (edge.service.to_string(), json!([condition, edge.required]))
        })
        .collect();
    let ulimits: BTreeMap<_, _> =
        extras.ulimits.iter().map(|(name, soft, hard)| (name.clone(), json!([soft, hard]))).collect();
    let networks: BTreeMap<_, _> = service.networks.iter().cloned().collect();
    let what = json!({
        "image": service.image,
        "pull_policy": match service.pull {
            Pull::Missing => None,
            Pull::Always => Some("always"),
            Pull::Never => Some("never"),
        },
        "profiles": service.profiles,
        "command": service.command,
        "entrypoint": service.entrypoint,
        "environment": stack.environment(service, &variables(stack)).unwrap(),
        "ports": sorted(service.ports.iter().map(|port| json!([port.container_port, port.protocol])).collect()),
        "mounts": sorted(service.mounts.iter().map(our_mount).collect()),
        "configs": grants(Sort::Config),
        "secrets": grants(Sort::Secret),
        "networks": networks,
        "depends_on": depends_on,
        "healthcheck": service.healthcheck.as_ref().map(our_healthcheck),
        "restart": match service.restart() {
            Restart::No => "no".to_owned(),
            Restart::Always => "always".to_owned(),
            Restart::UnlessStopped => "unless-stopped".to_owned(),
            Restart::OnFailure(None) => "on-failure".to_owned(),
            Restart::OnFailure(Some(times)) => format!("on-failure:{times}"),
        },
        "user": service.user,
        "working_dir": service.working_dir,
        "init": service.init,
        "labels": service.labels,
        "container_name": service.container_name,
        "hostname": service.hostname,
        "domainname": extras.domainname,
        "stop_signal": service.stop_signal,
        "stop_grace_ms": service.stop_grace.map(|grace| grace.as_millis() as u64),
    });
    let limits = json!({
        "memory": service.memory_bytes,
        "cpus": service.cpus,
        "memory_reservation": extras.memory_reservation,
        "memory_swap": extras.memory_swap,
        "memory_swappiness": extras.memory_swappiness,
        "pids": extras.pids_limit,
        "oom_score_adj": extras.oom_score_adj,
        "cpu_shares": extras.cpu_shares,
        "cpuset": extras.cpuset,
        "shm_size": extras.shm_size,
        "ulimits": ulimits,
        "cap_add": extras.cap_add,
        "cap_drop": extras.cap_drop,
        "security_opt": extras.security_opt,
        "group_add": extras.group_add,
        "extra_hosts": sorted(extras.extra_hosts.iter().map(|line| json!(line.replacen(':', "=", 1))).collect()),
        "dns": extras.dns,
        "dns_search": extras.dns_search,
        "dns_opt": extras.dns_options,
        "sysctls": extras.sysctls,
        "logging": extras.logging.as_ref().map(|logging| told(json!({"driver": logging.driver, "options": logging.options}))),
        "read_only": extras.read_only,
        "tty": extras.tty,
        "stdin_open": extras.stdin_open,
    });
    both(what, limits)
}

fn our_mount(mount: &super::ServiceMount) -> Value {
    let (kind, source, options) = match &mount.source {
        Source::Path(path) => ("bind", our_path(path), Vec::new()),
        Source::Named(name) => ("volume", name.clone(), Vec::new()),
        Source::Anonymous => ("volume", String::new(), Vec::new()),
        Source::Tmpfs(options) => ("tmpfs", String::new(), options.clone()),
    };
    told(json!({
        "target": mount.target,
        "kind": kind,
        "source": source,
        "read_only": mount.read_only,
        "nocopy": mount.nocopy,
        "options": options,
    }))
}

fn our_healthcheck(check: &HealthCheck) -> Value {
    let milliseconds = |time: Option<std::time::Duration>| time.map(|time| time.as_millis() as u64);
    told(json!({
        "test": check.test,
        "interval": milliseconds(check.interval),
        "timeout": milliseconds(check.timeout),
        "start_period": milliseconds(check.start_period),
        "retries": check.retries,
    }))
}

/// The reference's model, without what changes nothing for us, in our shape.
fn theirs(model: &Value, folder: &Path) -> Value {
    let part = |name: &str| model[name].as_object().cloned().unwrap_or_default();
    let path = |value: &Value| {
        let path = Path::new(value.as_str().unwrap());
        path.strip_prefix(folder).unwrap_or(path).display().to_string()
    };
    let map = |name: &str, with: &dyn Fn(&Value) -> Value| -> BTreeMap<String, Value> {
        part(name).iter().map(|(name, value)| (name.clone(), with(value))).collect()
    };
    let declared = |value: &Value| match &value["file"] {
        Value::Null => told(json!({"content": value["content"], "environment": value["environment"]})),
        file => json!({"file": path(file)}),
    };
    json!({
        "services": map("services", &|service| their_service(service, &path)),
        "networks": map("networks", &|network| told(json!({"internal": network["internal"], "labels": network["labels"]}))),
        "volumes": map("volumes", &|volume| told(json!({"labels": volume["labels"]}))),
        "configs": map("configs", &declared),
        "secrets": map("secrets", &declared),
    })
}

fn their_service(service: &Value, path: &dyn Fn(&Value) -> String) -> Value {
    let limits = &service["deploy"]["resources"]["limits"];
    let reservations = &service["deploy"]["resources"]["reservations"];
    let or = |first: &Value, second: &Value| if first.is_null() { second.clone() } else { first.clone() };
    let number = |value: Value| match value.as_str() {
        Some(text) => json!(text.parse::<i64>().unwrap()),
        None => value,
    };
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let milliseconds =
        |value: &Value| value.as_str().map(|text| quantity::duration(text).unwrap().as_millis() as u64);
    let map = |value: &Value, with: &dyn Fn(&Value) -> Value| -> BTreeMap<String, Value> {
        let fields = value.as_object().cloned().unwrap_or_default();
        fields.iter().map(|(name, value)| (name.clone(), with(value))).collect()
    };
    let grants = |key: &str, folder: &str| -> Vec<Value> {
        items(&service[key])
            .iter()
            .map(|grant| {
                let target = grant["target"].as_str().or(grant["source"].as_str()).unwrap();
                let target = if target.starts_with('/') { target.to_owned() } else { format!("{folder}{target}") };
                let (uid, gid) = (number(grant["uid"].clone()), number(grant["gid"].clone()));
                told(json!({"source": grant["source"], "target": target, "uid": uid, "gid": gid, "mode": grant["mode"]}))
            })
            .collect()
    };
    let check = &service["healthcheck"];
    let healthcheck = if check["disable"] == true {
        json!({"test": ["NONE"]})
    } else {
        told(json!({
            "test": check["test"],
            "interval": milliseconds(&check["interval"]),
            "timeout": milliseconds(&check["timeout"]),
            "start_period": milliseconds(&check["start_period"]),
            "retries": check["retries"],
        }))
    };
    let policy = &service["deploy"]["restart_policy"];
    let restart = match (policy["condition"].as_str(), &policy["max_attempts"]) {
        (Some("any"), _) => json!("always"),
        (Some("none"), _) => json!("no"),
        (Some("on-failure"), Value::Null) => json!("on-failure"),
        (Some("on-failure"), times) => json!(format!("on-failure:{times}")),
        _ => or(&service["restart"], &json!("no")),
    };
    let mut ports = sorted(
        items(&service["ports"]).iter().map(|port| json!([port["target"], port["protocol"]])).collect(),
    );
    ports.dedup();
    let what = json!({
        "image": service["image"],
        "pull_policy": Some(&service["pull_policy"]).filter(|policy| *policy != "missing"),
        "profiles": sorted(items(&service["profiles"])),
        "command": service["command"],
        "entrypoint": service["entrypoint"],
        "environment": map(&service["environment"], &Value::clone),
        "ports": ports,
        "mounts": their_mounts(service, path),
        "configs": grants("configs", "/"),
        "secrets": grants("secrets", "/run/secrets/"),
        "networks": map(&service["networks"], &|place| json!(items(&place["aliases"]))),
        "depends_on": map(&service["depends_on"], &|edge| json!([edge["condition"], edge["required"]])),
        "healthcheck": healthcheck,
        "restart": restart,
        "user": service["user"],
        "working_dir": service["working_dir"],
        "init": service["init"],
        "labels": service["labels"],
        "container_name": service["container_name"],
        "hostname": service["hostname"],
        "domainname": service["domainname"],
        "stop_signal": service["stop_signal"],
        "stop_grace_ms": milliseconds(&service["stop_grace_period"]),
    });
    let limits = json!({
        "memory": number(or(&limits["memory"], &service["mem_limit"])),
        "cpus": or(&limits["cpus"], &service["cpus"]).as_f64(),
        "memory_reservation": number(or(&reservations["memory"], &service["mem_reservation"])),
        "memory_swap": number(service["memswap_limit"].clone()),
        "memory_swappiness": number(service["mem_swappiness"].clone()),
        "pids": or(&limits["pids"], &service["pids_limit"]),
        "oom_score_adj": service["oom_score_adj"],
        "cpu_shares": service["cpu_shares"],
        "cpuset": service["cpuset"],
        "shm_size": number(service["shm_size"].clone()),
        "ulimits": map(&service["ulimits"], &|limit| match limit {
            Value::Object(both) => json!([both["soft"], both["hard"]]),
            one => json!([one, one]),
        }),
        "cap_add": service["cap_add"],
        "cap_drop": service["cap_drop"],
        "security_opt": service["security_opt"],
        "group_add": service["group_add"],
        "extra_hosts": sorted(items(&service["extra_hosts"])),
        "dns": service["dns"],
        "dns_search": service["dns_search"],
        "dns_opt": service["dns_opt"],
        "sysctls": service["sysctls"],
        "logging": service["logging"],
        "read_only": service["read_only"],
        "tty": service["tty"],
        "stdin_open": service["stdin_open"],
    });
    both(what, limits)
}

fn their_mounts(service: &Value, path: &dyn Fn(&Value) -> String) -> Vec<Value> {
    let items = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut mounts: Vec<_> = items(&service["volumes"])
        .iter()
        .map(|mount| {
            let source = match mount["type"].as_str() {
                Some("bind") => json!(path(&mount["source"])),
                _ => mount["source"].clone(),
            };
            let size = mount["tmpfs"]["size"].as_str().map(|size| format!("size={size}"));
            let mode = mount["tmpfs"]["mode"].as_u64().map(|mode| format!("mode={mode:o}"));
            told(json!({
                "target": mount["target"],
                "kind": mount["type"],
                "source": source,
                "read_only": mount["read_only"],
                "nocopy": mount["volume"]["nocopy"],
                "options": size.into_iter().chain(mode).collect::<Vec<_>>(),
            }))
        })
        .collect();
    mounts.extend(items(&service["tmpfs"]).iter().map(|mount| {
        let (target, options) =
            mount.as_str().unwrap().split_once(':').unwrap_or((mount.as_str().unwrap(), ""));
        let options: Vec<_> = options.split(',').filter(|option| !option.is_empty()).collect();
        told(json!({"target": target, "kind": "tmpfs", "options": options}))
    }));
    sorted(mounts)
}

fn sorted(mut values: Vec<Value>) -> Vec<Value> {
    values.sort_by_key(Value::to_string);
    values
}

/// Without what says nothing.
fn told(value: Value) -> Value {
    let Value::Object(fields) = value else { return value };
    let says = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    };
    Value::Object(fields.into_iter().filter(|(_, value)| says(value)).collect())
}

fn both(one: Value, other: Value) -> Value {
    let fields = [one, other].into_iter().filter_map(|value| value.as_object().cloned()).flatten();
    told(Value::Object(fields.collect()))
}
