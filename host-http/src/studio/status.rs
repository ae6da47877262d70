//! Our statuses in Studio's words: the one table.

use freehold_core::Status;

/// What Studio is told; `None` is 404 and in no list: Studio takes a delete for done at once.
///
/// INIT_FAILED has no screen in Studio; RESTORE_FAILED has one, whose restore is our retry and whose delete our destroy.
/// So has DESTROY_FAILED, which is listed again: its restore is refused with the cause.
pub(crate) const fn shown(status: Status) -> Option<&'static str> {
    match status {
        Status::ComingUp => Some("COMING_UP"),
        Status::ActiveHealthy => Some("ACTIVE_HEALTHY"),
        Status::ActiveUnhealthy => Some("ACTIVE_UNHEALTHY"),
        Status::Pausing => Some("PAUSING"),
        Status::PauseFailed => Some("PAUSE_FAILED"),
        Status::Inactive => Some("INACTIVE"),
        Status::Restoring => Some("RESTORING"),
        Status::Restarting => Some("RESTARTING"),
        Status::RestoreFailed | Status::InitFailed | Status::DestroyFailed => Some("RESTORE_FAILED"),
        Status::GoingDown | Status::Removed => None,
    }
}

/// The same of the project's database, for which Studio has fewer words: none for one that is stopped on purpose.
pub(crate) const fn of_database(status: Status) -> &'static str {
    match status {
        Status::ComingUp => "COMING_UP",
        Status::ActiveHealthy => "ACTIVE_HEALTHY",
        Status::ActiveUnhealthy => "ACTIVE_UNHEALTHY",
        Status::Restoring => "RESTORING",
        Status::Restarting => "RESTARTING",
        Status::InitFailed => "INIT_FAILED",
        Status::GoingDown | Status::DestroyFailed => "GOING_DOWN",
        Status::Removed => "REMOVED",
        Status::Pausing | Status::PauseFailed | Status::Inactive | Status::RestoreFailed => "UNKNOWN",
    }
}

/// Whether the project is up as far as anybody knows: only then its database is offered.
pub(crate) const fn is_active(status: Status) -> bool {
    matches!(status, Status::ActiveHealthy | Status::ActiveUnhealthy)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Studio's own lists (`api-types`, ProjectDetailResponse and DatabaseDetailResponse).
    const PROJECT: &str = "INACTIVE ACTIVE_HEALTHY ACTIVE_UNHEALTHY COMING_UP UNKNOWN GOING_DOWN INIT_FAILED REMOVED \
        RESTORING UPGRADING PAUSING RESTORE_FAILED RESTARTING PAUSE_FAILED RESIZING";
    const DATABASE: &str = "ACTIVE_HEALTHY ACTIVE_UNHEALTHY COMING_UP GOING_DOWN INIT_FAILED REMOVED RESTORING UNKNOWN \
        INIT_READ_REPLICA INIT_READ_REPLICA_FAILED RESTARTING RESIZING";

    #[test]
    fn studio_has_a_word_for_everything_that_it_is_told() {
        for status in Status::ALL {
            let known = |list: &str, word: &str| list.split_whitespace().any(|one| one == word);
            assert!(shown(status).is_none_or(|word| known(PROJECT, word)), "{status}");
            assert!(known(DATABASE, of_database(status)), "{status}");
        }
        let hidden: Vec<_> = Status::ALL.into_iter().filter(|status| shown(*status).is_none()).collect();
        assert_eq!(hidden, [Status::GoingDown, Status::Removed]);
    }
}
