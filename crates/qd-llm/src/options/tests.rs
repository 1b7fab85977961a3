//! Validation and defaults of the options.

use std::time::Duration;

use serde_json::json;

use super::{Options, ProviderKind, ProviderOptions};
use crate::Secret;

fn paths(options: &Options) -> Vec<String> {
    options.validate().err().unwrap_or_default().into_iter().map(|p| p.path).collect()
}

#[test]
fn a_provider_of_few_words_gets_the_documented_defaults() {
    let options: Options = serde_json::from_value(
        json!({ "providers": { "local": { "kind": "openai", "idle_timeout_seconds": 1.5 } } }),
    )
    .unwrap();
    let local = &options.providers["local"];
    assert!(local.stream);
    assert_eq!(local.connect_timeout, Duration::from_secs(5));
    assert_eq!(local.first_token_timeout, Duration::from_secs(30));
    assert_eq!(local.idle_timeout, Duration::from_millis(1500));
    assert_eq!(local.total_timeout, Duration::from_secs(120));
    assert_eq!(local.max_body_bytes, 16 << 20);
    assert_eq!(paths(&options), Vec::<String>::new());
}

#[test]
fn every_mistake_is_found_and_named() {
    let options: Options = serde_json::from_value(json!({
        "providers": {
            "a": { "kind": "openai", "base_url": "localhost:8000" },
            "b": { "kind": "openai", "base_url": "https://me:secret@host/v1", "api_key": "line\nbreak" },
            "c": { "kind": "sim", "total_timeout_seconds": 0, "sim": { "faults": [{ "kind": "503", "rate": 2.0 }] } },
            "d/e": { "kind": "anthropic", "max_body_bytes": 1 },
        },
        "models": { "fast": { "provider": "nobody", "model": "", "temperature": 3.0, "timeout_seconds": 0 } },
        "default_model": "nothing",
        "prices": { "m": { "input": -1.0, "output": 2.0 } },
    }))
    .unwrap();
    assert_eq!(
        paths(&options),
        [
            "providers.a.base_url",
            "providers.b.base_url",
            "providers.b.api_key",
            "providers.c.total_timeout_seconds",
            "providers.c.sim.faults[0].rate",
            "providers.d/e",
            "providers.d/e.max_body_bytes",
            "models.fast.provider",
            "models.fast.model",
            "models.fast.timeout_seconds",
            "models.fast.temperature",
            "prices.m",
            "default_model",
        ]
    );
}

#[test]
fn keys_are_never_printed() {
    let mut provider = ProviderOptions::new(ProviderKind::Anthropic);
    provider.api_key = Some(Secret::new("sk-ant-123"));
    let printed = format!("{provider:?}");
    assert!(printed.contains("[redacted]") && !printed.contains("sk-ant"), "{printed}");
}

#[test]
fn a_misspelt_option_is_refused() {
    let wrong = json!({ "providers": { "x": { "kind": "openai", "time_out": 3 } } });
    let message = serde_json::from_value::<Options>(wrong).unwrap_err().to_string();
    assert!(message.contains("time_out"), "{message}");
}
