//! Arguments of `schedule`.

use clap::{Args, Subcommand};

use super::{InputArgs, Target};

#[derive(Debug, Subcommand)]
pub(crate) enum Schedule {
    /// Make a schedule
    Add(ScheduleAdd),
    /// List schedules by name, with their next tick
    #[command(after_help = "Examples:\n  quarterdeck schedule list\n  quarterdeck schedule list -o json")]
    List(ScheduleList),
    /// Show a schedule, whole
    #[command(after_help = "Examples:\n  quarterdeck schedule get morning")]
    Get(ScheduleOne),
    /// Leave schedules alone for now
    #[command(after_help = "Examples:\n  quarterdeck schedule pause morning")]
    Pause(ScheduleSome),
    /// Go on with schedules; ticks of the pause are not made up for
    #[command(after_help = "Examples:\n  quarterdeck schedule resume morning")]
    Resume(ScheduleSome),
    /// Delete schedules; their jobs go on
    #[command(after_help = "Examples:\n  quarterdeck schedule rm morning")]
    Rm(ScheduleSome),
    /// Run a schedule now, besides its ticks, and print the job's id
    #[command(after_help = "Examples:\n  quarterdeck tail $(quarterdeck schedule run morning)")]
    Run(ScheduleOne),
}

#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Examples:\n  quarterdeck schedule add morning '30 6 * * 1-5' research -i topic=tides --timezone Europe/Berlin\n  quarterdeck schedule add hourly @hourly support -f input.json --missed skip\n  quarterdeck schedule add hourly '15 * * * *' support -f input.json --replace"
)]
pub(crate) struct ScheduleAdd {
    /// Its name: letters, digits, `.`, `_` and `-`
    pub(crate) name: String,
    /// When: minute hour day month weekday, or @hourly, @daily, @weekly, @monthly, @yearly
    pub(crate) cron: String,
    /// Name of a crew on the server
    pub(crate) crew: String,
    #[command(flatten)]
    pub(crate) input: InputArgs,
    #[command(flatten)]
    pub(crate) target: Target,
    /// By whose clock, e.g. Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    pub(crate) timezone: Option<String>,
    /// Ticks that nobody was there for: skip, run_once or run_all [default: run_once]
    #[arg(long, value_name = "POLICY")]
    pub(crate) missed: Option<String>,
    /// 1 (normal) to 5 (high)
    #[arg(long, value_name = "LEVEL")]
    pub(crate) priority: Option<u8>,
    /// Its jobs continue this conversation
    #[arg(long, value_name = "ID")]
    pub(crate) conversation: Option<String>,
    /// The most that the calls of each job may cost, in dollars
    #[arg(long, value_name = "DOLLARS")]
    pub(crate) budget: Option<String>,
    /// Make it without starting it
    #[arg(long)]
    pub(crate) paused: bool,
    /// Put it in the place of one of that name
    #[arg(long)]
    pub(crate) replace: bool,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ScheduleList {
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ScheduleOne {
    /// Name of the schedule
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) target: Target,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct ScheduleSome {
    /// Names of schedules
    #[arg(required = true, value_name = "NAME")]
    pub(crate) names: Vec<String>,
    #[command(flatten)]
    pub(crate) target: Target,
}
