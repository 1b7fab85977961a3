//! Keys and the audit log as a map and a list.

use std::collections::BTreeMap;

use qd_types::{KeyId, Timestamp};

use super::rows::MemoryRows;
use crate::embedded::AccessRows;
use crate::{AuditHead, Audited, Error, StoredKey};

/// All of them.
#[derive(Default)]
pub(super) struct MemoryAccess {
    keys: BTreeMap<KeyId, StoredKey>,
    audit: Vec<Audited>,
}

impl MemoryAccess {
    pub(super) fn keys(&self) -> Vec<StoredKey> {
        let mut keys: Vec<StoredKey> = self.keys.values().cloned().collect();
        keys.sort_by_key(|key| (key.created_at, key.id));
        keys
    }

    pub(super) fn audited(&self, after: u64, limit: usize) -> Vec<Audited> {
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        self.audit.iter().skip(after).take(limit).cloned().collect()
    }

    pub(super) fn head(&self) -> AuditHead {
        self.audit.last().map(|row| AuditHead { seq: row.seq, hash: row.hash }).unwrap_or_default()
    }
}

impl AccessRows for MemoryRows {
    fn kept_key(&mut self, id: KeyId) -> Result<Option<StoredKey>, Error> {
        Ok(self.access.keys.get(&id).cloned())
    }

    fn count_keys(&mut self) -> Result<usize, Error> {
        Ok(self.access.keys.len())
    }

    fn put_key(&mut self, key: &StoredKey) -> Result<(), Error> {
        self.access.keys.insert(key.id, key.clone());
        Ok(())
    }

    fn prune_keys(&mut self, over_before: Timestamp) -> Result<(), Error> {
        self.access.keys.retain(|_, key| key.ends_at() >= over_before);
        Ok(())
    }

    fn audit_head(&mut self) -> Result<AuditHead, Error> {
        Ok(self.access.head())
    }

    fn append_audit(&mut self, row: &Audited) -> Result<(), Error> {
        self.access.audit.push(row.clone());
        Ok(())
    }
}
