//! Money: slices of budgets, and what was spent by day. Spent and reserved together never exceed a budget (G6).

use std::sync::Arc;

use qd_env::Rng;
use qd_types::{
    Billed, Call, Class, Code, CrewName, Day, Entry, Failure, LogItem, NanoDollars, Reserved, StepId, TaskId,
    TenantId, Usage,
};

use super::{Fixture, Make, finish, model_entry, record};
use crate::{Claimed, Outcome, ScopeSpend, SliceAsk, SliceReturn, SpendScope, Store, UsageQuery, open};

fn scope(f: &Fixture, crew: Option<&str>) -> SpendScope {
    SpendScope { tenant: TenantId::default(), crew: crew.map(CrewName::new), day: f.env.now().day() }
}

fn ask(scope: &SpendScope, wanted: i64, budget: i64) -> SliceAsk {
    SliceAsk { scope: scope.clone(), wanted: NanoDollars(wanted), budget: NanoDollars(budget) }
}

fn stands(spent: i64, reserved: i64) -> ScopeSpend {
    ScopeSpend { spent: NanoDollars(spent), reserved: NanoDollars(reserved) }
}

/// An answered call that cost this much, out of money set aside on a day.
fn paid(turn: u32, cost: i64, day: Day) -> LogItem {
    let LogItem::Entry { mut entry } = model_entry(turn) else { unreachable!("an entry") };
    if let Entry::Model { cost: costs, call, .. } = &mut *entry {
        *costs = NanoDollars(cost);
        call.reserved = Some(Reserved { amount: NanoDollars(cost * 2), day });
    }
    LogItem::Entry { entry }
}

/// A call that failed, for which this much was set aside.
fn failed(billed: Billed, amount: i64, day: Day) -> LogItem {
    let entry = Entry::CallFailed {
        step: StepId::model(&TaskId::new("draft"), 1),
        failure: Failure::new(Code::ModelTimeout, Class::Transient, "slow"),
        billed,
        call: Call { reserved: Some(Reserved { amount: NanoDollars(amount), day }), ..Call::default() },
    };
    LogItem::Entry { entry: Box::new(entry) }
}

async fn claimed(f: &Fixture) -> Claimed {
    f.accept_plain().await;
    f.claim_one().await
}

pub(crate) async fn slices_never_exceed_the_budget(make: Make) {
    let f = Fixture::new(make, |_| {});
    let tenant = scope(&f, None);
    for (wanted, granted, reserved) in [(40, 40, 40), (50, 50, 90), (50, 10, 100), (1, 0, 100)] {
        let slice = f.store.lease_slice(ask(&tenant, wanted, 100)).await.unwrap();
        assert_eq!((slice.granted, slice.after), (NanoDollars(granted), stands(0, reserved)));
    }
    assert_eq!(f.store.scope_spend(tenant.clone()).await.unwrap(), stands(0, 100));
    let lowered = f.store.lease_slice(ask(&tenant, 10, 60)).await.unwrap();
    assert_eq!(lowered.granted, NanoDollars(0), "a budget that was lowered grants nothing");
    let raised = f.store.lease_slice(ask(&tenant, 10, 105)).await.unwrap();
    assert_eq!(raised.granted, NanoDollars(5));
    let other = f.store.lease_slice(ask(&scope(&f, Some("research")), 7, 100)).await.unwrap();
    assert_eq!(other.after, stands(0, 7), "each scope has money of its own");
    f.advance(24 * 3600);
    assert_eq!(f.store.scope_spend(scope(&f, None)).await.unwrap(), stands(0, 0), "and each day");
}

pub(crate) async fn recorded_spend_comes_off_the_slices_of_tenant_and_crew(make: Make) {
    let f = Fixture::new(make, |_| {});
    let (tenant, crew, other) = (scope(&f, None), scope(&f, Some("research")), scope(&f, Some("other")));
    for of in [&tenant, &crew, &other] {
        f.store.lease_slice(ask(of, 10_000, 100_000)).await.unwrap();
    }
    let job = claimed(&f).await;
    let day = tenant.day;
    f.store
        .record(record(&job, vec![paid(1, 1_000, day), failed(Billed::No, 500, day)]))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(f.store.scope_spend(tenant.clone()).await.unwrap(), stands(1_000, 9_000));
    let mut end = finish(&job, Outcome::Succeeded(super::output()));
    end.items = vec![failed(Billed::Possibly, 300, day), failed(Billed::Yes, 200, day), paid(2, 4_000, day)];
    f.store.finish(end).await.unwrap().unwrap();
    for (of, expected) in [(tenant, (5_500, 4_500)), (crew, (5_500, 4_500)), (other, (0, 10_000))] {
        let found = f.store.scope_spend(of.clone()).await.unwrap();
        assert_eq!(found, stands(expected.0, expected.1), "{of:?}");
    }
    let stored = f.store.job(&TenantId::default(), job.job.id).await.unwrap().unwrap();
    assert_eq!(stored.cost, NanoDollars(5_000), "the job's sum holds what is known");
}

pub(crate) async fn money_set_aside_before_midnight_is_charged_to_its_day(make: Make) {
    let f = Fixture::new(make, |_| {});
    let before = scope(&f, None);
    f.store.lease_slice(ask(&before, 1_000, 1_000)).await.unwrap();
    let job = claimed(&f).await;
    f.advance(24 * 3600);
    f.store.record(record(&job, vec![paid(1, 700, before.day), model_entry(2)])).await.unwrap().unwrap();
    assert_eq!(f.store.scope_spend(before).await.unwrap(), stands(700, 300));
    let today = f.store.scope_spend(scope(&f, None)).await.unwrap();
    assert_eq!(today, stands(1_000, 0), "without a budget the day of the record counts");
}

pub(crate) async fn returned_slices_are_free_and_lost_money_is_spent(make: Make) {
    let f = Fixture::new(make, |_| {});
    let tenant = scope(&f, None);
    let slice = f.store.lease_slice(ask(&tenant, 100, 100)).await.unwrap();
    let back = |incarnation, unspent, lost| SliceReturn {
        scope: tenant.clone(),
        incarnation,
        unspent: NanoDollars(unspent),
        lost: NanoDollars(lost),
    };
    let stale = crate::Incarnation(slice.incarnation.0.wrapping_add(1));
    f.store.return_slices(vec![back(stale, 50, 0)]).await.unwrap();
    assert_eq!(f.store.scope_spend(tenant.clone()).await.unwrap(), stands(0, 100), "of another life");
    f.store.return_slices(vec![back(slice.incarnation, 60, 10)]).await.unwrap();
    assert_eq!(f.store.scope_spend(tenant.clone()).await.unwrap(), stands(10, 30));
    f.store.return_slices(vec![back(slice.incarnation, -5, 0)]).await.unwrap();
    assert_eq!(
        f.store.scope_spend(tenant.clone()).await.unwrap(),
        stands(10, 30),
        "nothing is made of nothing"
    );
}

pub(crate) async fn what_a_dead_process_held_counts_as_spent(make: Make) {
    let f = Fixture::new(make, |_| {});
    if f.options.url.starts_with("memory") {
        return;
    }
    let tenant = scope(&f, None);
    f.store.lease_slice(ask(&tenant, 80, 100)).await.unwrap();
    let job = claimed(&f).await;
    f.store.record(record(&job, vec![paid(1, 30, tenant.day)])).await.unwrap().unwrap();
    let Fixture { store, env, options, _folder, .. } = f;
    drop(store);
    let store = reopened(&options, &env).await;
    assert_eq!(store.scope_spend(tenant.clone()).await.unwrap(), stands(80, 0));
    let slice = store.lease_slice(ask(&tenant, 80, 100)).await.unwrap();
    assert_eq!(slice.granted, NanoDollars(20));
}

async fn reopened(options: &crate::Options, env: &qd_env::Env) -> Store {
    loop {
        match open(options, env) {
            Ok(store) => return store,
            // The writer thread of the one before is about to let go of the file.
            Err(crate::Error::Locked { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

pub(crate) async fn usage_is_summed_up_by_crew_and_day(make: Make) {
    let f = Fixture::new(make, |_| {});
    let first = f.env.now().day();
    for day in 0..3 {
        for crew in ["research", "support"] {
            let mut new = f.job();
            new.crew = CrewName::new(crew);
            f.accept(new).await;
            let job = f.claim_one().await;
            let items = vec![model_entry(1), model_entry(2), failed(Billed::Possibly, 50, f.env.now().day())];
            f.store.record(record(&job, items)).await.unwrap().unwrap();
            f.store.finish(finish(&job, Outcome::Succeeded(super::output()))).await.unwrap().unwrap();
        }
        if day < 2 {
            f.advance(24 * 3600);
        }
    }
    let all = UsageQuery { crew: None, from: first, to: Day(first.0 + 9), limit: 100 };
    let tenant = TenantId::default();
    let found = f.store.usage(&tenant, all.clone()).await.unwrap();
    let keys: Vec<_> = found.iter().map(|row| (row.day.0 - first.0, row.crew.as_str())).collect();
    let expected =
        [(2, "research"), (2, "support"), (1, "research"), (1, "support"), (0, "research"), (0, "support")];
    assert_eq!(keys, expected);
    let usage = Usage { model_calls: 2, input_tokens: 20, output_tokens: 10, ..Usage::default() };
    for row in &found {
        assert_eq!((row.usage, row.cost, row.possible), (usage, NanoDollars(2_000), NanoDollars(50)));
    }
    let one = UsageQuery {
        crew: Some(CrewName::new("support")),
        from: Day(first.0 + 1),
        to: Day(first.0 + 1),
        ..all.clone()
    };
    assert_eq!(f.store.usage(&tenant, one).await.unwrap().len(), 1);
    assert_eq!(f.store.usage(&tenant, UsageQuery { limit: 4, ..all.clone() }).await.unwrap().len(), 4);
    assert!(f.store.usage(&TenantId::new("other"), all.clone()).await.unwrap().is_empty());
    f.advance(402 * 24 * 3600);
    f.store.tick(10).await.unwrap();
    assert!(f.store.usage(&tenant, all).await.unwrap().is_empty(), "more than a year later it is forgotten");
}

/// Workers take slices, spend from them, lose some and give some back, all at once; somebody watches.
pub(crate) async fn random_parallel_histories_stay_within_the_budget(make: Make) {
    const BUDGET: i64 = 1_000_000;
    for seed in 0..4 {
        let f = Arc::new(Fixture::new(make, |_| {}));
        let of = scope(&f, None);
        let spend = |seed: u64| {
            let (f, of) = (Arc::clone(&f), of.clone());
            let env = f.env.clone();
            env.spawn(async move {
                let mut rng = Rng::labelled(seed, "spender");
                f.accept_plain().await;
                let job = f.claim_one().await;
                let (mut held, mut spent) = (0, 0);
                for turn in 0..60 {
                    let wanted = 1 + (rng.u64() % 20_000).cast_signed();
                    let slice = f.store.lease_slice(ask(&of, wanted, BUDGET)).await.unwrap();
                    assert!(slice.after.spent + slice.after.reserved <= NanoDollars(BUDGET));
                    held += slice.granted.0;
                    let amount = (rng.u64() % (held.unsigned_abs() + 1)).cast_signed();
                    match rng.u64() % 4 {
                        0 => {
                            let left = SliceReturn {
                                scope: of.clone(),
                                incarnation: slice.incarnation,
                                unspent: NanoDollars(amount),
                                lost: NanoDollars(held - amount),
                            };
                            f.store.return_slices(vec![left]).await.unwrap();
                            spent += held - amount;
                            held = 0;
                        }
                        1 => {
                            let item = failed(Billed::Possibly, amount, of.day);
                            f.store.record(record(&job, vec![item])).await.unwrap().unwrap();
                            (held, spent) = (held - amount, spent + amount);
                        }
                        _ => {
                            f.store
                                .record(record(&job, vec![paid(turn, amount, of.day)]))
                                .await
                                .unwrap()
                                .unwrap();
                            (held, spent) = (held - amount, spent + amount);
                        }
                    }
                }
                (held, spent)
            })
        };
        let spenders: Vec<_> = (0..8).map(|n| spend(seed * 100 + n)).collect();
        let all_done = futures::future::join_all(spenders);
        tokio::pin!(all_done);
        let mut looks = 0;
        let sums = loop {
            let now = f.store.scope_spend(of.clone()).await.unwrap();
            assert!(now.spent + now.reserved <= NanoDollars(BUDGET), "{now:?}");
            looks += 1;
            tokio::select! {
                biased;
                sums = &mut all_done => break sums,
                () = tokio::task::yield_now() => {}
            }
        };
        let (held, spent) = sums.into_iter().map(Result::unwrap).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
        assert_eq!(f.store.scope_spend(of.clone()).await.unwrap(), stands(spent, held), "{looks} looks");
        assert!(spent > BUDGET / 2, "the budget was under pressure: {spent}");
    }
}
