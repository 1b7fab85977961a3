//! Names and ids. Each is its own type, so that a crew name cannot be passed where a tenant is meant.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Longest name, in characters.
pub const NAME_CHARS_MAX: usize = 128;

/// Why a text cannot be used as a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidName {
    /// What the name was meant for, e.g. `crew`.
    pub kind: &'static str,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} name {}", self.kind, self.reason)
    }
}

impl std::error::Error for InvalidName {}

macro_rules! text_ids {
    ($($(#[$doc:meta])* $name:ident, $kind:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Takes the text as it is; the caller has validated it or it comes from the store.
            #[must_use]
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// Accepts 1 to 128 characters without control characters.
            ///
            /// # Errors
            /// If the text is empty, longer, or has control characters.
            pub fn parse(text: &str) -> Result<Self, InvalidName> {
                check_name($kind, text).map(|()| Self::new(text))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer).map(Self::new)
            }
        }
    )*};
}

text_ids! {
    /// Whose data it is. Requests without a key, and the operator's keys, are of [`TenantId::default`].
    TenantId, "tenant";
    /// Name of a crew, as the API and `quarterdeck run` use it.
    CrewName, "crew";
    /// Key of an agent inside its crew.
    AgentId, "agent";
    /// Name of a task inside its crew.
    TaskId, "task";
    /// History shared by jobs.
    ConversationId, "conversation";
    /// Name of a schedule, as its tenant calls it.
    ScheduleName, "schedule";
    /// One worker process (or one worker in a process).
    WorkerId, "worker";
    /// Path of a step, computed alike by every attempt: `draft/turn-3/model`, `draft/turn-3/tool-0`.
    StepId, "step";
}

fn check_name(kind: &'static str, text: &str) -> Result<(), InvalidName> {
    let reason = if text.is_empty() {
        "is empty"
    } else if text.chars().count() > NAME_CHARS_MAX {
        "is longer than 128 characters"
    } else if text.chars().any(char::is_control) {
        "has control characters"
    } else {
        return Ok(());
    };
    Err(InvalidName { kind, reason })
}

impl Default for TenantId {
    fn default() -> Self {
        Self::new("default")
    }
}

/// What kind of effect a step id names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// A model call.
    Model,
    /// A tool call.
    Tool,
    /// A question to a person.
    Human,
}

impl StepId {
    /// The model call of a task's turn (turns count from 1).
    #[must_use]
    pub fn model(task: &TaskId, turn: u32) -> Self {
        Self::new(format!("{task}/turn-{turn}/model"))
    }

    /// The `index`-th tool call that the model asked for in a task's turn.
    #[must_use]
    pub fn tool(task: &TaskId, turn: u32, index: usize) -> Self {
        Self::new(format!("{task}/turn-{turn}/tool-{index}"))
    }

    /// The model call that puts the `index`-th part of what was said into fewer words, before a task's turn.
    #[must_use]
    pub fn compact(task: &TaskId, turn: u32, index: usize) -> Self {
        Self::new(format!("{task}/turn-{turn}/compact-{index}"))
    }

    /// The question to a person about the answer that a task's turn gave.
    #[must_use]
    pub fn human(task: &TaskId, turn: u32) -> Self {
        Self::new(format!("{task}/turn-{turn}/human"))
    }

    /// What the last part of the path says.
    #[must_use]
    pub fn kind(&self) -> StepKind {
        let last = self.0.rsplit('/').next().unwrap_or_default();
        match last {
            "human" => StepKind::Human,
            tool if tool.starts_with("tool-") => StepKind::Tool,
            _ => StepKind::Model,
        }
    }

    /// The task the step belongs to: the first part of the path. Task names hold no `/`.
    #[must_use]
    pub fn task(&self) -> TaskId {
        TaskId::new(self.0.split('/').next().unwrap_or_default())
    }
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub Uuid);

        impl $name {
            /// Parses the hyphenated form.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                Uuid::try_parse(text).ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

uuid_ids! {
    /// Id of a job: a UUIDv7, so that ids sort roughly by acceptance.
    JobId;
    /// Id of a batch: a UUIDv7, like those of its jobs.
    BatchId;
    /// Id of a delivery: a UUIDv7, the `webhook-id` of each of its tries.
    DeliveryId;
}

/// Number of an immutable crew version, counted from 1 per crew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CrewVersion(pub u32);

impl fmt::Display for CrewVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
