//! Tools that are HTTP requests: the settings, checked, as the engine wants them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use qd_egress::{Bounds, Guard, InvalidOptions};
use qd_engine::{DescribedTool, HttpTool, HttpToolOptions, InvalidTool, ResultMap, ToolEffect};
use qd_types::TenantId;
use serde::Deserialize;
use serde_json::Value;

use super::Settings;
use super::secrets::Hidden;

/// Connecting takes no longer, whatever a call may take.
const CONNECT: Duration = Duration::from_secs(5);

/// A tool.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tool {
    description: String,
    #[serde(default = "get")]
    method: String,
    url: String,
    #[serde(default)]
    parameters: Value,
    #[serde(default)]
    headers: BTreeMap<String, Hidden>,
    #[serde(default)]
    bearer: Option<Hidden>,
    #[serde(default)]
    result: ResultMap,
    #[serde(default = "twenty")]
    timeout_seconds: u64,
    #[serde(default)]
    effect: ToolEffect,
    #[serde(default)]
    tenants: Option<Vec<String>>,
}

fn get() -> String {
    "GET".to_owned()
}

fn twenty() -> u64 {
    20
}

impl Tool {
    fn build(&self, name: &str, bounds: &Bounds) -> Result<DescribedTool, InvalidTool> {
        let mut headers: BTreeMap<String, String> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
        if let Some(token) = &self.bearer {
            let known = headers.insert("authorization".to_owned(), format!("Bearer {}", token.expose()));
            if known.is_some() || self.headers.keys().any(|name| name.eq_ignore_ascii_case("authorization")) {
                let reason = "is also given by `headers`; leave one of them out".to_owned();
                return Err(InvalidTool { field: "bearer", reason });
            }
        }
        let options = HttpToolOptions {
            name: name.to_owned(),
            description: self.description.clone(),
            parameters: self.parameters.clone(),
            method: self.method.clone(),
            url: self.url.clone(),
            headers,
            result: self.result.clone(),
            timeout: Duration::from_secs(self.timeout_seconds),
            effect: self.effect,
        };
        DescribedTool::new(options, bounds)
    }
}

/// What is wrong, by setting.
pub(super) fn problems(s: &Settings) -> Vec<(String, String)> {
    // What is wrong with [egress] is told there.
    let Ok(bounds) = Bounds::new(&s.egress.options()) else { return Vec::new() };
    let mut found = Vec::new();
    for (name, tool) in &s.tools {
        if qd_engine::is_built_in(name) {
            found.push((format!("tools.{name}"), "is the name of a built-in tool; take another".to_owned()));
        }
        if let Err(InvalidTool { field, reason }) = tool.build(name, &bounds) {
            let path =
                if field == "name" { format!("tools.{name}") } else { format!("tools.{name}.{field}") };
            found.push((path, reason));
        }
        let named = tool.tenants.iter().flatten().filter(|tenant| *tenant != "*");
        for wrong in named.filter_map(|tenant| TenantId::parse(tenant).err()) {
            found.push((format!("tools.{name}.tenants"), wrong.to_string()));
        }
    }
    found
}

impl Settings {
    /// The tools that are described. Validation has told what is wrong with any.
    pub(crate) fn described_tools(&self) -> Vec<DescribedTool> {
        let Ok(bounds) = Bounds::new(&self.egress.options()) else { return Vec::new() };
        self.tools.iter().filter_map(|(name, tool)| tool.build(name, &bounds).ok()).collect()
    }

    /// The same, ready to be used.
    ///
    /// # Errors
    /// If there can be no client.
    pub(crate) fn http_tools(&self) -> Result<Vec<Arc<HttpTool>>, InvalidOptions> {
        if self.tools.is_empty() {
            return Ok(Vec::new());
        }
        let guard = Guard::new(&self.egress.options(), CONNECT)?;
        let ready = |about| Arc::new(HttpTool::new(about, guard.clone()));
        Ok(self.described_tools().into_iter().map(ready).collect())
    }

    /// Tools that only crews of some tenants may be published with, and which tenants. None: all.
    pub(crate) fn tenants_of_tools(&self) -> BTreeMap<String, BTreeSet<TenantId>> {
        let of = |(name, tool): (&String, &Tool)| {
            let tenants = tool.tenants.clone().unwrap_or_else(|| vec![TenantId::default().to_string()]);
            let all = tenants.iter().any(|tenant| tenant == "*");
            (!all).then(|| (name.clone(), tenants.iter().map(TenantId::new).collect()))
        };
        self.tools.iter().filter_map(of).collect()
    }
}
