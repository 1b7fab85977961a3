//! The cache of results.

use std::time::Duration;

use qd_types::TenantId;

use super::{Fixture, Make};
use crate::{CacheKey, CacheRoom};

const MINUTE: Duration = Duration::from_secs(60);

fn key(n: u8) -> CacheKey {
    [n; 32]
}

async fn keep(f: &Fixture, n: u8, value: &str, ttl: Duration) {
    f.store.cache(&TenantId::default(), &key(n), value.into(), ttl).await.unwrap();
}

async fn kept(f: &Fixture, n: u8) -> Option<String> {
    let found = f.store.cached(&TenantId::default(), &key(n)).await.unwrap();
    found.map(|value| String::from_utf8(value).unwrap())
}

pub(crate) async fn kept_result_is_there_until_its_time_is_up(make: Make) {
    let f = Fixture::new(make, |_| {});
    assert_eq!(kept(&f, 1).await, None);
    keep(&f, 1, "short", MINUTE).await;
    keep(&f, 2, "long", MINUTE * 3).await;
    f.advance(59);
    assert_eq!(kept(&f, 1).await.as_deref(), Some("short"));
    f.advance(1);
    assert_eq!(kept(&f, 1).await, None, "before any housekeeping");
    assert_eq!(f.store.tick(10).await.unwrap().pruned, 1);
    assert_eq!(kept(&f, 2).await.as_deref(), Some("long"));
    f.advance(600);
    assert_eq!(f.store.tick(10).await.unwrap().pruned, 1);
    assert_eq!(f.store.tick(10).await.unwrap().pruned, 0);
}

pub(crate) async fn results_of_tenants_are_apart(make: Make) {
    let f = Fixture::new(make, |_| {});
    let other = TenantId::new("other");
    keep(&f, 1, "ours", MINUTE).await;
    assert_eq!(f.store.cached(&other, &key(1)).await.unwrap(), None);
    f.store.cache(&other, &key(1), b"theirs".to_vec(), MINUTE).await.unwrap();
    assert_eq!(kept(&f, 1).await.as_deref(), Some("ours"));
}

pub(crate) async fn newer_result_replaces_the_older(make: Make) {
    let f = Fixture::new(make, |options| options.cache = CacheRoom { entries: 2, bytes: 100 });
    keep(&f, 1, "kept", MINUTE * 5).await;
    for n in 0..5 {
        keep(&f, 2, &format!("version {n}"), MINUTE * 2).await;
    }
    assert_eq!(kept(&f, 2).await.as_deref(), Some("version 4"));
    assert_eq!(kept(&f, 1).await.as_deref(), Some("kept"), "a replaced result takes no room");
}

pub(crate) async fn full_cache_lets_go_of_what_would_go_first(make: Make) {
    let f = Fixture::new(make, |options| options.cache = CacheRoom { entries: 3, bytes: 20 });
    for (n, minutes) in [(1, 9), (2, 1), (3, 5)] {
        keep(&f, n, "five5", MINUTE * minutes).await;
    }
    keep(&f, 4, "five5", MINUTE * 7).await;
    assert_eq!(kept(&f, 2).await, None, "a fourth result has no room");
    keep(&f, 5, "fifteen bytes !", MINUTE * 8).await;
    let left = [kept(&f, 1).await, kept(&f, 3).await, kept(&f, 4).await, kept(&f, 5).await];
    let left = left.map(|value| value.map_or(0, |value| value.len()));
    assert_eq!(left, [5, 0, 0, 15], "twenty bytes are all the room");
    f.advance(600);
    assert_eq!(f.store.tick(10).await.unwrap().pruned, 2);
    keep(&f, 6, "twenty bytes of text", MINUTE).await;
    assert!(kept(&f, 6).await.is_some(), "what was pruned gave its room back");
}

pub(crate) async fn result_larger_than_the_room_is_not_kept(make: Make) {
    let f = Fixture::new(make, |options| options.cache = CacheRoom { entries: 9, bytes: 8 });
    keep(&f, 1, "small", MINUTE).await;
    keep(&f, 2, "nine byte", MINUTE).await;
    assert_eq!((kept(&f, 1).await.as_deref(), kept(&f, 2).await), (Some("small"), None));
    let f = Fixture::new(make, |options| options.cache = CacheRoom { entries: 0, bytes: 8 });
    keep(&f, 1, "small", MINUTE).await;
    assert_eq!(kept(&f, 1).await, None, "no room at all");
}
