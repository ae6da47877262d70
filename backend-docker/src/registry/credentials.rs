//! The credentials that the user's Docker client keeps: in its configuration, or behind a helper that it names
//! (<https://docs.docker.com/reference/cli/docker/login/#credential-stores>).

use std::{collections::BTreeMap, io::ErrorKind, path::PathBuf, process::Stdio};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bollard::auth::DockerCredentials;
use freehold_core::{Context, Error, Result};
use serde::Deserialize;
use tokio::{io::AsyncWriteExt as _, process::Command};

use super::HUB;

/// What the client calls Docker Hub.
const HUB_KEY: &str = "https://index.docker.io/v1/";

/// Where credentials are found.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    file: Option<PathBuf>,
}

/// The part of the client's configuration that matters here.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct File {
    auths: BTreeMap<String, Auth>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    /// `user:password` in Base64.
    auth: Option<String>,
    identitytoken: Option<String>,
}

/// A helper's answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

impl Credentials {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// Those for a registry. The file is read each time: people log in while we run.
    pub(super) async fn of(&self, ctx: &Context, registry: &str) -> Result<Option<DockerCredentials>> {
        let Some(path) = &self.file else { return Ok(None) };
        let wrong =
            |problem: String| Error::invalid("docker_config", format_args!("{}: {problem}", path.display()));
        let text = match tokio::fs::read(path).await {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(wrong("cannot be read".into()).because(error)),
        };
        // What is wrong with it could show a part of a credential.
        let file: File = serde_json::from_slice(&text)
            .map_err(|error| wrong(format!("line {} is wrong", error.line())))?;
        let key = if registry == HUB { HUB_KEY } else { registry };
        if let Some(helper) = file.cred_helpers.get(key).or(file.creds_store.as_ref()) {
            return ask(ctx, helper, key).await.map_err(|problem| match problem {
                Problem::Stopped(error) => error,
                Problem::Helper(problem) => wrong(problem),
            });
        }
        let Some((_, stored)) = file.auths.iter().find(|(stored, _)| is_for(stored, key)) else {
            return Ok(None);
        };
        if let Some(token) = stored.identitytoken.as_ref().filter(|token| !token.is_empty()) {
            return Ok(Some(by_token(key, token.clone())));
        }
        let Some(auth) = stored.auth.as_ref().filter(|auth| !auth.is_empty()) else { return Ok(None) };
        let user = BASE64.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        match user.as_ref().and_then(|text| text.split_once(':')) {
            // The client itself takes the zero bytes away that old versions put behind it.
            Some((user, password)) => {
                Ok(Some(by_password(key, user.to_owned(), password.trim_end_matches('\0').to_owned())))
            }
            None => Err(wrong(format!("the entry of {key} is no user and password"))),
        }
    }
}

fn by_token(key: &str, token: String) -> DockerCredentials {
    let serveraddress = Some(key.to_owned());
    DockerCredentials { identitytoken: Some(token), serveraddress, ..DockerCredentials::default() }
}

fn by_password(key: &str, user: String, password: String) -> DockerCredentials {
    DockerCredentials {
        username: Some(user),
        password: Some(password),
        serveraddress: Some(key.to_owned()),
        ..DockerCredentials::default()
    }
}

/// Whether an entry is a registry's: people log in with or without a scheme and a path.
fn is_for(stored: &str, key: &str) -> bool {
    let host = |text: &str| {
        let text = text.split_once("://").map_or(text, |(_, rest)| rest);
        text.split('/').next().unwrap_or_default().to_owned()
    };
    host(stored) == host(key)
}

enum Problem {
    Stopped(Error),
    Helper(String),
}

/// Asks a helper: the registry on its standard input, JSON on its output. One that has nothing for it ends with an error.
async fn ask(ctx: &Context, helper: &str, key: &str) -> Result<Option<DockerCredentials>, Problem> {
    let program = format!("docker-credential-{helper}");
    let failed =
        |error: std::io::Error| Problem::Helper(format!("the helper {program} cannot be run: {error}"));
    let mut child = Command::new(&program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read has ended, or answers without.
        let _ = input.write_all(key.as_bytes()).await;
    }
    let answered = ctx.bounded("ask for credentials", async { Ok(child.wait_with_output().await) });
    let output = answered.await.map_err(Problem::Stopped)?.map_err(failed)?;
    if !output.status.success() {
        return Ok(None);
    }
    let Answer { username, secret } = serde_json::from_slice(&output.stdout)
        .map_err(|_| Problem::Helper(format!("the helper {program} did not answer as helpers do")))?;
    Ok(Some(match username.as_str() {
        "<token>" => by_token(key, secret),
        _ => by_password(key, username, secret),
    }))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn of(json: &str, registry: &str) -> Result<Option<DockerCredentials>> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        std::fs::write(&file, json).unwrap();
        Credentials::new(Some(file)).of(&Context::new(Duration::from_secs(60)), registry).await
    }

    #[tokio::test]
    async fn each_registry_gets_its_own_and_no_other() {
        // `user:hub`, `user:ghcr`
        let json = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "dXNlcjpodWI="},
            "ghcr.io": {"auth": "dXNlcjpnaGNy"}, "https://other.example/v2/": {"identitytoken": "token"}}}"#;
        for (registry, secret) in [
            ("docker.io", Some("hub")),
            ("ghcr.io", Some("ghcr")),
            ("other.example", Some("token")),
            ("quay.io", None),
            ("example", None),
        ] {
            let found = of(json, registry).await.unwrap();
            let found = found.and_then(|found| found.password.or(found.identitytoken));
            assert_eq!(found.as_deref(), secret, "{registry}");
        }
    }

    #[tokio::test]
    async fn without_a_file_there_are_none_and_a_broken_one_is_named_without_what_it_holds() {
        assert!(
            Credentials::default().of(&Context::new(Duration::from_secs(60)), HUB).await.unwrap().is_none()
        );
        let missing = Credentials::new(Some("/nowhere/config.json".into()));
        assert!(missing.of(&Context::new(Duration::from_secs(60)), HUB).await.unwrap().is_none());
        let error = of("{\n\"auths\": \"hunter2\"}", HUB).await.unwrap_err().to_string();
        assert!(error.starts_with("docker_config: ") && error.ends_with("line 2 is wrong"), "{error}");
    }

    #[tokio::test]
    async fn a_helper_that_is_not_there_is_named() {
        let error = of(r#"{"credsStore": "freehold-absent"}"#, HUB).await.unwrap_err().to_string();
        assert!(error.contains("the helper docker-credential-freehold-absent cannot be run"), "{error}");
    }
}
