//! What the cache of results is keyed by, and how much it may hold.

/// A digest of everything that decides a result.
pub type CacheKey = [u8; 32];

/// How much the cache may hold, over all tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheRoom {
    /// So many results.
    pub entries: u64,
    /// So many bytes of them.
    pub bytes: u64,
}

impl Default for CacheRoom {
    fn default() -> Self {
        Self { entries: 10_000, bytes: 64 << 20 }
    }
}
