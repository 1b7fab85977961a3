//! What those who run a server look at and decide.

mod breakers;
mod usage;
mod webhooks;
