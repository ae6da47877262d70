//! Each example runs, and says what its page promises.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::{ffi::OsStr, path::Path, process::Command};

/// Runs an example and gives what it printed.
fn printed(program: &str, arguments: &[&OsStr]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} ended with {}:\n{out}\n{err}", output.status);
    out.into_owned()
}

#[test]
fn custom_backend_keeps_data_through_a_pause() {
    let out = printed(env!("CARGO_BIN_EXE_custom_backend"), &[]);
    assert!(out.contains("after resume, greeting is still: hello"), "{out}");
    assert!(out.ends_with("destroyed: REMOVED\n"), "{out}");
}

#[test]
fn contract_test_sees_success_failure_and_recovery() {
    let out = printed(env!("CARGO_BIN_EXE_contract_test"), &[]);
    assert!(
        out.contains("Welcome, alice!") && out.contains("Sorry, bob") && out.contains("Welcome, carol!"),
        "{out}"
    );
}

#[test]
fn embed_brings_up_a_real_postgresql_and_removes_it() {
    if !has_postgresql() {
        assert!(
            std::env::var_os("CI").is_none(),
            "PostgreSQL's server programs are missing, and CI skips nothing"
        );
        eprintln!("skipped: PostgreSQL's server programs are neither in /usr/lib/postgresql nor in PATH");
        return;
    }
    // Projects run as users of their own, which have to be able to pass through the folder.
    let folder = tempfile::Builder::new().permissions(world_passable()).tempdir().unwrap();
    let out = printed(env!("CARGO_BIN_EXE_embed"), &[folder.path().as_os_str()]);
    assert!(out.contains("ACTIVE_HEALTHY: PostgreSQL ") && out.trim_end().ends_with("REMOVED"), "{out}");
}

fn world_passable() -> std::fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(0o711)
}

fn has_postgresql() -> bool {
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let path = std::env::var_os("PATH").unwrap_or_default();
    debian
        .map(|version| version.path().join("bin"))
        .chain(std::env::split_paths(&path))
        .any(|folder| Path::new(&folder).join("initdb").exists())
}
