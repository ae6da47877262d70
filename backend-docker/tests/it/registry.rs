//! Where images come from, with a real engine and a registry of our own on this machine.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use freehold_core::{Destroyer, Kind, Provisioner};
use freehold_docker::{Config, StackSource};
use rand::Rng;
use serde_json::json;
use sha2::{Digest, Sha256};
use warp::{
    Filter,
    http::{Response, StatusCode},
};

use crate::fixture::{Fixture, ctx, engine, host, stack};

/// `user:secret`, as it stands in a client's configuration and in a request.
const AUTH: &str = "dXNlcjpzZWNyZXQ=";

/// A registry with one image of two layers, for who logs in.
#[derive(Clone, Debug)]
struct Registry {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    /// The layers in their order, by digest.
    layers: Vec<String>,
    /// The layer that cannot be had the next time that somebody asks.
    failing: Arc<Mutex<Option<String>>>,
}

fn digest(bytes: &[u8]) -> String {
    let hash = Sha256::digest(bytes);
    format!("sha256:{}", hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// A layer with one file that no other image has.
fn layer(name: &str) -> Vec<u8> {
    let content: [u8; 16] = rand::rng().random();
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(16);
    header.set_mode(0o644);
    layer.append_data(&mut header, name, &content[..]).unwrap();
    layer.into_inner().unwrap()
}

impl Registry {
    async fn start() -> Self {
        let layers = [layer("first"), layer("second")];
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let digests: Vec<_> = layers.iter().map(|layer| digest(layer)).collect();
        let config = json!({
            "architecture": architecture, "os": "linux", "config": {"Cmd": ["/nothing"]},
            "rootfs": {"type": "layers", "diff_ids": digests},
        })
        .to_string()
        .into_bytes();
        let about = |kind: &str, bytes: &[u8]| json!({"mediaType": format!("application/vnd.docker.{kind}"), "size": bytes.len(), "digest": digest(bytes)});
        let manifest = json!({
            "schemaVersion": 2, "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": about("container.image.v1+json", &config),
            "layers": layers.iter().map(|layer| about("image.rootfs.diff.tar.gzip", layer)).collect::<Vec<_>>(),
        })
        .to_string()
        .into_bytes();
        let mut blobs: HashMap<_, _> = layers.into_iter().map(|layer| (digest(&layer), layer)).collect();
        blobs.insert(digest(&config), config);

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let registry = Self {
            address: listener.local_addr().unwrap(),
            asked: Arc::default(),
            layers: digests,
            failing: Arc::default(),
        };
        let answering = registry.clone();
        let answer = move |path: warp::path::FullPath, auth: Option<String>| {
            answering.answer(path.as_str(), auth.as_deref(), &manifest, &blobs)
        };
        let routes = warp::path::full().and(warp::header::optional("authorization")).map(answer);
        tokio::spawn(warp::serve(routes).incoming(listener).run());
        registry
    }

    fn answer(
        &self,
        path: &str,
        auth: Option<&str>,
        manifest: &[u8],
        blobs: &HashMap<String, Vec<u8>>,
    ) -> Response<Vec<u8>> {
        let refused = |status: StatusCode| Response::builder().status(status);
        if auth != Some(&format!("Basic {AUTH}")) {
            return refused(StatusCode::UNAUTHORIZED)
                .header("www-authenticate", "Basic realm=\"test\"")
                .body(Vec::new())
                .unwrap();
        }
        self.asked.lock().unwrap().push(path.to_owned());
        let last = path.rsplit('/').next().unwrap_or_default();
        if path.contains("/manifests/") {
            return Response::builder()
                .header("content-type", "application/vnd.docker.distribution.manifest.v2+json")
                .header("docker-content-digest", digest(manifest))
                .body(manifest.to_vec())
                .unwrap();
        }
        if self.failing.lock().unwrap().take_if(|failing| failing == last).is_some() {
            return refused(StatusCode::SERVICE_UNAVAILABLE).body(Vec::new()).unwrap();
        }
        match blobs.get(last) {
            Some(blob) => Response::new(blob.clone()),
            None => Response::new(Vec::new()), // The greeting at /v2/.
        }
    }

    /// How often something was asked for.
    fn times(&self, part: &str) -> usize {
        self.asked.lock().unwrap().iter().filter(|path| path.contains(part)).count()
    }
}

/// A backend with one service of that image.
async fn backend(image: &str, change: impl FnOnce(&mut Config)) -> Option<Fixture> {
    let docker = engine().await?;
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("offered");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("compose.yaml"), format!("services: {{a: {{image: '{image}'}}}}")).unwrap();
    std::fs::write(folder.join("freehold.toml"), "name = \"pulled\"").unwrap();
    let mut config = Config::new(root.path(), [StackSource::new(folder)]);
    config.host = host();
    change(&mut config);
    Some(Fixture::of(docker, root, config).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn images_come_from_the_mirror_with_the_users_credentials_and_are_known_by_their_own_names() {
    let registry = Registry::start().await;
    let mirror = format!("{}/hub", registry.address);
    let clients = tempfile::tempdir().unwrap();
    let file = clients.path().join("config.json");
    std::fs::write(&file, json!({"auths": {registry.address.to_string(): {"auth": AUTH}}}).to_string())
        .unwrap();
    let image = format!("team/app{}:1", rand::rng().random::<u32>());

    let without = backend(&image, |config| config.mirror = Some(mirror.clone())).await;
    let Some(without) = without else { return };
    let runtime = without.runtime();
    let error = without.backend.provision(&ctx(), &runtime).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.context("step")),
        (Kind::InvalidInput, Some("pull image")),
        "{}",
        error.chain()
    );
    without.backend.destroy(&ctx(), &runtime.project).await.unwrap();

    let with = backend(&image, |config| {
        config.mirror = Some(mirror.clone());
        config.docker_config = Some(file.clone());
    });
    let with = with.await.unwrap();
    let runtime = with.runtime();
    // The image holds no program, so it is the start that fails once it was pulled.
    let error = with.backend.provision(&ctx(), &runtime).await.unwrap_err();
    assert_eq!(error.context("step"), Some("start container"), "{}", error.chain());
    assert_eq!(registry.layers.iter().map(|layer| registry.times(layer)).collect::<Vec<_>>(), [1, 1]);
    assert!(registry.times(&format!("/v2/hub/{}/manifests/", image.trim_end_matches(":1"))) > 0);
    for name in [image.clone(), format!("{mirror}/{image}")] {
        with.docker.inspect_image(&name).await.unwrap();
    }
    with.backend.destroy(&ctx(), &runtime.project).await.unwrap();
    assert_eq!(with.census(&runtime.project).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_layer_that_failed_is_fetched_again_in_the_same_pull_and_those_that_are_there_are_not() {
    let registry = Registry::start().await;
    let clients = tempfile::tempdir().unwrap();
    let file = clients.path().join("config.json");
    std::fs::write(&file, json!({"auths": {registry.address.to_string(): {"auth": AUTH}}}).to_string())
        .unwrap();
    let image = format!("{}/team/app{}:1", registry.address, rand::rng().random::<u32>());
    let fixture = backend(&image, |config| config.docker_config = Some(file.clone())).await;
    let Some(fixture) = fixture else { return };
    let runtime = fixture.runtime();
    *registry.failing.lock().unwrap() = Some(registry.layers[1].clone());
    // The image holds no program, so it is the start that fails once it was pulled.
    let error = fixture.backend.provision(&ctx(), &runtime).await.unwrap_err();
    assert_eq!(error.context("step"), Some("start container"), "{}", error.chain());
    assert_eq!(registry.layers.iter().map(|layer| registry.times(layer)).collect::<Vec<_>>(), [1, 2]);
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
    // Another try of the control plane's asks the registry for nothing that the engine has.
    let again = fixture.runtime();
    fixture.backend.provision(&ctx(), &again).await.unwrap_err();
    assert_eq!(registry.layers.iter().map(|layer| registry.times(layer)).collect::<Vec<_>>(), [1, 2]);
    fixture.backend.destroy(&ctx(), &again.project).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_offline_names_every_missing_image_before_anything_is_made() {
    let Some(docker) = engine().await else { return };
    let compose = "services: {a: {image: 'freehold-test/absent:1'}, b: {image: 'freehold-test/absent:2'}, c: {image: 'freehold-test/postgres:1'}}";
    let folder = stack(compose, "name = \"offline\"");
    let root = tempfile::tempdir().unwrap();
    let mut config = Config::new(root.path(), [StackSource::new(folder.path())]);
    (config.host, config.offline) = (host(), true);
    let fixture = Fixture::of(docker, root, config).await;
    let runtime = fixture.runtime();
    let error = fixture.backend.provision(&ctx(), &runtime).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound);
    let expected = "find image freehold-test/absent:1, freehold-test/absent:2: the engine does not have it, and this target is \
                    offline";
    assert!(error.to_string().starts_with(expected), "{error}");
    assert!(fixture.containers(&runtime.project).await.is_empty());
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
}
