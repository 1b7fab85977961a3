//! Keys and the audit log: what is done and that it was done are one transaction.

use qd_types::{KeyId, TenantId};

use super::super::rows::AccessRows;
use super::Core;
use super::attempt::before;
use crate::access::{KEPT_KEYS, KEYS_MAX};
use crate::{Act, Actor, Audited, Error, KeyAdded, NewKey, StoredKey};

impl<R: AccessRows> Core<R> {
    /// Keeps a key, and bounds the life of the one that it takes the place of.
    pub(crate) fn add_key(&mut self, new: &NewKey, by: Actor) -> Result<KeyAdded, Error> {
        let now = self.env.now();
        self.rows.prune_keys(before(now, KEPT_KEYS))?;
        if self.rows.kept_key(new.id)?.is_some() {
            return Ok(KeyAdded::Taken);
        }
        if self.rows.count_keys()? >= KEYS_MAX {
            return Ok(KeyAdded::Full);
        }
        if let Some((old, overlap)) = new.replaces {
            let good = |old: &StoredKey| old.tenant == new.tenant && old.is_good(now);
            let Some(mut old) = self.rows.kept_key(old)?.filter(good) else {
                return Ok(KeyAdded::NotReplaceable);
            };
            if overlap.is_zero() {
                old.revoked_at = Some(now);
            }
            old.expires_at = old.expires_at.min(now.plus(overlap));
            self.rows.put_key(&old)?;
        }
        let key = StoredKey {
            id: new.id,
            tenant: new.tenant.clone(),
            name: new.name.clone(),
            scopes: new.scopes,
            digest: new.digest,
            pepper: new.pepper,
            created_at: now,
            expires_at: now.plus(new.lifetime),
            revoked_at: None,
            replaces: new.replaces.map(|(old, _)| old),
        };
        self.rows.put_key(&key)?;
        self.audit(&told(&key, by))?;
        Ok(KeyAdded::Added(Box::new(key)))
    }

    /// Ends a key's life; `None` if there is no such key. Repeating it changes nothing.
    pub(crate) fn revoke_key(
        &mut self,
        tenant: Option<&TenantId>,
        id: KeyId,
        by: Actor,
    ) -> Result<Option<StoredKey>, Error> {
        let is_meant = |key: &StoredKey| tenant.is_none_or(|tenant| *tenant == key.tenant);
        let Some(mut key) = self.rows.kept_key(id)?.filter(is_meant) else { return Ok(None) };
        if key.revoked_at.is_none() {
            key.revoked_at = Some(self.env.now());
            self.rows.put_key(&key)?;
            let act = Act::new(key.tenant.clone(), by, "key.revoked", id.to_string());
            self.audit(&act.with("name", &key.name))?;
        }
        Ok(Some(key))
    }

    /// Writes an act down.
    pub(crate) fn audit(&mut self, act: &Act) -> Result<Audited, Error> {
        let at = self.env.now();
        let head = self.rows.audit_head()?.next(at, act);
        let row = Audited { seq: head.seq, at, act: act.clone(), hash: head.hash };
        self.rows.append_audit(&row)?;
        Ok(row)
    }
}

fn told(key: &StoredKey, by: Actor) -> Act {
    let deed = if key.replaces.is_some() { "key.rotated" } else { "key.created" };
    let act = Act::new(key.tenant.clone(), by, deed, key.id.to_string());
    let act = act.with("name", &key.name).with("scopes", key.scopes.to_string());
    match key.replaces {
        Some(old) => act.with("replaces", old.to_string()),
        None => act,
    }
}
