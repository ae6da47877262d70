//! The engine's API over HTTP.

use std::{collections::BTreeMap, convert::Infallible, io, sync::Weak};

use futures_util::stream;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Frame, Incoming},
    header::{CONNECTION, UPGRADE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::UnixListener, sync::broadcast};
use tokio_util::sync::CancellationToken;

use super::{Asked, Call, FakeEngine, Inner, State, Trouble, world::Answer};

type Body = BoxBody<Bytes, Infallible>;

/// Ends the connection without an answer.
fn cut() -> io::Error {
    io::Error::other("cut")
}

/// Answers all who connect until the engine goes away, or nobody has it any more.
pub(super) async fn serve(engine: Weak<Inner>, listener: UnixListener, up: CancellationToken) {
    while let Some(Ok((stream, _))) = up.run_until_cancelled(listener.accept()).await {
        let Some(inner) = engine.upgrade() else { return };
        let (engine, token) = (FakeEngine(inner), up.clone());
        let service = service_fn(move |request| answer(engine.clone(), request, token.clone()));
        let connection =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades();
        let up = up.clone();
        // A connection that was cut is no error of ours.
        tokio::spawn(async move { up.run_until_cancelled(connection).await });
    }
}

async fn answer(
    engine: FakeEngine,
    mut request: Request<Incoming>,
    up: CancellationToken,
) -> Result<Response<Body>, io::Error> {
    let upgrade = hyper::upgrade::on(&mut request);
    let asked = taken_apart(request).await?;
    let trouble = engine.state().trouble(asked.call);
    match trouble {
        Some(Trouble::CutBefore) => return Err(cut()),
        Some(Trouble::Refuses(status)) => return Ok(refused(status)),
        Some(Trouble::Hangs) => return std::future::pending().await,
        Some(Trouble::Late) => {
            engine.state().late.push(asked);
            return std::future::pending().await;
        }
        Some(Trouble::Gone) => {
            engine.go_away();
            return Err(cut());
        }
        Some(Trouble::NetworksGo) => engine.state().world.drop_networks(),
        Some(Trouble::MissesEvents) => engine.state().missed = 2,
        Some(Trouble::CutsEvents) => {
            let mut state = engine.state();
            (state.missed, state.events) = (1, broadcast::Sender::new(1024));
        }
        Some(Trouble::StaleList) => {
            let mut state = engine.state();
            let before = state.world.clone();
            state.stale.extend(asked.call.listed_by().map(|list| (list, before)));
        }
        Some(Trouble::LosesAnswer | Trouble::RefusesAfter(_) | Trouble::HangsAfter | Trouble::GoneAfter)
        | None => {}
    }
    let answered = match asked.call {
        Call::Version => plain(Answer(200, json!({ "ApiVersion": engine.0.api, "Version": "20.10.24" }))),
        Call::Info => plain(Answer(200, json!({ "ID": "FAKE:ENGINE", "Name": "fake", "NCPU": 2 }))),
        Call::Events => events(&engine),
        Call::StartExec => {
            let printed = engine.state().world.start_exec(&asked.path[1]);
            match printed {
                Ok(printed) => {
                    tokio::spawn(async move { up.run_until_cancelled(print(upgrade, printed)).await });
                    let switched = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
                    let switched = switched.header(CONNECTION, "Upgrade").header(UPGRADE, "tcp");
                    switched.body(empty()).map_err(io::Error::other)?
                }
                Err(refusal) => plain(refusal),
            }
        }
        Call::ListContainers => {
            let listed = plain(work(&mut engine.state(), &asked));
            // What comes late comes right behind this list.
            let late = std::mem::take(&mut engine.state().late);
            late.iter().for_each(|late| drop(work(&mut engine.state(), late)));
            listed
        }
        _ => plain(work(&mut engine.state(), &asked)),
    };
    match trouble {
        Some(Trouble::LosesAnswer) => Err(cut()),
        Some(Trouble::RefusesAfter(status)) => Ok(refused(status)),
        Some(Trouble::HangsAfter) => std::future::pending().await,
        Some(Trouble::GoneAfter) => {
            engine.go_away();
            Err(cut())
        }
        _ => Ok(answered),
    }
}

/// Does what was asked, and tells of it.
fn work(state: &mut State, asked: &Asked) -> Answer {
    let Asked { call, path, query, body } = asked;
    let empty = String::new();
    let (param, body) = (|name: &str| query.get(name).unwrap_or(&empty), body.clone());
    let at = |place: usize| path.get(place).map_or("", String::as_str);
    let filters: BTreeMap<String, Vec<String>> = serde_json::from_str(param("filters")).unwrap_or_default();
    let filter = |name: &str| filters.get(name).cloned().unwrap_or_default();
    let stale = state.stale.remove(call);
    let world = &mut state.world;
    let listed = stale.as_ref().unwrap_or(world);
    let answer = match call {
        Call::ListContainers => listed.list_containers(&filter("label"), &filter("id")),
        Call::ListNetworks => listed.list_networks(&filter("label")),
        Call::ListVolumes => listed.list_volumes(&filter("label")),
        Call::FindImage => world.image(&path[1..path.len() - 1].join("/")),
        Call::PullImage => world.pull(param("fromImage")),
        Call::CreateContainer => world.create_container(param("name"), body),
        Call::InspectContainer => world.inspect_container(at(1)),
        Call::StartContainer => world.start(at(1)),
        Call::SignalContainer => world.signal(at(1)),
        Call::RemoveContainer => world.remove_container(at(1)),
        Call::ReadLogs => Answer(200, Value::Null),
        Call::CopyFiles => world.copy_files(at(1)),
        Call::CreateExec => world.create_exec(at(1), &body),
        Call::InspectExec => world.inspect_exec(at(1)),
        Call::CreateNetwork => world.create_network(&body),
        Call::InspectNetwork => world.inspect_network(at(1)),
        Call::JoinNetwork => world.join_network(at(1), &body),
        Call::RemoveNetwork => world.remove_network(at(1)),
        Call::CreateVolume => {
            world.create_volume(body["Name"].as_str().unwrap_or_default(), body["Labels"].clone())
        }
        Call::RemoveVolume => world.remove_volume(at(1)),
        // A program that is started late has nobody who hears it.
        Call::StartExec => Answer(200, Value::Null),
        Call::Version | Call::Info | Call::Events | Call::Unknown => {
            Answer(501, json!({ "message": format!("nothing is known of /{}", path.join("/")) }))
        }
    };
    state.tell();
    answer
}

async fn taken_apart(request: Request<Incoming>) -> Result<Asked, io::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_matches('/').split('/').map(str::to_owned);
    let path: Vec<_> = path.skip_while(|part| part.starts_with("v1.")).collect();
    let parts: Vec<_> = path.iter().map(String::as_str).collect();
    let call = Call::of(head.method.as_str(), &parts);
    let query = serde_urlencoded::from_str(head.uri.query().unwrap_or_default()).map_err(io::Error::other)?;
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    // An archive is no JSON, and nobody asks what is in it.
    Ok(Asked { call, path, query, body: serde_json::from_slice(&body).unwrap_or_default() })
}

fn events(engine: &FakeEngine) -> Response<Body> {
    let listener = engine.state().events.subscribe();
    let lines = stream::unfold(listener, |mut listener| async move {
        // Ends with the subscription, and where it has fallen behind.
        let line = listener.recv().await.ok()?;
        Some((Ok::<_, Infallible>(Frame::data(Bytes::from(line))), listener))
    });
    Response::new(StreamBody::new(lines).boxed())
}

/// Prints in the frames of a program without a terminal: stream, three zeros, length (Docker's API, "Stream format").
async fn print(upgrade: hyper::upgrade::OnUpgrade, text: &str) {
    let Ok(upgraded) = upgrade.await else { return };
    let mut stream = TokioIo::new(upgraded);
    let mut frame = vec![1, 0, 0, 0];
    frame.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    frame.extend(text.as_bytes());
    // Whoever asked may have hung up.
    let _ = stream.write_all(&frame).await;
    let _ = stream.shutdown().await;
    // A socket that is closed with something unread in it takes back what was printed.
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
}

fn refused(status: u16) -> Response<Body> {
    let message = match status {
        404 => "there is no such thing",
        409 => "Conflict: it is in use",
        _ => "the engine is in trouble",
    };
    plain(Answer(status, json!({ "message": message })))
}

fn plain(Answer(status, body): Answer) -> Response<Body> {
    let body = if body.is_null() { empty() } else { Full::from(body.to_string()).boxed() };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

fn empty() -> Body {
    Full::default().boxed()
}
