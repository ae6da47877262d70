//! Backends that break a promise, round the one in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use freehold_core::{
    Context, Description, Destroyer, Error, ExposeSecret as _, Health, Holding, Kind, LogLine, LogRequest,
    Outcome, Plan, ProjectRef, Provisioner, Report, Result, Runtime, Scope, Wish, contract::backend,
    memory::MemoryBackend,
};
use tokio::sync::{Mutex, mpsc};

use super::{assert_caught, of_clause};
use crate::contract::memory_backend::InMemory;

/// What a backend does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    AnswersDifferently,
    StaysBusyAfterAPanic,
    StaysBusyAfterAGivenUpCall,
    LosesDataAtPause,
    KeepsDataAtDestroy,
    MakesDataAnewAtResume,
    HearsNoCancellation,
    HarmsOthers,
    TellsEveryErrorAsItsOwn,
    PrintsSecrets,
    PutsSecretsIntoErrors,
    IsSilentOnAService,
    MendsWhileLooking,
    IsNeverSatisfied,
    ListsOnlyWhatRuns,
    ForgetsOneAmongMany,
    TakesAllForItsOwn,
    SaysNotWhoseItIs,
    FailsToDestroyWhatIsNotThere,
    WorksOnOneProjectAtATime,
    LooksOnlyBetweenCalls,
    ChangesItsIdentity,
}

const FLAWS: [(Flaw, &str); 22] = [
    (Flaw::AnswersDifferently, "idempotent::every_call_gives_the_same_answer_when_it_comes_again"),
    (
        Flaw::StaysBusyAfterAPanic,
        "idempotent::a_call_that_panicked_at_any_step_converges_when_it_comes_again",
    ),
    (
        Flaw::StaysBusyAfterAGivenUpCall,
        "idempotent::a_call_that_its_caller_dropped_at_any_step_converges_when_it_comes_again",
    ),
    (Flaw::LosesDataAtPause, "data::data_survives_everything_but_destroy"),
    (Flaw::KeepsDataAtDestroy, "data::what_was_destroyed_has_no_data_when_it_begins_anew"),
    (Flaw::MakesDataAnewAtResume, "data::resume_makes_nothing_that_was_never_there"),
    (
        Flaw::HearsNoCancellation,
        "bounded::every_call_that_is_cancelled_at_any_step_returns_and_converges_when_it_comes_again",
    ),
    (Flaw::HarmsOthers, "apart::two_projects_share_nothing"),
    (Flaw::TellsEveryErrorAsItsOwn, "errors::a_failed_step_is_told_as_it_failed_and_named"),
    (Flaw::PrintsSecrets, "output::no_secret_is_in_any_outcome_plan_health_or_log"),
    (Flaw::PutsSecretsIntoErrors, "output::no_secret_is_in_any_error"),
    (Flaw::IsSilentOnAService, "looking::health_and_plan_tell_where_a_project_stands"),
    (Flaw::MendsWhileLooking, "looking::looking_changes_nothing"),
    (Flaw::IsNeverSatisfied, "looking::settings_that_differ_are_seen_and_come_into_force"),
    (Flaw::ListsOnlyWhatRuns, "inventory::a_project_is_listed_while_anything_of_it_is_left"),
    (Flaw::ForgetsOneAmongMany, "inventory::a_project_is_listed_while_anything_of_it_is_left"),
    (Flaw::TakesAllForItsOwn, "inventory::each_project_is_listed_for_the_installation_that_it_was_made_for"),
    (Flaw::SaysNotWhoseItIs, "inventory::each_project_is_listed_for_the_installation_that_it_was_made_for"),
    (Flaw::FailsToDestroyWhatIsNotThere, "inventory::destroying_what_is_not_there_succeeds"),
    (Flaw::WorksOnOneProjectAtATime, "ordering::projects_do_not_wait_for_each_other"),
    (Flaw::LooksOnlyBetweenCalls, "ordering::looking_waits_for_no_call"),
    (Flaw::ChangesItsIdentity, "describes::the_description_is_sound_and_stays_the_same"),
];

/// A backend in memory with a flaw.
#[derive(Debug)]
struct Broken {
    flaw: Flaw,
    inside: Arc<MemoryBackend>,
    calls: AtomicU16,
    busy: AtomicBool,
    turn: Mutex<()>,
    /// Data that outlives its project.
    kept: Mutex<BTreeMap<ProjectRef, String>>,
}

impl Broken {
    fn fixture(flaw: Flaw) -> InMemory {
        let inside = Arc::new(MemoryBackend::new().unwrap());
        let broken = Self {
            flaw,
            inside: inside.clone(),
            calls: AtomicU16::default(),
            busy: AtomicBool::default(),
            turn: Mutex::default(),
            kept: Mutex::default(),
        };
        InMemory { backend: Arc::new(broken), inside }
    }

    /// Makes a call that changes something, with the flaws that all such calls have.
    async fn change(
        &self,
        runtime: Option<&Runtime>,
        call: impl Future<Output = Result<Outcome>> + Send,
    ) -> Result<Outcome> {
        let _turn = match self.flaw {
            Flaw::WorksOnOneProjectAtATime | Flaw::LooksOnlyBetweenCalls => Some(self.turn.lock().await),
            _ => None,
        };
        let stays_busy = matches!(self.flaw, Flaw::StaysBusyAfterAPanic | Flaw::StaysBusyAfterAGivenUpCall);
        if stays_busy && self.busy.swap(true, Ordering::SeqCst) {
            return Err(Error::new(Kind::Conflict, "begin: another call is under way"));
        }
        let made = call.await;
        self.busy.store(false, Ordering::SeqCst);
        let secret = || {
            let secrets = runtime.into_iter().flat_map(|runtime| runtime.secrets.values());
            secrets.map(|secret| secret.expose_secret()).next().unwrap_or_default()
        };
        match (made, self.flaw) {
            (Ok(outcome), Flaw::PrintsSecrets) => {
                let stdout = format!("connecting with {}", secret());
                Ok(Outcome { report: Report { stdout, ..outcome.report }, ..outcome })
            }
            (Err(error), Flaw::PutsSecretsIntoErrors) => Err(error.with("password", secret())),
            (Err(error), Flaw::TellsEveryErrorAsItsOwn) => {
                Err(Error::internal("do what was asked").because(error))
            }
            (made, _) => made,
        }
    }

    /// The context that a call is made in.
    fn heard(&self, ctx: &Context) -> Context {
        if self.flaw == Flaw::HearsNoCancellation {
            Context::new(Duration::from_secs(60))
        } else {
            ctx.clone()
        }
    }

    async fn look(&self) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        if self.flaw == Flaw::LooksOnlyBetweenCalls { Some(self.turn.lock().await) } else { None }
    }
}

#[async_trait]
impl Provisioner for Broken {
    async fn describe(&self, ctx: &Context) -> Result<Description> {
        let mut description = self.inside.describe(ctx).await?;
        if self.flaw == Flaw::ChangesItsIdentity {
            description.engine = format!("engine {}", self.calls.fetch_add(1, Ordering::SeqCst));
        }
        Ok(description)
    }

    async fn provision(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let ctx = self.heard(ctx);
        let mut outcome = self.change(Some(runtime), self.inside.provision(&ctx, runtime)).await?;
        if self.flaw == Flaw::AnswersDifferently
            && let Some(api) = outcome.connection.as_mut().and_then(|connection| connection.api.as_mut())
        {
            api.internal.port += self.calls.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(data) = self.kept.lock().await.remove(&runtime.project) {
            self.inside.write(&runtime.project, "marker", &data)?;
        }
        Ok(outcome)
    }

    async fn pause(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let ctx = self.heard(ctx);
        let outcome = self.change(Some(runtime), self.inside.pause(&ctx, runtime)).await?;
        if self.flaw == Flaw::LosesDataAtPause && self.inside.read(&runtime.project, "marker").is_some() {
            self.inside.write(&runtime.project, "marker", "lost")?;
        }
        if self.flaw == Flaw::HarmsOthers {
            for holding in self.inside.inventory(&ctx).await? {
                self.inside.kill(&holding.project, &"db".parse()?);
            }
        }
        Ok(outcome)
    }

    async fn resume(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let ctx = self.heard(ctx);
        if self.flaw == Flaw::MakesDataAnewAtResume {
            return self.inside.provision(&ctx, runtime).await;
        }
        self.change(Some(runtime), self.inside.resume(&ctx, runtime)).await
    }

    async fn restart(&self, ctx: &Context, runtime: &Runtime, scope: &Scope) -> Result<Outcome> {
        let ctx = self.heard(ctx);
        self.change(Some(runtime), self.inside.restart(&ctx, runtime, scope)).await
    }

    async fn reconfigure(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let ctx = self.heard(ctx);
        self.change(Some(runtime), self.inside.reconfigure(&ctx, runtime)).await
    }

    async fn plan(&self, ctx: &Context, runtime: &Runtime, wish: Wish) -> Result<Plan> {
        let _turn = self.look().await;
        let of = match self.flaw {
            Flaw::IsNeverSatisfied if runtime.limits.memory_bytes.is_some() => {
                let mut other = runtime.clone();
                other.limits.cpus = Some(1.0);
                other
            }
            _ => runtime.clone(),
        };
        self.inside.plan(ctx, &of, wish).await
    }

    async fn health(&self, ctx: &Context, runtime: &Runtime) -> Result<Health> {
        let _turn = self.look().await;
        let mut health = self.inside.health(ctx, runtime).await?;
        match self.flaw {
            Flaw::IsSilentOnAService => drop(health.services.pop()),
            Flaw::MendsWhileLooking => drop(self.inside.provision(ctx, runtime).await),
            _ => {}
        }
        Ok(health)
    }

    async fn logs(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        request: &LogRequest,
    ) -> Result<mpsc::Receiver<Result<LogLine>>> {
        self.inside.logs(ctx, runtime, request).await
    }
}

#[async_trait]
impl Destroyer for Broken {
    async fn destroy(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome> {
        let ctx = self.heard(ctx);
        let is_there = !self.inside.census(project).is_empty();
        if self.flaw == Flaw::FailsToDestroyWhatIsNotThere && !is_there {
            return Err(Error::not_found("project", project));
        }
        let data = self.inside.read(project, "marker");
        let outcome = self.change(None, self.inside.destroy(&ctx, project)).await?;
        if self.flaw == Flaw::KeepsDataAtDestroy {
            self.kept.lock().await.extend(data.map(|data| (*project, data)));
        }
        Ok(outcome)
    }

    async fn inventory(&self, ctx: &Context) -> Result<Vec<Holding>> {
        let mut listed = self.inside.inventory(ctx).await?;
        if self.flaw == Flaw::ListsOnlyWhatRuns {
            listed.retain(|holding| holding.resources.contains_key("service"));
        }
        for holding in &mut listed {
            match self.flaw {
                Flaw::TakesAllForItsOwn => holding.installation = Some("ours".parse()?),
                Flaw::SaysNotWhoseItIs => holding.installation = None,
                _ => {}
            }
        }
        Ok(listed)
    }

    async fn holding(&self, ctx: &Context, project: &ProjectRef) -> Result<Option<Holding>> {
        if self.flaw == Flaw::ForgetsOneAmongMany {
            return Ok(None);
        }
        Ok(self.inventory(ctx).await?.into_iter().find(|holding| holding.project == *project))
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrapper_without_a_flaw_passes() {
    let findings = backend::run(async || Broken::fixture(Flaw::None)).await;
    assert!(findings.all_passed(), "{findings}");
}

#[tokio::test(start_paused = true)]
async fn each_flaw_is_caught_by_the_test_that_is_meant_for_it() {
    for (flaw, case) in FLAWS {
        let findings = backend::run_some(async || Broken::fixture(flaw), of_clause(case)).await;
        assert_caught(&findings, &format!("{flaw:?}"), case);
    }
}
