//! What can be set about routing: which model is asked where a crew says `llm: auto`.

use std::collections::BTreeSet;

use qd_types::AUTO_MODEL;
use serde::Deserialize;

use super::{Options, Problem};
use crate::routing;

/// Rules that are gone through for a call.
const RULES_MAX: usize = 64;
/// Bytes of a condition.
const CONDITION_BYTES_MAX: usize = 1_000;

/// The models behind `auto`, and the rules that choose one of them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RoutingOptions {
    /// For what is short and simple, while there are no `rules`.
    pub small: Option<String>,
    /// For everything else, and what a route's savings are told against; the default model without.
    pub standard: Option<String>,
    /// The first one that applies says which model; without, the two built-in ones.
    pub rules: Vec<RouteRule>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    /// Steps are shown with it.
    pub name: String,
    /// A minijinja expression; always true without.
    #[serde(default)]
    pub when: Option<String>,
    /// The model to ask: an alias or `provider/model`.
    pub model: String,
    /// Bound of an answer, where the request has none.
    #[serde(default)]
    pub max_tokens: Option<u32>,
}

impl RoutingOptions {
    /// The model that is asked when no rule applies.
    pub(crate) fn standard<'a>(&'a self, options: &'a Options) -> Option<&'a str> {
        let default = options.default_model.as_deref().filter(|name| *name != AUTO_MODEL);
        self.standard.as_deref().or(default)
    }

    pub(super) fn check(&self, options: &Options, problems: &mut Vec<Problem>) {
        let mut problem = |path: &str, message: String| {
            problems.push(Problem::new(format!("routing.{path}"), message));
        };
        let unknown = |name: &str| options.resolve(name).is_none();
        if options.models.contains_key(AUTO_MODEL) {
            let message = "cannot stand beside an alias `auto` under `[models]`: crews mean this with it";
            problems.push(Problem::new("routing", message));
            return;
        }
        match self.standard(options) {
            None => problem("standard", "is missing, and there is no `default_model` instead".to_owned()),
            Some(name) if unknown(name) => problem("standard", format!("there is no model `{name}`")),
            Some(_) => {}
        }
        match &self.small {
            Some(_) if !self.rules.is_empty() => {
                problem("small", "is for the built-in rules; name the model in `rules`".to_owned());
            }
            Some(name) if unknown(name) => problem("small", format!("there is no model `{name}`")),
            None if self.rules.is_empty() => problem("small", "is missing; or set `rules`".to_owned()),
            _ => {}
        }
        if self.rules.len() > RULES_MAX {
            problem("rules", format!("has more than {RULES_MAX}: each call goes through them"));
        }
        let mut names = BTreeSet::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let mut problem = |field: &str, message| problem(&format!("rules[{index}].{field}"), message);
            if rule.name.trim().is_empty() || rule.name.len() > 64 {
                problem("name", "must have 1 to 64 bytes".to_owned());
            } else if !names.insert(&rule.name) {
                problem("name", format!("there is another rule `{}`", rule.name));
            }
            if unknown(&rule.model) {
                problem("model", format!("there is no model `{}`", rule.model));
            }
            if rule.max_tokens == Some(0) {
                problem("max_tokens", "must be at least 1".to_owned());
            }
            if let Some(when) = &rule.when {
                if when.len() > CONDITION_BYTES_MAX {
                    problem("when", format!("is longer than {CONDITION_BYTES_MAX} bytes"));
                } else if let Err(message) = routing::check_condition(when) {
                    problem("when", message);
                }
            }
        }
    }
}
