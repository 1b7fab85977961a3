//! Requests to addresses that somebody else chose (webhooks of callers, pages that a model asks for): which may be made, and
//! the one client that makes them. Start at [`Guard`].
//!
//! Who sends through this crate reaches the public Internet and nothing else: neither this machine, nor its network, nor
//! a cloud's metadata, however the address is written and whatever a name stands for by the time of the connection.

mod addresses;
mod guard;
mod resolver;

pub use guard::{Bounds, Guard, InvalidOptions, Options, Refusal};
pub use resolver::{Lookup, SystemLookup, is_kept_back};
