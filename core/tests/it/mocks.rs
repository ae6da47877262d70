//! The mocks stand in for every trait.

use std::sync::Arc;

use freehold_core::{
    Backend, Clock, Context, Keyring, Kind, Sealer, Store,
    mock::{MockBackend, MockClock, MockSealer, MockStore},
    seal::SealKey,
};
use time::OffsetDateTime;

#[tokio::test]
async fn one_mock_is_a_whole_backend() {
    let mut mock = MockBackend::new();
    mock.expect_inventory().times(1).returning(|_| Ok(vec![]));
    mock.expect_describe().returning(|_| Err(freehold_core::Error::new(Kind::Unavailable, "reach it")));
    let backend: Arc<dyn Backend> = Arc::new(mock);
    let ctx = Context::new(std::time::Duration::from_secs(1));
    assert!(backend.inventory(&ctx).await.unwrap().is_empty());
    assert_eq!(backend.describe(&ctx).await.unwrap_err().kind(), Kind::Unavailable);
}

#[tokio::test]
async fn a_store_can_be_told_what_to_answer() {
    let mut mock = MockStore::new();
    mock.expect_sealed().withf(|project| project.is_none()).returning(|_| Ok(vec![]));
    mock.expect_setting().withf(|name| name == "x").returning(|_| Ok(Some("1".into())));
    let store: Arc<dyn Store> = Arc::new(mock);
    assert!(store.sealed(None).await.unwrap().is_empty());
    assert_eq!(store.setting("x").await.unwrap().as_deref(), Some("1"));
}

#[test]
fn clocks_and_sealers_have_mocks_too() {
    let mut clock = MockClock::new();
    clock.expect_now().return_const(OffsetDateTime::UNIX_EPOCH);
    let clock: Arc<dyn Clock> = Arc::new(clock);
    assert_eq!(clock.now(), OffsetDateTime::UNIX_EPOCH);

    let mut sealer = MockSealer::new();
    sealer.expect_active_key().returning(|| Keyring::new(SealKey::new([1; 32])).active_key());
    let sealer: Arc<dyn Sealer> = Arc::new(sealer);
    assert_eq!(sealer.active_key(), SealKey::new([1; 32]).id());
}
