//! Publishing a crew that a caller sends: read, checked against this process's models and tools, and stored as the next
//! version.
//!
//! A caller's crew is a text and nothing else: it may not name processes, files, the environment or secrets. There is no
//! key for these in a crew file that this release reads; a test holds on to that.

use qd_crew::{CrewSource, Diagnostics, SourceFile};
use qd_store::{Actor, NewCrew, OnlyIf, Published as Stored, StoredCrew};
use qd_types::{CrewName, CrewVersion, TenantId};

use super::{Compiled, CrewBook};

/// Why a crew is not published.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// The configuration has a crew of this name for every tenant.
    #[error("`{0}` is a crew of the server's configuration and is changed there; publish under another name")]
    Configured(CrewName),
    /// It has mistakes.
    #[error(transparent)]
    Mistakes(Diagnostics),
    /// It says that it is another crew.
    #[error("the crew calls itself `{own}`, the address says `{asked}`; use one name")]
    Misnamed { own: CrewName, asked: CrewName },
    /// The newest version is not what the caller expects.
    #[error("{}", unexpected(.0))]
    Unexpected(Option<CrewVersion>),
    /// There is no room.
    #[error(
        "the tenant has {} crews or the crew {} versions, which is as many as there may be",
        qd_store::CREWS_MAX,
        qd_store::CREW_VERSIONS_MAX
    )]
    Full,
    /// It was deleted in the same moment, or cannot be written as JSON: neither happens.
    #[error("the crew was stored and cannot be read")]
    Gone,
    /// The store did not answer.
    #[error("the store cannot answer: {0}")]
    Store(#[from] qd_store::Error),
}

fn unexpected(newest: &Option<CrewVersion>) -> String {
    match newest {
        Some(newest) => format!("the newest version is \"v{newest}\"; read it and try again on top of it"),
        None => "there is no such crew yet; leave `If-Match` out to make it".to_owned(),
    }
}

/// What publishing came to.
pub(crate) struct Made {
    pub(crate) stored: StoredCrew,
    pub(crate) compiled: Compiled,
    /// Whether it is a new version.
    pub(crate) is_new: bool,
    pub(crate) warnings: Vec<String>,
}

impl CrewBook {
    /// Publishes a crew file. Jobs that are made from now on by this process are of the new version, those of other processes
    /// within two seconds; jobs that were made before stay with theirs.
    pub(crate) async fn publish(
        &self,
        tenant: &TenantId,
        name: &CrewName,
        text: String,
        only_if: OnlyIf,
        by: Actor,
    ) -> Result<Made, PublishError> {
        if self.shared.iter().any(|(known, ..)| known == name) {
            return Err(PublishError::Configured(name.clone()));
        }
        let source = CrewSource::Named { name: name.to_string(), text: SourceFile::new("the crew", text) };
        let (spec, _, warnings) =
            qd_crew::check(&source, &self.catalog.seen_by(tenant)).map_err(PublishError::Mistakes)?;
        if spec.name != *name {
            return Err(PublishError::Misnamed { own: spec.name, asked: name.clone() });
        }
        let json = serde_json::to_string(&spec).map_err(|_| PublishError::Gone)?;
        let new = NewCrew::new(tenant.clone(), name.clone(), spec.hash(), json);
        let (version, is_new) = match self.store.publish(NewCrew { only_if, by: Some(by), ..new }).await? {
            Stored::Created(version) => (version, true),
            Stored::Unchanged(version) => (version, false),
            Stored::Unexpected(newest) => return Err(PublishError::Unexpected(newest)),
            Stored::Full => return Err(PublishError::Full),
        };
        // Whoever asks next asks the store.
        self.forget(tenant, name);
        let (stored, compiled) =
            self.version(tenant, name, Some(version)).await?.ok_or(PublishError::Gone)?;
        let warnings = warnings.iter().map(ToString::to_string).collect();
        Ok(Made { stored, compiled, is_new, warnings })
    }

    /// One version of a crew as it is stored, the newest without a number.
    pub(crate) async fn version(
        &self,
        tenant: &TenantId,
        name: &CrewName,
        version: Option<CrewVersion>,
    ) -> Result<Option<(StoredCrew, Compiled)>, qd_store::Error> {
        self.provide(tenant).await?;
        let stored = self.store.crew(tenant, name, version).await?;
        Ok(stored.map(|stored| (stored.clone(), self.compile(stored))))
    }
}
