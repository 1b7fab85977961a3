//! Published crews: what is asked when one is published, and what is answered.

use qd_types::{CrewName, CrewVersion, TenantId};

use crate::Actor;

/// Crews of one tenant, and versions of one crew, beyond which nobody may publish over the API.
pub const CREWS_MAX: usize = 1_000;
/// See [`CREWS_MAX`].
pub const CREW_VERSIONS_MAX: u32 = 10_000;

/// A crew to publish as the next version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCrew {
    /// Whose it is.
    pub tenant: TenantId,
    /// What it is called.
    pub name: CrewName,
    /// Of its spec: a spec of the same hash as the newest one makes no new version.
    pub hash: String,
    /// `qd_crew::CrewSpec` as JSON.
    pub spec: String,
    /// What the newest version must be for that.
    pub only_if: OnlyIf,
    /// Who publishes it, for the audit log. None for the configuration, whose crews are not bounded either.
    pub by: Option<Actor>,
}

impl NewCrew {
    /// A crew of the configuration.
    #[must_use]
    pub fn new(tenant: TenantId, name: CrewName, hash: impl Into<String>, spec: impl Into<String>) -> Self {
        Self { tenant, name, hash: hash.into(), spec: spec.into(), only_if: OnlyIf::Always, by: None }
    }
}

/// What must be true of the newest version for another to follow it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum OnlyIf {
    /// Nothing.
    #[default]
    Always,
    /// There is none.
    New,
    /// There is one.
    Known,
    /// It is one of these.
    Newest(Vec<CrewVersion>),
}

impl OnlyIf {
    /// Whether the newest version is as expected.
    pub(crate) fn holds(&self, newest: Option<CrewVersion>) -> bool {
        match self {
            Self::Always => true,
            Self::New => newest.is_none(),
            Self::Known => newest.is_some(),
            Self::Newest(expected) => newest.is_some_and(|newest| expected.contains(&newest)),
        }
    }
}

/// What publishing a crew did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Published {
    /// It is a new version.
    Created(CrewVersion),
    /// The newest version already says the same.
    Unchanged(CrewVersion),
    /// Nothing: the newest version is not as expected, but this one.
    Unexpected(Option<CrewVersion>),
    /// Nothing: the tenant has as many crews as it may have, or the crew as many versions.
    Full,
}
