//! What a crew may refer to: names of models and tools. Built by the binary, read by whoever validates a crew.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::{TenantId, ToolSpec};

/// What a crew writes instead of a model whose choice it leaves to the configuration's rules.
pub const AUTO_MODEL: &str = "auto";

/// Models and tools by name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    /// What an agent without `llm` uses.
    pub default_model: Option<String>,
    /// Names under `[models]`.
    pub model_aliases: BTreeSet<String>,
    /// Providers that take `provider/model`.
    pub providers: BTreeSet<String>,
    /// Tools by name.
    pub tools: BTreeMap<String, ToolSpec>,
    /// Tools that only crews of these tenants may name when they are published over the API. All may name the others.
    pub tenants_of_tools: BTreeMap<String, BTreeSet<TenantId>>,
}

impl Catalog {
    /// What a crew may refer to that a tenant publishes.
    #[must_use]
    pub fn seen_by(&self, tenant: &TenantId) -> Cow<'_, Self> {
        let is_kept =
            |tool: &String| self.tenants_of_tools.get(tool).is_some_and(|tenants| !tenants.contains(tenant));
        if !self.tools.keys().any(is_kept) {
            return Cow::Borrowed(self);
        }
        let mut seen = self.clone();
        seen.tools.retain(|name, _| !is_kept(name));
        Cow::Owned(seen)
    }

    /// Whether `llm: name` can be resolved: an alias, or `provider/model` of a known provider.
    #[must_use]
    pub fn knows_model(&self, name: &str) -> bool {
        self.model_aliases.contains(name)
            || name
                .split_once('/')
                .is_some_and(|(provider, model)| !model.is_empty() && self.providers.contains(provider))
    }

    /// Names for a suggestion: aliases, then `provider/…`.
    pub fn model_names(&self) -> impl Iterator<Item = String> {
        self.model_aliases.iter().cloned().chain(self.providers.iter().map(|p| format!("{p}/…")))
    }
}
