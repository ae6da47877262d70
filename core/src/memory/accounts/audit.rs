//! The audit log in memory.

use std::time::Duration;

use async_trait::async_trait;

use super::MemoryAccounts;
use crate::{
    accounts::{AuditEntry, AuditLog, AuditPage, Conclusion, NewAuditEntry, Whose},
    error::Result,
};

#[async_trait]
impl AuditLog for MemoryAccounts {
    async fn record(&self, entry: &NewAuditEntry) -> Result<i64> {
        let mut state = self.state();
        let id = state.next();
        let at = self.clock.now();
        state.audit.insert(id, AuditEntry { id, at, entry: entry.clone(), outcome: None });
        Ok(id)
    }

    async fn conclude(&self, entry: i64, conclusion: &Conclusion) -> Result<()> {
        let mut state = self.state();
        if let Some(found) = state.audit.get_mut(&entry).filter(|found| found.outcome.is_none()) {
            let Conclusion { outcome, organization, project } = conclusion.clone();
            found.outcome = Some(outcome);
            found.entry.organization = found.entry.organization.take().or(organization);
            found.entry.project = found.entry.project.or(project);
        }
        Ok(())
    }

    async fn audit_log(&self, page: &AuditPage) -> Result<Vec<AuditEntry>> {
        let state = self.state();
        let wanted = |found: &&AuditEntry| {
            let theirs = match &page.whose {
                Whose::Organization(organization) => found.entry.organization.as_ref() == Some(organization),
                Whose::Subject(subject) => found.entry.actor.subject.as_ref() == Some(subject),
            };
            theirs
                && page.before.is_none_or(|before| found.id < before)
                && page.from.is_none_or(|from| found.at >= from)
                && page.to.is_none_or(|to| found.at <= to)
        };
        let limit = page.limit.clamp(1, AuditPage::MAX);
        let newest = state.audit.values().rev().filter(wanted);
        Ok(newest.take(usize::try_from(limit).unwrap_or(usize::MAX)).cloned().collect())
    }

    async fn expire_audit_log(&self, keep: Duration) -> Result<()> {
        // What reaches back before the first moment there is keeps everything.
        let kept = time::Duration::try_from(keep).ok().and_then(|keep| self.clock.now().checked_sub(keep));
        if let Some(moment) = kept {
            self.state().audit.retain(|_, entry| entry.at >= moment);
        }
        Ok(())
    }
}
