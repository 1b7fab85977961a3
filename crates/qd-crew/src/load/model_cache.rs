//! `model_cache` of a crew, an agent or a task. CrewAI's own `cache` is another thing: it keeps results of tools.

use crate::diagnostic::Report;
use crate::spec::ModelCacheSpec;
use crate::tree::Value;

use super::fields::Fields;
use super::keys;

/// Seconds that an answer may be kept: a year.
pub(super) const TTL_SECONDS_MAX: i64 = 31_536_000;
/// Seconds that an answer is kept where nothing says for how long: a day.
const TTL_SECONDS: u32 = 86_400;

/// Reads it; `None` if nothing is said.
pub(super) fn read(fields: &Fields<'_>, report: &mut Report) -> Option<ModelCacheSpec> {
    let node = fields.present("model_cache")?;
    if let Value::Map(_) = &node.value {
        let own = Fields::of(&format!("`model_cache` of {}", fields.what), node);
        keys::check(&own, keys::MODEL_CACHE, report);
        let ttl = own.whole("ttl_seconds", 1..=TTL_SECONDS_MAX, report);
        let ttl_seconds = ttl.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(TTL_SECONDS);
        return Some(ModelCacheSpec { ttl_seconds });
    }
    let Some(is_on) = node.value.as_flag() else {
        let message = format!(
            "`model_cache` of {} must be `true`, `false` or a mapping, found {}",
            fields.what,
            node.value.kind()
        );
        report.error_hint(node.at, message, Some("write `model_cache: {ttl_seconds: 3600}`".to_owned()));
        return None;
    };
    Some(ModelCacheSpec { ttl_seconds: if is_on { TTL_SECONDS } else { 0 } })
}
