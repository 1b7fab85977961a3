//! Calls to language models: what a call is, how providers are spoken to, how their failures are told apart, what a
//! call costs, and a simulated provider.
//!
//! One call is one request on the wire. Retries, limits, caches and routing are not here yet; they will be further
//! [`ChatModel`]s around these.

mod bounds;
mod error;
mod http_model;
mod model;
mod models;
mod options;
mod presets;
mod prices;
mod secret;
pub mod sim;
mod transport;
mod wires;

pub use error::CallError;
pub use model::{Answer, CallScope, ChatModel, DeltaSink};
pub use models::{BuildError, Models, UnknownModel};
pub use options::{ModelOptions, Options, PriceOptions, Problem, ProviderKind, ProviderOptions};
pub use presets::{Preset, known_provider, presets};
pub use secret::Secret;
pub use sim::SimModel;
pub use transport::install_crypto_provider;
