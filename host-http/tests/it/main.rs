//! What the host promises: its routes over a control plane in memory, and the program as a process.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should end")]

mod access;
mod api_keys;
mod audit;
mod browser;
mod commands;
mod gateway;
mod host;
mod management;
#[cfg(feature = "store-pg")]
mod mcp;
mod members;
#[cfg(feature = "store-pg")]
mod migrations;
mod observation;
mod openapi;
mod people;
#[cfg(feature = "store-pg")]
mod postgres_meta;
#[cfg(feature = "program")]
mod program;
mod proxies;
mod rules;
#[cfg(feature = "store-pg")]
mod schemathesis;
mod sessions;
mod settings;
mod sql;
mod streams;
mod studio;
mod supabase;
mod superuser;
