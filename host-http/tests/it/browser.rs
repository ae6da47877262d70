//! A page of another origin in a real browser: a project's life by Studio's routes, with Studio's headers, read as its
//! client reads replies. What CORS does not allow fails here as it would there.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::{Value, json};
use tokio::{process::Command, sync::mpsc};
use warp::Filter;

use crate::people::{People, session};

/// Debian's name for it first. Root's Chromium has no sandbox of its own: what it shows here is ours.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

fn browser() -> Option<std::path::PathBuf> {
    let folders = std::env::var("PATH").unwrap_or_default();
    let names = |folder: &str| BROWSERS.map(|name| Path::new(folder).join(name));
    folders.split(':').flat_map(names).find(|path| path.exists())
}

/// How the page says that it went, served from this host.
async fn report(browser: &Path, host: &str) -> Value {
    // One origin is allowed: see `People::on`.
    let people = People::new().await;
    let api = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let studio = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let map = format!(
        "MAP api.example.com:80 {},MAP {host}:80 {},MAP * ~NOTFOUND",
        api.local_addr().unwrap(),
        studio.local_addr().unwrap()
    );
    tokio::spawn(warp::serve(people.filter.clone()).incoming(api).run());
    let page = include_str!("browser/page.html").replace("TOKEN", &session("owner"));
    let (told, mut said) = mpsc::unbounded_channel();
    let done = warp::post().and(warp::path("done")).and(warp::body::json()).map(move |body: Value| {
        told.send(body).unwrap();
        warp::reply()
    });
    let shown = warp::get().and(warp::path::end()).map(move || warp::reply::html(page.clone()));
    tokio::spawn(warp::serve(done.or(shown)).incoming(studio).run());

    let profile = tempfile::tempdir().unwrap();
    let mut running = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-features=HttpsUpgrades"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--host-resolver-rules={map}"))
        .arg("--remote-debugging-port=0") // keeps it running after the page has loaded
        .arg(format!("http://{host}/"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let report = tokio::select! {
        report = said.recv() => report.unwrap(),
        ended = running.wait() => panic!("the browser ended: {ended:?}"),
        () = tokio::time::sleep(Duration::from_secs(180)) => panic!("the page never told how it went"),
    };
    running.kill().await.unwrap();
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_studios_origin_takes_a_project_through_its_life_and_one_of_another_gets_nowhere() {
    let Some(browser) = browser() else {
        eprintln!("skipped: there is no Chromium");
        return;
    };
    let studios = report(&browser, "studio.example.com").await;
    assert_eq!(studios["failed"], Value::Null, "{studios:#}");
    let expected = [
        "profile",
        "organizations",
        "create",
        "healthy",
        "refused",
        "pause",
        "paused",
        "restore",
        "restored",
        "delete",
        "gone",
    ];
    assert_eq!(studios["steps"], json!(expected));
    let others = report(&browser, "evil.example.com").await;
    assert_eq!(others["steps"], json!([]), "{others:#}");
    assert!(others["failed"].as_str().unwrap().contains("Failed to fetch"), "{others:#}");
}
