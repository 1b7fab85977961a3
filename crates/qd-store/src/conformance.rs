//! What every backend must do. A store behaviour is a case here first, then code in each backend.
//!
//! A backend joins with one `conformance_suite!` line. Cases get a [`Fixture`]: a store on a clock that they move.

mod accept;
mod access;
mod batches;
mod cache;
mod conversations;
mod crews;
mod dead;
mod human;
mod lease;
mod model;
mod outbox;
mod poison;
mod queries;
mod queue;
mod schedules;
mod spare;
mod spend;
mod stats;
mod time;

use std::sync::Arc;
use std::time::Duration;

use qd_env::{Env, ManualClock};
use qd_types::{
    Call, ChatReply, ConversationId, CrewName, CrewVersion, Entry, Input, JobId, LogItem, NanoDollars,
    Priority, Progress, Source, StepId, StopReason, TaskId, TenantId, Usage, WorkerId,
};

use crate::{
    Claimed, Enqueued, Fence, Finish, Idempotency, Leases, NewJob, Options, OtherBody, Outcome, Record, Room,
    Store, open,
};

/// A store, its clock, and a way to open it anew as after a restart.
pub(crate) struct Fixture {
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) env: Env,
    pub(crate) options: Options,
    _folder: tempfile::TempDir,
}

/// Makes options for a fresh store inside a folder.
pub(crate) type Make = fn(&std::path::Path) -> Options;

impl Fixture {
    pub(crate) fn new(make: Make, adjust: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(1_700_000_000_000));
        let env = Env::with(clock.clone(), 7);
        let mut options = make(folder.path());
        adjust(&mut options);
        let store = open(&options, &env).unwrap();
        Self { store, clock, env, options, _folder: folder }
    }

    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A plain job of the default tenant.
    pub(crate) fn job(&self) -> NewJob {
        new_job(&self.env)
    }

    pub(crate) async fn accept(&self, job: NewJob) -> JobId {
        match self.store.enqueue(job).await.unwrap() {
            Enqueued::Created(job) => job.id,
            other => panic!("not created: {other:?}"),
        }
    }

    pub(crate) async fn accept_plain(&self) -> JobId {
        self.accept(self.job()).await
    }

    pub(crate) async fn claim(&self, room: impl Into<Room>) -> Vec<Claimed> {
        self.store.claim(&worker(), room).await.unwrap()
    }

    pub(crate) async fn claim_one(&self) -> Claimed {
        let mut claimed = self.claim(1).await;
        assert_eq!(claimed.len(), 1, "one job is ready");
        claimed.remove(0)
    }

    pub(crate) async fn status(&self, id: JobId) -> qd_types::JobStatus {
        self.store.job(&TenantId::default(), id).await.unwrap().unwrap().status
    }
}

/// The same store opened anew, as after a restart. The file lock goes with the writer thread, which ends after the last
/// handle: tried until it is free.
pub(crate) async fn reopened(f: Fixture) -> Fixture {
    let Fixture { store, clock, env, options, _folder } = f;
    drop(store);
    let store = loop {
        match open(&options, &env) {
            Err(crate::Error::Locked { .. }) => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    Fixture { store, clock, env, options, _folder }
}

/// A plain job of the default tenant.
pub(crate) fn new_job(env: &Env) -> NewJob {
    NewJob {
        id: env.job_id(),
        tenant: TenantId::default(),
        crew: CrewName::new("research"),
        crew_version: CrewVersion(1),
        machine_version: 1,
        total_tasks: 2,
        input: Input::new(),
        priority: Priority::NORMAL,
        conversation: None,
        run_at: None,
        expires_at: None,
        timeout_seconds: 300,
        max_attempts: 5,
        metadata: std::collections::BTreeMap::new(),
        budget: None,
        webhook_url: None,
        hooks: None,
        redrive_of: None,
        idempotency: None,
    }
}

pub(crate) fn worker() -> WorkerId {
    WorkerId::new("worker-1")
}

pub(crate) fn in_conversation(mut job: NewJob, name: &str) -> NewJob {
    job.conversation = Some(ConversationId::new(name));
    job
}

pub(crate) fn keyed(mut job: NewJob, key: &str, body: u8, on_other_body: OtherBody) -> NewJob {
    let key = key.to_owned();
    job.idempotency = Some(Idempotency { scope: "jobs".into(), key, body_hash: [body; 32], on_other_body });
    job
}

pub(crate) fn model_entry(turn: u32) -> LogItem {
    let entry = Entry::Model {
        step: StepId::model(&TaskId::new("draft"), turn),
        reply: ChatReply {
            text: format!("answer {turn}"),
            tool_calls: Vec::new(),
            stop: StopReason::End,
            model: "sim".into(),
            response_id: None,
            blocks: None,
        },
        source: Source::Executed,
        usage: Usage { model_calls: 1, input_tokens: 10, output_tokens: 5, ..Usage::default() },
        cost: NanoDollars(1_000),
        call: Call { target: "sim".into(), number: 1, ..Call::default() },
    };
    LogItem::Entry { entry: Box::new(entry) }
}

pub(crate) fn record(claimed: &Claimed, items: Vec<LogItem>) -> Record {
    record_under(claimed.job.id, claimed.lease.fence, items)
}

pub(crate) fn record_under(job: JobId, fence: Fence, items: Vec<LogItem>) -> Record {
    Record {
        job,
        fence,
        items,
        progress: Progress { completed_tasks: 1, total_tasks: 2, current_task: None },
    }
}

pub(crate) fn finish(claimed: &Claimed, outcome: Outcome) -> Finish {
    finish_under(claimed.job.id, claimed.lease.fence, outcome)
}

pub(crate) fn finish_under(job: JobId, fence: Fence, outcome: Outcome) -> Finish {
    let progress = Progress { completed_tasks: 2, total_tasks: 2, current_task: None };
    Finish { job, fence, items: Vec::new(), progress, outcome, history: Vec::new(), doubt_settled: true }
}

pub(crate) fn lapsing(options: &mut Options) {
    options.leases = Leases::For(Duration::from_secs(30));
}

/// Runs every case against a backend: `conformance_suite!(memory, |folder| options)`.
macro_rules! conformance_suite {
    ($backend:ident, $make:expr) => {
        mod $backend {
            #[allow(unused_imports)]
            use $crate::{Durability, Options};

            const MAKE: $crate::conformance::Make = $make;
            super::cases! { MAKE;
                accept: accepted_job_is_queued_and_readable, same_key_and_body_give_the_same_job,
                    same_key_and_other_body_is_refused_or_replayed_as_asked, keys_of_other_scopes_and_tenants_are_apart, known_key_can_be_asked_for,
                    full_queue_refuses_and_does_not_burn_the_key, full_queue_takes_a_job_that_is_run_again, retries_are_never_refused_by_a_full_queue,
                    key_outlives_its_window_while_the_job_is_not_over, cancelled_job_is_over_and_never_claimed;
                queue: jobs_of_one_tenant_and_level_come_in_order_of_acceptance, levels_share_the_claims,
                    tenants_take_turns, noisy_neighbour_delays_a_quiet_tenant_by_one_claim_at_most,
                    tenant_over_its_quota_is_refused_and_others_are_not, running_jobs_of_a_tenant_are_bounded_and_others_pass,
                    jobs_that_stand_aside_are_counted_cancelled_and_outlive_a_restart, claim_takes_no_more_than_asked_and_no_job_twice;
                spare: spare_slots_are_for_tenants_of_which_fewer_run_than_are_left, slots_for_any_job_are_filled_first_and_by_turns,
                    tenants_without_anything_take_turns_at_spare_slots, spare_slots_pass_over_tenants_that_stand_aside_and_see_them_again,
                    spare_slots_keep_the_order_of_conversations_and_leave_suspects_alone, hint_comes_for_jobs_that_a_spare_slot_was_left_for_only,
                    no_hint_for_jobs_that_nobody_may_take_and_one_once_they_may;
                lease: record_and_finish_need_the_current_fence, lapsed_lease_is_rescued_and_the_old_worker_refused,
                    renewed_lease_does_not_lapse, cancel_revokes_the_lease, released_job_is_not_in_doubt, doubt_outlives_a_release_that_did_not_settle_it,
                    log_is_gapless_and_complete, spend_adds_up, finish_carries_the_last_entries;
                poison: job_that_crashes_its_worker_three_times_fails_alone, suspect_waits_until_nothing_else_runs_and_is_next,
                    progress_and_a_release_clear_a_suspicion, news_is_no_progress;
                time: scheduled_job_waits_for_its_time, retrying_job_comes_back_when_due, expired_job_fails_in_any_state,
                    old_jobs_are_pruned_in_bounded_rounds;
                human: waiting_job_holds_no_worker_and_tells_what_it_asks, approval_is_journaled_and_queues_the_job,
                    feedback_is_taken_until_none_is_left, the_same_answer_again_is_harmless_and_another_is_refused,
                    key_of_an_answer_is_known_again, a_job_that_does_not_wait_takes_no_answer,
                    reminders_are_sent_as_often_as_the_rules_say, nobody_is_waited_for_after_the_time,
                    a_job_goes_on_without_an_answer_where_the_rules_say_so, question_and_its_moments_outlive_the_process,
                    waiting_job_keeps_its_conversations_place, waiting_job_is_cancelled_and_expires_like_any_other,
                    endpoints_hear_of_questions_and_reminders;
                conversations: one_job_at_a_time_in_order_of_acceptance, retrying_job_keeps_its_place,
                    finished_job_adds_to_the_history, long_conversation_keeps_its_newest_messages, silent_conversation_is_forgotten,
                    conversation_tells_where_its_messages_come_from, forgotten_conversation_is_gone_and_starts_anew;
                queries: pages_are_newest_first_and_complete, large_jobs_make_small_pages, filters_select, tenants_see_their_own_jobs_only,
                    log_pages_after_a_place, every_field_round_trips;
                stats: queue_is_counted_by_priority_with_its_oldest, last_hour_is_summed_up, last_hour_of_each_crew_is_summed_up;
                crews: publishing_the_same_spec_makes_no_new_version, a_version_follows_only_the_one_that_is_expected,
                    who_publishes_over_the_api_is_written_down_and_bounded;
                dead: failed_jobs_are_grouped_by_their_cause, what_is_run_again_or_discarded_is_no_dead_letter_any_more,
                    only_what_is_owed_passes_the_bounds_of_the_queue, large_dead_letters_come_in_pieces;
                access: kept_key_is_listed_as_it_was_made, revoked_key_stays_revoked, replaced_key_ends_after_the_overlap,
                    keys_are_bounded_and_old_ones_make_room, every_change_is_written_down_and_chained,
                    audit_log_and_keys_outlive_the_process;
                cache: kept_result_is_there_until_its_time_is_up, results_of_tenants_are_apart, newer_result_replaces_the_older,
                    full_cache_lets_go_of_what_would_go_first, result_larger_than_the_room_is_not_kept;
                spend: slices_never_exceed_the_budget, recorded_spend_comes_off_the_slices_of_tenant_and_crew,
                    money_set_aside_before_midnight_is_charged_to_its_day, returned_slices_are_free_and_lost_money_is_spent,
                    what_a_dead_process_held_counts_as_spent, usage_is_summed_up_by_crew_and_day,
                    random_parallel_histories_stay_within_the_budget;
                outbox: no_job_ends_without_its_delivery, a_refused_finish_makes_no_delivery,
                    endpoints_hear_of_the_events_and_crews_that_they_ask_for, taken_deliveries_are_nobody_elses_until_they_are_settled,
                    lanes_do_not_wait_for_each_other, deliveries_come_in_order_of_their_time, resent_delivery_is_due_at_once_with_all_its_tries,
                    deliveries_are_listed_newest_first_and_by_what_they_are, endpoints_keep_what_is_known_of_them,
                    urls_of_a_job_hear_of_its_steps_with_the_place_in_its_log, an_answer_may_name_other_urls,
                    posted_delivery_needs_no_job, jobs_stay_as_long_as_a_delivery_needs_them;
                batches: batch_is_nobodys_business_until_it_is_accepted, batch_that_was_given_up_leaves_nothing,
                    inputs_become_jobs_in_order_and_no_more_at_once_than_asked, inputs_leave_room_in_the_queue_for_others,
                    batches_take_turns, batches_without_room_hide_none_behind_them, last_job_ends_the_batch_once_and_with_one_delivery_for_each_receiver,
                    every_way_in_which_a_job_ends_counts_in_its_batch,
                    cancelled_batch_starts_nothing_and_its_jobs_are_cancelled, same_key_gives_the_same_batch,
                    batch_without_anything_to_execute_is_not_accepted, results_come_in_order_page_by_page_and_by_status,
                    batches_of_tenants_are_apart_and_listed_newest_first, batch_goes_with_its_jobs_once_it_is_old,
                    no_history_loses_or_doubles_an_input;
                schedules: kept_schedule_is_read_and_listed_as_it_was_made, tick_makes_one_job_however_many_try,
                    changed_or_paused_schedule_is_not_ticked_as_it_was,
                    tick_without_room_changes_nothing_and_is_tried_again, ticks_that_are_left_out_are_counted_and_say_why;
                model: random_histories_agree_with_the_model;
            }
        }
    };
}

macro_rules! cases {
    ($make:expr; $($module:ident: $($case:ident),+;)+) => {$($(
        #[tokio::test]
        async fn $case() {
            crate::conformance::$module::$case($make).await;
        }
    )+)+};
}

use cases;
pub(crate) use queries::output;

conformance_suite!(memory, |_| Options { url: "memory:".into(), ..Options::default() });
conformance_suite!(sqlite, |folder| Options {
    url: format!("sqlite:{}", folder.join("store.db").display()),
    ..Options::default()
});
conformance_suite!(sqlite_relaxed, |folder| Options {
    url: format!("sqlite:{}", folder.join("store.db").display()),
    durability: Durability::Relaxed,
    ..Options::default()
});
