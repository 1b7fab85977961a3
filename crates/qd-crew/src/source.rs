//! Where a crew comes from: texts that somebody else has read, with the paths to show in messages.

/// One file, already read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// As it is shown in messages.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl SourceFile {
    /// A file of this path and text.
    #[must_use]
    pub fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into() }
    }
}

/// The files that make up one crew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CrewSource {
    /// One YAML or JSON file that holds everything.
    Single(SourceFile),
    /// The same for a text that is no file.
    Named {
        /// Name of the crew unless the text says otherwise.
        name: String,
        /// The text.
        text: SourceFile,
    },
    /// `agents.yaml` and `tasks.yaml`, and perhaps `crew.yaml`, in one folder.
    Directory {
        /// Name of the crew unless `crew.yaml` says otherwise: the folder's name.
        name: String,
        /// `agents.yaml`.
        agents: SourceFile,
        /// `tasks.yaml`.
        tasks: SourceFile,
        /// `crew.yaml`.
        crew: Option<SourceFile>,
    },
}
