//! How urgent a job is, and its share of the claims.

use std::fmt;

use serde::{Deserialize, Serialize};

/// 1 (normal) to 5 (high). Levels share claims 1:2:4:8:16, so that nothing starves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(u8);

/// A number outside 1 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidPriority(pub i64);

impl fmt::Display for InvalidPriority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "priority {} is not between 1 and 5", self.0)
    }
}

impl std::error::Error for InvalidPriority {}

impl Priority {
    /// The default.
    pub const NORMAL: Self = Self(1);
    /// How many levels there are.
    pub const LEVELS: usize = 5;

    /// Checks the range.
    ///
    /// # Errors
    /// If the number is not between 1 and 5.
    pub fn new(level: i64) -> Result<Self, InvalidPriority> {
        u8::try_from(level).ok().and_then(|n| Self::try_from(n).ok()).ok_or(InvalidPriority(level))
    }

    /// 1 to 5.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }

    /// 0 to 4, for tables by level.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.0 - 1)
    }

    /// Claims per round: 1, 2, 4, 8 or 16.
    #[must_use]
    pub fn share(self) -> u32 {
        1 << (self.0 - 1)
    }
}

impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl TryFrom<u8> for Priority {
    type Error = InvalidPriority;
    fn try_from(level: u8) -> Result<Self, InvalidPriority> {
        if (1..=5).contains(&level) { Ok(Self(level)) } else { Err(InvalidPriority(i64::from(level))) }
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> u8 {
        priority.0
    }
}
