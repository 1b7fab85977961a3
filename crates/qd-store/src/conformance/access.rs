//! Keys and the log of privileged acts.

use std::time::Duration;

use futures::future::join_all;
use qd_types::{KeyId, Scope, TenantId};

use super::{Fixture, Make, reopened};
use crate::access::KEYS_MAX;
use crate::{Act, Actor, Audited, Chain, KeyAdded, NewKey, Store, StoredKey};

const DAY: u64 = 24 * 3600;

fn id(n: u16) -> KeyId {
    let [high, low] = n.to_be_bytes();
    KeyId::from_random([0, 0, 0, 7, high, low])
}

fn key(n: u16) -> NewKey {
    NewKey {
        id: id(n),
        tenant: TenantId::new("acme"),
        name: format!("key {n}"),
        scopes: [Scope::JobsRead, Scope::Stats].into_iter().collect(),
        digest: [u8::try_from(n % 256).unwrap(); 32],
        pepper: [9; 8],
        lifetime: Duration::from_secs(10 * DAY),
        replaces: None,
    }
}

async fn added(f: &Fixture, new: NewKey) -> StoredKey {
    match f.store.add_key(new, Actor::Console).await.unwrap() {
        KeyAdded::Added(key) => *key,
        other => panic!("not added: {other:?}"),
    }
}

async fn listed(store: &Store) -> Vec<StoredKey> {
    store.keys().await.unwrap().0
}

async fn audited(store: &Store) -> Vec<Audited> {
    store.audited(0, 100).await.unwrap()
}

pub(crate) async fn kept_key_is_listed_as_it_was_made(make: Make) {
    let f = Fixture::new(make, |_| {});
    assert!(listed(&f.store).await.is_empty());
    let first = added(&f, key(2)).await;
    f.advance(1);
    let second = added(&f, NewKey { tenant: TenantId::default(), ..key(1) }).await;
    assert_eq!((first.id, first.name.as_str(), first.digest), (id(2), "key 2", [2; 32]));
    assert_eq!((first.tenant.as_str(), first.pepper, first.replaces), ("acme", [9; 8], None));
    assert!(first.scopes.allow(Scope::JobsRead) && !first.scopes.allow(Scope::JobsWrite));
    assert_eq!(first.expires_at.since(first.created_at), Duration::from_secs(10 * DAY));
    assert_eq!(listed(&f.store).await, [first.clone(), second], "oldest first");
    let taken = f.store.add_key(NewKey { name: "again".into(), ..key(2) }, Actor::Console).await.unwrap();
    assert_eq!(taken, KeyAdded::Taken);
    assert_eq!(listed(&f.store).await[0], first);
}

pub(crate) async fn revoked_key_stays_revoked(make: Make) {
    let f = Fixture::new(make, |_| {});
    let key = added(&f, key(1)).await;
    let (acme, other) = (TenantId::new("acme"), TenantId::new("other"));
    assert_eq!(f.store.revoke_key(Some(&other), key.id, Actor::Console).await.unwrap(), None);
    assert_eq!(f.store.revoke_key(None, id(9), Actor::Console).await.unwrap(), None);
    assert!(listed(&f.store).await[0].is_good(f.env.now()));
    let revoked = f.store.revoke_key(Some(&acme), key.id, Actor::Console).await.unwrap().unwrap();
    assert_eq!(revoked.revoked_at, Some(f.env.now()));
    assert!(!revoked.is_good(f.env.now()));
    f.advance(5);
    let again = f.store.revoke_key(None, key.id, Actor::Console).await.unwrap().unwrap();
    assert_eq!(again, revoked, "the first time counts");
    assert_eq!(listed(&f.store).await, [revoked]);
    assert_eq!(audited(&f.store).await.len(), 2, "nothing happened the second time");
}

pub(crate) async fn replaced_key_ends_after_the_overlap(make: Make) {
    let f = Fixture::new(make, |_| {});
    added(&f, key(1)).await;
    let hour = Duration::from_secs(3600);
    let next = |n, old, overlap| NewKey { replaces: Some((old, overlap)), ..key(n) };
    let second = added(&f, next(2, id(1), hour)).await;
    assert_eq!(second.replaces, Some(id(1)));
    let old = |keys: Vec<StoredKey>, id| keys.into_iter().find(|key| key.id == id).unwrap();
    assert_eq!(old(listed(&f.store).await, id(1)).expires_at, f.env.now().plus(hour));
    f.advance(1);
    // No overlap: at once. A longer one than there is left of it: nothing is added to its life.
    added(&f, next(3, id(2), Duration::ZERO)).await;
    assert!(!old(listed(&f.store).await, id(2)).is_good(f.env.now()));
    added(&f, next(4, id(1), hour * 24)).await;
    assert!(old(listed(&f.store).await, id(1)).expires_at < f.env.now().plus(hour));
    for (n, replaced) in [(5, id(2)), (6, id(77))] {
        let refused = f.store.add_key(next(n, replaced, hour), Actor::Console).await.unwrap();
        assert_eq!(refused, KeyAdded::NotReplaceable);
    }
    let of_other = NewKey { tenant: TenantId::new("other"), ..next(7, id(3), hour) };
    assert_eq!(f.store.add_key(of_other, Actor::Console).await.unwrap(), KeyAdded::NotReplaceable);
    assert_eq!(listed(&f.store).await.len(), 4);
}

pub(crate) async fn keys_are_bounded_and_old_ones_make_room(make: Make) {
    let f = Fixture::new(make, |_| {});
    let short = |n| NewKey { lifetime: Duration::from_secs(DAY), ..key(n) };
    let most = u16::try_from(KEYS_MAX).unwrap();
    let all = (0..most).map(|n| f.store.add_key(short(n), Actor::Console));
    assert!(join_all(all).await.iter().all(|answer| matches!(answer, Ok(KeyAdded::Added(_)))));
    let one_more = || f.store.add_key(key(60_000), Actor::Console);
    assert_eq!(one_more().await.unwrap(), KeyAdded::Full);
    f.advance(2 * DAY);
    assert_eq!(one_more().await.unwrap(), KeyAdded::Full, "expired ones are kept for a while");
    f.advance(30 * DAY);
    assert!(matches!(one_more().await.unwrap(), KeyAdded::Added(_)));
    assert_eq!(listed(&f.store).await.len(), 1);
}

pub(crate) async fn every_change_is_written_down_and_chained(make: Make) {
    let f = Fixture::new(make, |_| {});
    assert_eq!(f.store.audit_head().await.unwrap().seq, 0);
    added(&f, key(1)).await;
    f.advance(1);
    let by = Actor::Key(id(1));
    let rotated = NewKey { replaces: Some((id(1), Duration::ZERO)), ..key(2) };
    f.store.add_key(rotated, by).await.unwrap();
    let act = Act::new(TenantId::default(), Actor::Anyone, "breaker.forced", "groq/llama");
    let told = f.store.audit(act.with("state", "open")).await.unwrap();
    f.store.revoke_key(None, id(2), by).await.unwrap();
    let rows = audited(&f.store).await;
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row.act.actor.as_str(), row.act.deed.as_str(), row.act.subject.clone()))
        .collect();
    let by = by.to_string();
    assert_eq!(
        seen,
        [
            ("console", "key.created", id(1).to_string()),
            (by.as_str(), "key.rotated", id(2).to_string()),
            ("anyone", "breaker.forced", "groq/llama".to_owned()),
            (by.as_str(), "key.revoked", id(2).to_string()),
        ]
    );
    assert_eq!(rows[1].act.detail["replaces"], id(1).to_string());
    assert_eq!(rows[2], told);
    let mut chain = Chain::default();
    rows.iter().for_each(|row| chain.follow(row).unwrap());
    let (_, head) = f.store.keys().await.unwrap();
    assert_eq!((chain.head(), f.store.audit_head().await.unwrap()), (head, head));
    assert_eq!(f.store.audited(1, 2).await.unwrap(), rows[1..3]);
    assert_eq!(f.store.audited(4, 2).await.unwrap(), []);
}

pub(crate) async fn audit_log_and_keys_outlive_the_process(make: Make) {
    let f = Fixture::new(make, |_| {});
    if f.options.url == "memory:" {
        return;
    }
    added(&f, key(1)).await;
    let (keys, rows) = (f.store.keys().await.unwrap(), audited(&f.store).await);
    let f = reopened(f).await;
    assert_eq!((f.store.keys().await.unwrap(), audited(&f.store).await), (keys, rows));
}
