//! Where the real parts are. A test that needs one that is missing says `skipped: …`; in CI that is an error.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The root of the workspace.
#[must_use]
pub fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// The `freehold` program that was built with these tests, or benchmarks.
///
/// # Panics
/// If it was not built: `cargo test --workspace` builds it, a single package's tests do not.
#[must_use]
pub fn freehold_program() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own program");
    let mut programs = own.ancestors().skip(1).take(2).map(|folder| folder.join("freehold"));
    let program = programs.find(|program| program.is_file());
    program.expect("the program was built: `cargo build -p freehold-host` does it")
}

/// Whether a Docker Engine answers and the test images are on it.
#[must_use]
pub fn docker_engine() -> bool {
    let images = Command::new("docker")
        .args(["image", "inspect", "freehold-test/postgres:1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    found(
        images.is_ok_and(|status| status.success()),
        "no Docker Engine with the test images answers: run `make test`, or `scripts/with-engine tests/images/build`",
    )
}

/// The engine's address, as the `docker` program finds it.
#[must_use]
pub fn docker_host() -> Option<String> {
    std::env::var("DOCKER_HOST").ok()
}

/// Whether PostgreSQL's programs are there.
#[must_use]
pub fn postgresql() -> bool {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found_one = debian
        .map(|version| version.path().join("bin"))
        .chain(std::env::split_paths(&path))
        .any(|folder| folder.join("initdb").exists());
    found(found_one, "PostgreSQL's server programs are neither in /usr/lib/postgresql nor in PATH")
}

/// Whether there is a Python to run examples with.
#[must_use]
pub fn python() -> bool {
    let version =
        Command::new("python3").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    found(version.is_ok_and(|status| status.success()), "there is no python3 in PATH")
}

fn found(is_there: bool, otherwise: &str) -> bool {
    if !is_there {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{otherwise}, and CI skips nothing");
        eprintln!("skipped: {otherwise}");
    }
    is_there
}
