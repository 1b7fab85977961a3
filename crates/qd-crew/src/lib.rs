//! Crew files to validated plans to a pure machine that decides what happens next.
//!
//! In reading order: a [`CrewSource`] is read into a [`CrewSpec`] (the form that is stored and hashed), compiled
//! against a catalog into a [`Plan`], and executed by a [`Machine`] that is told what happened and says what to do.
//! Nothing here reads files, clocks or random numbers: the same entries give the same decisions, so resuming, replaying
//! and testing are the same thing.

mod canonical;
mod check;
mod compile;
mod diagnostic;
mod load;
mod machine;
mod plan;
mod prompt;
mod python;
mod references;
mod source;
mod spec;
mod suggest;
mod template;
mod tree;

pub use check::check;
pub use compile::compile;
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use load::{Loaded, SchemaOf, load, schema};
pub use machine::{Effect, EffectKind, MACHINE_VERSION, Machine, Question, Ready, TaskEvent};
pub use plan::{CONVERSATION_FACT, FactNeed, InputProblem, Pace, Plan, PlannedAgent, PlannedTask};
pub use source::{CrewSource, SourceFile};
pub use spec::{
    AgentSpec, CrewSpec, HumanInputSpec, LlmSpec, ModelCacheSpec, Process, SPEC_VERSION, TaskSpec,
};
pub use suggest::nearest;
