//! Hosts, a store, an engine, people who ask for things, and what becomes of them.

use std::{
    collections::BTreeSet,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use freehold_core::{
    Error, FirstRunFile, Keyring, Kind, LogRequest, PageRequest, Project, ProjectRef, Status, Store as _,
    clock::TokioClock,
    control_plane::{
        Accepted, Command, ControlPlane, CreateProject, Reconfigure, Restart, Resume, Settings,
        TargetSettings, Timeouts,
    },
    faults::{Faults, Injector},
    memory::{MemoryBackend, MemoryStore},
    runtime::Limits,
    seal::SealKey,
    store::OperationFilter,
};
use futures_util::FutureExt as _;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use time::macros::datetime;
use tokio::time::{Instant, sleep, timeout};

use super::{
    chaos,
    invariants::{Witness, all_projects, nothing_is_orphaned},
};

const HOSTS: usize = 2;
const PROJECTS: u32 = 3;
/// How long things go wrong.
const CHAOS: Duration = Duration::from_secs(120);
/// Within this, all comes to rest: deadlines, clean-up, back-off and revivals, several times over.
const REST: Duration = Duration::from_secs(3600);
/// How long somebody waits for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
const SERVICES: [&str; 3] = ["db", "api", "worker"];

/// What came of a seed.
pub(super) struct Outcome {
    pub(super) faults: u64,
    pub(super) crashes: u64,
    /// All that happened, in order, if that was wanted.
    pub(super) trace: Vec<String>,
}

/// What people know, whoever told them.
#[derive(Default)]
struct Town {
    /// Who answers just now.
    hosts: [Option<ControlPlane>; HOSTS],
    /// Projects whose making was answered.
    answered: BTreeSet<ProjectRef>,
    /// Projects whose end was asked for.
    doomed: BTreeSet<ProjectRef>,
    /// What was asked and answered.
    said: Vec<String>,
    asking: u32,
}

struct Host {
    injector: Arc<Injector>,
    dead: Arc<AtomicBool>,
    back_at: Option<Instant>,
}

struct World {
    rng: StdRng,
    recorded: bool,
    clock: TokioClock,
    store: Arc<MemoryStore>,
    engine: Arc<MemoryBackend>,
    hosts: Vec<Host>,
    town: Arc<Mutex<Town>>,
    witness: Witness,
    created: u32,
    calm: bool,
    crashes: u64,
    faults: u64,
    trace: Vec<String>,
}

/// Lives through one seed.
pub(super) async fn simulate(seed: u64, recorded: bool) -> Result<Outcome, String> {
    let mut world = World::new(seed, recorded);
    let lived = world.live().await;
    world.hosts.iter().for_each(|host| world.faults += host.injector.acted());
    world.write_trace();
    lived.map_err(|problem| {
        let last = |lines: &[String]| lines[lines.len().saturating_sub(40)..].join("\n  ");
        let events: Vec<_> = world.witness.events.iter().map(|event| format!("{:?}", event)).collect();
        let said = world.town.lock().unwrap().said.clone();
        format!("{problem}\nsaid:\n  {}\nevents:\n  {}", last(&said), last(&events))
    })?;
    Ok(Outcome { faults: world.faults, crashes: world.crashes, trace: world.trace })
}

fn settings() -> Settings {
    let seconds = Duration::from_secs;
    Settings {
        timeouts: Timeouts {
            provision: seconds(120),
            pause: seconds(60),
            start: seconds(120),
            destroy: seconds(90),
        },
        poll: seconds(3),
        watch: seconds(15),
        confirm: seconds(10),
        sweep: seconds(60),
        grace: seconds(60),
        ..Settings::default()
    }
}

impl World {
    fn new(seed: u64, recorded: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let clock = TokioClock::starting_at(datetime!(2026-11-23 00:00 UTC));
        // Less than the margin: one request to the engine takes no longer.
        let delay = Duration::from_millis(rng.random_range(0..2000));
        let engine = MemoryBackend::new().unwrap().on_clock(Arc::new(clock)).with_step_delay(delay);
        let dead = || Host {
            injector: Arc::new(Injector::new(Faults::default()).unwrap()),
            dead: Arc::new(AtomicBool::new(true)),
            back_at: Some(Instant::now()),
        };
        Self {
            rng,
            recorded,
            clock,
            store: Arc::new(MemoryStore::on_clock(Arc::new(clock))),
            engine: Arc::new(engine),
            hosts: (0..HOSTS).map(|_| dead()).collect(),
            town: Arc::default(),
            witness: Witness::default(),
            created: 0,
            calm: false,
            crashes: 0,
            faults: 0,
            trace: Vec::new(),
        }
    }

    async fn live(&mut self) -> Result<(), String> {
        let end = Instant::now() + CHAOS;
        while Instant::now() < end {
            self.raise_hosts().await;
            self.something_happens();
            sleep(Duration::from_millis(self.rng.random_range(0..4000))).await;
            self.look().await?;
        }
        self.calm_down();
        self.rest().await?;
        self.all_is_told_once().await?;
        self.end_all().await
    }

    /// Starts hosts that are due. A host that dies or cannot be built is tried again a little later.
    async fn raise_hosts(&mut self) {
        for index in 0..HOSTS {
            let host = &mut self.hosts[index];
            if host.dead.load(Ordering::SeqCst) && host.back_at.is_none() {
                self.town.lock().unwrap().hosts[index] = None;
                self.crashes += 1;
                host.back_at = Some(Instant::now() + Duration::from_millis(self.rng.random_range(0..40_000)));
            }
            if host.back_at.is_some_and(|moment| moment <= Instant::now()) {
                self.start(index).await;
            }
        }
    }

    async fn start(&mut self, index: usize) {
        let faults = if self.calm { Faults::default() } else { chaos::faults(&mut self.rng) };
        let dead = Arc::new(AtomicBool::new(false));
        let death = Arc::clone(&dead);
        let mut injector =
            Injector::crashing_by(faults, move || death.store(true, Ordering::SeqCst)).unwrap();
        if self.recorded {
            injector = injector.recording();
        }
        let injector = Arc::new(injector);
        let built = ControlPlane::builder()
            .store(Arc::clone(&self.store) as _)
            .sealer(Arc::new(Keyring::new(SealKey::new([7; 32]))))
            .target("local".parse().unwrap(), Arc::clone(&self.engine) as _, target())
            .clock(Arc::new(self.clock))
            .seed(self.rng.random())
            .settings(settings())
            .faults(Arc::clone(&injector))
            .build();
        let built = timeout(PATIENCE, AssertUnwindSafe(built).catch_unwind()).await;
        self.bury(index);
        self.hosts[index] = Host { injector, dead, back_at: None };
        match built {
            Ok(Ok(Ok(control))) => self.town.lock().unwrap().hosts[index] = Some(control),
            _ => self.hosts[index].back_at = Some(Instant::now() + Duration::from_secs(1)),
        }
    }

    /// Keeps what is to be known of a host whose place another takes.
    fn bury(&mut self, index: usize) {
        let injector = &self.hosts[index].injector;
        self.faults += injector.acted();
        let passings = injector.passings();
        self.trace.extend(
            passings.iter().map(|passing| format!("host {index}: {} {}", passing.point, passing.nth)),
        );
    }

    fn something_happens(&mut self) {
        let known: Vec<_> = self.town.lock().unwrap().answered.iter().copied().collect();
        if self.created < PROJECTS && self.rng.random_bool(0.4) {
            self.created += 1;
            self.ask(Ask::Create(self.created));
            return;
        }
        let Some(&project) = known.choose(&mut self.rng) else { return };
        let service = SERVICES.choose(&mut self.rng).unwrap().parse().unwrap();
        match self.rng.random_range(0..24) {
            0..3 => self.ask(Ask::Command(Command::Pause(project))),
            3..7 => self.ask(Ask::Command(Command::Resume(project, Resume::default()))),
            7..9 => self.ask(Ask::Command(Command::Restart(project, Restart::default()))),
            9..11 => {
                let limits = Limits { memory_bytes: Some(self.rng.random_range(1..64) << 26), cpus: None };
                let settings = Reconfigure { limits: Some(limits), ..Reconfigure::default() };
                self.ask(Ask::Command(Command::Reconfigure(project, Box::new(settings))));
            }
            11..13 => self.ask(Ask::Command(Command::Retry(project))),
            13..15 => self.ask(Ask::Cancel(project)),
            15 => {
                self.town.lock().unwrap().doomed.insert(project);
                self.ask(Ask::Command(Command::Destroy(project)));
            }
            // Of a project that runs the service is there already.
            16 if self.rng.random_bool(0.3) => self.engine.land(&project, &service),
            16 => self.engine.kill(&project, &service),
            17 => self.engine.disconnect(),
            18..21 => self.engine.reconnect(),
            21 => self.engine.occupy_port(self.rng.random_range(20_000..20_012)),
            22 => (20_000..20_012).for_each(|port| self.engine.free_port(port)),
            _ => {}
        }
    }

    /// Lets somebody ask a host for something.
    fn ask(&mut self, ask: Ask) {
        let first = self.rng.random_range(0..HOSTS);
        let (town, store) = (Arc::clone(&self.town), Arc::clone(&self.store));
        town.lock().unwrap().asking += 1;
        tokio::spawn(async move {
            let said = ask.until_answered(&town, &store, first).await;
            let mut town = town.lock().unwrap();
            town.said.push(said);
            town.asking -= 1;
        });
    }

    async fn look(&mut self) -> Result<(), String> {
        let doomed = self.town.lock().unwrap().doomed.clone();
        self.witness.look(&self.store, &self.engine, |project| doomed.contains(project)).await
    }

    /// Nothing goes wrong from now on, and every host comes back.
    fn calm_down(&mut self) {
        self.calm = true;
        self.engine.reconnect();
        (20_000..20_012).for_each(|port| self.engine.free_port(port));
        for host in &mut self.hosts {
            host.injector.stand_down();
            if let Some(moment) = &mut host.back_at {
                *moment = Instant::now();
            }
        }
    }

    /// All comes to rest: nobody waits for an answer, nothing is under way, and what is active is as it should be.
    async fn rest(&mut self) -> Result<(), String> {
        let until = Instant::now() + REST;
        loop {
            self.raise_hosts().await;
            sleep(Duration::from_secs(5)).await;
            self.look().await?;
            let unrest = self.unrest().await;
            match unrest {
                None => break,
                Some(unrest) if Instant::now() > until => {
                    return Err(format!("no rest within {REST:?}: {unrest}"));
                }
                Some(_) => {}
            }
        }
        // What may still land late lands now.
        sleep(Duration::from_secs(75)).await;
        self.look().await?;
        nothing_is_orphaned(&self.store, &self.engine).await
    }

    async fn unrest(&self) -> Option<String> {
        let control = self.town.lock().unwrap().hosts[0].clone();
        let Some(control) = control else { return Some("host 0 is not there".to_owned()) };
        if self.town.lock().unwrap().asking > 0 {
            return Some("somebody still waits for an answer".to_owned());
        }
        for project in self.projects().await {
            let name = project.reference;
            if project.status.is_transitional() {
                return Some(format!("{name} is {}", project.status));
            }
            // Where other settings could not be brought into force the old ones may run on: that is not healthy.
            if matches!(project.status, Status::ActiveHealthy | Status::Inactive) {
                match control.plan(&name).await {
                    Ok(plan) if plan.changes.is_empty() => {}
                    other => return Some(format!("{name} is {} and {other:?}", project.status)),
                }
            }
        }
        None
    }

    async fn projects(&self) -> Vec<Project> {
        all_projects(&self.store).await
    }

    /// What was answered is there, and what happens once happened once.
    async fn all_is_told_once(&self) -> Result<(), String> {
        let projects = self.projects().await;
        let town = self.town.lock().unwrap().answered.clone();
        if projects.len() != self.created as usize || town.len() != projects.len() {
            return Err(format!(
                "{} were asked for, {} answered, {} made",
                self.created,
                town.len(),
                projects.len()
            ));
        }
        let control = self.town.lock().unwrap().hosts[0].clone().unwrap();
        for project in projects.iter().filter(|project| project.status != Status::Removed) {
            let mut lines = control.logs(&project.reference, &LogRequest::default()).await.unwrap();
            let mut applied = 0;
            while let Some(line) = lines.recv().await {
                applied += u32::from(line.unwrap().line.starts_with("applied "));
            }
            if applied > 1 {
                return Err(format!("{} had its first-run file {applied} times", project.reference));
            }
        }
        Ok(())
    }

    /// Everything can be destroyed, and then nothing is left.
    async fn end_all(&mut self) -> Result<(), String> {
        let control = self.town.lock().unwrap().hosts[0].clone().unwrap();
        for project in self.projects().await {
            let name = project.reference;
            self.town.lock().unwrap().doomed.insert(name);
            control.destroy(&name).await.map_err(|error| format!("{name}: {}", error.chain()))?;
            control.wait(&name, &[Status::Removed], REST).await.map_err(|error| error.chain())?;
        }
        self.look().await?;
        nothing_is_orphaned(&self.store, &self.engine).await
    }

    fn write_trace(&mut self) {
        (0..HOSTS).for_each(|index| self.bury(index));
        self.trace.extend(self.town.lock().unwrap().said.iter().cloned());
        self.trace.extend(self.witness.events.iter().map(|event| format!("{event:?}")));
    }
}

fn target() -> TargetSettings {
    TargetSettings { max_operations: 2, ..TargetSettings::default() }
}

/// What somebody wants.
enum Ask {
    Create(u32),
    Command(Command),
    /// Of whatever is under way.
    Cancel(ProjectRef),
}

impl Ask {
    /// Asks one host after the other: for a project until one answers, for the rest once.
    async fn until_answered(self, town: &Mutex<Town>, store: &MemoryStore, first: usize) -> String {
        for host in first.. {
            let control = town.lock().unwrap().hosts[host % HOSTS].clone();
            let Some(control) = control else {
                sleep(Duration::from_secs(1)).await;
                continue;
            };
            let answer = timeout(PATIENCE, AssertUnwindSafe(self.once(&control, store)).catch_unwind()).await;
            match (&self, answer) {
                (Self::Create(number), Ok(Ok(Ok(accepted)))) => {
                    town.lock().unwrap().answered.insert(accepted.project.reference);
                    return format!("project {number} is {}", accepted.project.reference);
                }
                (Self::Create(number), _) => {
                    town.lock().unwrap().said.push(format!("project {number}: asked again"));
                    sleep(Duration::from_secs(1)).await;
                }
                (Self::Command(command), answer) => {
                    let answer =
                        answer.map(|answer| answer.map(|answer| answer.map(|a| a.operation.map(|o| o.id))));
                    return format!(
                        "{command:?}: {:?}",
                        answer.map_err(drop).map(|answer| answer.map_err(drop))
                    );
                }
                (Self::Cancel(project), answer) => {
                    let answered = matches!(answer, Ok(Ok(Ok(_))));
                    return format!("cancel at {project}: {answered}");
                }
            }
        }
        unreachable!("there is always another host to ask")
    }

    async fn once(&self, control: &ControlPlane, store: &MemoryStore) -> Result<Accepted, Error> {
        match self {
            Self::Create(number) => {
                let name = format!("project {number}").parse()?;
                let mut create = CreateProject::new("acme".parse()?, name);
                create.first_run = vec![FirstRunFile::new("10-schema.sql", "select 1")?];
                control.create(create, Some(&format!("key {number}"))).await
            }
            Self::Command(command) => control.execute(command.clone(), None).await,
            Self::Cancel(project) => {
                let filter = OperationFilter { project: Some(*project), ..OperationFilter::default() };
                let newest = store.operations(&filter, &PageRequest::default()).await?.items;
                let nothing = || Error::new(Kind::NotFound, "nothing to cancel");
                control.cancel(newest.first().ok_or_else(nothing)?.id).await
            }
        }
    }
}
