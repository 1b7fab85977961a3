//! `human_input` of a task: a flag as CrewAI has it, or a mapping with rules of our own.

use std::ops::RangeInclusive;

use qd_types::OnExpiry;

use crate::diagnostic::{Report, quote};
use crate::spec::HumanInputSpec;
use crate::tree::Value;

use super::fields::Fields;
use super::keys;

/// Longest wait for a reminder: 30 days.
pub(super) const REMINDER_SECONDS_MAX: i64 = 2_592_000;
/// Most reminders.
pub(super) const REMINDERS_MAX: i64 = 100;
/// Longest wait for an answer: a year.
pub(super) const EXPIRES_SECONDS_MAX: i64 = 31_536_000;
/// Most rounds of feedback.
pub(super) const ROUNDS_MAX: i64 = 100;

/// Reads it; `None` if nobody is asked.
pub(super) fn read(fields: &Fields<'_>, report: &mut Report) -> Option<HumanInputSpec> {
    let node = fields.present("human_input")?;
    if let Value::Map(_) = &node.value {
        let own = Fields::of(&format!("`human_input` of {}", fields.what), node);
        keys::check(&own, keys::HUMAN_INPUT, report);
        let mut whole = |key, range: RangeInclusive<i64>| {
            own.whole(key, range, report).and_then(|number| u32::try_from(number).ok())
        };
        return Some(HumanInputSpec {
            reminder_seconds: whole("reminder_seconds", 0..=REMINDER_SECONDS_MAX),
            reminders: whole("reminders", 0..=REMINDERS_MAX),
            expires_seconds: whole("expires_seconds", 0..=EXPIRES_SECONDS_MAX),
            max_rounds: whole("max_rounds", 0..=ROUNDS_MAX),
            on_expiry: on_expiry(&own, report),
        });
    }
    let Some(is_asked) = node.value.as_flag() else {
        let message = format!(
            "`human_input` of {} must be `true`, `false` or a mapping, found {}",
            fields.what,
            node.value.kind()
        );
        report.error_hint(node.at, message, Some("write `human_input: {expires_seconds: 86400}`".to_owned()));
        return None;
    };
    is_asked.then(HumanInputSpec::default)
}

fn on_expiry(own: &Fields<'_>, report: &mut Report) -> Option<OnExpiry> {
    let (word, at) = own.text("on_expiry", report)?;
    let known = OnExpiry::parse(word);
    if known.is_none() {
        let message =
            format!("`on_expiry` of {} must be `fail` or `approve`, found {}", own.what, quote(word));
        report.error(at, message);
    }
    known
}
