//! Sums of what calls used and cost, by whatever they are asked for: task, agent, crew, day.

use qd_types::{NanoDollars, Usage};
use serde::Serialize;

use super::job::UsageView;
use crate::openapi::Schema;

/// A sum.
#[derive(Default)]
pub(crate) struct Totals {
    usage: Usage,
    cost: NanoDollars,
    possible: NanoDollars,
}

/// A sum as it is shown.
#[derive(Serialize)]
pub(crate) struct TotalsView {
    usage: UsageView,
    cost_usd: String,
    possible_cost_usd: String,
}

impl Totals {
    pub(crate) fn add(&mut self, usage: Usage, cost: NanoDollars, possible: NanoDollars) {
        self.usage += usage;
        self.cost += cost;
        self.possible += possible;
    }

    pub(crate) fn view(&self) -> TotalsView {
        TotalsView {
            usage: UsageView::from(&self.usage),
            cost_usd: self.cost.to_string(),
            possible_cost_usd: self.possible.to_string(),
        }
    }
}

/// Adds the fields of a sum to an object.
pub(crate) fn fields(object: Schema) -> Schema {
    let possible = "What calls that failed may have cost besides, at most; known where a budget applied.";
    object
        .field("usage", Schema::named("Usage"))
        .field("cost_usd", Schema::dollars().about("Sum over calls with a known price."))
        .field("possible_cost_usd", Schema::dollars().about(possible))
}
