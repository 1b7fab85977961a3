//! What is sent, how often, for how long: the arguments, checked, and the body of each request.

use std::time::Duration;

use qd_load::Schedule;
use qd_types::Input;
use serde_json::{Value, json};

use super::seen::{LOAD_LABEL, NUMBER_LABEL};
use super::slo::{self, Slo};
use super::span;
use crate::cli::{Follow, Loadtest};
use crate::client::Client;
use crate::exit::{Exit, ended};
use crate::input;

/// Stands in an input for the number of the request, so that no two jobs ask the same.
const NUMBER: &str = "{n}";
const CREW_DEFAULT: &str = "assistant";
const RATE_MAX: f64 = 100_000.0;
const CONNECTIONS_MAX: usize = 4_096;
const IN_FLIGHT_MAX: usize = 1_000_000;
/// Every job's id is kept until the end.
const JOBS_MAX: f64 = 5_000_000.0;

/// See the module.
#[derive(Debug)]
pub(super) struct Plan {
    /// Names this load in the labels and the keys of its jobs.
    pub(super) load: String,
    pub(super) crew: String,
    input: Input,
    pub(super) rate: f64,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    pub(super) settle: Duration,
    pub(super) connections: usize,
    pub(super) in_flight: usize,
    pub(super) follow: Follow,
    pub(super) slos: Vec<Slo>,
}

impl Plan {
    /// Checks the arguments; asks the server nothing.
    pub(super) fn read(args: &Loadtest, load: String) -> anyhow::Result<Self> {
        let wrong = |why: String| ended(Exit::Usage, why);
        let time = |flag: &str, text: &str| span::read(text).map_err(|why| wrong(format!("{flag}: {why}")));
        if !(args.rate > 0.0 && args.rate <= RATE_MAX) {
            return Err(wrong(format!(
                "--rate {}: is no number of jobs a second up to {RATE_MAX}",
                args.rate
            )));
        }
        for (flag, value, most) in [
            ("--connections", args.connections, CONNECTIONS_MAX),
            ("--in-flight", args.in_flight, IN_FLIGHT_MAX),
        ] {
            if !(1..=most).contains(&value) {
                return Err(wrong(format!("{flag} {value}: is no number from 1 to {most}")));
            }
        }
        let (warm_up, duration) = (time("--warmup", &args.warmup)?, time("--duration", &args.duration)?);
        let jobs = args.rate * (warm_up + duration).as_secs_f64();
        if duration.is_zero() || jobs > JOBS_MAX {
            let why = "is no load; it is longer than 0 and sends at most 5,000,000 jobs";
            return Err(wrong(format!("--duration {} at {}/s: {why}", args.duration, args.rate)));
        }
        let slos: Vec<&str> = match &args.slo[..] {
            [] => slo::DEFAULT.to_vec(),
            given => given.iter().map(String::as_str).collect(),
        };
        let slos =
            slos.into_iter().map(|text| Slo::read(text).map_err(|why| wrong(format!("--slo {text}: {why}"))));
        Ok(Self {
            load,
            crew: args.crew.clone().unwrap_or_default(),
            input: input::read(&args.input)?,
            rate: args.rate,
            warm_up,
            duration,
            settle: time("--settle", &args.settle)?,
            connections: args.connections,
            in_flight: args.in_flight,
            follow: args.follow,
            slos: slos.collect::<anyhow::Result<_>>()?,
        })
    }

    /// Chooses a crew if none is named, and gives a value to what it needs and nobody gave.
    pub(super) async fn settle_crew(&mut self, client: &Client) -> anyhow::Result<()> {
        let answer = client.get("/v1/crews").await?;
        let crews = answer["crews"].as_array().map_or(&[][..], Vec::as_slice);
        let named = |name: &str| crews.iter().find(|crew| crew["name"] == name);
        let found = match self.crew.as_str() {
            "" => named(CREW_DEFAULT).or(crews.first()),
            name => named(name),
        };
        let Some(crew) = found else {
            let names: Vec<_> = crews.iter().filter_map(|crew| crew["name"].as_str()).collect();
            let message = format!("the server has no crew `{}`; it has {}", self.crew, names.join(", "));
            return Err(ended(Exit::NotFound, message));
        };
        crew["name"].as_str().unwrap_or_default().clone_into(&mut self.crew);
        for variable in crew["required_variables"].as_array().into_iter().flatten().filter_map(Value::as_str)
        {
            if !self.input.contains_key(variable) {
                self.input.insert(variable.to_owned(), json!(format!("load test, job {NUMBER}")));
            }
        }
        Ok(())
    }

    /// When requests start, warm-up included.
    pub(super) fn schedule(&self) -> Schedule {
        Schedule::open(self.rate, self.warm_up + self.duration)
    }

    /// The body of one request.
    pub(super) fn body(&self, number: u64) -> Value {
        let input: Input =
            self.input.iter().map(|(name, value)| (name.clone(), numbered(value, number))).collect();
        let labels = json!({LOAD_LABEL: self.load, NUMBER_LABEL: number.to_string()});
        json!({"crew": self.crew, "input": input, "metadata": labels})
    }

    /// The key that makes sending one request twice harmless.
    pub(super) fn key(&self, number: u64) -> String {
        format!("{}-{number}", self.load)
    }
}

fn numbered(value: &Value, number: u64) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace(NUMBER, &number.to_string())),
        Value::Array(items) => items.iter().map(|item| numbered(item, number)).collect(),
        Value::Object(map) => {
            map.iter().map(|(name, value)| (name.clone(), numbered(value, number))).collect()
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use serde_json::json;

    use super::Plan;
    use crate::cli::{Cli, Command};

    fn plan(args: &[&str]) -> anyhow::Result<Plan> {
        let cli = Cli::try_parse_from([&["quarterdeck", "loadtest"], args].concat()).unwrap();
        let Command::Loadtest(args) = cli.command else { panic!("another command") };
        Plan::read(&args, "load-1".to_owned())
    }

    #[test]
    fn requests_carry_their_number_and_nothing_alike() {
        let plan =
            plan(&["--crew", "c", "-i", "topic=tides {n}", "-i", "list=[\"{n}\",{\"a\":\"{n}{n}\"},3]"])
                .unwrap();
        let body = plan.body(42);
        assert_eq!(body["input"], json!({"topic": "tides 42", "list": ["42", {"a": "4242"}, 3]}));
        assert_eq!(body["metadata"], json!({"loadtest": "load-1", "loadtest_number": "42"}));
        assert_eq!(plan.key(42), "load-1-42");
        assert_ne!(plan.key(1), plan.key(2));
    }

    #[test]
    fn the_defaults_are_a_small_load_and_the_objectives_of_the_product() {
        let plan = plan(&[]).unwrap();
        assert_eq!((plan.rate, plan.duration.as_secs(), plan.slos.len()), (10.0, 30, 3));
        assert_eq!(plan.schedule().span().as_secs(), 30);
    }

    #[test]
    fn what_makes_no_load_is_refused_with_the_flag() {
        for (args, why) in [
            (&["--rate", "0"][..], "--rate 0: is no number of jobs"),
            (&["--rate", "NaN"], "--rate NaN"),
            (&["--rate=-1"], "--rate -1"),
            (&["--rate", "200000"], "up to 100000"),
            (&["--duration", "soon"], "--duration: `soon` is no time"),
            (&["--duration", "0s"], "--duration 0s at 10/s: is no load"),
            (&["--rate", "1000", "--duration", "2h"], "at most 5,000,000 jobs"),
            (&["--warmup", "1"], "--warmup: `1` is no time"),
            (&["--settle", "x"], "--settle: `x` is no time"),
            (&["--connections", "0"], "--connections 0: is no number from 1 to 4096"),
            (&["--in-flight", "0"], "--in-flight 0"),
            (&["--slo", "speed=1"], "--slo speed=1: there is no figure `speed`"),
            (&["-i", "x"], "`x` is no NAME=VALUE"),
        ] {
            let error = plan(args).unwrap_err().to_string();
            assert!(error.contains(why), "{args:?}: {error}");
        }
    }
}
