//! Providers that people already have variables for. Pure: the binary passes the look-up.

use crate::{ProviderKind, Secret};

/// A provider that the environment knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    /// Its name, as in `name/model`.
    pub name: String,
    /// Its protocol.
    pub kind: ProviderKind,
    /// Where it is.
    pub base_url: String,
    /// Its key, if it needs one.
    pub api_key: Option<Secret>,
    /// A model of it for agents that name none; absent where only the server knows its models.
    pub default_model: Option<String>,
}

/// Kind and address of a provider known by its name; none for `sim`, which needs no address.
///
/// The names are `anthropic`, `openai`, `groq`, `gemini`, `openrouter`, `mistral`, `deepseek`, `ollama` and `sim`.
#[must_use]
pub fn known_provider(name: &str) -> Option<(ProviderKind, Option<&'static str>)> {
    if name == "sim" {
        return Some((ProviderKind::Sim, None));
    }
    KNOWN.iter().find(|known| known.name == name).map(|known| (known.kind, Some(known.base_url)))
}

struct Known {
    name: &'static str,
    kind: ProviderKind,
    base_url: &'static str,
    /// Variables that hold its key, first one first.
    keys: &'static [&'static str],
    /// Variables that hold another address.
    urls: &'static [&'static str],
    /// Variables that name the model to use.
    models: &'static [&'static str],
    default_model: Option<&'static str>,
}

/// In order of precedence: the first one found gives the default model.
const KNOWN: &[Known] = &[
    Known {
        name: "anthropic",
        kind: ProviderKind::Anthropic,
        base_url: "https://api.anthropic.com",
        keys: &["ANTHROPIC_API_KEY"],
        urls: &["ANTHROPIC_BASE_URL", "ANTHROPIC_API_BASE"],
        models: &["ANTHROPIC_MODEL"],
        default_model: Some("claude-sonnet-4-5"),
    },
    Known {
        name: "openai",
        kind: ProviderKind::Openai,
        base_url: "https://api.openai.com/v1",
        keys: &["OPENAI_API_KEY"],
        urls: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
        models: &["OPENAI_MODEL", "OPENAI_MODEL_NAME", "MODEL"],
        default_model: Some("gpt-4.1-mini"),
    },
    Known {
        name: "groq",
        kind: ProviderKind::Openai,
        base_url: "https://api.groq.com/openai/v1",
        keys: &["GROQ_API_KEY"],
        urls: &[],
        models: &["GROQ_MODEL"],
        default_model: Some("llama-3.3-70b-versatile"),
    },
    Known {
        name: "gemini",
        kind: ProviderKind::Openai,
        base_url: "https://generativelanguage.googleapis.com/v1beta/openai",
        keys: &["GEMINI_API_KEY", "GOOGLE_API_KEY"],
        urls: &[],
        models: &["GEMINI_MODEL"],
        default_model: Some("gemini-2.5-flash"),
    },
    Known {
        name: "openrouter",
        kind: ProviderKind::Openai,
        base_url: "https://openrouter.ai/api/v1",
        keys: &["OPENROUTER_API_KEY"],
        urls: &[],
        models: &["OPENROUTER_MODEL"],
        default_model: Some("openrouter/auto"),
    },
    Known {
        name: "mistral",
        kind: ProviderKind::Openai,
        base_url: "https://api.mistral.ai/v1",
        keys: &["MISTRAL_API_KEY"],
        urls: &[],
        models: &["MISTRAL_MODEL"],
        default_model: Some("mistral-small-latest"),
    },
    Known {
        name: "deepseek",
        kind: ProviderKind::Openai,
        base_url: "https://api.deepseek.com/v1",
        keys: &["DEEPSEEK_API_KEY"],
        urls: &[],
        models: &["DEEPSEEK_MODEL"],
        default_model: Some("deepseek-chat"),
    },
    Known {
        name: "ollama",
        kind: ProviderKind::Openai,
        base_url: "http://127.0.0.1:11434/v1",
        keys: &[],
        urls: &["OLLAMA_HOST"],
        models: &["OLLAMA_MODEL"],
        default_model: Some("llama3.2"),
    },
];

/// The providers that the usual variables name, in order of precedence. `lookup` gives a variable's value.
#[must_use]
pub fn presets(lookup: &dyn Fn(&str) -> Option<String>) -> Vec<Preset> {
    let first = |names: &[&str]| {
        names.iter().find_map(|name| lookup(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()))
    };
    KNOWN.iter().filter_map(|known| preset(known, &first)).collect()
}

fn preset(known: &Known, first: &dyn Fn(&[&str]) -> Option<String>) -> Option<Preset> {
    let (key, url) = (first(known.keys), first(known.urls));
    // A local server behind OPENAI_BASE_URL or OLLAMA_HOST needs no key; elsewhere an address alone is no access.
    let works_without_key = url.is_some() && matches!(known.name, "openai" | "ollama");
    if key.is_none() && !works_without_key {
        return None;
    }
    let elsewhere = known.name == "openai" && url.is_some();
    let model = first(known.models).map(|model| without_provider(&model, known.name));
    // Whoever serves at another address has models of its own.
    let default_model = model.or_else(|| known.default_model.filter(|_| !elsewhere).map(str::to_owned));
    let base_url = match url {
        Some(host) if known.name == "ollama" => ollama_url(&host),
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => known.base_url.to_owned(),
    };
    Some(Preset {
        name: known.name.to_owned(),
        kind: known.kind,
        base_url,
        api_key: key.map(Secret::new),
        default_model,
    })
}

/// `openai/gpt-4o` is written by people who come from libraries with such prefixes.
fn without_provider(model: &str, provider: &str) -> String {
    let rest = model.strip_prefix(provider).and_then(|rest| rest.strip_prefix('/'));
    // OpenRouter's own model is called `openrouter/auto`.
    rest.filter(|_| provider != "openrouter").unwrap_or(model).to_owned()
}

/// `OLLAMA_HOST` is written as `host`, `host:port` or a URL, and `0.0.0.0` means that the server listens everywhere.
fn ollama_url(host: &str) -> String {
    let host = host.trim_end_matches('/');
    let (scheme, rest) = host.split_once("://").unwrap_or(("http", host));
    let (authority, path) = rest.split_once('/').map_or((rest, String::new()), |(a, p)| (a, format!("/{p}")));
    let authority = authority.replace("0.0.0.0", "127.0.0.1");
    let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let port = if has_port || scheme == "https" { "" } else { ":11434" };
    let path = if path.is_empty() { "/v1" } else { &path };
    format!("{scheme}://{authority}{port}{path}")
}

#[cfg(test)]
mod tests {
    use super::{Preset, known_provider, presets};
    use crate::{ProviderKind, Secret};

    fn with(variables: &[(&str, &str)]) -> Vec<Preset> {
        presets(&|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn keys_make_providers_in_order_of_precedence() {
        let all = with(&[
            ("GROQ_API_KEY", "g"),
            ("OPENAI_API_KEY", " o\n"),
            ("ANTHROPIC_API_KEY", "a"),
            ("GOOGLE_API_KEY", "x"),
            ("MISTRAL_API_KEY", ""),
        ]);
        let names: Vec<&str> = all.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["anthropic", "openai", "groq", "gemini"]);
        assert_eq!(all[1].api_key, Some(Secret::new("o")));
        assert_eq!(all[0].default_model.as_deref(), Some("claude-sonnet-4-5"));
    }

    #[test]
    fn a_local_server_needs_no_key() {
        let local = &with(&[("OPENAI_BASE_URL", "http://localhost:8080/v1/"), ("MODEL", "openai/qwen3")])[0];
        assert_eq!((local.base_url.as_str(), &local.api_key), ("http://localhost:8080/v1", &None));
        assert_eq!(local.default_model.as_deref(), Some("qwen3"));
        assert_eq!(with(&[("OPENAI_API_BASE", "http://localhost:8080/v1")])[0].default_model, None);
        assert_eq!(with(&[("ANTHROPIC_BASE_URL", "http://proxy")]), []);
        assert_eq!(with(&[]), []);
    }

    #[test]
    fn ollama_hosts_are_written_in_many_ways() {
        for (host, url) in [
            ("0.0.0.0", "http://127.0.0.1:11434/v1"),
            ("box:9999", "http://box:9999/v1"),
            ("http://box", "http://box:11434/v1"),
            ("https://ollama.example.com/", "https://ollama.example.com/v1"),
            ("http://box:11434/v1", "http://box:11434/v1"),
        ] {
            assert_eq!(with(&[("OLLAMA_HOST", host)])[0].base_url, url, "{host}");
        }
    }

    #[test]
    fn names_of_providers_are_known() {
        for name in ["anthropic", "openai", "groq", "gemini", "ollama", "openrouter", "mistral", "deepseek"] {
            assert!(known_provider(name).unwrap().1.unwrap().starts_with("http"), "{name}");
        }
        assert_eq!(known_provider("sim"), Some((ProviderKind::Sim, None)));
        assert_eq!(known_provider("nobody"), None);
    }
}
