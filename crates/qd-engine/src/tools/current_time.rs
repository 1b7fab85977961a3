//! `current_time`: the date and time, in UTC or a named time zone.

use std::future::ready;

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::tz::TimeZone;
use qd_env::Env;
use qd_types::{Input, ToolSpec};
use serde_json::{Value, json};

use super::{Invocation, Tool, ToolFault};

/// See the module.
pub(super) struct CurrentTime {
    env: Env,
}

impl CurrentTime {
    pub(super) fn new(env: Env) -> Self {
        Self { env }
    }
}

impl Tool for CurrentTime {
    fn spec(&self) -> ToolSpec {
        ToolSpec {
            name: "current_time".into(),
            description:
                "Tells the current date and time. Use it whenever an answer depends on today's date.".into(),
            parameters: json!({
                "type": "object",
                "properties": {
                    "timezone": {"type": "string", "description": "IANA name such as Europe/Paris; UTC without it"}
                },
                "additionalProperties": false
            }),
        }
    }

    fn call<'a>(&'a self, invocation: Invocation<'a>) -> BoxFuture<'a, Result<String, ToolFault>> {
        ready(self.tell(invocation.arguments)).boxed()
    }
}

impl CurrentTime {
    fn tell(&self, arguments: &Input) -> Result<String, ToolFault> {
        let zone = match arguments.get("timezone").and_then(Value::as_str) {
            None | Some("" | "UTC" | "utc") => TimeZone::UTC,
            Some(name) => TimeZone::get(name).map_err(|_| {
                ToolFault::Told(format!(
                    "time zone `{name}` is not known; give an IANA name such as Europe/Paris, or none for UTC"
                ))
            })?,
        };
        let now = jiff::Timestamp::from_millisecond(self.env.now().0).unwrap_or_default().to_zoned(zone);
        Ok(now.strftime("%A, %Y-%m-%d %H:%M:%S %Z (UTC%:z)").to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use qd_env::{Env, ManualClock};
    use qd_types::Input;
    use serde_json::json;

    use super::CurrentTime;

    #[test]
    fn time_is_told_in_utc_unless_a_zone_is_named() {
        let tool = CurrentTime::new(Env::with(Arc::new(ManualClock::at(1_700_000_000_000)), 1));
        assert_eq!(tool.tell(&Input::new()).unwrap(), "Tuesday, 2023-11-14 22:13:20 UTC (UTC+00:00)");
        let zone = |name: &str| tool.tell(json!({ "timezone": name }).as_object().unwrap());
        assert_eq!(zone("utc").unwrap(), tool.tell(&Input::new()).unwrap());
        assert!(zone("Mars/Olympus").unwrap_err().to_string().contains("`Mars/Olympus` is not known"));
    }
}
