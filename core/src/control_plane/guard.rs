//! What keeps the faults of others from becoming ours: a panic of a backend, store or sealer becomes an error.

mod backend;
mod sealer;
mod store;

use std::{any::Any, future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;

pub(super) use self::{backend::GuardedBackend, sealer::GuardedSealer, store::GuardedStore};
use crate::error::{Error, Result};

/// Runs somebody else's work. A panic becomes an error, whether it comes before the first await or later.
pub(super) async fn caught<T>(whose: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| Err(panicked(whose, &panic_text(&*panic))))
}

fn panicked(whose: &str, text: &str) -> Error {
    Error::internal(format!("go on: the {whose} panicked: {text}"))
}

/// What a panic had to say.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    #[tokio::test]
    async fn a_panic_ends_its_call_and_not_the_one_who_called() {
        let error = caught::<()>("store", async { panic!("out of paper") }).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Internal);
        assert!(error.to_string().contains("the store panicked: out of paper"), "{error}");
    }
}
