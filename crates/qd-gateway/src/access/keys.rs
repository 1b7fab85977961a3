//! The keys of a store, held in memory: made, checked, rotated, revoked.
//!
//! All of them are held, and their number is bounded by the store, so that no request reads the store, not even one with
//! a key that nobody knows. Changes made by this process are seen at once; those of others when the audit log is found to
//! have grown, which is looked at every [`REFRESH`]. If the store cannot answer, what is known goes on to count: nothing
//! can be done without the store anyway.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use qd_env::Env;
use qd_store::{Actor, AuditHead, Error, KeyAdded, NewKey, Store, StoredKey};
use qd_types::{ApiKey, KeyId, MalformedKey, Scope, Scopes, TenantId, Timestamp};
use sha2::Sha256;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::pace::Bucket;
use super::rates::{Meter, Rates};

/// How often changes by other processes are looked for. A revocation counts everywhere within five seconds, a slow store
/// included.
pub(crate) const REFRESH: Duration = Duration::from_secs(2);

/// Tries to find an id that is free: one is nearly always enough.
const DRAWS: usize = 8;

type Digest = Hmac<Sha256>;

/// What digests of keys are made under. Without it the digests in a store say nothing about the keys.
#[derive(Clone)]
pub struct Pepper {
    keyed: Digest,
    id: [u8; 8],
}

impl Pepper {
    /// Of bytes that nobody can guess.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let keyed = Digest::new_from_slice(bytes).expect("a key of any length will do");
        let name = keyed.clone().chain_update(b"quarterdeck pepper").finalize().into_bytes();
        let mut id = [0; 8];
        id.copy_from_slice(&name[..8]);
        Self { keyed, id }
    }

    fn digest(&self, key: &str) -> [u8; 32] {
        self.keyed.clone().chain_update(key.as_bytes()).finalize().into_bytes().into()
    }

    /// In a time that does not tell how much of it fits.
    fn fits(&self, key: &str, digest: &[u8; 32]) -> bool {
        self.keyed.clone().chain_update(key.as_bytes()).verify_slice(digest).is_ok()
    }
}

impl std::fmt::Debug for Pepper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pepper([redacted])")
    }
}

/// A key to make.
#[derive(Debug, Clone)]
pub struct WantedKey {
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// How long it is good.
    pub lifetime: Duration,
}

/// A key that was made. The only moment at which its secret is known.
#[derive(Debug, Clone)]
pub struct Issued {
    /// To be given to whoever will use it.
    pub key: ApiKey,
    /// As it is kept.
    pub stored: StoredKey,
}

/// Why a key could not be made or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no such key.
    #[error("there is no key `{0}`")]
    Unknown(KeyId),
    /// It expired or was revoked.
    #[error("key {0} is over, so that nothing can take its place; create a new one")]
    Over(KeyId),
    /// As many are kept as may be.
    #[error(
        "the store keeps as many keys as it can ({}); those that are over make room after 30 days",
        qd_store::KEYS_MAX
    )]
    Full,
    /// The store did not answer.
    #[error("the store cannot answer: {0}")]
    Store(#[from] Error),
}

/// Why a text does not let anybody in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    Malformed(MalformedKey),
    /// There is none of this id, or its secret is another one.
    Unknown,
    Expired(KeyId, Timestamp),
    Revoked(KeyId),
    /// The keys could not be read yet.
    Unavailable,
}

/// A key as it is held.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) stored: StoredKey,
    pub(super) meter: Meter,
}

/// All of them, as of one moment.
#[derive(Debug)]
struct Snapshot {
    head: AuditHead,
    keys: HashMap<KeyId, Arc<Known>>,
}

/// See the module.
pub struct KeyBook {
    store: Store,
    pepper: Pepper,
    rates: Rates,
    env: Env,
    // Held for a look-up or for putting a new one in its place.
    snapshot: RwLock<Option<Arc<Snapshot>>>,
    // Held by whoever puts a snapshot in place, so that an older one never replaces a newer one.
    replacing: Mutex<()>,
    changed: watch::Sender<()>,
}

impl KeyBook {
    /// A book of the keys in a store; empty until [`KeyBook::refresh`].
    #[must_use]
    pub fn new(store: Store, pepper: Pepper, rates: Rates, env: Env) -> Self {
        let (snapshot, replacing, changed) = (RwLock::default(), Mutex::default(), watch::Sender::new(()));
        Self { store, pepper, rates, env, snapshot, replacing, changed }
    }

    /// Learns what others have changed.
    ///
    /// # Errors
    /// If the store cannot answer; what was known still is.
    pub async fn refresh(&self) -> Result<(), Error> {
        let head = self.store.audit_head().await?;
        if self.snapshot().is_some_and(|snapshot| snapshot.head == head) {
            return Ok(());
        }
        self.reload().await
    }

    async fn reload(&self) -> Result<(), Error> {
        let (stored, head) = self.store.keys().await?;
        let of_others = stored.iter().filter(|key| key.pepper != self.pepper.id).count();
        if of_others > 0 {
            tracing::warn!(keys = of_others, "keys were made under another pepper and let nobody in");
        }
        {
            let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
            let before = self.snapshot();
            if before.as_ref().is_some_and(|before| before.head.seq > head.seq) {
                return Ok(());
            }
            let next = Arc::new(self.snapshot_of(stored, head, before.as_deref()));
            *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Some(next);
        }
        self.changed.send_replace(());
        Ok(())
    }

    /// What was counted so far goes on to count.
    fn snapshot_of(&self, stored: Vec<StoredKey>, head: AuditHead, before: Option<&Snapshot>) -> Snapshot {
        let mut shared: HashMap<TenantId, Arc<Bucket>> = HashMap::new();
        for known in before.into_iter().flat_map(|before| before.keys.values()) {
            shared.entry(known.stored.tenant.clone()).or_insert_with(|| Arc::clone(&known.meter.shared));
        }
        let known = |stored: StoredKey| {
            let before = before.and_then(|before| before.keys.get(&stored.id));
            let own = before.map(|known| Arc::clone(&known.meter.own)).unwrap_or_default();
            let shared = Arc::clone(shared.entry(stored.tenant.clone()).or_default());
            let meter = self.rates.meter(&stored.tenant, own, shared);
            (stored.id, Arc::new(Known { stored, meter }))
        };
        Snapshot { head, keys: stored.into_iter().map(known).collect() }
    }

    fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refreshes until told to stop.
    pub(crate) async fn keep_fresh(self: Arc<Self>, closing: CancellationToken) {
        loop {
            // A store that does not answer is told of by whoever asked it.
            let _ = self.refresh().await;
            tokio::select! {
                () = closing.cancelled() => break,
                () = tokio::time::sleep(REFRESH) => {}
            }
        }
    }

    /// The key that a text is, if it lets somebody in now.
    pub(crate) fn check(&self, text: &str) -> Result<Arc<Known>, Refused> {
        let id = ApiKey::id_of(text).map_err(Refused::Malformed)?;
        let known = {
            let snapshot = self.snapshot.read().unwrap_or_else(PoisonError::into_inner);
            let snapshot = snapshot.as_ref().ok_or(Refused::Unavailable)?;
            snapshot.keys.get(&id).cloned()
        };
        let known = known.filter(|known| known.stored.pepper == self.pepper.id).ok_or(Refused::Unknown)?;
        // Only who has the secret hears what became of the key.
        if !self.pepper.fits(text, &known.stored.digest) {
            return Err(Refused::Unknown);
        }
        if known.stored.revoked_at.is_some() {
            return Err(Refused::Revoked(id));
        }
        if !known.stored.is_good(self.env.now()) {
            return Err(Refused::Expired(id, known.stored.expires_at));
        }
        Ok(known)
    }

    /// Whether a key that was let in before would still be.
    pub(crate) fn is_good(&self, id: KeyId) -> bool {
        let now = self.env.now();
        self.snapshot().is_some_and(|all| all.keys.get(&id).is_some_and(|known| known.stored.is_good(now)))
    }

    /// To hear when keys change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Every key, oldest first; of one tenant, if one is given.
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn all(&self, tenant: Option<&TenantId>) -> Result<Vec<StoredKey>, Error> {
        let (mut keys, _) = self.store.keys().await?;
        keys.retain(|key| tenant.is_none_or(|tenant| *tenant == key.tenant));
        Ok(keys)
    }

    /// One key.
    ///
    /// # Errors
    /// If there is none, or the store cannot answer.
    pub async fn one(&self, tenant: Option<&TenantId>, id: KeyId) -> Result<StoredKey, KeyError> {
        let keys = self.all(tenant).await?;
        keys.into_iter().find(|key| key.id == id).ok_or(KeyError::Unknown(id))
    }

    /// Whether somebody can manage keys: there is a good one of the operator's with every right.
    ///
    /// # Errors
    /// If the store cannot answer.
    pub async fn has_admin(&self) -> Result<bool, Error> {
        let now = self.env.now();
        let is_admin = |key: &StoredKey| {
            key.is_good(now) && key.scopes.allow(Scope::Admin) && key.pepper == self.pepper.id
        };
        Ok(self.all(Some(&TenantId::default())).await?.iter().any(is_admin))
    }

    /// Makes a key.
    ///
    /// # Errors
    /// If there are too many, or the store cannot answer.
    pub async fn issue(&self, wanted: WantedKey, by: Actor) -> Result<Issued, KeyError> {
        self.add(&wanted, None, by).await
    }

    /// Makes a key like another one, which stays good for `overlap` so that its users can change over.
    ///
    /// # Errors
    /// If there is no such key, it is over, there are too many, or the store cannot answer.
    pub async fn rotate(
        &self,
        tenant: Option<&TenantId>,
        id: KeyId,
        overlap: Duration,
        by: Actor,
    ) -> Result<Issued, KeyError> {
        let old = self.one(tenant, id).await?;
        let lifetime = old.expires_at.since(old.created_at);
        let wanted = WantedKey { tenant: old.tenant, name: old.name, scopes: old.scopes, lifetime };
        self.add(&wanted, Some((id, overlap)), by).await
    }

    async fn add(
        &self,
        wanted: &WantedKey,
        replaces: Option<(KeyId, Duration)>,
        by: Actor,
    ) -> Result<Issued, KeyError> {
        for _ in 0..DRAWS {
            let key = ApiKey::new(KeyId::from_random(self.env.secret()), &self.env.secret());
            let new = NewKey {
                id: key.id(),
                tenant: wanted.tenant.clone(),
                name: wanted.name.clone(),
                scopes: wanted.scopes,
                digest: self.pepper.digest(key.reveal()),
                pepper: self.pepper.id,
                lifetime: wanted.lifetime,
                replaces,
            };
            match self.store.add_key(new, by).await? {
                KeyAdded::Added(stored) => {
                    self.reload().await?;
                    return Ok(Issued { key, stored: *stored });
                }
                KeyAdded::Taken => {}
                KeyAdded::Full => return Err(KeyError::Full),
                KeyAdded::NotReplaceable => {
                    return Err(KeyError::Over(replaces.map_or(key.id(), |(old, _)| old)));
                }
            }
        }
        Err(KeyError::Full)
    }

    /// Ends a key's life.
    ///
    /// # Errors
    /// If there is no such key, or the store cannot answer.
    pub async fn revoke(
        &self,
        tenant: Option<&TenantId>,
        id: KeyId,
        by: Actor,
    ) -> Result<StoredKey, KeyError> {
        let revoked = self.store.revoke_key(tenant, id, by).await?.ok_or(KeyError::Unknown(id))?;
        self.reload().await?;
        Ok(revoked)
    }
}

#[cfg(test)]
mod tests;
