//! Sockets behind which there is no engine, no right to it, or one that misbehaves.

use std::time::{Duration, Instant};

use freehold_core::{Context, ContextBuilder, Destroyer, Error, Kind};
use freehold_docker::{Config, DockerBackend};
use tempfile::TempDir;

use crate::{
    fake_engine::{Call, FakeEngine, Trouble},
    troubles::Stage,
};

/// A socket in a folder of its own.
struct Socket(TempDir);

impl Socket {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("engine.sock")
    }

    async fn connect(&self) -> Result<DockerBackend, Error> {
        let mut config = Config::new(self.0.path().join("data"), []);
        config.host = Some(format!("unix://{}", self.path().display()));
        DockerBackend::connect(config).await
    }
}

fn project() -> freehold_core::ProjectRef {
    "abcdefghijklmnopqrst".parse().unwrap()
}

#[tokio::test]
async fn a_missing_socket_says_how_to_get_an_engine() {
    let error = Socket::new().connect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("start Docker, or set `host`"), "{error}");
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_says_so() {
    let socket = Socket::new();
    drop(std::os::unix::net::UnixListener::bind(socket.path()).unwrap());
    let error = socket.connect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("nothing listens there"), "{error}");
}

#[tokio::test]
async fn an_address_of_an_unknown_kind_lists_the_known_ones() {
    let mut config = Config::new("/nonexistent", []);
    config.host = Some("npipe://docker".into());
    let error = DockerBackend::connect(config).await.unwrap_err();
    assert!(error.to_string().contains("unix://, tcp:// or http://"), "{error}");
}

#[tokio::test]
async fn what_is_no_engine_is_refused_at_start() {
    let engine = FakeEngine::start();
    engine.plan(Call::Version, 0, Trouble::Refuses(404));
    let error = engine.backend(None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("does not speak the engine's API"), "{error}");
}

#[tokio::test]
async fn an_engine_older_than_20_10_is_refused_with_the_version_that_is_needed() {
    let error = FakeEngine::of_api("1.40").backend(None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("Docker Engine 20.10"), "{error}");
}

#[tokio::test]
async fn an_answer_of_500_may_be_asked_for_again() {
    let engine = FakeEngine::start();
    let backend = engine.backend(None).await.unwrap();
    engine.plan(Call::ListVolumes, 1, Trouble::Refuses(500));
    let error = backend.inventory(&Context::new(Duration::from_secs(5))).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (Kind::Unavailable, Some("inventory")));
}

#[tokio::test]
async fn an_engine_that_hangs_is_given_up_within_the_margin() {
    let engine = FakeEngine::start();
    let backend = engine.backend(None).await.unwrap();
    engine.plan(Call::ListContainers, 0, Trouble::Hangs);
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let ctx = ContextBuilder::new(deadline).margin(Duration::from_millis(200)).build();
    let error = backend.destroy(&ctx, &project()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("did not answer within 200ms"), "{error}");
}

#[tokio::test]
async fn a_cancelled_call_does_not_wait_for_an_engine_that_hangs() {
    let engine = FakeEngine::start();
    let backend = engine.backend(None).await.unwrap();
    engine.plan(Call::ListContainers, 0, Trouble::Hangs);
    let ctx = Context::new(Duration::from_secs(60));
    let began = Instant::now();
    let project = project();
    let (destroyed, ()) =
        tokio::join!(backend.destroy(&ctx, &project), async { ctx.cancellation().cancel() });
    assert_eq!(destroyed.unwrap_err().kind(), Kind::Cancelled);
    assert!(began.elapsed() < Duration::from_secs(50), "it waited for its deadline");
}

#[tokio::test]
async fn what_cannot_be_removed_is_named_and_keeps_nothing_else_from_going() {
    let stage = Stage::new().await;
    stage.provision().await.unwrap();
    stage.engine.plan(Call::RemoveContainer, 0, Trouble::Refuses(500));
    stage.engine.plan(Call::RemoveVolume, 0, Trouble::Refuses(500));
    let project = stage.runtime.project;
    let error = stage.backend.destroy(&stage.ctx(), &project).await.unwrap_err();
    let left = error.context("left").unwrap();
    assert!(left.contains(&format!("container fh-{project}-db")), "{left}");
    assert!(left.contains(&format!("volume fh-{project}_data")), "{left}");
    assert_eq!(error.context("step"), Some("remove container"));
    assert!(error.chain().contains("the engine is in trouble"), "{}", error.chain());
    assert!(
        !stage.engine.data().join("projects").join(project.as_str()).exists(),
        "the folder went all the same"
    );
}

#[tokio::test]
async fn a_container_that_is_listed_before_it_is_made_is_removed_once_it_is() {
    let stage = Stage::new().await;
    stage.provision().await.unwrap();
    for n in [1, 2] {
        stage.engine.plan(Call::RemoveContainer, n, Trouble::Refuses(404));
    }
    stage.backend.destroy(&stage.ctx(), &stage.runtime.project).await.unwrap();
    assert_eq!(stage.engine.census(), [""; 0]);
}
