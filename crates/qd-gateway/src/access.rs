//! Who may do what: keys (`keys.rs`), what routes need and how requests are let in (`gate.rs`), how often they may come
//! (`pace.rs`, `rates.rs`), and how often somebody may guess (`guesses.rs`).
//!
//! Everything is denied unless a route says otherwise. No request reads the store for this, and no lock is held longer
//! than a look-up.

pub(crate) mod gate;
mod guesses;
pub(crate) mod keys;
mod pace;
mod rates;

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use qd_store::Actor;
use qd_types::{AnsweredBy, Code, Scope, TenantId};

pub use keys::{Issued, KeyBook, KeyError, Pepper, WantedKey};
pub use pace::Pace;
pub use rates::{Rates, TenantPace};

use crate::problem::Problem;
use keys::Known;

/// Whether requests need a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Each of them.
    Keys,
    /// None: whoever comes without one is the tenant `default` and may do everything. A key that is sent counts.
    Open,
}

/// What a request must be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: it tells nothing about anybody.
    Nothing,
    /// Any good key.
    Key,
    /// This scope, for the tenant's own things.
    Scope(Scope),
    /// This scope, and to be the operator: it is about the whole server.
    Operator(Scope),
}

/// Who asks. Every handler that touches a tenant's things takes it from here.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) tenant: TenantId,
    /// What it came with; `None` where no key is needed.
    key: Option<Arc<Known>>,
}

impl Caller {
    /// Somebody without a key, where none is needed.
    pub(crate) fn anyone() -> Self {
        Self { tenant: TenantId::default(), key: None }
    }

    fn with(key: Arc<Known>) -> Self {
        Self { tenant: key.stored.tenant.clone(), key: Some(key) }
    }

    /// As it is written down.
    pub(crate) fn actor(&self) -> Actor {
        self.key.as_ref().map_or(Actor::Anyone, |key| Actor::Key(key.stored.id))
    }

    /// As its answers to questions are written down.
    pub(crate) fn answers_as(&self) -> AnsweredBy {
        self.key.as_ref().map_or(AnsweredBy::Anyone, |key| AnsweredBy::Key {
            id: key.stored.id,
            name: key.stored.name.clone(),
        })
    }

    /// Whether it speaks for the whole server.
    pub(crate) fn is_operator(&self) -> bool {
        self.tenant == TenantId::default()
    }

    /// Whose keys it may manage; `None` for everybody's.
    pub(crate) fn reach(&self) -> Option<&TenantId> {
        (!self.is_operator()).then_some(&self.tenant)
    }

    /// Whether it would still be let in.
    pub(crate) fn is_still_good(&self, keys: &KeyBook) -> bool {
        self.key.as_ref().is_none_or(|key| keys.is_good(key.stored.id))
    }

    /// Whether it may do what needs this.
    fn check(&self, needs: Needs) -> Result<(), Problem> {
        let (scope, operator) = match needs {
            Needs::Nothing | Needs::Key => return Ok(()),
            Needs::Scope(scope) => (scope, false),
            Needs::Operator(scope) => (scope, true),
        };
        let Some(key) = &self.key else { return Ok(()) };
        let (id, scopes) = (key.stored.id, key.stored.scopes);
        if !scopes.allow(scope) {
            let detail = format!(
                "key {id} has no scope `{}`, which this needs (it has {scopes}); ask for a key that has it",
                scope.as_str()
            );
            return Err(Problem::new(Code::Forbidden, detail));
        }
        if operator && !self.is_operator() {
            let detail = format!(
                "this is about the whole server, and key {id} is of the tenant `{}`; only keys of the tenant `default` \
                 may do it",
                self.tenant
            );
            return Err(Problem::new(Code::Forbidden, detail));
        }
        Ok(())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // The gate puts it there. A route beside the gate must not become an open one.
        let missing = || Problem::new(Code::Unauthorized, "nobody has looked who you are");
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

/// Where a request comes from: the other end of its connection, which may be a proxy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) IpAddr);
