//! Who is told of single steps of a job, as clients of CrewAI's platform ask for it: a URL for each kind of news.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Ask, Entry, Job, JobStatus, LogItem, Logged, ToolCall};

/// Kinds of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HookKind {
    /// An agent answered, or a tool returned.
    Step,
    /// A task has its output.
    Task,
    /// The job is over.
    Crew,
    /// The job asks a person, or reminds of it.
    Human,
}

impl HookKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Step, Self::Task, Self::Crew, Self::Human];

    /// What an item of a job's log is news of. Of a turn in which an agent only calls tools, the tools tell.
    #[must_use]
    pub fn of(item: &LogItem) -> Option<Self> {
        match item {
            LogItem::Entry { entry } => match &**entry {
                Entry::Model { reply, .. } => reply.tool_calls.is_empty().then_some(Self::Step),
                Entry::Tool { .. } => Some(Self::Step),
                _ => None,
            },
            LogItem::TaskFinished { .. } => Some(Self::Task),
            LogItem::Status { status, .. } if status.is_terminal() => Some(Self::Crew),
            LogItem::Status { status: JobStatus::Waiting, .. } | LogItem::Reminded { .. } => {
                Some(Self::Human)
            }
            LogItem::TaskStarted { .. } | LogItem::Status { .. } => None,
        }
    }
}

/// The URLs that came with a job. They are checked where they come in, and again when something is sent.
#[derive(Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Hooks {
    /// Told of [`HookKind::Step`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// Told of [`HookKind::Task`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// Told of [`HookKind::Crew`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crew: Option<String>,
    /// Told of [`HookKind::Human`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub human: Option<String>,
    /// What requests to that one carry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authentication: Option<Authentication>,
    /// The caller's own words, in every body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meta: Option<Map<String, Value>>,
}

impl Hooks {
    /// Whether nobody is told, and there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Who is told of a kind of news.
    #[must_use]
    pub fn url(&self, kind: HookKind) -> Option<&str> {
        match kind {
            HookKind::Step => &self.step,
            HookKind::Task => &self.task,
            HookKind::Crew => &self.crew,
            HookKind::Human => &self.human,
        }
        .as_deref()
    }

    /// The same with what others say in place of what was said before. A new URL for questions comes with its own
    /// authentication, or none: that of the old one is nobody else's business.
    #[must_use]
    pub fn replaced_by(&self, newer: &Self) -> Self {
        let or = |newer: &Option<String>, before: &Option<String>| newer.clone().or_else(|| before.clone());
        let questions = if newer.human.is_some() { newer } else { self };
        Self {
            step: or(&newer.step, &self.step),
            task: or(&newer.task, &self.task),
            crew: or(&newer.crew, &self.crew),
            human: questions.human.clone(),
            authentication: questions.authentication.clone(),
            meta: newer.meta.clone().or_else(|| self.meta.clone()),
        }
    }
}

/// URLs may hold secrets, and so may what callers say.
impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = HookKind::ALL.into_iter().filter(|kind| self.url(*kind).is_some());
        f.debug_tuple("Hooks").field(&kinds.collect::<Vec<_>>()).finish()
    }
}

/// What a request says of who sends it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "strategy", rename_all = "snake_case")]
pub enum Authentication {
    /// `Authorization: Bearer`.
    Bearer {
        /// A secret.
        token: String,
    },
    /// `Authorization: Basic`.
    Basic {
        /// Who.
        username: String,
        /// A secret.
        password: String,
    },
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authentication")
    }
}

/// What there is to tell of an item of a job's log.
#[derive(Debug)]
pub struct News<'a> {
    /// The job as it is now.
    pub job: &'a Job,
    /// The item.
    pub logged: &'a Logged,
    /// The task that it belongs to: description and expected output, variables filled in.
    pub task: Option<(String, String)>,
    /// The call that a tool returned from, and what its agent said with it.
    pub call: Option<(&'a ToolCall, &'a str)>,
    /// The question that somebody is reminded of.
    pub ask: Option<&'a Ask>,
}

#[cfg(test)]
mod tests {
    use super::{Authentication, Hooks};

    #[test]
    fn a_new_url_for_questions_does_not_get_the_old_ones_secret() {
        let token = Authentication::Bearer { token: "s3cret".to_owned() };
        let before = Hooks {
            human: Some("https://a.example/".to_owned()),
            task: Some("https://t.example/".to_owned()),
            authentication: Some(token.clone()),
            ..Hooks::default()
        };
        let newer = Hooks { human: Some("https://b.example/".to_owned()), ..Hooks::default() };
        let after = before.replaced_by(&newer);
        assert_eq!((after.human, after.authentication, after.task), (newer.human, None, before.task.clone()));
        assert_eq!(before.replaced_by(&Hooks::default()), before);
        assert!(!format!("{before:?} {token:?}").contains("s3cret"));
    }
}
