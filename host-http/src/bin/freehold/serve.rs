//! `freehold serve`.

use std::{io::Write, sync::Arc, time::Duration};

use freehold_core::{
    Keyring,
    control_plane::{ControlPlane, TargetSettings},
    memory::{MemoryAccounts, MemoryBackend, MemoryStore},
    seal::SealKey,
};
use freehold_host::{Api, Auth, Token};
use tokio_util::sync::CancellationToken;

use crate::{
    accounts::AccountsConfig,
    cli::{ServeArguments, TargetKind},
    config::Config,
    exit::{Failure, Result},
    faults,
    host::{self, Host, Serving},
    logging, signals,
};

/// Runs the host until a signal ends it.
///
/// # Errors
/// Whatever does not start or end.
pub(crate) async fn run(arguments: ServeArguments) -> Result<()> {
    if arguments.ephemeral {
        return ephemeral(&arguments).await;
    }
    let config = Config::load(&arguments.host)?;
    logging::start(&config.log)?;
    let faults = faults::injector(arguments.faults.as_deref())?;
    let shutdown = signals::shutdown()?;
    let host = Host::start(&config, arguments.new_token, faults).await?;
    tracing::info!(url = host.url(), state = %host.state().display(), "listening");
    shutdown.cancelled().await;
    tracing::info!("ending: operations finish or are handed back, projects go on running");
    host.stop().await
}

/// Runs a host that keeps everything in memory and forgets it, for contract tests in any language.
async fn ephemeral(ServeArguments { host: arguments, faults, .. }: &ServeArguments) -> Result<()> {
    if arguments.targets != [TargetKind::Mock] {
        return Err(Failure::usage(
            "--ephemeral keeps nothing, so it serves no real target: add `--target mock`",
        ));
    }
    logging::start(arguments.log.as_deref().unwrap_or("warn"))?;
    let faults = faults::injector(faults.as_deref())?;
    let shutdown = signals::shutdown()?;
    let listener = host::listen(arguments.listen.unwrap_or(([127, 0, 0, 1], 0).into())).await?;
    let address = listener.local_addr().map_err(|error| Failure::internal(format!("listen: {error}")))?;
    let mut builder = ControlPlane::builder();
    if let Some(faults) = faults {
        builder = builder.faults(faults);
    }
    let control = builder
        .store(Arc::new(MemoryStore::default()))
        .sealer(Arc::new(Keyring::new(SealKey::random()?)))
        .target("mock".parse()?, Arc::new(MemoryBackend::new()?), TargetSettings::default())
        .build()
        .await?;
    let token = Token::random()?;
    let ending = CancellationToken::new();
    let config = AccountsConfig::default().with_environment();
    let accounts = config.open(token.digest(), Arc::new(MemoryAccounts::new()), ending.clone()).await?;
    let api = Api::new(control.clone(), Auth::Accounts(accounts)).shutdown_on(ending.clone());
    let api = api.allow_origins(config.origins().to_vec())?;
    let serving = Serving::start(listener, &api, ending);
    // The one place that prints a token: whoever started this has no other way to learn it, and it dies with us.
    let line = serde_json::json!({ "url": format!("http://{address}"), "token": token.expose() });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")
        .and_then(|()| stdout.flush())
        .map_err(|error| Failure::failed(format!("print the URL: {error}")))?;
    shutdown.cancelled().await;
    serving.stop().await;
    control.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
