//! Calls to language models: what a call is, how providers are spoken to, how their failures are told apart, what a
//! call costs, and a simulated provider.
//!
//! One call is one request on the wire. Policies around it are further [`ChatModel`]s: `layers/`, ordered in `stack.rs`.
//! Tries and fallbacks are the engine's, which journals each failed call.

mod bounds;
mod error;
mod estimate;
mod http_model;
mod layers;
mod limits;
mod model;
mod models;
mod options;
mod presets;
mod prices;
#[cfg(test)]
mod reference;
mod routing;
mod secret;
pub mod sim;
mod stack;
mod transport;
mod wires;

pub use error::{Blame, CallError, Oversize};
pub use layers::{BreakerOptions, Counted, Forced, KnownLimit, Standing};
pub use limits::{Seen, SeenLimits, Window};
pub use model::{Answer, CallScope, ChatModel, DeltaSink};
pub use models::{BuildError, Link, Models, UnknownModel};
pub use options::{
    DeploymentOptions, FallbackOptions, ModelOptions, Options, PriceOptions, Problem, ProviderKind,
    ProviderOptions, RouteRule, RoutingOptions, Strategy, ToolsBy,
};
pub use presets::{Preset, known_provider, presets};
pub use prices::{PRICE_LIST, PRICE_LIST_DATE};
pub use routing::{Chosen, Question};
pub use secret::Secret;
pub use sim::SimModel;
pub use stack::DeploymentState;
pub use transport::install_crypto_provider;
