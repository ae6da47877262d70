//! Removing projects: what a clean-up tool needs of a backend, and nothing else.

use std::fmt::Debug;

use async_trait::async_trait;

use crate::{
    context::Context, error::Result, inventory::Holding, project_ref::ProjectRef, provisioner::Outcome,
};

/// Removes projects, and tells what is there to remove.
#[async_trait]
pub trait Destroyer: Debug + Send + Sync + 'static {
    /// Removes everything that a project has on the engine, its data included. It is given nothing but the ref, so that
    /// it works for a store that forgot: the backend finds all by its labels and its data folder.
    ///
    /// # Idempotency
    /// Destroying what is not there succeeds.
    ///
    /// # Cancellation
    /// Returns promptly; what is left is found by the next call.
    ///
    /// # Errors
    /// As [`Provisioner`](crate::Provisioner). What could not be removed is named in the context pair `left`. One thing
    /// that resists does not keep the others from going.
    ///
    /// # Ordering
    /// May come at any time, also while another call for the project is ending.
    async fn destroy(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome>;

    /// Every project that has anything left on the engine, whichever installation it is of: each says
    /// [whose it is](Holding::installation). It looks at our labels and our folder only.
    ///
    /// # Errors
    /// `Unavailable` if the engine does not answer: an inventory is whole or it is none.
    async fn inventory(&self, ctx: &Context) -> Result<Vec<Holding>>;

    /// What the inventory lists of one project; `None` if nothing is left of it. It is asked for after each destroy, so it
    /// looks at what that project has, however many others there are.
    ///
    /// # Errors
    /// As [`inventory`](Self::inventory).
    async fn holding(&self, ctx: &Context, project: &ProjectRef) -> Result<Option<Holding>>;
}

/// A whole backend: it provisions and destroys. Implemented by everything that does both.
pub trait Backend: crate::Provisioner + Destroyer {}

impl<T: crate::Provisioner + Destroyer> Backend for T {}
