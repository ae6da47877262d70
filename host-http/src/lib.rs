//! Freehold over HTTP: [warp] filters over a control plane. It translates and decides nothing.
//!
//! ```
//! use std::sync::Arc;
//! use freehold_core::{
//!     Keyring,
//!     control_plane::{ControlPlane, TargetSettings},
//!     memory::{MemoryBackend, MemoryStore},
//!     seal::SealKey,
//! };
//! use freehold_host::{Api, Auth, Token};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> freehold_core::Result<()> {
//! let control = ControlPlane::builder()
//!     .store(Arc::new(MemoryStore::default()))
//!     .sealer(Arc::new(Keyring::new(SealKey::random()?)))
//!     .target("local".parse()?, Arc::new(MemoryBackend::new()?), TargetSettings::default())
//!     .build()
//!     .await?;
//! let token = Token::random()?;
//! let filter = Api::new(control, Auth::Superuser(token.digest())).filter();
//! // `filter` is a warp filter like any other: serve it, or put it beside your own.
//! # let _ = filter;
//! # Ok(())
//! # }
//! ```
//!
//! - [`Api`]: the routes as one filter, and what they need
//! - [`auth`]: who may use them
//! - [`error`]: which status and body a failure gets
//! - [`server`]: a server with the time limits that warp's own does not have
//! - [`openapi`]: the document that describes it all
//! - [`wire`]: what goes over the wire, for clients in Rust
//!
//! The `freehold` program is in this package too, behind the feature `program`; without it (`default-features = false`)
//! there are the filters alone.

mod annotations;
mod api;
mod audit;
pub mod auth;
mod call;
mod cors;
mod cryptojs;
pub mod error;
mod gotrue;
mod management;
mod metrics;
pub mod openapi;
mod route;
mod router;
mod routes;
mod rule;
pub mod server;
mod stream;
mod studio;
mod superuser;
mod throttle;
mod unknown;
mod upstream;
pub mod wire;

pub use crate::{
    api::{Api, Bounds},
    audit::keep_audit_log,
    auth::{Accounts, Auth, SessionConfig, Sessions, Token, TokenDigest},
    gotrue::{GoTrue, GoTrueConfig},
    studio::check_defaults,
    superuser::{Standing, Superuser, ensure_organization},
};
