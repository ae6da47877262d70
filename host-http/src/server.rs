//! Serving filters on a listener: warp's own server, and the time limits that it does not set.

use std::{
    io,
    net::IpAddr,
    task::{Context, Poll},
    time::Duration,
};

use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_service::Service;
use warp::{filters::BoxedFilter, http::Request, reply::Response};

/// How long a client may take to send a request's head, also the first on a connection.
const HEADER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long to wait after the system refused a connection for want of descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Serves a filter until `shutdown` is cancelled; then takes no more connections and gives those that are open `grace`
/// to finish what they are at. True if they all did.
///
/// ```no_run
/// # async fn example(filter: warp::filters::BoxedFilter<(warp::reply::Response,)>) -> std::io::Result<()> {
/// use std::time::Duration;
///
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:4000").await?;
/// let shutdown = tokio_util::sync::CancellationToken::new();
/// freehold_host::server::serve(listener, filter, shutdown, Duration::from_secs(10)).await;
/// # Ok(())
/// # }
/// ```
pub async fn serve(
    listener: TcpListener,
    filter: BoxedFilter<(Response,)>,
    shutdown: CancellationToken,
    grace: Duration,
) -> bool {
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            () = shutdown.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, Peer(address.ip())),
            Err(error) => {
                if !is_the_clients(&error) {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(EXHAUSTED).await;
                }
                continue;
            }
        };
        // Nagle's algorithm keeps an event back until the client acknowledged the one before, which takes its system 40 ms.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps small packets back");
        }
        let service = TowerToHyperService::new(Knowing { service: warp::service(filter.clone()), peer });
        let watcher = connections.watcher();
        tokio::spawn(async move {
            let mut server = Builder::new(TokioExecutor::new()).http1_only();
            server.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
            let connection = server.serve_connection(TokioIo::new(stream), service);
            if let Err(error) = watcher.watch(connection.into_owned()).await {
                tracing::debug!(error, "a connection broke off");
            }
        });
    }
    drop(listener);
    tokio::time::timeout(grace, connections.shutdown()).await.is_ok()
}

/// The address at the other end of a request's connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// A service whose requests know their peer.
#[derive(Clone, Debug)]
struct Knowing<S> {
    service: S,
    peer: Peer,
}

impl<S: Service<Request<B>>, B> Service<Request<B>> for Knowing<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.peer);
        self.service.call(request)
    }
}

/// Whether a connection went away before it was accepted (accept(2)): nothing of ours.
fn is_the_clients(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
