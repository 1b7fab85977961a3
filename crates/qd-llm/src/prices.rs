//! What tokens cost: the user's own prices first, then the built-in list (crate `genai-prices`), by the provider's address.
//!
//! An unknown price never fails a call; it is counted in `unpriced_calls`, so that a sum is not taken for complete.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use genai_prices::{Calculator, PriceRequest, UsageKey};
use qd_types::{NanoDollars, Timestamp, Usage};

use crate::PriceOptions;

/// The built-in list and its version.
pub const PRICE_LIST: &str = "genai-prices@0.2.1";

/// The last day of which the list says that something in it was looked up.
pub const PRICE_LIST_DATE: &str = "2026-10-26";

/// Prices of the simulator, in dollars for a million tokens: invented, so that a demonstration shows money.
const SIM: PriceOptions = PriceOptions { input: 0.5, output: 2.0, cache_read: None, cache_write: None };

/// Whether the built-in list has been decoded.
static DECODED: AtomicBool = AtomicBool::new(false);

/// How the calls of one model are priced.
#[derive(Debug, Clone)]
pub(crate) struct Pricing {
    own: Option<PriceOptions>,
    model: String,
    address: Arc<Address>,
}

/// Where a provider is, and who that is to the list.
#[derive(Debug)]
pub(crate) struct Address {
    base_url: String,
    /// The list's id of whoever is there; looked up once, for it means many regular expressions.
    listed_as: OnceLock<Option<String>>,
}

impl Address {
    pub(crate) fn new(base_url: &str) -> Self {
        Self { base_url: base_url.to_owned(), listed_as: OnceLock::new() }
    }

    /// Blocks for tens of milliseconds if the list was not decoded before.
    fn listed_as(&self) -> Option<&str> {
        let found = self.listed_as.get_or_init(|| {
            // By address, never by name alone: a self-hosted model must not get the price of its famous namesake.
            let provider = Calculator::bundled().find_provider(None, Some(&self.base_url)).ok()??;
            Some(provider.id().to_owned())
        });
        found.as_deref()
    }
}

impl Pricing {
    /// For a model of a provider at an address.
    pub(crate) fn new(
        overrides: &BTreeMap<String, PriceOptions>,
        provider: &str,
        model: &str,
        address: Arc<Address>,
    ) -> Self {
        let own = overrides.get(&format!("{provider}/{model}")).or_else(|| overrides.get(model)).copied();
        Self { own, model: model.to_owned(), address }
    }

    /// The price of one call, if it is known. `answered` is the model as the answer names it.
    pub(crate) async fn cost(&self, usage: &Usage, answered: &str, at: Timestamp) -> Option<NanoDollars> {
        if let Some(own) = &self.own {
            return Some(by_row(own, usage));
        }
        if !DECODED.load(Ordering::Acquire) {
            // Decoding takes tens of milliseconds: too long for a thread that others wait on.
            tokio::task::spawn_blocking(Calculator::bundled).await.ok()?;
            DECODED.store(true, Ordering::Release);
        }
        let provider = self.address.listed_as()?;
        // Aliases like `-latest` are priced under the name that answered, self-made names under the one asked for.
        listed(provider, answered, usage, at).or_else(|| listed(provider, &self.model, usage, at))
    }
}

fn listed(provider: &str, model: &str, usage: &Usage, at: Timestamp) -> Option<NanoDollars> {
    let usage = genai_prices::Usage::from([
        (UsageKey::INPUT_TOKENS, float(usage.prompt_tokens())),
        (UsageKey::CACHE_READ_TOKENS, float(usage.cache_read_tokens)),
        (UsageKey::CACHE_WRITE_TOKENS, float(usage.cache_write_tokens)),
        (UsageKey::OUTPUT_TOKENS, float(usage.output_tokens)),
    ]);
    let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at.0).unwrap_or(0));
    let request = PriceRequest::new(model, &usage).with_provider_id(provider).with_timestamp(moment);
    let price = genai_prices::calculate(&request).ok()?;
    Some(NanoDollars::from_dollars(price.total_price))
}

/// What a simulated call costs.
pub(crate) fn of_sim(usage: &Usage) -> NanoDollars {
    by_row(&SIM, usage)
}

fn by_row(row: &PriceOptions, usage: &Usage) -> NanoDollars {
    let dollars_per_million = float(usage.input_tokens) * row.input
        + float(usage.cache_read_tokens) * row.cache_read.unwrap_or(row.input)
        + float(usage.cache_write_tokens) * row.cache_write.unwrap_or(row.input)
        + float(usage.output_tokens) * row.output;
    NanoDollars::from_dollars(dollars_per_million / 1e6)
}

#[allow(clippy::cast_precision_loss)]
fn float(tokens: u64) -> f64 {
    // Exact up to 2^53 tokens.
    tokens as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use qd_types::{NanoDollars, Timestamp, Usage};

    use super::{Address, PriceOptions, Pricing, of_sim};

    const NOON: Timestamp = Timestamp(1_793_448_000_000); // 2026-10-31
    const MILLION: Usage = Usage {
        model_calls: 1,
        tool_calls: 0,
        input_tokens: 1_000_000,
        cache_read_tokens: 0,
        cache_write_tokens: 0,
        output_tokens: 0,
        reasoning_tokens: 0,
        unpriced_calls: 0,
    };

    fn at_address(model: &str, base_url: &str) -> Pricing {
        Pricing::new(&BTreeMap::new(), "any", model, Arc::new(Address::new(base_url)))
    }

    fn nowhere() -> Arc<Address> {
        Arc::new(Address::new("http://x"))
    }

    #[tokio::test]
    async fn the_list_prices_known_models_at_their_own_address_only() {
        let here = at_address("claude-sonnet-4-5", "https://api.anthropic.com");
        assert_eq!(
            here.cost(&MILLION, "claude-sonnet-4-5", NOON).await.map(|c| c.to_string()).as_deref(),
            Some("6.00")
        );
        let small = Usage { input_tokens: 1000, output_tokens: 100, cache_read_tokens: 1000, ..MILLION };
        assert_eq!(here.cost(&small, "claude-sonnet-4-5-20250929", NOON).await, Some(NanoDollars(4_800_000)));
        // Read from the cache at a tenth, written to it at five quarters, the rest as it is.
        let kept =
            Usage { input_tokens: 1_000, cache_read_tokens: 100_000, cache_write_tokens: 10_000, ..MILLION };
        assert_eq!(here.cost(&kept, "claude-sonnet-4-5", NOON).await, Some(NanoDollars(70_500_000)));
        let local = at_address("gpt-4o", "http://localhost:8000/v1");
        assert_eq!(local.cost(&MILLION, "gpt-4o", NOON).await, None);
        let unheard = at_address("no-such-model", "https://api.openai.com/v1");
        assert_eq!(unheard.cost(&MILLION, "no-such-model", NOON).await, None);
    }

    #[tokio::test]
    async fn own_prices_go_first_and_the_exact_name_before_the_model() {
        let price = |input| PriceOptions { input, output: 0.0, cache_read: Some(0.5), cache_write: None };
        let own = BTreeMap::from([("m".to_owned(), price(1.0)), ("p/m".to_owned(), price(2.0))]);
        let usage = Usage { cache_read_tokens: 1_000_000, ..MILLION };
        let cost = Pricing::new(&own, "p", "m", nowhere()).cost(&usage, "m", NOON).await;
        assert_eq!(cost, Some(NanoDollars(2_500_000_000)));
        let cost = Pricing::new(&own, "other", "m", nowhere()).cost(&usage, "m", NOON).await;
        assert_eq!(cost, Some(NanoDollars(1_500_000_000)));
    }

    #[test]
    fn the_version_that_is_told_is_the_one_that_is_built_in() {
        let (name, version) = super::PRICE_LIST.split_once('@').unwrap();
        let locked = format!("name = \"{name}\"\nversion = \"{version}\"");
        assert!(include_str!("../../../Cargo.lock").contains(&locked), "{locked}");
    }

    #[test]
    fn the_simulator_costs_money() {
        assert_eq!(of_sim(&MILLION), NanoDollars(500_000_000));
    }
}
