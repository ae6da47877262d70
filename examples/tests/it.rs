//! Each example runs, and says what its page promises.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::{ffi::OsStr, process::Command};

use freehold_tests::{freehold_program, passable_folder, postgresql, python, workspace};

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
        ["Welcome, alice!", "Sorry, bob", "Welcome, carol!", "Welcome, dave!"]
            .iter()
            .all(|told| out.contains(told)),
        "{out}"
    );
}

#[test]
fn the_contract_test_over_http_sees_a_failure_and_survives_a_lost_answer() {
    if !python() {
        return;
    }
    let test = workspace().join("examples/http/contract_test.py");
    let out = printed("python3", &[test.as_os_str(), freehold_program().as_os_str()]);
    assert!(out.contains("Sorry, bob") && out.contains("Welcome, carol!"), "{out}");
}

#[test]
fn embed_brings_up_a_real_postgresql_and_removes_it() {
    if !postgresql() {
        return;
    }
    let folder = passable_folder();
    let out = printed(env!("CARGO_BIN_EXE_embed"), &[folder.path().as_os_str()]);
    assert!(out.contains("ACTIVE_HEALTHY: PostgreSQL ") && out.trim_end().ends_with("REMOVED"), "{out}");
}
