//! The labels on everything that a project has on the engine: how it is found again, by this process or by any other.

/// The project's ref. What lacks it is not ours and is never touched.
pub(crate) const REF: &str = "freehold.ref";
/// The installation that made it. What lacks it is told by inventory, and removed only for a project that its store knows.
pub(crate) const INSTALLATION: &str = "freehold.installation";
/// The stack's name.
pub(crate) const STACK: &str = "freehold.stack";
/// The service; absent on what belongs to the whole project.
pub(crate) const SERVICE: &str = "freehold.service";
/// The generation of the runtime that it was made from.
pub(crate) const GENERATION: &str = "freehold.generation";
/// The lease epoch that it was made under.
pub(crate) const EPOCH: &str = "freehold.epoch";
/// A keyed hash of its configuration, which covers neither generation nor epoch.
pub(crate) const CONFIG_HASH: &str = "freehold.config-hash";

/// Short keyed hashes of a container's settings, by their names: so that drift can tell which differ and no value.
pub(crate) const CONFIG_KEYS: &str = "freehold.config-keys";

/// Compose's own labels, so that `docker compose ls` shows a project as what it is.
pub(crate) mod compose {
    pub(crate) const PROJECT: &str = "com.docker.compose.project";
    pub(crate) const SERVICE: &str = "com.docker.compose.service";
    pub(crate) const NETWORK: &str = "com.docker.compose.network";
    pub(crate) const VOLUME: &str = "com.docker.compose.volume";
    pub(crate) const CONTAINER_NUMBER: &str = "com.docker.compose.container-number";
    pub(crate) const ONE_OFF: &str = "com.docker.compose.oneoff";
    pub(crate) const CONFIG_HASH: &str = "com.docker.compose.config-hash";
    pub(crate) const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
    pub(crate) const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
}
