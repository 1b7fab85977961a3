//! Keys between stores and books.

use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_store::{Actor, Options, Store, open};
use qd_types::{MalformedKey, Scope, TenantId};

use super::{KeyBook, KeyError, Pepper, Refused, WantedKey};
use crate::access::{Pace, Rates};

const DAY: Duration = Duration::from_secs(86_400);

struct Fixture {
    store: Store,
    clock: Arc<ManualClock>,
    env: Env,
    book: KeyBook,
}

async fn fixture() -> Fixture {
    let clock = Arc::new(ManualClock::at(1_700_000_000_000));
    let env = Env::with(clock.clone(), 11);
    let store = open(&Options::default(), &env).unwrap();
    let book = book(&store, &env, b"pepper").await;
    Fixture { store, clock, env, book }
}

async fn book(store: &Store, env: &Env, pepper: &[u8]) -> KeyBook {
    let rates = Rates { key: Some(Pace::new(1.0, 2)), tenant: Some(Pace::new(1.0, 3)), ..Rates::default() };
    let book = KeyBook::new(store.clone(), Pepper::new(pepper), rates, env.clone());
    book.refresh().await.unwrap();
    book
}

fn wanted(tenant: &str) -> WantedKey {
    WantedKey {
        tenant: TenantId::new(tenant),
        name: "ci".into(),
        scopes: [Scope::JobsRead].into_iter().collect(),
        lifetime: DAY * 30,
    }
}

#[tokio::test]
async fn made_key_lets_in_at_once_and_its_secret_is_nowhere_in_the_store() {
    let f = fixture().await;
    let issued = f.book.issue(wanted("acme"), Actor::Console).await.unwrap();
    let text = issued.key.reveal();
    let known = f.book.check(text).unwrap();
    assert_eq!((known.stored.tenant.as_str(), known.stored.id), ("acme", issued.key.id()));
    let (kept, _) = f.store.keys().await.unwrap();
    let acts = f.store.audited(0, 10).await.unwrap();
    let shown = format!("{kept:?} {acts:?} {issued:?} {:?}", f.book.pepper);
    assert!(!shown.contains(&text[17..40]), "{shown}");
}

#[tokio::test]
async fn what_is_wrong_is_told_only_to_who_has_the_secret() {
    let f = fixture().await;
    let issued = f.book.issue(wanted("acme"), Actor::Console).await.unwrap();
    let (text, id) = (issued.key.reveal().to_owned(), issued.key.id());
    let other = qd_types::ApiKey::new(id, &[7; 32]);
    assert_eq!(f.book.check(other.reveal()).err(), Some(Refused::Unknown));
    let stranger = qd_types::ApiKey::new(qd_types::KeyId::from_random([1; 6]), &[7; 32]);
    assert_eq!(f.book.check(stranger.reveal()).err(), Some(Refused::Unknown));
    let typo = text.replacen(&text[20..21], if &text[20..21] == "x" { "y" } else { "x" }, 1);
    assert_eq!(f.book.check(&typo).err(), Some(Refused::Malformed(MalformedKey::Checksum)));
    f.clock.advance(DAY * 30);
    assert_eq!(f.book.check(&text).err(), Some(Refused::Expired(id, issued.stored.expires_at)));
    f.book.revoke(None, id, Actor::Console).await.unwrap();
    assert_eq!(f.book.check(&text).err(), Some(Refused::Revoked(id)));
    assert_eq!(f.book.check(other.reveal()).err(), Some(Refused::Unknown));
}

#[tokio::test]
async fn revocation_counts_at_once_here_and_elsewhere_with_the_next_look() {
    let f = fixture().await;
    let elsewhere = book(&f.store, &f.env, b"pepper").await;
    let issued = f.book.issue(wanted("acme"), Actor::Console).await.unwrap();
    let text = issued.key.reveal();
    assert_eq!(elsewhere.check(text).err(), Some(Refused::Unknown));
    elsewhere.refresh().await.unwrap();
    assert!(elsewhere.check(text).is_ok());
    let changes = elsewhere.changes();
    f.book.revoke(None, issued.key.id(), Actor::Console).await.unwrap();
    assert!(f.book.check(text).is_err() && elsewhere.check(text).is_ok());
    elsewhere.refresh().await.unwrap();
    assert!(changes.has_changed().unwrap(), "event streams hear of it");
    assert_eq!(elsewhere.check(text).err(), Some(Refused::Revoked(issued.key.id())));
    assert!(!elsewhere.is_good(issued.key.id()));
}

#[tokio::test(start_paused = true)]
async fn books_look_for_changes_often_enough_for_five_seconds() {
    let f = fixture().await;
    let elsewhere = Arc::new(book(&f.store, &f.env, b"pepper").await);
    let closing = tokio_util::sync::CancellationToken::new();
    let task = f.env.spawn(Arc::clone(&elsewhere).keep_fresh(closing.clone()));
    let mut changes = elsewhere.changes();
    let issued = f.book.issue(wanted("acme"), Actor::Console).await.unwrap();
    changes.changed().await.unwrap();
    assert!(elsewhere.check(issued.key.reveal()).is_ok());
    f.book.revoke(None, issued.key.id(), Actor::Console).await.unwrap();
    let began = tokio::time::Instant::now();
    changes.changed().await.unwrap();
    assert!(began.elapsed() <= Duration::from_secs(3), "{:?}", began.elapsed());
    assert!(elsewhere.check(issued.key.reveal()).is_err());
    closing.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn rotated_key_lets_in_beside_the_new_one_until_the_overlap_is_over() {
    let f = fixture().await;
    let old = f.book.issue(wanted("acme"), Actor::Console).await.unwrap();
    let hour = Duration::from_secs(3_600);
    let acme = TenantId::new("acme");
    let unknown = f.book.rotate(Some(&TenantId::new("other")), old.key.id(), hour, Actor::Console).await;
    assert!(matches!(unknown, Err(KeyError::Unknown(id)) if id == old.key.id()));
    let new = f.book.rotate(Some(&acme), old.key.id(), hour, Actor::Console).await.unwrap();
    assert_eq!((new.stored.replaces, &new.stored.name), (Some(old.key.id()), &old.stored.name));
    assert_eq!(new.stored.scopes, old.stored.scopes);
    assert!(f.book.check(old.key.reveal()).is_ok() && f.book.check(new.key.reveal()).is_ok());
    f.clock.advance(hour);
    assert!(f.book.check(old.key.reveal()).is_err() && f.book.check(new.key.reveal()).is_ok());
    let over = f.book.rotate(None, old.key.id(), hour, Actor::Console).await;
    assert!(matches!(over, Err(KeyError::Over(id)) if id == old.key.id()));
}

#[tokio::test]
async fn keys_of_another_pepper_let_nobody_in() {
    let f = fixture().await;
    let issued =
        f.book.issue(WantedKey { tenant: TenantId::default(), ..wanted("") }, Actor::Console).await.unwrap();
    let restored = book(&f.store, &f.env, b"another pepper").await;
    assert_eq!(restored.check(issued.key.reveal()).err(), Some(Refused::Unknown));
    assert!(!restored.has_admin().await.unwrap());
}

#[tokio::test]
async fn what_was_counted_goes_on_to_count_when_keys_change() {
    let f = fixture().await;
    let one = f.book.issue(wanted("acme"), Actor::Console).await.unwrap();
    let now = f.env.monotonic();
    let take = |key: &str| f.book.check(key).unwrap().meter.take(now).is_ok();
    assert!(take(one.key.reveal()) && take(one.key.reveal()) && !take(one.key.reveal()));
    let two = f.book.issue(wanted("acme"), Actor::Console).await.unwrap();
    assert!(!take(one.key.reveal()), "its own pace");
    assert!(take(two.key.reveal()) && !take(two.key.reveal()), "the tenant's pace");
    let third = f.book.issue(wanted("other"), Actor::Console).await.unwrap();
    assert!(take(third.key.reveal()));
}

#[tokio::test]
async fn book_that_never_saw_the_store_lets_nobody_in_and_says_why() {
    let f = fixture().await;
    let issued = f.book.issue(wanted("acme"), Actor::Console).await.unwrap();
    let blind = KeyBook::new(f.store.clone(), Pepper::new(b"pepper"), Rates::default(), f.env.clone());
    assert_eq!(blind.check(issued.key.reveal()).err(), Some(Refused::Unavailable));
}
