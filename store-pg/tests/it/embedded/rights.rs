//! Who runs the server and who reads what.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    process::Command,
};

use freehold_core::{ExposeSecret, Kind};
use freehold_pg::EmbeddedServer;

use super::scratch::{Scratch, is_root};

fn id(user: &str) -> u32 {
    let output = Command::new("id").args(["-u", user]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn the_password_is_the_hosts_and_the_data_are_the_servers() {
    let Some(scratch) = Scratch::new() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    let ours = fs::metadata(scratch.path()).unwrap().uid();
    let servers = if is_root() { id("nobody") } else { ours };
    for (file, mode, owner) in [
        ("password", 0o600, ours),
        ("server.log", 0o600, ours),
        ("server", 0o700, servers),
        ("server/data", 0o700, servers),
    ] {
        let metadata = fs::metadata(scratch.folder().join(file)).unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.uid()), (mode, owner), "{file}");
    }
    let process = fs::metadata(format!("/proc/{}", scratch.process())).unwrap();
    assert_eq!(process.uid(), servers);
    assert!(!scratch.folder().join("server/initdb.password").exists());
    drop(server);
}

#[tokio::test]
async fn the_server_knows_neither_the_password_nor_the_hosts_environment() {
    let Some(scratch) = Scratch::new() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    let url = server.url();
    let password = url.expose_secret().split([':', '@']).nth(2).unwrap();
    let environment = fs::read(format!("/proc/{}/environ", scratch.process())).unwrap();
    let environment = String::from_utf8_lossy(&environment);
    // cargo gives its tests CARGO_MANIFEST_DIR.
    assert!(!environment.contains("CARGO") && !environment.contains("HOME="), "{environment}");
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(arguments) = fs::read(process.path().join("cmdline")) else { continue };
        assert!(!String::from_utf8_lossy(&arguments).contains(password), "{:?}", process.path());
    }
}

#[tokio::test]
async fn the_servers_user_is_made_if_it_is_missing() {
    const USER: &str = "freehold-test-store";
    struct Gone;
    impl Drop for Gone {
        fn drop(&mut self) {
            let _ = Command::new("userdel").arg(USER).output();
        }
    }
    if !is_root() {
        eprintln!("skipped: only root makes users");
        return;
    }
    let Some(scratch) = Scratch::new() else { return };
    let _gone = Gone;
    let mut config = scratch.config();
    config.user = USER.into();
    let server = EmbeddedServer::start(&config).await.unwrap();
    let process = fs::metadata(format!("/proc/{}", scratch.process())).unwrap();
    assert_eq!(process.uid(), id(USER));
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_folder_out_of_the_servers_reach_is_refused_with_the_way_out() {
    if !is_root() {
        eprintln!("skipped: an ordinary user's server reaches what the user does");
        return;
    }
    let Some(scratch) = Scratch::new() else { return };
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = EmbeddedServer::start(&scratch.config()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput, "{error:?}");
    assert!(error.to_string().contains("chmod o+x"), "{error}");
}

/// Runs the tests of `life` and `killed` once more, as somebody who is not root and has no home.
#[tokio::test]
async fn an_ordinary_user_without_a_home_runs_a_server_too() {
    if !is_root() {
        eprintln!("skipped: the other tests run as an ordinary user already");
        return;
    }
    let Some(scratch) = Scratch::new() else { return };
    let program = scratch.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let folder = scratch.path().join("tmp");
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o1777)).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=nobody", "--clear-groups", "--no-new-privs", "env", "-i", "HOME=/nonexistent"])
        .arg(format!("TMPDIR={}", folder.display()))
        .arg(format!("PATH={}", std::env::var("PATH").unwrap()))
        .arg(&program)
        .args(["embedded::life::what_is_stored", "embedded::killed::"])
        .current_dir("/")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("7 passed"), "{printed}");
}
