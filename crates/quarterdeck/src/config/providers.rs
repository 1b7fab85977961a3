//! Providers: those that the usual variables name, and what known names imply.

use qd_llm::ProviderKind;
use serde_json::{Value, json};

use super::layers::{Origin, Tree};
use super::variables::Variables;

/// Without providers in the file, they appear from the usual variables; the first gives the default model.
pub(super) fn from_variables(tree: &mut Tree, variables: &Variables) {
    for preset in qd_llm::presets(&|name| variables.get(name).cloned()) {
        let origin = origin_of(&preset.name, variables);
        let path = format!("providers.{}", preset.name);
        let provider = json!({"kind": kind_word(preset.kind), "base_url": preset.base_url});
        tree.set(&path, provider, &origin);
        if let Some(model) = &preset.default_model
            && tree.get("default_model").is_none()
        {
            tree.set("default_model", Value::String(format!("{}/{model}", preset.name)), &origin);
        }
    }
}

/// Which variable makes a provider appear: the one that does so alone.
fn origin_of(provider: &str, variables: &Variables) -> Origin {
    let alone = |name: &str, value: &str| {
        qd_llm::presets(&|wished| (wished == name).then(|| value.to_owned()))
            .iter()
            .any(|preset| preset.name == provider)
    };
    let name = variables.iter().find(|(name, value)| alone(name, value)).map(|(name, _)| name);
    variables.origin(name.map_or("of the provider", String::as_str))
}

/// The simulator needs no table: naming one of its models is enough.
pub(super) fn implied(tree: &mut Tree) {
    let wished =
        tree.get("default_model").and_then(Value::as_str).is_some_and(|name| name.starts_with("sim/"));
    let is_alias = tree
        .get("default_model")
        .and_then(Value::as_str)
        .is_some_and(|name| tree.values.get("models").and_then(|models| models.get(name)).is_some());
    if wished && !is_alias && tree.get("providers.sim").is_none() {
        let origin = tree.origin("default_model");
        tree.set("providers.sim", json!({"kind": "sim"}), &origin);
    }
}

/// Keys of those providers. They never enter the tree, which is shown to people.
pub(super) fn keys_from_variables(models: &mut qd_llm::Options, tree: &Tree, variables: &Variables) {
    for preset in qd_llm::presets(&|name| variables.get(name).cloned()) {
        let origin = tree.origin(&format!("providers.{}", preset.name));
        let from_variable = matches!(origin, Origin::Variable(_) | Origin::Dotenv { .. });
        if let Some(provider) = models.providers.get_mut(&preset.name).filter(|_| from_variable) {
            provider.api_key = provider.api_key.take().or(preset.api_key);
        }
    }
}

/// Fills in what a known provider's name implies.
pub(super) fn complete(tree: &mut Tree) {
    let Some(Value::Object(providers)) = tree.values.get_mut("providers") else { return };
    for (name, provider) in providers.iter_mut() {
        let (Some(provider), Some((kind, base_url))) =
            (provider.as_object_mut(), qd_llm::known_provider(name))
        else {
            continue;
        };
        provider.entry("kind").or_insert_with(|| kind_word(kind).into());
        if let Some(url) = base_url {
            provider.entry("base_url").or_insert_with(|| url.into());
        }
    }
}

fn kind_word(kind: ProviderKind) -> &'static str {
    match kind {
        ProviderKind::Anthropic => "anthropic",
        ProviderKind::Openai => "openai",
        ProviderKind::Sim => "sim",
    }
}
