//! Everything once more, as somebody who is not root.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use crate::world::is_root;

#[test]
fn as_root_everything_else_holds_for_an_ordinary_user_too() {
    if !is_root() {
        println!("skipped: the other tests run as an ordinary user already");
        return;
    }
    // The test program may lie where only root can read.
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("it");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--inh-caps=-all"])
        .arg(&program)
        .args(["--skip", "as_root", "--skip", "hooks::", "--test-threads", "2"])
        .current_dir("/")
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        said.contains("as_an_ordinary_user_the_login_role_touches_neither_files_nor_programs ... ok"),
        "{said}"
    );
}
