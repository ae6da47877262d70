//! Sockets behind which there is no engine, no right to it, or one that misbehaves.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use freehold_core::{Context, ContextBuilder, Destroyer, Error, Kind};
use freehold_docker::{Config, DockerBackend};
use tempfile::TempDir;
use tokio::net::UnixListener;
use warp::{Filter, Reply, filters::BoxedFilter, http::StatusCode};

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

/// An engine that introduces itself well; `rest` answers everything else.
fn serve<T: Reply + 'static>(path: &Path, api: &'static str, rest: BoxedFilter<(T,)>) {
    let version = warp::path("version").map(move || {
        warp::reply::json(&std::collections::BTreeMap::from([("ApiVersion", api), ("Version", "20.10.24")]))
    });
    let info = warp::path("info").map(|| {
        warp::reply::json(&std::collections::BTreeMap::from([("ID", "FAKE:ENGINE"), ("Name", "fake")]))
    });
    let bridge = warp::path!("networks" / "bridge").map(|| StatusCode::NOT_FOUND);
    let events = warp::path("events").then(std::future::pending::<String>);
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(warp::serve(version.or(info).or(bridge).or(events).or(rest)).incoming(listener).run());
}

fn always(status: StatusCode) -> BoxedFilter<(StatusCode,)> {
    warp::any().map(move || status).boxed()
}

fn hangs() -> BoxedFilter<(String,)> {
    warp::any().then(std::future::pending::<String>).boxed()
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
    let socket = Socket::new();
    let listener = UnixListener::bind(socket.path()).unwrap();
    tokio::spawn(warp::serve(always(StatusCode::NOT_FOUND)).incoming(listener).run());
    let error = socket.connect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("does not speak the engine's API"), "{error}");
}

#[tokio::test]
async fn an_engine_older_than_20_10_is_refused_with_the_version_that_is_needed() {
    let socket = Socket::new();
    serve(&socket.path(), "1.40", always(StatusCode::NOT_FOUND));
    let error = socket.connect().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("Docker Engine 20.10"), "{error}");
}

#[tokio::test]
async fn an_answer_of_500_may_be_asked_for_again() {
    let socket = Socket::new();
    serve(&socket.path(), "1.41", always(StatusCode::INTERNAL_SERVER_ERROR));
    let backend = socket.connect().await.unwrap();
    let error = backend.inventory(&Context::new(Duration::from_secs(5))).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (Kind::Unavailable, Some("inventory")));
}

#[tokio::test]
async fn an_engine_that_hangs_is_given_up_within_the_margin() {
    let socket = Socket::new();
    serve(&socket.path(), "1.41", hangs());
    let backend = socket.connect().await.unwrap();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let ctx = ContextBuilder::new(deadline).margin(Duration::from_millis(200)).build();
    let error = backend.destroy(&ctx, &project()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.to_string().contains("did not answer within 200ms"), "{error}");
}

#[tokio::test]
async fn a_cancelled_call_does_not_wait_for_an_engine_that_hangs() {
    let socket = Socket::new();
    serve(&socket.path(), "1.41", hangs());
    let backend = socket.connect().await.unwrap();
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
    use serde_json::json;
    let label = json!({ "freehold.ref": "abcdefghijklmnopqrst", "freehold.service": "db" });
    let containers = json!([{ "Id": "c1", "Names": ["/stubborn"], "Labels": label }]);
    let volumes = json!({ "Volumes": [{
        "Name": "busy", "Driver": "local", "Mountpoint": "/x", "Labels": label, "Options": {}, "Scope": "local",
    }] });
    let refuse = |text: &'static str| {
        warp::reply::with_status(
            warp::reply::json(&json!({ "message": text })),
            StatusCode::INTERNAL_SERVER_ERROR,
        )
    };
    let rest = warp::get()
        .and(warp::path!("containers" / "json"))
        .map(move || warp::reply::json(&containers))
        .or(warp::get().and(warp::path("volumes")).map(move || warp::reply::json(&volumes)))
        .or(warp::get().and(warp::path("networks")).map(|| warp::reply::json(&json!([]))))
        .or(warp::delete().and(warp::path!("containers" / String)).map(move |_| refuse("device busy")))
        .or(warp::delete().and(warp::path!("volumes" / String)).map(move |_| refuse("volume is in use")));
    let socket = Socket::new();
    serve(&socket.path(), "1.41", rest.boxed());
    let backend = socket.connect().await.unwrap();
    let folder = socket.0.path().join("data/projects/abcdefghijklmnopqrst");
    std::fs::create_dir(&folder).unwrap();
    let error = backend.destroy(&Context::new(Duration::from_secs(10)), &project()).await.unwrap_err();
    assert_eq!(error.context("left"), Some("container stubborn, volume busy"));
    assert_eq!(error.context("step"), Some("remove container"));
    assert!(error.chain().contains("device busy"), "{}", error.chain());
    assert!(!folder.exists(), "the folder went all the same");
}

#[tokio::test]
async fn a_container_that_is_listed_before_it_is_made_is_removed_once_it_is() {
    use serde_json::json;
    let label = json!({ "freehold.ref": "abcdefghijklmnopqrst", "freehold.service": "db" });
    let removals = Arc::new(AtomicUsize::new(0));
    let (asked, made) = (Arc::clone(&removals), 3);
    let containers = move || match asked.load(Ordering::SeqCst) {
        asked if asked < made => json!([{ "Id": "c1", "Names": ["/late"], "Labels": label }]),
        _ => json!([]),
    };
    let remove = move |_: String| match removals.fetch_add(1, Ordering::SeqCst) + 1 {
        asked if asked < made => StatusCode::NOT_FOUND,
        _ => StatusCode::NO_CONTENT,
    };
    let rest = warp::get()
        .and(warp::path!("containers" / "json"))
        .map(move || warp::reply::json(&containers()))
        .or(warp::get().and(warp::path("volumes")).map(|| warp::reply::json(&json!({ "Volumes": [] }))))
        .or(warp::get().and(warp::path("networks")).map(|| warp::reply::json(&json!([]))))
        .or(warp::delete().and(warp::path!("containers" / String)).map(remove));
    let socket = Socket::new();
    serve(&socket.path(), "1.41", rest.boxed());
    let backend = socket.connect().await.unwrap();
    backend.destroy(&Context::new(Duration::from_secs(60)), &project()).await.unwrap();
    let left = backend.inventory(&Context::new(Duration::from_secs(60))).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
}
