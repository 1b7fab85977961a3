//! Dead letters: the failed jobs but for those that somebody dealt with.

use std::collections::BTreeMap;

use qd_types::{Job, JobStatus, TenantId};

use super::rows::{MemoryRows, text_bytes};
use crate::commands::dead::DEAD_GROUPS_MAX;
use crate::embedded::{DeadRows, PAGE_BYTES, RowId};
use crate::{DeadGroup, DeadQuery, Error};

impl DeadQuery {
    fn fits(&self, job: &Job) -> bool {
        let Some((error, at)) = job.error.as_ref().zip(job.finished_at) else { return false };
        self.crew.as_ref().is_none_or(|crew| job.crew == *crew)
            && self.code.is_none_or(|code| error.code == code)
            && self.task.as_ref().is_none_or(|task| error.task.as_ref() == Some(task))
            && self.failed_after.is_none_or(|after| at > after)
            && self.failed_before.is_none_or(|before| at < before)
    }
}

impl MemoryRows {
    /// Oldest first; fewer than asked for if they are large.
    pub(super) fn dead_jobs(&self, tenant: &TenantId, query: &DeadQuery, limit: usize) -> Vec<Job> {
        let mut dead = self.dead(tenant, query).take(limit);
        let (mut jobs, mut bytes) = (Vec::new(), 0);
        while bytes < PAGE_BYTES
            && let Some(job) = dead.next()
        {
            bytes += text_bytes(job);
            jobs.push(job.clone());
        }
        jobs
    }

    pub(super) fn dead<'a>(
        &'a self,
        tenant: &'a TenantId,
        query: &'a DeadQuery,
    ) -> impl Iterator<Item = &'a Job> {
        let failed =
            self.jobs.iter().filter(|(_, job)| job.status == JobStatus::Failed && job.tenant == *tenant);
        // One that is not kept has nothing after it.
        let after = query.after.map_or(0, |after| self.ids.get(&after).copied().unwrap_or(RowId::MAX));
        let failed = failed.filter(move |(row, _)| **row > after);
        failed.filter(|(row, job)| !self.dealt.contains(row) && query.fits(job)).map(|(_, job)| job)
    }

    pub(super) fn dead_groups(&self, tenant: &TenantId, query: &DeadQuery) -> Vec<DeadGroup> {
        let mut groups: BTreeMap<_, DeadGroup> = BTreeMap::new();
        for job in self.dead(tenant, query) {
            let (Some(error), Some(at)) = (&job.error, job.finished_at) else { continue };
            let key = (job.crew.clone(), error.code.as_str(), error.task.clone());
            let group = groups.entry(key).or_insert_with(|| DeadGroup {
                crew: job.crew.clone(),
                code: error.code,
                task: error.task.clone(),
                count: 0,
                first_at: at,
                last_at: at,
                newest: job.id,
                message: String::new(),
            });
            group.count += 1;
            group.first_at = group.first_at.min(at);
            group.last_at = group.last_at.max(at);
            group.newest = job.id;
            group.message.clone_from(&error.message);
        }
        let mut groups: Vec<DeadGroup> = groups.into_values().collect();
        groups.sort_by_key(|group| std::cmp::Reverse(group.count));
        groups.truncate(DEAD_GROUPS_MAX);
        groups
    }
}

impl DeadRows for MemoryRows {
    fn is_dead(&mut self, row: RowId) -> Result<bool, Error> {
        let is_failed = self.jobs.get(&row).is_some_and(|job| job.status == JobStatus::Failed);
        Ok(is_failed && !self.dealt.contains(&row))
    }

    fn is_dealt_with(&mut self, row: RowId) -> Result<bool, Error> {
        Ok(self.dealt.contains(&row))
    }

    fn deal_with(&mut self, row: RowId) -> Result<(), Error> {
        self.dealt.insert(row);
        Ok(())
    }
}
