//! The most that a call may cost, told before it is made: for budgets.

use qd_types::{ChatRequest, NanoDollars, Usage};

use super::{Models, Provider};
use crate::prices::{self, Pricing};
use crate::{DeploymentOptions, ProviderKind};

impl Models {
    /// The most that one call to a model may cost with this many tokens of prompt and answer: at the dearest of the rates
    /// that its prompt may have, read from the provider's cache, written to it, or neither. `None` if its price is not
    /// known, or there is no such model.
    pub async fn most_it_costs(
        &self,
        name: &str,
        prompt_tokens: u64,
        answer_tokens: u64,
    ) -> Option<NanoDollars> {
        let model = self.options.resolve(name)?;
        let mut most = NanoDollars::default();
        // Which of them answers is not known beforehand.
        for place in model.places() {
            most = most.max(self.most_it_costs_at(&place, prompt_tokens, answer_tokens).await?);
        }
        Some(most)
    }

    async fn most_it_costs_at(
        &self,
        place: &DeploymentOptions,
        prompt_tokens: u64,
        answer_tokens: u64,
    ) -> Option<NanoDollars> {
        let pricing = self.pricing(place)?;
        let answer = Usage { model_calls: 1, output_tokens: answer_tokens, ..Usage::default() };
        let mut most = None;
        for usage in [
            Usage { input_tokens: prompt_tokens, ..answer },
            Usage { cache_read_tokens: prompt_tokens, ..answer },
            Usage { cache_write_tokens: prompt_tokens, ..answer },
        ] {
            most = most.max(Some(self.price(&pricing, place, &usage).await?));
        }
        most
    }

    /// What this usage would cost with a model, at the first of its deployments. `None` if its price is not known, or there
    /// is no such model.
    pub async fn cost(&self, name: &str, usage: &Usage) -> Option<NanoDollars> {
        let model = self.options.resolve(name)?;
        let place = model.places().into_iter().next()?;
        self.price(&self.pricing(&place)?, &place, usage).await
    }

    /// The prices of a place; none inside for a simulated one, none at all for one that is not there.
    fn pricing(&self, place: &DeploymentOptions) -> Option<Option<Pricing>> {
        let provider = self.options.providers.get(&place.provider)?;
        Some(match self.providers.get(&place.provider)? {
            Provider::Http { address, .. } if provider.kind != ProviderKind::Sim => {
                let own = &self.options.prices;
                Some(Pricing::new(own, &place.provider, &place.model, address.clone()))
            }
            Provider::Sim(_) | Provider::Http { .. } => None,
        })
    }

    async fn price(
        &self,
        pricing: &Option<Pricing>,
        place: &DeploymentOptions,
        usage: &Usage,
    ) -> Option<NanoDollars> {
        match pricing {
            Some(pricing) => pricing.cost(usage, &place.model, self.env.now()).await,
            None => Some(prices::of_sim(usage)),
        }
    }

    /// The bound of an answer: the request's, or its model's.
    #[must_use]
    pub fn answer_bound(&self, name: &str, request: &ChatRequest) -> Option<u32> {
        request.max_tokens.or_else(|| self.options.resolve(name).and_then(|model| model.max_tokens))
    }
}

#[cfg(test)]
mod tests {
    use qd_env::Env;
    use qd_types::NanoDollars;

    use crate::{Models, Options, PriceOptions, ProviderKind, ProviderOptions};

    #[tokio::test]
    async fn the_dearest_rate_of_a_prompt_counts() {
        let mut options = Options::default();
        options.providers.insert("sim".into(), ProviderOptions::new(ProviderKind::Sim));
        let mut own = ProviderOptions::new(ProviderKind::Openai);
        own.base_url = Some("http://localhost:1/v1".into());
        options.providers.insert("own".into(), own);
        let price = PriceOptions { input: 1.0, output: 10.0, cache_read: Some(0.1), cache_write: Some(2.0) };
        options.prices.insert("own/m".into(), price);
        let models = Models::build(options, Env::system()).unwrap();
        for (name, dollars) in
            [("own/m", Some(0.003)), ("sim/any", Some(0.0007)), ("own/other", None), ("nobody/m", None)]
        {
            let most = models.most_it_costs(name, 1_000, 100).await;
            assert_eq!(most, dollars.map(NanoDollars::from_dollars), "{name}");
        }
    }
}
