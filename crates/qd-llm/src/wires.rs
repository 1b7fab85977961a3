//! The protocols of providers as pure functions of bytes and headers. Nothing outside this folder knows their JSON.

mod status;

pub(crate) use status::status_kind;
