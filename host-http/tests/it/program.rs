//! The program as a process.

use std::{
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::ExitStatusExt as _},
    path::Path,
    process::{Child, ChildStdout, Command, Output, Stdio},
};

use serde_json::Value;

const FREEHOLD: &str = env!("CARGO_BIN_EXE_freehold");

/// A host in memory, ended with the test.
struct Ephemeral {
    child: Child,
    _stdout: BufReader<ChildStdout>,
    url: String,
    token: String,
}

impl Ephemeral {
    fn start() -> Self {
        Self::of(&mut freehold(&["serve", "--ephemeral", "--target", "mock"]))
    }

    fn of(serve: &mut Command) -> Self {
        Self::logging(serve, Stdio::null())
    }

    fn logging(serve: &mut Command, log: Stdio) -> Self {
        let mut child = serve.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| line[name].as_str().unwrap().to_owned();
        Self { url: text("url"), token: text("token"), child, _stdout: stdout }
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let command = &mut freehold(arguments);
        command.env("FREEHOLD_URL", &self.url).env("FREEHOLD_TOKEN", &self.token).output().unwrap()
    }

    fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Ephemeral {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The program without the environment of whoever runs the tests.
fn freehold(arguments: &[&str]) -> Command {
    let mut command = Command::new(FREEHOLD);
    command.args(arguments).stdin(Stdio::null());
    for (name, _) in std::env::vars() {
        if name.starts_with("FREEHOLD_") {
            command.env_remove(name);
        }
    }
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn the_doctor_ends_with_0_where_nothing_is_wrong_and_says_so_for_people_and_programs() {
    let host = Ephemeral::start();
    assert!(host.run(&["create", "demo"]).status.success());
    let output = host.run(&["doctor"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "mock: nothing is wrong\n");
    let output = host.run(&["doctor", "--fix", "--older-than", "0", "--json"]);
    let diagnosis: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &diagnosis["well"]), (Some(0), &Value::Bool(true)));
    assert!(String::from_utf8_lossy(&host.run(&["list"]).stdout).contains("ACTIVE_HEALTHY"));
    assert_eq!(host.run(&["doctor", "--older-than", "5"]).status.code(), Some(2));
}

#[test]
fn an_ephemeral_host_answers_and_ends_well_on_sigterm() {
    let mut host = Ephemeral::start();
    assert!(host.run(&["list"]).status.success());
    host.signal("-TERM");
    assert_eq!(host.child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_ends_the_host_at_once() {
    let mut host = Ephemeral::start();
    // A follower keeps the graceful end waiting for as long as it may.
    host.signal("-INT");
    host.signal("-INT");
    let code = host.child.wait().unwrap().code();
    assert!(matches!(code, Some(0 | 130)), "{code:?}");
}

#[test]
fn a_project_is_driven_through_its_life_from_the_command_line() {
    let host = Ephemeral::start();
    let created = host.run(&["create", "demo"]);
    assert!(created.status.success(), "{}", text(&created.stderr));
    let lines = text(&created.stdout);
    assert!(lines.lines().count() > 1 && lines.contains("is ACTIVE_HEALTHY"), "{lines}");
    for (verb, status) in [("pause", "INACTIVE"), ("resume", "ACTIVE_HEALTHY"), ("restart", "ACTIVE_HEALTHY")]
    {
        let output = host.run(&[verb, "demo"]);
        assert!(text(&output.stdout).contains(status), "{verb}: {}", text(&output.stderr));
    }
    for look in
        [["plan", "demo"], ["health", "demo"], ["logs", "demo"], ["show", "demo"], ["events", "--after=0"]]
    {
        let output = host.run(&look);
        assert!(output.status.success() && !output.stdout.is_empty(), "{look:?}: {}", text(&output.stderr));
    }
    let listed: Value = serde_json::from_slice(&host.run(&["list", "--json"]).stdout).unwrap();
    assert_eq!(listed[0]["name"], "demo");
    assert!(host.run(&["destroy", "demo", "--yes"]).status.success());
    assert_eq!(host.run(&["show", "demo"]).status.code(), Some(3));
}

#[test]
fn a_projects_name_protection_facts_and_settings_are_changed_from_the_command_line() {
    let host = Ephemeral::start();
    assert!(host.run(&["create", "demo"]).status.success());
    for change in [
        &["rename", "demo", "blog"][..],
        &["annotate", "blog", "owner=ann", "floor=3"],
        &["annotate", "blog", "floor="],
        &["protect", "blog"],
        &["reconfigure", "blog", "--memory", "512"],
    ] {
        let output = host.run(change);
        assert!(output.status.success(), "{change:?}: {}", text(&output.stderr));
    }
    let shown: Value = serde_json::from_slice(&host.run(&["show", "blog", "--json"]).stdout).unwrap();
    assert_eq!(shown["annotations"], serde_json::json!({ "owner": "ann" }));
    assert_eq!(shown["limits"]["memory_bytes"], 512 * 1024 * 1024);
    assert_eq!(host.run(&["destroy", "blog", "--yes"]).status.code(), Some(4), "it is protected");
    assert_eq!(host.run(&["reconfigure", "blog"]).status.code(), Some(2), "nothing is to change");
    assert!(host.run(&["unprotect", "blog"]).status.success());
    let listed = text(&host.run(&["operations", "blog"]).stdout);
    assert!(listed.contains("reconfigure") && listed.contains("create"), "{listed}");
}

#[test]
fn the_help_says_what_the_program_is_for() {
    let help = text(&freehold(&["--help"]).output().unwrap().stdout);
    assert!(help.starts_with("Run many isolated project stacks on machines you own"), "{help}");
}

#[test]
fn exit_codes_tell_what_went_wrong() {
    let host = Ephemeral::start();
    assert!(host.run(&["create", "demo"]).status.success());
    for (arguments, code) in [
        (vec!["create", "demo"], 4),
        (vec!["resume", "demo"], 4),
        (vec!["cancel", "demo"], 4),
        (vec!["pause", "nobody"], 3),
        (vec!["create", " "], 2),
        (vec!["create"], 2),
        (vec!["destroy", "demo"], 2),
        (vec!["serve", "--ephemeral"], 2),
        (vec!["list", "--url", "http://127.0.0.1:1"], 5),
    ] {
        let output = host.run(&arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    let wrong =
        freehold(&["list"]).env("FREEHOLD_URL", &host.url).env("FREEHOLD_TOKEN", "fh_no").output().unwrap();
    assert_eq!(wrong.status.code(), Some(5));
}

#[test]
fn secrets_of_a_file_are_taken_and_shown_to_those_who_ask() {
    let (host, folder) = (Ephemeral::start(), tempfile::tempdir().unwrap());
    let known = host.run(&["create", "known"]);
    assert!(known.status.success());
    let shown: Value =
        serde_json::from_slice(&host.run(&["show", "known", "--secrets", "--json"]).stdout).unwrap();
    let name = shown["secrets"].as_object().unwrap().keys().next().unwrap().clone();
    let file = folder.path().join("secrets");
    std::fs::write(&file, format!("{name}=correct horse\n")).unwrap();
    let created = host.run(&["create", "demo", "--secrets", file.to_str().unwrap()]);
    assert!(created.status.success(), "{}", text(&created.stderr));
    let shown = text(&host.run(&["show", "demo", "--secrets"]).stdout);
    assert!(shown.contains("correct horse"), "{shown}");
    assert!(!text(&host.run(&["show", "demo"]).stdout).contains("correct horse"));
}

#[test]
fn the_configuration_in_force_is_flag_before_environment_before_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("freehold.toml");
    std::fs::write(
        &file,
        "listen = \"127.0.0.1:1111\"\nlog = \"warn\"\n[store]\nurl = \"postgres://u:pw@h/d\"\n",
    )
    .unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let shown = |arguments: &[&str], environment: &[(&str, &str)]| {
        let mut command = freehold(arguments);
        command.env("FREEHOLD_CONFIG", &file).envs(environment.iter().copied());
        text(&command.output().unwrap().stdout)
    };
    let listen =
        |text: &str| text.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap().to_owned();
    assert_eq!(listen(&shown(&["config"], &[])), "\"127.0.0.1:1111\"");
    let environment = [("FREEHOLD_LISTEN", "127.0.0.1:2222")];
    assert_eq!(listen(&shown(&["config"], &environment)), "\"127.0.0.1:2222\"");
    assert_eq!(listen(&shown(&["config", "--listen", "127.0.0.1:3333"], &environment)), "\"127.0.0.1:3333\"");
    let text = shown(&["config"], &environment);
    assert!(
        text.contains("log = \"warn\"") && text.contains("FREEHOLD_LISTEN") && !text.contains("pw"),
        "{text}"
    );
}

#[test]
fn a_key_file_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    std::fs::write(&path, format!("active = \"{}\"\n", "0".repeat(64))).unwrap();
    set_mode(&path, 0o644);
    let state = folder.path().to_str().unwrap();
    let refused = freehold(&["keys", "export", "--state", state]).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("chmod 600"), "{}", text(&refused.stderr));
    set_mode(&path, 0o600);
    let rotated = freehold(&["keys", "rotate", "--state", state]).output().unwrap();
    assert!(rotated.status.success(), "{}", text(&rotated.stderr));
    let exported = text(&freehold(&["keys", "export", "--state", state]).output().unwrap().stdout);
    assert!(exported.contains(&format!("old = [\"{}\"]", "0".repeat(64))), "{exported}");
    assert!(!exported.contains(&format!("active = \"{}\"", "0".repeat(64))));
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_target_that_is_configured_wrong_is_told_before_a_store_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("freehold.toml");
    std::fs::write(&config, "[targets.local]\nkind = \"shell\"\n[targets.local.config]\nhoks = 1\n").unwrap();
    let state = folder.path().join("state");
    let mut serve = freehold(&["serve", "--listen", "127.0.0.1:0", "--config"]);
    let output = serve.arg(&config).arg("--state").arg(&state).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("target local") && said.contains("hoks"), "{said}");
    assert!(!state.join("postgres").exists(), "a store was made");
}

#[test]
fn a_default_target_that_is_not_there_is_told_before_a_store_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("freehold.toml");
    std::fs::write(&config, "[accounts]\ndefault_target = \"moon\"\n[targets.local]\nkind = \"mock\"\n")
        .unwrap();
    let state = folder.path().join("state");
    let mut serve = freehold(&["serve", "--listen", "127.0.0.1:0", "--config"]);
    let output = serve.arg(&config).arg("--state").arg(&state).output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("default_target") && said.contains("moon") && said.contains("local"), "{said}");
    assert!(!state.exists(), "a store was made");
}

#[test]
fn an_organizations_defaults_and_studios_content_are_had_from_the_command_line() {
    let host = Ephemeral::start();
    let shown = host.run(&["defaults"]);
    assert!(text(&shown.stdout).contains("as the host says"), "{}", text(&shown.stderr));
    let set = host.run(&["defaults", "default", "--target", "mock", "--exclude", "worker", "--json"]);
    let set: Value = serde_json::from_slice(&set.stdout).unwrap();
    assert_eq!(set["defaults"], serde_json::json!({ "target": "mock", "excluded_services": ["worker"] }));
    let wrong = host.run(&["defaults", "default", "--target", "moon"]);
    assert_eq!(wrong.status.code(), Some(2), "{}", text(&wrong.stderr));
    let cleared = host.run(&["defaults", "default", "--clear", "--json"]);
    assert_eq!(serde_json::from_slice::<Value>(&cleared.stdout).unwrap()["defaults"], serde_json::json!({}));
    let content =
        |arguments: &[&str]| -> Value { serde_json::from_slice(&host.run(arguments).stdout).unwrap() };
    let stock = content(&["studio", "custom-content"]);
    assert_eq!(stock, serde_json::json!({ "infra:cloud_providers": ["AWS"] }));
    let patched = content(&["studio", "custom-content", "--patched"]);
    assert_eq!(patched["project_creation:deployment_targets"], serde_json::json!(["mock"]));
}

#[test]
fn a_host_goes_wrong_by_plan_and_says_so_at_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, said) = (folder.path().join("faults.toml"), folder.path().join("said"));
    std::fs::write(
        &plan,
        "[[fault]]\nat = \"step start service db\"\nthen = { fail = \"internal\" }\n\
         [[fault]]\nat = \"call destroy after\"\nnth = 2\nthen = \"crash\"\n",
    )
    .unwrap();
    let mut serve = freehold(&["serve", "--ephemeral", "--target", "mock", "--faults"]);
    let mut host = Ephemeral::logging(serve.arg(&plan), std::fs::File::create(&said).unwrap().into());
    let created = host.run(&["create", "demo"]);
    assert_eq!(created.status.code(), Some(1));
    assert!(text(&created.stderr).contains("start service"), "{}", text(&created.stderr));
    let said = std::fs::read_to_string(&said).unwrap();
    assert_eq!(said.matches("FAULTS ARE IN FORCE").count(), 2, "{said}");

    // What was made was destroyed with the failure; this is the second time.
    let _ = host.run(&["destroy", "demo", "--yes"]);
    assert_eq!(host.child.wait().unwrap().signal(), Some(6), "it aborts");
}

#[test]
fn a_plan_that_cannot_act_is_refused_by_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let plan = folder.path().join("faults.toml");
    std::fs::write(&plan, "[[fault]]\nat = \"store comit after\"\nthen = \"crash\"\n").unwrap();
    let mut serve = freehold(&["serve", "--ephemeral", "--target", "mock", "--faults"]);
    let output = serve.arg(&plan).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("fault[0].at: no method of a store is named comit"));
}

#[test]
fn the_switches_of_the_platform_api_let_provisioning_and_destruction_fail() {
    let mut serve = freehold(&["serve", "--ephemeral", "--target", "mock"]);
    serve.envs([("FAIL_DESTRUCTION", "true"), ("DESTRUCTION_DELAY_MS", "1")]);
    let host = Ephemeral::of(&mut serve);
    assert!(host.run(&["create", "demo"]).status.success());
    let destroyed = host.run(&["destroy", "demo", "--yes"]);
    assert_eq!(destroyed.status.code(), Some(1), "{}", text(&destroyed.stderr));
    let shown: Value = serde_json::from_slice(&host.run(&["show", "demo", "--json"]).stdout).unwrap();
    assert_eq!(shown["status"], "DESTROY_FAILED");
}
