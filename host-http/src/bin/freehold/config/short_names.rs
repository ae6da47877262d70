//! Servers that the configuration names by a short name, such as `db`: in a container that joins the networks of projects
//! a project's service may answer to it, and be sent what is secret.

use std::{borrow::Cow, net::IpAddr};

use freehold_core::ExposeSecret as _;
use reqwest::Url;

use super::{Config, StoreConfig};
use crate::exit::{Failure, Result};

impl Config {
    /// Refuses short names of servers that this host trusts.
    ///
    /// # Errors
    /// Naming the setting and the name.
    pub(crate) fn refuse_short_names(&self) -> Result<()> {
        let store = match &self.store {
            StoreConfig::Embedded => None,
            StoreConfig::Postgres(url) => Some(("store", url.expose_secret())),
        };
        match store
            .into_iter()
            .chain(self.accounts.servers())
            .find_map(|(at, url)| Some((at, short_name(url)?)))
        {
            None => Ok(()),
            Some((setting, name)) => Err(Failure::usage(format!(
                "{setting}: this host's container joins the networks of its projects, where a service may be called {name} \
                 too: name the server by its address or by a name with a dot (a network alias will do), or keep this host \
                 out of those networks with `probe_directly = false`"
            ))),
        }
    }
}

/// The host of a URL, or of its query as PostgreSQL's clients take one, if its name is short.
fn short_name(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let queried =
        url.query_pairs().filter(|(key, _)| key == "host" || key == "hostaddr").map(|(_, value)| value);
    let hosts = url.host_str().map(Cow::Borrowed).into_iter().chain(queried);
    let mut short =
        hosts.filter(|host| !host.is_empty() && host != "localhost" && !host.contains(['.', ':', '/']));
    short.find(|host| host.parse::<IpAddr>().is_err()).map(Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{cli::HostArguments, config::tests::load};

    #[test]
    fn only_a_name_without_a_dot_is_short() {
        for url in
            ["postgres://u@db/x", "postgres://u:p@db:5432/x", "postgres:///x?host=db", "http://db:9999/keys"]
        {
            assert_eq!(short_name(url).as_deref(), Some("db"), "{url}");
        }
        for url in [
            "postgres://u@10.0.0.1/x",
            "postgres://u@[::1]:5432/x",
            "postgres://u@localhost/x",
            "postgres://u@db.internal/x",
            "postgres:///x?host=/run/postgresql",
            "http://auth.example.com",
        ] {
            assert_eq!(short_name(url), None, "{url}");
        }
    }

    #[test]
    fn the_setting_with_a_short_name_is_told_without_its_password() {
        let config =
            load("[store]\nurl = \"postgres://u:hunter2@db/x\"\n", HostArguments::default()).unwrap();
        let failure = config.refuse_short_names().unwrap_err();
        assert!(
            failure.message().contains("store: ") && failure.message().contains("called db "),
            "{failure:?}"
        );
        assert!(!failure.message().contains("hunter2"), "{failure:?}");
        let config = load("[accounts]\njwks_url = \"http://auth/keys\"\n", HostArguments::default()).unwrap();
        assert!(config.refuse_short_names().unwrap_err().message().contains("jwks_url"));
        assert!(load("", HostArguments::default()).unwrap().refuse_short_names().is_ok());
    }
}
