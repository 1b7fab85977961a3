//! Keys as they are kept, and the log of privileged acts.
//!
//! A key's secret is never here: only a digest of it under a pepper that is kept elsewhere. Each act is chained to the
//! one before by a hash, so that a row that was changed or taken out is found ([`Chain`]).

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use qd_types::{KeyId, Scopes, TenantId, Timestamp};
use sha2::{Digest, Sha256};

/// Keys that are kept, those that are over included.
pub const KEYS_MAX: usize = 10_000;

/// How long keys that are over are kept, to be told apart from unknown ones.
pub(crate) const KEPT_KEYS: Duration = Duration::from_secs(30 * 24 * 3600);

/// A key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredKey {
    /// Its public part.
    pub id: KeyId,
    /// Whose requests it makes.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// Of the whole key, under the pepper.
    pub digest: [u8; 32],
    /// Names that pepper.
    pub pepper: [u8; 8],
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is not good any more.
    pub expires_at: Timestamp,
    /// Since when it is revoked.
    pub revoked_at: Option<Timestamp>,
    /// The key that it took the place of.
    pub replaces: Option<KeyId>,
}

impl StoredKey {
    /// Whether it may be used at a moment.
    #[must_use]
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.revoked_at.is_none() && now < self.expires_at
    }

    /// Since when it is over, or will be.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.revoked_at.unwrap_or(self.expires_at).min(self.expires_at)
    }
}

/// A key to keep.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Its public part.
    pub id: KeyId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What people call it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// See [`StoredKey::digest`].
    pub digest: [u8; 32],
    /// See [`StoredKey::pepper`].
    pub pepper: [u8; 8],
    /// How long it is good.
    pub lifetime: Duration,
    /// The key of the same tenant that it takes the place of, and how long that one stays good.
    pub replaces: Option<(KeyId, Duration)>,
}

/// What became of a [`NewKey`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyAdded {
    /// It is durable.
    Added(Box<StoredKey>),
    /// There is a key of this id already; nothing was stored.
    Taken,
    /// As many keys are kept as may be; nothing was stored.
    Full,
    /// The key that it should take the place of is not there, or is over; nothing was stored.
    NotReplaceable,
}

/// Who did something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Actor {
    /// Whoever holds this key.
    Key(KeyId),
    /// The command line, on the store itself.
    Console,
    /// Somebody, where no key is asked for.
    Anyone,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => write!(f, "key:{id}"),
            Self::Console => f.write_str("console"),
            Self::Anyone => f.write_str("anyone"),
        }
    }
}

/// What a privileged act is called: `key.created`, `key.rotated`, `key.revoked`, `breaker.forced`,
/// `crew.published`, `jobs.discarded`.
pub type Deed = &'static str;

/// A privileged act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Whose things it was about.
    pub tenant: TenantId,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub deed: String,
    /// To what.
    pub subject: String,
    /// More about it. Nothing secret.
    pub detail: BTreeMap<String, String>,
}

impl Act {
    /// An act without details.
    #[must_use]
    pub fn new(tenant: TenantId, by: Actor, deed: Deed, subject: impl Into<String>) -> Self {
        let (actor, deed) = (by.to_string(), deed.to_owned());
        Self { tenant, actor, deed, subject: subject.into(), detail: BTreeMap::new() }
    }

    /// The same with a detail more.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }
}

/// An act in its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audited {
    /// Counted from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub act: Act,
    /// Of this row and all before it.
    pub hash: AuditHash,
}

/// A hash of the log.
pub type AuditHash = [u8; 32];

/// The end of the log: of how many rows, and the hash of the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AuditHead {
    /// Rows so far.
    pub seq: u64,
    /// Zeros for none.
    pub hash: AuditHash,
}

/// Follows the log from its beginning and notices what does not fit.
#[derive(Debug, Clone, Copy, Default)]
pub struct Chain(AuditHead);

/// What is wrong with the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BrokenChain {
    /// Rows are missing, or stand in another order.
    #[error("row {expected} is missing: row {found} stands in its place")]
    Gap {
        /// The row that should be there.
        expected: u64,
        /// The one that is.
        found: u64,
    },
    /// A row is not what was written, or one before it is missing.
    #[error("row {seq} was changed after it was written, or one before it was")]
    Changed {
        /// Which one.
        seq: u64,
    },
    /// The log ends too early.
    #[error("the log has {found} rows, and there were {expected}: the last ones are missing")]
    CutOff {
        /// Rows that there were.
        expected: u64,
        /// Rows that there are.
        found: u64,
    },
    /// The log ends otherwise than it should.
    #[error("row {seq} is not the one that the log ended with")]
    OtherEnd {
        /// The last row.
        seq: u64,
    },
}

impl Chain {
    /// Takes the next row.
    ///
    /// # Errors
    /// If it does not follow from the rows before.
    pub fn follow(&mut self, row: &Audited) -> Result<(), BrokenChain> {
        let expected = self.0.seq + 1;
        if row.seq != expected {
            return Err(BrokenChain::Gap { expected, found: row.seq });
        }
        let next = self.0.next(row.at, &row.act);
        if next.hash != row.hash {
            return Err(BrokenChain::Changed { seq: row.seq });
        }
        self.0 = next;
        Ok(())
    }

    /// Where it has come to.
    #[must_use]
    pub fn head(&self) -> AuditHead {
        self.0
    }

    /// Compares the end with what it should be.
    ///
    /// # Errors
    /// If the log ends too early or otherwise.
    pub fn end_at(&self, head: AuditHead) -> Result<(), BrokenChain> {
        match self.0.seq.cmp(&head.seq) {
            std::cmp::Ordering::Less => Err(BrokenChain::CutOff { expected: head.seq, found: self.0.seq }),
            _ if self.0 == head => Ok(()),
            _ => Err(BrokenChain::OtherEnd { seq: self.0.seq }),
        }
    }
}

/// Shape of what is hashed.
const VERSION: &[u8] = b"quarterdeck audit 1";

impl AuditHead {
    /// The end of the log once this act stands in it.
    #[must_use]
    pub fn next(self, at: Timestamp, act: &Act) -> Self {
        let seq = self.seq + 1;
        let mut hash = Sha256::new();
        // Each part with its length, so that no two rows look alike to the hash.
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(VERSION);
        part(&self.hash);
        part(&seq.to_be_bytes());
        part(&at.0.to_be_bytes());
        for text in [act.tenant.as_str(), &act.actor, &act.deed, &act.subject] {
            part(text.as_bytes());
        }
        for (name, value) in &act.detail {
            part(name.as_bytes());
            part(value.as_bytes());
        }
        Self { seq, hash: hash.finalize().into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Vec<Audited> {
        let mut head = AuditHead::default();
        let deeds = ["key.created", "key.rotated", "breaker.forced", "key.revoked"];
        let rows = deeds.iter().zip(1..).map(|(deed, n)| {
            let act = Act::new(TenantId::default(), Actor::Console, deed, format!("subject {n}"));
            let act = act.with("name", "ci").with("scopes", "jobs:read");
            let at = Timestamp(1_000 * n);
            head = head.next(at, &act);
            Audited { seq: head.seq, at, act, hash: head.hash }
        });
        rows.collect()
    }

    fn followed(rows: &[Audited]) -> Result<AuditHead, BrokenChain> {
        let mut chain = Chain::default();
        rows.iter().try_for_each(|row| chain.follow(row))?;
        Ok(chain.head())
    }

    #[test]
    fn untouched_log_is_good_to_its_end() {
        let rows = log();
        let head = followed(&rows).unwrap();
        assert_eq!((head.seq, head.hash), (4, rows[3].hash));
    }

    #[test]
    fn every_change_of_every_row_is_found() {
        let change: [fn(&mut Audited); 7] = [
            |row| row.at.0 += 1,
            |row| row.act.tenant = TenantId::new("other"),
            |row| row.act.actor.push('x'),
            |row| row.act.deed = "key.created ".to_owned(),
            |row| row.act.subject.clear(),
            |row| drop(row.act.detail.remove("name")),
            |row| row.hash[31] ^= 1,
        ];
        for at in 0..4 {
            for change in change {
                let mut rows = log();
                change(&mut rows[at]);
                let seq = rows[at].seq;
                assert_eq!(followed(&rows), Err(BrokenChain::Changed { seq }));
            }
        }
    }

    #[test]
    fn missing_swapped_and_added_rows_are_found() {
        let rows = log();
        for at in 0..3 {
            let mut short = rows.clone();
            short.remove(at);
            assert!(matches!(followed(&short), Err(BrokenChain::Gap { .. })));
            let mut swapped = rows.clone();
            swapped.swap(at, at + 1);
            assert!(matches!(followed(&swapped), Err(BrokenChain::Gap { .. })));
            // Numbers that were mended do not help.
            (1..).zip(&mut short).for_each(|(seq, row)| row.seq = seq);
            assert!(matches!(followed(&short), Err(BrokenChain::Changed { .. })));
        }
    }

    #[test]
    fn log_that_was_cut_off_is_found_by_its_head() {
        let rows = log();
        let mut chain = Chain::default();
        rows[..2].iter().for_each(|row| chain.follow(row).unwrap());
        let head = AuditHead { seq: 4, hash: rows[3].hash };
        assert_eq!(chain.end_at(head), Err(BrokenChain::CutOff { expected: 4, found: 2 }));
        rows[2..].iter().for_each(|row| chain.follow(row).unwrap());
        assert_eq!(chain.end_at(head), Ok(()));
        let other = AuditHead { seq: 4, hash: rows[0].hash };
        assert_eq!(chain.end_at(other), Err(BrokenChain::OtherEnd { seq: 4 }));
    }
}
