//! Publishing crews.

use qd_types::{CrewName, CrewVersion, KeyId, TenantId};

use super::{Fixture, Make};
use crate::{Actor, CREWS_MAX, NewCrew, OnlyIf, Published};

fn research(hash: &str) -> NewCrew {
    NewCrew::new(TenantId::default(), CrewName::new("research"), hash, format!("spec {hash}"))
}

pub(crate) async fn publishing_the_same_spec_makes_no_new_version(make: Make) {
    let f = Fixture::new(make, |_| {});
    let (tenant, name) = (TenantId::default(), CrewName::new("research"));
    let [first, second, third] = [1, 2, 3].map(CrewVersion);
    for (hash, expected) in [
        ("a", Published::Created(first)),
        ("a", Published::Unchanged(first)),
        ("b", Published::Created(second)),
        ("a", Published::Created(third)),
    ] {
        assert_eq!(f.store.publish(research(hash)).await.unwrap(), expected);
    }
    let stored = f.store.crew(&tenant, &name, Some(second)).await.unwrap().unwrap();
    assert_eq!((stored.hash.as_str(), stored.spec.as_str()), ("b", "spec b"));
    assert_eq!(f.store.crew(&tenant, &name, None).await.unwrap().unwrap().version, third);
    assert!(f.store.crew(&tenant, &name, Some(CrewVersion(9))).await.unwrap().is_none());
    let assistant = NewCrew { name: CrewName::new("assistant"), ..research("x") };
    f.store.publish(assistant).await.unwrap();
    let all = f.store.crews(&tenant).await.unwrap();
    let all: Vec<_> = all.iter().map(|crew| (crew.name.as_str(), crew.version.0)).collect();
    assert_eq!(all, [("assistant", 1), ("research", 3)]);
    assert!(f.store.crews(&TenantId::new("other")).await.unwrap().is_empty());
}

pub(crate) async fn a_version_follows_only_the_one_that_is_expected(make: Make) {
    let f = Fixture::new(make, |_| {});
    let [first, second] = [1, 2].map(CrewVersion);
    for (only_if, hash, expected) in [
        (OnlyIf::Known, "a", Published::Unexpected(None)),
        (OnlyIf::Newest(vec![first]), "a", Published::Unexpected(None)),
        (OnlyIf::New, "a", Published::Created(first)),
        (OnlyIf::New, "a", Published::Unexpected(Some(first))),
        (OnlyIf::Newest(vec![second]), "b", Published::Unexpected(Some(first))),
        (OnlyIf::Newest(vec![second, first]), "b", Published::Created(second)),
        (OnlyIf::Newest(vec![first]), "b", Published::Unexpected(Some(second))),
        (OnlyIf::Known, "b", Published::Unchanged(second)),
    ] {
        let asked = NewCrew { only_if: only_if.clone(), ..research(hash) };
        assert_eq!(f.store.publish(asked).await.unwrap(), expected, "{only_if:?} {hash}");
    }
    // Of another tenant nothing is known, nor is anything of it taken.
    let theirs = NewCrew { tenant: TenantId::new("other"), only_if: OnlyIf::New, ..research("a") };
    assert_eq!(f.store.publish(theirs).await.unwrap(), Published::Created(first));
}

pub(crate) async fn who_publishes_over_the_api_is_written_down_and_bounded(make: Make) {
    let f = Fixture::new(make, |_| {});
    let by = Some(Actor::Key(KeyId::parse("0123abcd").unwrap()));
    for hash in ["a", "a"] {
        f.store.publish(NewCrew { by, ..research(hash) }).await.unwrap();
    }
    f.store.publish(research("b")).await.unwrap();
    let acts = f.store.audited(0, 10).await.unwrap();
    let acts: Vec<_> = acts.iter().map(|row| (row.act.deed.as_str(), row.act.subject.as_str())).collect();
    assert_eq!(
        acts,
        [("crew.published", "research")],
        "what changed nothing, and the configuration, is no act"
    );

    let named = |n: usize| NewCrew { name: CrewName::new(format!("crew {n}")), by, ..research("a") };
    for n in 1..CREWS_MAX {
        f.store.publish(named(n)).await.unwrap();
    }
    assert_eq!(f.store.publish(named(CREWS_MAX)).await.unwrap(), Published::Full);
    // Known crews go on, and so does the configuration.
    assert_eq!(
        f.store.publish(NewCrew { by, ..research("c") }).await.unwrap(),
        Published::Created(CrewVersion(3))
    );
    let configured = NewCrew { by: None, ..named(CREWS_MAX) };
    assert_eq!(f.store.publish(configured).await.unwrap(), Published::Created(CrewVersion(1)));
}
