//! Several hosts on one store.

use std::time::Duration;

use tokio::time::timeout;

use super::{
    Stage,
    changes::{claim, create, events, reread, success},
};
use crate::{
    contract::failure::{Failure, Verified, there},
    lifecycle::Status,
    store::Wake,
};

pub(super) async fn what_one_host_commits_another_reads_claims_and_is_woken_by(
    Stage { store, fixture }: Stage,
) -> Verified {
    let other = there(fixture.other_host().await?, "another host")?;
    let mut wakes = other.subscribe();
    let project = create(&*store, "demo").await?.project;
    let woken = async {
        while let Ok(wake) = wakes.recv().await {
            if wake == Wake::Operations {
                return true;
            }
        }
        false
    };
    let woken = timeout(Duration::from_secs(60), woken).await;
    ensure!(woken == Ok(true), "the other host is not woken");
    ensure_eq!(reread(&*other, &project.reference).await?, project, "the project as the other host reads it");
    let claimed = claim(&*other).await?;
    ensure!(super::changes::try_claim(&*store).await?.is_none(), "two hosts work on one operation");
    other.settle(success(&claimed.lease, Status::ActiveHealthy)).await?;
    let late = store.renew(&claimed.lease, Duration::from_secs(1), &[]).await;
    let late = late.err().ok_or_else(|| Failure::new("a lease that ended is renewed"))?;
    ensure!(late.is_lease_lost(), "it was refused with {late:?}");
    ensure_eq!(reread(&*store, &project.reference).await?.status, Status::ActiveHealthy, "the status");
    ensure_eq!(events(&*other).await?, events(&*store).await?, "what the two hosts tell");
    Ok(())
}
