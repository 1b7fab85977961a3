//! Arguments of the commands about API keys and the audit log.

use clap::{Args, Subcommand};

use super::Target;

#[derive(Debug, Subcommand)]
pub(crate) enum Keys {
    /// Make a key and print it, once
    Create(KeysCreate),
    /// List the keys, without their secrets
    #[command(
        after_help = "Examples:\n  quarterdeck keys list\n  quarterdeck keys list -o json --url http://127.0.0.1:8000"
    )]
    List(KeysList),
    /// Show one key, without its secret
    #[command(after_help = "Examples:\n  quarterdeck keys get Ab3dE6gH")]
    Get(KeysOne),
    /// Put a new key in the place of one, which stays good for a while, and print it, once
    Rotate(KeysRotate),
    /// End a key's life at once
    #[command(after_help = "Examples:\n  quarterdeck keys revoke Ab3dE6gH")]
    Revoke(KeysOne),
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck keys create ops --scope admin\n  quarterdeck keys create ci --scope jobs:read --scope jobs:write --expires-days 90\n  quarterdeck keys create shop --tenant acme --scope jobs:read --scope jobs:write --url http://127.0.0.1:8000\n\nScopes: jobs:read, jobs:write, crews:read, crews:write, conversations, stats, admin (everything)"
)]
pub(crate) struct KeysCreate {
    /// What people call it
    pub(crate) name: String,
    /// What it may be used for; repeat for more
    #[arg(long, value_name = "SCOPE", required = true)]
    pub(crate) scope: Vec<String>,
    /// Whose it is [default: default]
    #[arg(long, value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// How long it is good [default: 365]
    #[arg(long, value_name = "DAYS")]
    pub(crate) expires_days: Option<u32>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct KeysList {
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct KeysOne {
    /// Id of the key: the part after qd_live_
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck keys rotate Ab3dE6gH\n  quarterdeck keys rotate Ab3dE6gH --overlap-seconds 0"
)]
pub(crate) struct KeysRotate {
    /// Id of the key: the part after qd_live_
    pub(crate) id: String,
    /// How long the old key stays good [default: 86400]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) overlap_seconds: Option<u32>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// List privileged acts, oldest first: who did what, and when
    List(AuditList),
    /// Look through the whole log for acts that were changed or taken out
    #[command(
        after_help = "Examples:\n  quarterdeck audit verify\n  quarterdeck audit verify -o json | jq -r .head"
    )]
    Verify(AuditVerify),
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck audit list\n  quarterdeck audit list --after 200 --limit 100 -o jsonl"
)]
pub(crate) struct AuditList {
    /// Only acts after this one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) after: u64,
    /// At most this many, up to 500
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub(crate) limit: u16,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct AuditVerify {
    #[command(flatten)]
    pub(crate) target: Target,
}
