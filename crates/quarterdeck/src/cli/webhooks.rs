//! Arguments of `webhooks` and `listen`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Target;

#[derive(Debug, Subcommand)]
pub(crate) enum Webhooks {
    /// List the endpoints of a server's configuration, and how they are
    #[command(after_help = "Examples:\n  quarterdeck webhooks endpoints")]
    Endpoints(WebhooksEndpoints),
    /// List deliveries, newest first
    List(WebhooksList),
    /// Show one delivery, whole
    Get(WebhooksGet),
    /// Send deliveries again at once, under the same ids
    Resend(WebhooksResend),
    /// Send a test to an endpoint, and wait for what comes of it
    Test(WebhooksTest),
}

#[derive(Debug, Clone, Args)]
pub(crate) struct WebhooksEndpoints {
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck webhooks list --status failed\n  quarterdeck webhooks list --job 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11 -o json"
)]
pub(crate) struct WebhooksList {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Only in this status: pending, delivered, failed
    #[arg(long, value_name = "STATUS")]
    pub(crate) status: Option<String>,
    /// Only of this job
    #[arg(long, value_name = "JOB")]
    pub(crate) job: Option<String>,
    /// Only to this endpoint of the configuration
    #[arg(long, value_name = "NAME")]
    pub(crate) endpoint: Option<String>,
    /// Only of this event, e.g. job.failed
    #[arg(long, value_name = "EVENT")]
    pub(crate) event: Option<String>,
    /// At most this many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  quarterdeck webhooks get 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11")]
pub(crate) struct WebhooksGet {
    /// Id of the delivery
    pub(crate) delivery: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck webhooks resend 0199c7e2-7f7b-7d4e-9d55-3c2f0c3e8f11\n  quarterdeck webhooks list --status failed -o jsonl | jq -r .id | xargs quarterdeck webhooks resend"
)]
pub(crate) struct WebhooksResend {
    /// Ids of deliveries
    #[arg(required = true, value_name = "DELIVERY")]
    pub(crate) deliveries: Vec<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
#[command(after_help = "Examples:\n  quarterdeck webhooks test shop")]
pub(crate) struct WebhooksTest {
    /// Name of the endpoint
    pub(crate) endpoint: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck listen\n  quarterdeck listen --secret-file hook.secret --forward http://127.0.0.1:3000/hooks\n  quarterdeck listen -o jsonl | jq -r .type"
)]
pub(crate) struct Listen {
    /// Address to receive webhooks on; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9797")]
    pub(crate) listen: String,
    /// File with the signing secret [also: QUARTERDECK_WEBHOOK_SECRET; without either, a new one is made and shown]
    #[arg(long, value_name = "PATH")]
    pub(crate) secret_file: Option<PathBuf>,
    /// Pass what is verified on to this URL, and its status back
    #[arg(long, value_name = "URL")]
    pub(crate) forward: Option<String>,
}
