//! The host dies before and after every effect, every commit and every renewal of a lease, and everything comes out as if
//! it had not.
//!
//! Real processes, a real PostgreSQL, real hooks. A first life tells which points an operation passes, a second one which
//! more a project passes whose port a stranger holds. Then lives go by, one crash an operation (and now and then another during its recovery), and after each: the project is where it was wished,
//! the operation succeeded once, its data was made once, one process runs or none, its token is the one that the store
//! has. After each life nothing is left, and the doctor finds nothing.
//!
//! `FREEHOLD_CRASH_POINTS` says how many of the points are tried (0: all), `FREEHOLD_SEED` which.

use std::{
    collections::{BTreeMap, VecDeque},
    net::TcpListener,
    sync::Mutex,
};

use freehold_tests::{HostProcess, Lab, chosen, facts, postgresql, wait_until};
use serde_json::Value;

/// The operations of a life in their order, and where each leads.
const LIFE: [(&str, &str); 6] = [
    ("create", "ACTIVE_HEALTHY"),
    ("pause", "INACTIVE"),
    ("resume", "ACTIVE_HEALTHY"),
    ("restart", "ACTIVE_HEALTHY"),
    ("reconfigure", "ACTIVE_HEALTHY"),
    ("destroy", "REMOVED"),
];
/// Lives that go by side by side.
const LANES: u16 = 4;

#[derive(Clone, Debug)]
struct Crash {
    point: String,
    nth: u64,
    scene: Scene,
    /// Where the host that recovers dies as well.
    again: Option<String>,
}

/// What an operation has to go through beside the crash.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scene {
    Plain,
    /// Its work takes so long that its lease is renewed meanwhile.
    Slow,
    /// A stranger holds the project's port.
    PortTaken,
}

impl Crash {
    fn plan(&self, kind: &str) -> String {
        let slow = if self.scene == Scene::Slow { slow(kind) } else { String::new() };
        slow + &plan(&self.point, self.nth)
    }
}

/// Longer than a third of the lab's lease, after which it is renewed.
fn slow(kind: &str) -> String {
    let call = if kind == "create" { "provision" } else { kind };
    format!("[[fault]]\nat = \"call {call} after\"\nthen = {{ delay_ms = 1800 }}\n")
}

fn plan(point: &str, nth: u64) -> String {
    format!("[[fault]]\nat = {point:?}\nnth = {nth}\nthen = \"crash\"\n")
}

/// What was done, for the count at the end.
#[derive(Debug, Default)]
struct Tally {
    crashes: u64,
    in_recovery: u64,
    lives: u64,
}

#[test]
fn the_host_dies_at_any_point_and_everything_comes_out_as_if_it_had_not() {
    if !postgresql() {
        return;
    }
    let seed = chosen("FREEHOLD_SEED", 1);
    let most = usize::try_from(chosen("FREEHOLD_CRASH_POINTS", 24)).unwrap();
    let lab = Lab::new(23_000..23_100);
    let mut queues = points(&lab);
    let all: usize = queues.values().map(VecDeque::len).sum();
    let mut random = Random(seed);
    for (index, queue) in queues.values_mut().enumerate() {
        random.shuffle(queue.make_contiguous());
        if most > 0 {
            // An equal share of each operation's points.
            queue.truncate(most / LIFE.len() + usize::from(index < most % LIFE.len()));
        }
        let points: Vec<_> = queue.iter().map(|crash| crash.point.clone()).collect();
        for crash in queue {
            let (drawn, which) = (random.next().is_multiple_of(3), usize::try_from(random.next()).unwrap());
            crash.again = drawn.then(|| points[which % points.len()].clone());
        }
    }
    println!("seed {seed}: {} of {all} points", queues.values().map(VecDeque::len).sum::<usize>());
    let (queues, tally) = (Mutex::new(queues), Mutex::new(Tally::default()));
    std::thread::scope(|scope| {
        for lane in 1..=LANES {
            let (queues, tally) = (&queues, &tally);
            let first = 23_000 + lane * 100;
            scope.spawn(move || lives(&Lab::new(first..first + 100), queues, tally));
        }
    });
    let tally = tally.into_inner().unwrap();
    println!("count: {} crash points", tally.crashes);
    println!("count: {} crashes during recovery", tally.in_recovery);
    println!("count: {} lives of projects under crashes", tally.lives);
    assert!(tally.crashes > 0);
}

/// What each operation passes in a life without crashes, as a host that was started just before it counts.
fn points(lab: &Lab) -> BTreeMap<&'static str, VecDeque<Crash>> {
    let mut life = Life::new(lab, "rehearsal");
    let mut points = BTreeMap::new();
    for (kind, goal) in LIFE {
        let mut crashes = life.rehearse(kind, goal);
        for crash in &mut crashes {
            if crash.point.starts_with("store renew ") {
                crash.scene = Scene::Slow;
            }
        }
        // How many renewals there are depends on the machine; there is a first one.
        crashes.retain(|crash| crash.scene != Scene::Slow || crash.nth == 1);
        assert!(crashes.len() >= 8, "{kind} passes {crashes:?}");
        points.insert(kind, crashes);
    }
    let stranger = life.stranger_on_the_next_port();
    let mut life = Life::new(lab, "rehearsal on a port that is taken");
    let create = points.get_mut("create").unwrap();
    for crash in life.rehearse("create", "ACTIVE_HEALTHY") {
        let is_known = |known: &Crash| (&known.point, known.nth) == (&crash.point, crash.nth);
        if !crash.point.starts_with("store renew ") && !create.iter().any(is_known) {
            create.push_back(Crash { scene: Scene::PortTaken, ..crash });
        }
    }
    assert!(create.iter().any(|crash| crash.point == "store reallocate after"), "{create:?}");
    drop(stranger);
    life.rehearse("destroy", "REMOVED");
    points
}

/// Whether a host that dies there dies before or after an effect or a commit of an operation.
fn is_of_an_operation(point: &str) -> bool {
    let stores = ["store claim after", "store commit ", "store renew ", "store reallocate ", "store settle "];
    point.starts_with("step ")
        || (point.starts_with("call ") && !point.starts_with("call describe"))
        || stores.iter().any(|store| point.starts_with(store))
}

/// Lives until no point is left.
fn lives(lab: &Lab, queues: &Mutex<BTreeMap<&'static str, VecDeque<Crash>>>, tally: &Mutex<Tally>) {
    let mut last = Life::new(lab, "none yet");
    for number in 0.. {
        if queues.lock().unwrap().values().all(VecDeque::is_empty) {
            break;
        }
        let mut life = Life::new(lab, &format!("life {number}"));
        for (kind, goal) in LIFE {
            let crash = queues.lock().unwrap().get_mut(kind).and_then(VecDeque::pop_front);
            match crash {
                Some(crash) if crash.scene == Scene::PortTaken => {
                    let _stranger = last.stranger_on_the_next_port();
                    life.crash(kind, goal, &crash, tally);
                    assert_eq!(life.port, last.port + 2, "it moved from the port that is taken, and once");
                }
                Some(crash) => life.crash(kind, goal, &crash, tally),
                None => {
                    let host = lab.host(None);
                    life.begin(&host, kind);
                    life.see_through(&host, kind, goal);
                    host.kill();
                }
            }
        }
        tally.lock().unwrap().lives += 1;
        last = life;
    }
    let host = lab.host(None);
    let well = host.try_json(&["doctor"]);
    assert!(well.is_ok(), "{well:?}");
}

/// One project from its creation to its end.
struct Life<'a> {
    lab: &'a Lab,
    name: String,
    project: String,
    /// The one that it has now.
    port: u16,
    /// How many events there were when the present operation was asked for.
    before: u64,
    /// How many there were when the last one was looked at.
    newest: u64,
    secrets: Option<Value>,
    id: Option<String>,
}

impl<'a> Life<'a> {
    fn new(lab: &'a Lab, name: &str) -> Self {
        let (name, project) = (name.to_owned(), String::new());
        Self { lab, name, project, port: lab.first_port() - 1, before: 0, newest: 0, secrets: None, id: None }
    }

    /// An operation without a crash that takes its time, and the points that it passes.
    fn rehearse(&mut self, kind: &str, goal: &str) -> VecDeque<Crash> {
        // With a fault plan the host tells what it passes.
        let host = self.lab.host(Some(&slow(kind)));
        self.begin(&host, kind);
        self.see_through(&host, kind, goal);
        let log = host.log();
        host.kill();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let passed = lines.filter(|line| line["target"] == "freehold_core::faults").filter_map(|line| {
            let (point, nth) = (line["point"].as_str()?.to_owned(), line["nth"].as_u64()?);
            is_of_an_operation(&point).then_some(Crash { point, nth, scene: Scene::Plain, again: None })
        });
        passed.collect()
    }

    /// Lets the host die at a point of an operation, and sees what comes of it.
    fn crash(&mut self, kind: &str, goal: &str, crash: &Crash, tally: &Mutex<Tally>) {
        self.before = self.newest;
        let died = match self.lab.host_with(&self.lab.state(), &[], Some(&crash.plan(kind))) {
            Ok(mut host) => {
                self.ask(&host, kind);
                // It dies, or the point was not passed this time.
                wait_until("the host dies", || host.has_ended() || self.ended(&host, kind));
                let died = host.has_ended();
                host.kill();
                died
            }
            // The claims of a host begin before it listens.
            Err(said) => {
                assert!(said.contains("a planned fault"), "the host ended before it listened:\n{said}");
                true
            }
        };
        tally.lock().unwrap().crashes += u64::from(died);
        if let Some(again) = &crash.again
            && let Ok(mut host) = self.lab.host_with(&self.lab.state(), &[], Some(&plan(again, 1)))
        {
            self.ask_unless_recorded(&host, kind);
            wait_until("the next host dies", || host.has_ended() || self.ended(&host, kind));
            tally.lock().unwrap().in_recovery += u64::from(host.has_ended());
            host.kill();
        }
        let host = self.lab.host(None);
        println!("{}: {kind} after a crash at {crash:?}", self.name);
        self.ask_unless_recorded(&host, kind);
        self.see_through(&host, kind, goal);
        host.kill();
    }

    /// Holds the port that the life after this one is given: ports are handed out in turn.
    fn stranger_on_the_next_port(&self) -> TcpListener {
        TcpListener::bind(("127.0.0.1", self.port + 1)).unwrap()
    }

    fn begin(&mut self, host: &HostProcess, kind: &str) {
        self.before = newest(host);
        self.ask(host, kind);
    }

    /// Asks for an operation. The host may die of it before it answers.
    fn ask(&mut self, host: &HostProcess, kind: &str) {
        let answer = match kind {
            "create" => {
                let create = ["create", &self.name, "--no-wait", "--idempotency-key", &self.name];
                host.try_json(&create)
            }
            "destroy" => host.try_json(&["destroy", &self.project, "--yes", "--no-wait"]),
            "reconfigure" => host.try_json(&["reconfigure", &self.project, "--exclude-nothing", "--no-wait"]),
            kind => host.try_json(&[kind, &self.project, "--no-wait"]),
        };
        if let Ok(answer) = answer
            && kind == "create"
        {
            self.project = text(&answer["project"]["ref"]).to_owned();
        }
    }

    /// What was answered is recorded; what was not may be.
    fn ask_unless_recorded(&mut self, host: &HostProcess, kind: &str) {
        // A create is asked for again under its key in any case, as a careful client does.
        if kind == "create" || self.changes(host, kind).is_empty() {
            self.ask(host, kind);
        }
    }

    /// What was told of the present operation.
    fn changes(&self, host: &HostProcess, kind: &str) -> Vec<Value> {
        let events = self.events(host);
        let changes = facts(&events, &self.project, "operation_changed");
        changes.filter(|fact| fact["kind"] == kind).cloned().collect()
    }

    fn events(&self, host: &HostProcess) -> Vec<Value> {
        let events = host.try_json(&["events", "--after", &self.before.to_string()]);
        events.ok().and_then(|events| events.as_array().cloned()).unwrap_or_default()
    }

    fn ended(&self, host: &HostProcess, kind: &str) -> bool {
        let over = |fact: &Value| matches!(text(&fact["state"]), "succeeded" | "failed" | "cancelled");
        self.changes(host, kind).iter().any(over)
    }

    /// Waits for the end of the operation and looks at everything.
    fn see_through(&mut self, host: &HostProcess, kind: &str, goal: &str) {
        wait_until(&format!("{kind} of {} ends", self.name), || self.ended(host, kind));
        let changes = self.changes(host, kind);
        let count = |state: &str| changes.iter().filter(|fact| fact["state"] == state).count();
        assert_eq!((count("succeeded"), count("failed"), count("cancelled")), (1, 0, 0), "{changes:#?}");
        assert_eq!(count("waiting"), 1, "it was recorded once: {changes:#?}");
        let events = self.events(host);
        let reached: Vec<_> = facts(&events, &self.project, "status_changed").collect();
        assert_eq!(reached.last().map(|fact| text(&fact["to"])), Some(goal), "{reached:#?}");
        assert_eq!(reached.iter().filter(|fact| fact["to"] == goal).count(), 1, "{reached:#?}");
        self.take_census(host, goal);
        self.newest = newest(host);
    }

    fn take_census(&mut self, host: &HostProcess, goal: &str) {
        let (lab, project) = (self.lab, &self.project);
        assert_eq!(lab.births(project), 1, "its data was made once");
        if goal == "REMOVED" {
            assert_eq!(lab.left(project), [""; 0]);
            return;
        }
        assert_eq!(lab.processes(project), usize::from(goal == "ACTIVE_HEALTHY"));
        let id = lab.kept(project, "id");
        assert_eq!(*self.id.get_or_insert_with(|| id.clone().unwrap()), id.unwrap(), "its data is the same");
        let shown = host.json(&["show", project, "--secrets"]);
        self.port = shown["project"]["ports"]["first"].as_u64().unwrap().try_into().unwrap();
        let secrets = shown["secrets"].clone();
        assert!(!secrets.is_null());
        assert_eq!(*self.secrets.get_or_insert_with(|| secrets.clone()), secrets, "its secrets are the same");
        let token = lab.kept(project, "token").unwrap();
        assert!(secrets.to_string().contains(&token), "the project has another token than the store");
        let list = host.json(&["list"]);
        let own = list.as_array().unwrap().iter().filter(|row| row["name"] == *self.name);
        assert_eq!(own.count(), 1, "{list:#}");
    }
}

fn newest(host: &HostProcess) -> u64 {
    let events = host.json(&["events"]);
    events.as_array().and_then(|all| all.last()).and_then(|event| event["sequence"].as_u64()).unwrap_or(0)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Numbers that follow from a seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for index in (1..items.len()).rev() {
            let other = self.next() % (index as u64 + 1);
            items.swap(index, usize::try_from(other).unwrap());
        }
    }
}
