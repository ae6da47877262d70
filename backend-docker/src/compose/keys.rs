//! Which keys of the Compose specification are understood, what they come to, and what is said of the others. The parser
//! refuses by these tables, and `docs/compose.md` is made of them; tests hold all three together.

use self::Says::{Is, Refused};

/// The keys of one kind of mapping.
#[derive(Debug)]
pub(crate) struct Section {
    /// Where the mapping stands, for people.
    #[cfg_attr(not(test), expect(dead_code, reason = "for the docs, which a test writes"))]
    pub(crate) title: &'static str,
    /// Its keys.
    pub(crate) keys: &'static [Key],
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) says: Says,
}

/// What is done with a key.
#[derive(Debug)]
pub(crate) enum Says {
    /// It is understood; with a remark, where Freehold makes something else of it than `docker compose`.
    Is(#[cfg_attr(not(test), expect(dead_code, reason = "for the docs, which a test writes"))] &'static str),
    /// It is refused, with this way out.
    Refused(&'static str),
}

impl Section {
    /// What is said of a key that is not understood.
    pub(crate) fn refusal(&self, name: &str) -> String {
        let way_out = self.keys.iter().find(|key| key.name == name).and_then(|key| match key.says {
            Refused(way_out) => Some(way_out),
            Is(_) => None,
        });
        let way_out = way_out.unwrap_or("take it away, or name it x-… if another tool reads it");
        format!("the key {name} is not supported: {way_out}")
    }
}

const fn is(name: &'static str) -> Key {
    Key { name, says: Is("") }
}

const fn but(name: &'static str, remark: &'static str) -> Key {
    Key { name, says: Is(remark) }
}

const fn no(name: &'static str, way_out: &'static str) -> Key {
    Key { name, says: Refused(way_out) }
}

const OUTSIDE: &str = "a project touches nothing outside itself";
const APART: &str = "a project stays apart from its machine";
const ADDRESSES: &str = "addresses come from Freehold's own pool";
const BY_NAME: &str = "services of a project find each other by their names";
const ONE_FILE: &str = "name several files in COMPOSE_FILE; anchors and << save repetitions";
const BUILD: &str = "build and tag the image first, and name it in image";
const ONE_EACH: &str = "Freehold runs one container of each service";
const WINDOWS: &str = "Freehold runs Linux containers";
const NO_EFFECT: &str = "accepted, changes nothing";
const OWN_NAMES: &str =
    "accepted, changes nothing: names come from Freehold, so that two projects never share one";
const HOOKS: &str = "do it in the image's entry point, or in a service that others wait for";
const LOCAL_ONLY: &str = "volumes are the engine's local ones";

pub(crate) const FILE: Section = Section {
    title: "The file",
    keys: &[
        but("version", NO_EFFECT),
        but("name", OWN_NAMES),
        is("services"),
        is("networks"),
        is("volumes"),
        is("configs"),
        is("secrets"),
        no("include", ONE_FILE),
        no("models", "run the model as a service"),
    ],
};

pub(crate) const SERVICE: Section = Section {
    title: "services.NAME",
    keys: &[
        no("annotations", "engines before API 1.43 refuse it; labels do on all"),
        but("attach", NO_EFFECT),
        no("blkio_config", APART),
        no("build", BUILD),
        is("cap_add"),
        is("cap_drop"),
        no("cgroup", APART),
        no("cgroup_parent", APART),
        is("command"),
        is("configs"),
        but("container_name", "an alias in the project's networks; the container is called `fh-REF-SERVICE`"),
        no("cpu_count", WINDOWS),
        no("cpu_percent", WINDOWS),
        no("cpu_period", "write cpus"),
        no("cpu_quota", "write cpus"),
        no("cpu_rt_period", APART),
        no("cpu_rt_runtime", APART),
        is("cpu_shares"),
        but("cpus", "the least of it and the project's own limit"),
        is("cpuset"),
        no("credential_spec", WINDOWS),
        is("depends_on"),
        is("deploy"),
        no("develop", "mount the folder, and restart the service"),
        no("device_cgroup_rules", APART),
        no("devices", APART),
        is("dns"),
        is("dns_opt"),
        is("dns_search"),
        is("domainname"),
        is("entrypoint"),
        but("env_file", "in the stack's folder"),
        but("environment", "a name without a value takes the project's variable, never one of this process"),
        but("expose", "accepted, changes nothing: all ports are open to the services of a project"),
        no("extends", ONE_FILE),
        no("external_links", OUTSIDE),
        is("extra_hosts"),
        no("gpus", APART),
        is("group_add"),
        is("healthcheck"),
        is("hostname"),
        is("image"),
        is("init"),
        no("ipc", APART),
        no("isolation", WINDOWS),
        no("label_file", "write labels"),
        but("labels", "but for `freehold.` and `com.docker.`, which are reserved"),
        no("links", BY_NAME),
        is("logging"),
        no("mac_address", ADDRESSES),
        but("mem_limit", "what services leave of the project's own limit is shared by those that have none"),
        is("mem_reservation"),
        is("mem_swappiness"),
        is("memswap_limit"),
        no("models", "run the model as a service"),
        no("network_mode", BY_NAME),
        is("networks"),
        no("oom_kill_disable", APART),
        is("oom_score_adj"),
        no("pid", APART),
        is("pids_limit"),
        no("platform", "the engine's own platform is used"),
        but(
            "ports",
            "only the container's side; each gets a port of the project's block on the target's address",
        ),
        no("post_start", HOOKS),
        no("pre_stop", HOOKS),
        no("privileged", APART),
        but(
            "profiles",
            "unless active by COMPOSE_PROFILES in `.env`, the service is off by default, and others do not wait for it",
        ),
        no("provider", "run it as a service"),
        but(
            "pull_policy",
            "`always` pulls when a project is created, and keeps what it got; `missing` and `if_not_present`; `never`; not `build`, `daily`, `weekly`, `every_…`",
        ),
        no("pull_refresh_after", "write pull_policy: always"),
        is("read_only"),
        is("restart"),
        no("runtime", APART),
        no("scale", ONE_EACH),
        is("secrets"),
        is("security_opt"),
        is("shm_size"),
        is("stdin_open"),
        is("stop_grace_period"),
        is("stop_signal"),
        no("storage_opt", APART),
        is("sysctls"),
        is("tmpfs"),
        is("tty"),
        is("ulimits"),
        no("use_api_socket", APART),
        is("user"),
        no("userns_mode", APART),
        no("uts", APART),
        but(
            "volumes",
            "relative paths are of the project's own copy of the folder; others need the operator's `allowed_mounts`",
        ),
        no("volumes_from", "name the volumes in each service"),
        is("working_dir"),
    ],
};

pub(crate) const DEPENDENCY: Section = Section {
    title: "services.NAME.depends_on.SERVICE",
    keys: &[
        is("condition"),
        but("required", "with `false`, a service that fails or is excluded is not waited for"),
        but("restart", "accepted, changes nothing: Freehold restarts services in its own order"),
    ],
};

pub(crate) const HEALTHCHECK: Section = Section {
    title: "services.NAME.healthcheck",
    keys: &[
        is("test"),
        is("interval"),
        is("timeout"),
        is("retries"),
        is("start_period"),
        but("start_interval", "accepted, changes nothing: Freehold's own probes open gates sooner"),
        is("disable"),
    ],
};

pub(crate) const ENV_FILE: Section = Section {
    title: "services.NAME.env_file[]",
    keys: &[is("path"), is("required"), no("format", "the file is read as Compose reads a .env")],
};

pub(crate) const PORT: Section = Section {
    title: "services.NAME.ports[]",
    keys: &[
        is("target"),
        is("protocol"),
        but("published", NO_EFFECT),
        but("host_ip", NO_EFFECT),
        but("mode", NO_EFFECT),
        but("name", NO_EFFECT),
        but("app_protocol", NO_EFFECT),
    ],
};

pub(crate) const MOUNT: Section = Section {
    title: "services.NAME.volumes[]",
    keys: &[
        but("type", "`bind`, `volume` or `tmpfs`; not `npipe`, `cluster`, `image`"),
        is("source"),
        is("target"),
        is("read_only"),
        but("consistency", NO_EFFECT),
        is("bind"),
        is("volume"),
        is("tmpfs"),
        no("image", "copy what is needed into the stack's folder"),
    ],
};

pub(crate) const MOUNT_BIND: Section = Section {
    title: "services.NAME.volumes[].bind",
    keys: &[
        but(
            "create_host_path",
            "accepted, changes nothing: a folder that is not there is made in the project's copy, and a path that is a file by its name is refused",
        ),
        but("selinux", NO_EFFECT),
        no("propagation", APART),
        no("recursive", APART),
    ],
};

pub(crate) const MOUNT_VOLUME: Section = Section {
    title: "services.NAME.volumes[].volume",
    keys: &[
        is("nocopy"),
        no("subpath", "engines before API 1.45 refuse it; mount the whole volume"),
        no("labels", "label the volume under volumes"),
    ],
};

pub(crate) const MOUNT_TMPFS: Section =
    Section { title: "services.NAME.volumes[].tmpfs", keys: &[is("size"), is("mode")] };

pub(crate) const ATTACHMENT: Section = Section {
    title: "services.NAME.networks.NETWORK",
    keys: &[
        is("aliases"),
        but("priority", "the network with the highest is joined first"),
        no("ipv4_address", ADDRESSES),
        no("ipv6_address", ADDRESSES),
        no("link_local_ips", ADDRESSES),
        no("mac_address", ADDRESSES),
        no("interface_name", "engines before API 1.49 refuse it"),
        no("gw_priority", "engines before API 1.48 refuse it"),
        no("driver_opts", "networks are bridges of the engine's own"),
    ],
};

pub(crate) const GRANT: Section = Section {
    title: "services.NAME.configs[] and services.NAME.secrets[]",
    keys: &[
        is("source"),
        is("target"),
        but(
            "uid",
            "of what comes from `content` or `environment`; a file is mounted as it is, as by `docker compose`",
        ),
        but("gid", "likewise"),
        but("mode", "likewise"),
    ],
};

pub(crate) const LOGGING: Section =
    Section { title: "services.NAME.logging", keys: &[is("driver"), is("options")] };

pub(crate) const ULIMIT: Section =
    Section { title: "services.NAME.ulimits.NAME", keys: &[is("soft"), is("hard")] };

pub(crate) const DEPLOY: Section = Section {
    title: "services.NAME.deploy",
    keys: &[
        is("resources"),
        is("restart_policy"),
        but("replicas", "1 only"),
        but("mode", "`replicated` only"),
        but("labels", "accepted, changes nothing: they are labels of a Swarm service"),
        no("endpoint_mode", ONE_EACH),
        no("placement", ONE_EACH),
        no("rollback_config", ONE_EACH),
        no("update_config", ONE_EACH),
    ],
};

pub(crate) const RESOURCES: Section =
    Section { title: "services.NAME.deploy.resources", keys: &[is("limits"), is("reservations")] };

pub(crate) const LIMITS: Section = Section {
    title: "services.NAME.deploy.resources.limits",
    keys: &[is("cpus"), is("memory"), is("pids"), no("devices", APART), no("generic_resources", ONE_EACH)],
};

pub(crate) const RESERVATIONS: Section = Section {
    title: "services.NAME.deploy.resources.reservations",
    keys: &[
        is("memory"),
        but("cpus", "accepted, changes nothing, as by `docker compose`"),
        no("devices", APART),
        no("generic_resources", ONE_EACH),
    ],
};

pub(crate) const RESTART_POLICY: Section = Section {
    title: "services.NAME.deploy.restart_policy",
    keys: &[
        but("condition", "goes before `restart`, as by `docker compose`"),
        is("max_attempts"),
        but("delay", "accepted, changes nothing, as by `docker compose`"),
        but("window", "likewise"),
    ],
};

pub(crate) const NETWORK: Section = Section {
    title: "networks.NAME",
    keys: &[
        but("name", OWN_NAMES),
        but("driver", "`bridge` only"),
        is("internal"),
        is("labels"),
        but("attachable", NO_EFFECT),
        but("enable_ipv4", "`true` only"),
        no("enable_ipv6", ADDRESSES),
        no("ipam", ADDRESSES),
        no("driver_opts", "networks are bridges of the engine's own"),
        but("external", "`false` only"),
    ],
};

pub(crate) const VOLUME: Section = Section {
    title: "volumes.NAME",
    keys: &[
        but("name", OWN_NAMES),
        but("driver", "`local` only"),
        is("labels"),
        no("driver_opts", LOCAL_ONLY),
        but("external", "`false` only"),
    ],
};

pub(crate) const CONFIG: Section = Section {
    title: "configs.NAME",
    keys: &[
        but("name", NO_EFFECT),
        but("file", "in the stack's folder"),
        is("content"),
        but("environment", "a variable of the project"),
        but("external", "`false` only"),
        but("labels", NO_EFFECT),
        no("template_driver", ONE_EACH),
    ],
};

pub(crate) const SECRET: Section = Section {
    title: "secrets.NAME",
    keys: &[
        but("name", NO_EFFECT),
        but("file", "in the stack's folder"),
        but("environment", "a variable of the project"),
        but("external", "`false` only"),
        but("labels", NO_EFFECT),
        no("driver", ONE_EACH),
        no("driver_opts", ONE_EACH),
        no("template_driver", ONE_EACH),
    ],
};

/// Every table, in the order of the docs.
#[cfg(test)]
pub(crate) const ALL: [&Section; 23] = [
    &FILE,
    &SERVICE,
    &DEPENDENCY,
    &HEALTHCHECK,
    &ENV_FILE,
    &PORT,
    &MOUNT,
    &MOUNT_BIND,
    &MOUNT_VOLUME,
    &MOUNT_TMPFS,
    &ATTACHMENT,
    &GRANT,
    &LOGGING,
    &ULIMIT,
    &DEPLOY,
    &RESOURCES,
    &LIMITS,
    &RESERVATIONS,
    &RESTART_POLICY,
    &NETWORK,
    &VOLUME,
    &CONFIG,
    &SECRET,
];
