//! What a tenant may reach from inside its database.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
};

use freehold_core::{Destroyer as _, FirstRunFile, Kind, Provisioner as _, SecretName, Wish};
use freehold_shell::{Config, ShellBackend};

use crate::world::{World, is_root, minute, sql, until};

#[tokio::test]
async fn as_root_a_superuser_of_one_database_reaches_neither_us_nor_another_project() {
    if !is_root() {
        println!("skipped: this is about a target that runs as root");
        return;
    }
    let world = World::postgres().await;
    let (one, other) = (world.project(), world.project());
    world.backend.provision(&minute(), &one).await.unwrap();
    world.backend.provision(&minute(), &other).await.unwrap();
    assert_eq!(sql(&one, "select rolsuper from pg_roles where rolname = current_user").unwrap(), "t");

    // As a store's file would be.
    let store = world.data.join("store");
    fs::write(&store, "sealed").unwrap();
    fs::set_permissions(&store, fs::Permissions::from_mode(0o600)).unwrap();
    let neighbour = world.root(&other).join("data");
    let version = neighbour.join("PG_VERSION");
    let theirs = world.root(&other);

    let program = |command: String| {
        let quoted = command.replace('\'', "''");
        sql(
            &one,
            &format!(
                "create temporary table said (line text); copy said from program '{quoted}'; table said"
            ),
        )
    };
    for file in [&store, &version, &theirs.join("log/postgres.log"), &theirs.join("run")] {
        let file = file.display();
        let complaint = program(format!("cat {file} 2>&1; true")).unwrap();
        assert!(complaint.contains("Permission denied"), "{file}: {complaint}");
        let complaint = sql(&one, &format!("select pg_read_file('{file}')")).unwrap_err();
        assert!(complaint.contains("Permission denied"), "{file}: {complaint}");
    }
    let complaint = program(format!("ls {} 2>&1; true", world.data.join("projects").display())).unwrap();
    assert!(complaint.contains("Permission denied"), "{complaint}");
    let server = world.server(&other).unwrap();
    for command in [format!("kill -KILL {server}"), format!("cat /proc/{server}/environ")] {
        let complaint = program(format!("sh -c '{command}' 2>&1; true")).unwrap();
        assert!(complaint.contains("ermission denied") || complaint.contains("not permitted"), "{complaint}");
    }
    assert!(program("id -un".to_owned()).unwrap().ends_with(&format!("fh_{}", one.project)));
    assert!(program("grep ^NoNewPrivs: /proc/self/status | cut -f 2".to_owned()).unwrap().ends_with('1'));
}

/// A pause kills all that runs under the number of a project's user, and a container's users have numbers too.
#[tokio::test]
async fn as_root_the_number_of_a_project_s_user_is_nobody_else_s() {
    if !is_root() {
        println!("skipped: this is about a target that runs as root");
        return;
    }
    let world = World::postgres().await;
    let projects = [world.project(), world.project()];
    let mut numbers = Vec::new();
    for project in &projects {
        world.backend.provision(&minute(), project).await.unwrap();
        let server = fs::metadata(format!("/proc/{}", world.server(project).unwrap())).unwrap();
        assert!((70_000..100_000).contains(&server.uid()), "user {}", server.uid());
        assert_eq!(server.uid(), server.gid());
        numbers.push(server.uid());
    }
    assert_ne!(numbers[0], numbers[1]);
}

#[tokio::test]
async fn as_root_what_a_tenant_started_ends_with_a_pause() {
    if !is_root() {
        println!("skipped: this is about a target that runs as root");
        return;
    }
    let world = World::postgres().await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    let start = "copy (select 1) to program 'cat >/dev/null; setsid sleep 4321 >/dev/null 2>&1 &'";
    sql(&project, start).unwrap();
    let sleeping = || {
        let uid = fs::metadata(world.root(&project).join("data")).unwrap().uid();
        fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            entry.metadata().is_ok_and(|metadata| metadata.uid() == uid)
                && fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x004321"))
        })
    };
    until("the sleep that the tenant started", || sleeping().then_some(())).await;
    world.backend.pause(&minute(), &project).await.unwrap();
    assert!(!sleeping());
    assert!(world.backend.plan(&minute(), &project, Wish::Paused).await.unwrap().is_empty());
}

#[tokio::test]
async fn as_root_a_link_that_a_tenant_made_leads_us_nowhere() {
    if !is_root() {
        println!("skipped: this is about a target that runs as root");
        return;
    }
    let world = World::postgres().await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    let victim = world.data.join("victim");
    fs::write(&victim, "ours").unwrap();
    fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).unwrap();
    for name in ["log/postgres.log", "data/pg_hba.conf.new", "data/pg_ident.conf.new"] {
        let path = world.root(&project).join(name);
        let command = format!("cat >/dev/null; ln -sfn {} {}", victim.display(), path.display());
        sql(&project, &format!("copy (select 1) to program '{command}'")).unwrap();
    }
    let request = freehold_core::LogRequest::default();
    let mut lines = world.backend.logs(&minute(), &project, &request).await.unwrap();
    assert!(lines.recv().await.is_none(), "the log is read with the tenant's rights");
    let _ = world.backend.restart(&minute(), &project, &freehold_core::Scope::All).await;
    assert_eq!(fs::read_to_string(&victim).unwrap(), "ours");
}

#[tokio::test]
async fn as_root_what_a_tenant_left_in_public_folders_goes_with_it() {
    if !is_root() {
        println!("skipped: this is about a target that runs as root");
        return;
    }
    let world = World::postgres().await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    let file = std::env::temp_dir().join(format!("freehold-{}", project.project));
    sql(&project, &format!("copy (select 1) to '{}'", file.display())).unwrap();
    assert!(file.exists());
    world.backend.destroy(&minute(), &project.project).await.unwrap();
    assert!(!file.exists());
}

#[tokio::test]
async fn as_root_a_data_folder_that_tenants_cannot_enter_is_an_error_at_start() {
    if !is_root() {
        println!("skipped: this is about a target that runs as root");
        return;
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let backend = ShellBackend::open(Config::new(closed.path().join("data"))).unwrap();
    let error = backend.describe(&minute()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert!(error.to_string().contains("chmod o+x"), "{error}");
}

#[tokio::test]
async fn as_an_ordinary_user_the_login_role_touches_neither_files_nor_programs() {
    if is_root() {
        println!("skipped: this is about a target that does not run as root");
        return;
    }
    let world = World::postgres().await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    for attempt in [
        "copy (select 1) to program 'true'",
        "copy (select 1) to '/tmp/freehold-escape'",
        "select pg_read_file('/etc/passwd')",
        "select lo_import('/etc/passwd')",
        "create role evil superuser",
        "create role evil in role pg_execute_server_program",
        "grant pg_execute_server_program to postgres",
        "alter role postgres superuser",
        "set role freehold_admin",
        "create extension adminpack",
        "load '/tmp/evil.so'",
        "alter system set archive_command = 'true'",
    ] {
        let complaint = sql(&project, attempt).unwrap_err();
        let refused = ["ermission denied", "must be superuser", "must have admin option", "is not allowed"];
        assert!(refused.iter().any(|words| complaint.contains(words)), "{attempt}: {complaint}");
    }
    assert_eq!(sql(&project, "create database mine").unwrap(), "CREATE DATABASE");
}

#[tokio::test]
async fn as_an_ordinary_user_a_first_run_file_runs_no_program_of_ours() {
    if is_root() {
        println!("skipped: this is about a target that does not run as root");
        return;
    }
    for escape in ["\\! touch", "\\copy (select 1) to program 'touch", "select 1 \\g | touch"] {
        let world = World::postgres().await;
        let mut project = world.project();
        let witness = world.data.join("witness");
        let content = format!("{escape} {}\n", witness.display());
        project.first_run = vec![FirstRunFile::new("10-escape.sql", content).unwrap()];
        let error = world.backend.provision(&minute(), &project).await.unwrap_err();
        assert!(error.report().unwrap().stderr.contains("restricted"), "{escape}: {error:?}");
        assert!(!witness.exists(), "{escape}");
    }
    let world = World::postgres().await;
    let mut project = world.project();
    let dump = "create table kept (row text);\ncopy kept from stdin;\nkept\n\\.\n";
    project.first_run = vec![FirstRunFile::new("10-dump.sql", dump).unwrap()];
    world.backend.provision(&minute(), &project).await.unwrap();
    assert_eq!(sql(&project, "table kept").unwrap(), "kept");
}

#[tokio::test]
async fn a_setting_of_the_tenants_own_database_does_not_turn_its_password_into_sql() {
    let world = World::postgres().await;
    let mut project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    sql(&project, "alter database postgres set standard_conforming_strings = off").unwrap();
    let password = r"x\'; create role evil superuser; --";
    project.secrets.insert(SecretName::new("db_pass").unwrap(), password.into());
    world.backend.reconfigure(&minute(), &project).await.unwrap();
    assert_eq!(sql(&project, "select count(*) from pg_roles where rolname = 'evil'").unwrap(), "0");
}

#[tokio::test]
async fn inventory_tells_whose_a_project_is_as_its_folder_says() {
    let world = World::postgres().await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    let holding = world.backend.inventory(&minute()).await.unwrap().remove(0);
    assert_eq!(holding.installation, Some(project.installation.clone()));

    // A folder of a version that did not write it down.
    let record = world.root(&project).with_file_name("record.json");
    let text = fs::read_to_string(&record).unwrap().replace("\"installation\":\"here\",", "");
    fs::write(&record, text).unwrap();
    assert_eq!(world.backend.inventory(&minute()).await.unwrap().remove(0).installation, None);
}
