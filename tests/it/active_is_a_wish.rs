//! Active is a wish: whatever goes down beneath a project, it comes back by itself with its data, and what is paused stays
//! paused. A real Docker Engine of the test's own that loses its power, the real program.

use std::{fs, path::Path, process::Command};

use freehold_tests::{
    HostProcess, OwnEngine, docker_engine, facts, in_own_network, passable_folder, postgresql, wait_until,
};
use tempfile::TempDir;

const IMAGE: &str = "freehold-test/sql-job:1";

// It has no restart policy: nobody but Freehold brings it back.
const COMPOSE: &str = r#"
services:
  keeper:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    init: true
    user: root
    volumes:
      - kept:/kept
volumes:
  kept:
"#;

const MANIFEST: &str = "name = \"keeper\"\n";

/// An installation on an engine of its own.
struct Installation {
    folder: TempDir,
    engine: OwnEngine,
    host: Option<HostProcess>,
}

impl Installation {
    fn new(engine: OwnEngine) -> Self {
        let folder = passable_folder();
        let stack = folder.path().join("stack");
        fs::create_dir(&stack).unwrap();
        fs::write(stack.join("compose.yaml"), COMPOSE).unwrap();
        fs::write(stack.join("freehold.toml"), MANIFEST).unwrap();
        let config = format!(
            "[control]\nwatch_seconds = 1\n\n[targets.docker]\nkind = \"docker\"\n\
             config = {{ host = {:?}, data_root = {:?}, offline = true, stacks = [{{ folder = {stack:?} }}] }}\n",
            engine.host(),
            folder.path().join("docker"),
        );
        fs::write(folder.path().join("freehold.toml"), config).unwrap();
        let mut new = Self { folder, engine, host: None };
        new.start_host();
        new
    }

    fn start_host(&mut self) {
        let config = self.folder.path().join("freehold.toml").display().to_string();
        let host =
            HostProcess::start_with(&self.folder.path().join("state"), &["--config".to_owned(), config]);
        self.host = Some(host.unwrap_or_else(|said| panic!("the host ended before it listened:\n{said}")));
    }

    fn host(&self) -> &HostProcess {
        self.host.as_ref().unwrap()
    }

    fn create(&self, name: &str) -> String {
        self.host().json(&["create", name])["project"]["ref"].as_str().unwrap().to_owned()
    }

    fn status(&self, name: &str) -> String {
        let shown = self.host().try_json(&["show", name]).unwrap_or_default();
        shown["status"].as_str().unwrap_or_default().to_owned()
    }

    /// How often a project was started again.
    fn revivals(&self, project: &str) -> usize {
        let events = self.host().try_json(&["events"]).unwrap_or_default();
        facts(events.as_array().map_or(&[], Vec::as_slice), project, "revived").count()
    }

    /// The project's containers, also those that do not run if `all` are wanted.
    fn containers(&self, project: &str, all: bool) -> Vec<String> {
        let label = format!("label=freehold.ref={project}");
        let mut list = vec!["container", "ls", "--quiet", "--filter", &label];
        list.extend(all.then_some("--all"));
        let listed = self.engine.docker(&list);
        String::from_utf8_lossy(&listed.stdout).lines().map(str::to_owned).collect()
    }

    /// What a line of shell prints in the project's container.
    fn shell(&self, project: &str, line: &str) -> String {
        let containers = self.containers(project, false);
        let printed = self.engine.docker(&["exec", &containers[0], "sh", "-c", line]);
        assert!(printed.status.success(), "{line}: {}", String::from_utf8_lossy(&printed.stderr));
        String::from_utf8_lossy(&printed.stdout).trim().to_owned()
    }

    /// Waits until the project was started again that often and is well, and looks at what it kept.
    fn comes_back(&self, project: &str, what: &str, revivals: usize) {
        wait_until(&format!("it comes back after {what}"), || {
            self.revivals(project) == revivals && self.status("runs") == "ACTIVE_HEALTHY"
        });
        assert_eq!(self.shell(project, "cat /kept/marker"), "kept", "after {what}");
        assert_eq!(self.containers(project, true).len(), 1, "after {what}");
        assert_eq!(self.status("rests"), "INACTIVE", "after {what}");
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        // The store's server outlives its host on purpose.
        let file = self.folder.path().join("state/postgres/server/data/postmaster.pid");
        let Ok(text) = fs::read_to_string(file) else { return };
        let Some(server) = text.lines().next() else { return };
        let _ = Command::new("kill").args(["-QUIT", server]).status();
        wait_until("the store's server ends", || !Path::new("/proc").join(server).exists());
    }
}

#[test]
fn whatever_goes_down_beneath_it_an_active_project_comes_back_and_a_paused_one_stays_paused() {
    let name = "active_is_a_wish::whatever_goes_down_beneath_it_an_active_project_comes_back_and_a_paused_one_stays_paused";
    if !postgresql() || !docker_engine() || !in_own_network(name) {
        return;
    }
    let Some(engine) = OwnEngine::start_with(IMAGE) else { return };
    let mut all = Installation::new(engine);
    let (runs, rests) = (all.create("runs"), all.create("rests"));
    for project in [&runs, &rests] {
        all.shell(project, "echo kept >/kept/marker && sync");
    }
    let _ = all.host().json(&["pause", "rests"]);

    all.engine.power_off();
    all.engine.power_on().unwrap();
    all.comes_back(&runs, "its engine was killed with all containers", 1);

    let container = all.containers(&runs, true).remove(0);
    assert!(all.engine.docker(&["container", "rm", "--force", &container]).status.success());
    all.comes_back(&runs, "its container was removed by hand", 2);
    assert_ne!(all.containers(&runs, true)[0], container);

    all.host.take().unwrap().kill();
    all.engine.power_off();
    all.engine.power_on().unwrap();
    all.start_host();
    all.comes_back(&runs, "the machine lost its power", 3);

    let _ = all.host().json(&["resume", "rests"]);
    assert_eq!(all.shell(&rests, "cat /kept/marker"), "kept", "of the paused one");
    for name in ["runs", "rests"] {
        let _ = all.host().json(&["destroy", name, "--yes"]);
    }
    let left = all.engine.docker(&["volume", "ls", "--quiet"]);
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "destroy leaves nothing");
}
