//! Where images come from: their registry or a mirror of it, with the credentials of the user's Docker client.

mod credentials;

use bollard::auth::DockerCredentials;
use freehold_core::{Context, Result};

use self::credentials::Credentials;
use crate::config::Config;

/// Docker's name for the registry of images that name none.
const HUB: &str = "docker.io";

/// How images are fetched.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    /// Whether none is.
    pub(crate) offline: bool,
    mirror: Option<String>,
    credentials: Credentials,
}

/// What is asked for to get an image.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Source {
    /// Its name where it comes from.
    pub(crate) name: String,
    /// The repository and tag that the image is known by here, where that is another.
    pub(crate) known_as: Option<(String, String)>,
}

/// An image's name, taken apart as Docker does it (distribution/reference, `normalize.go`).
#[derive(Debug, PartialEq, Eq)]
struct Reference<'a> {
    registry: &'a str,
    /// What stands before the version, as it is written.
    written: &'a str,
    /// The path in the registry.
    repository: String,
    version: Version<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version<'a> {
    Tag(&'a str),
    Digest(&'a str),
}

impl Registry {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            offline: config.offline,
            mirror: config.mirror.as_ref().map(|mirror| mirror.trim_end_matches('/').to_owned()),
            credentials: Credentials::new(config.docker_config.clone()),
        }
    }

    /// Where an image is fetched from.
    pub(crate) fn source(&self, image: &str) -> Source {
        let Reference { registry, written, repository, version } = Reference::of(image);
        match (version, &self.mirror) {
            (Version::Tag(tag), Some(mirror)) if registry == HUB => Source {
                name: format!("{mirror}/{repository}:{tag}"),
                known_as: Some((written.to_owned(), tag.to_owned())),
            },
            (Version::Tag(tag), _) => Source { name: format!("{written}:{tag}"), known_as: None },
            (Version::Digest(_), _) => Source { name: image.to_owned(), known_as: None },
        }
    }

    /// What the registry of an image wants to see, if the user's Docker client has it.
    ///
    /// # Errors
    /// `InvalidInput` for a configuration of the client, or a helper of it, that cannot be used.
    pub(crate) async fn credentials(&self, ctx: &Context, image: &str) -> Result<Option<DockerCredentials>> {
        self.credentials.of(ctx, Reference::of(image).registry).await
    }
}

impl<'a> Reference<'a> {
    fn of(image: &'a str) -> Self {
        let (tagged, digest) =
            image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
        let path = tagged.rfind('/').map_or(0, |slash| slash + 1);
        let (written, tag) = match tagged[path..].split_once(':') {
            Some((name, tag)) => (&tagged[..path + name.len()], Some(tag)),
            None => (tagged, None),
        };
        let (registry, name) = match written.split_once('/') {
            Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
            _ => (HUB, written),
        };
        let registry = if registry == "index.docker.io" { HUB } else { registry };
        let official = registry == HUB && !name.contains('/');
        Self {
            registry,
            written,
            repository: if official { format!("library/{name}") } else { name.to_owned() },
            // Without a tag the engine would fetch all of them.
            version: digest.map_or(Version::Tag(tag.unwrap_or("latest")), Version::Digest),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(image: &str, mirror: Option<&str>) -> (String, Option<String>) {
        let mirror = mirror.map(str::to_owned);
        let Source { name, known_as } = Registry { mirror, ..Registry::default() }.source(image);
        (name, known_as.map(|(repository, tag)| format!("{repository}:{tag}")))
    }

    #[test]
    fn names_are_taken_apart_as_docker_does_it() {
        use Version::{Digest, Tag};
        for (image, registry, written, repository, version) in [
            ("postgres", "docker.io", "postgres", "library/postgres", Tag("latest")),
            ("supabase/studio:1.2", "docker.io", "supabase/studio", "supabase/studio", Tag("1.2")),
            ("docker.io/nginx:1", "docker.io", "docker.io/nginx", "library/nginx", Tag("1")),
            ("ghcr.io/a/b:c", "ghcr.io", "ghcr.io/a/b", "a/b", Tag("c")),
            ("localhost:5000/a", "localhost:5000", "localhost:5000/a", "a", Tag("latest")),
            ("localhost/a:1", "localhost", "localhost/a", "a", Tag("1")),
            ("a/b@sha256:00", "docker.io", "a/b", "a/b", Digest("sha256:00")),
            ("a/b:1@sha256:00", "docker.io", "a/b", "a/b", Digest("sha256:00")),
        ] {
            let expected = Reference { registry, written, repository: repository.into(), version };
            assert_eq!(Reference::of(image), expected, "{image}");
        }
    }

    #[test]
    fn a_mirror_stands_in_for_docker_hub_alone() {
        let mirror = Some("mirror.example.org/hub");
        for (image, name, known_as) in [
            ("postgres", "mirror.example.org/hub/library/postgres:latest", "postgres:latest"),
            ("supabase/studio:1", "mirror.example.org/hub/supabase/studio:1", "supabase/studio:1"),
        ] {
            assert_eq!(source(image, mirror), (name.to_owned(), Some(known_as.to_owned())));
        }
        for image in ["ghcr.io/a/b:c", "a/b@sha256:00", "a/b:1@sha256:00"] {
            assert_eq!(source(image, mirror), (image.to_owned(), None));
        }
        assert_eq!(source("postgres", None), ("postgres:latest".to_owned(), None));
    }
}
