//! Limits under a clock that the tests move: what is refused, how long it is to wait, and that headers tell the truth.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::{ProptestConfig, prop_assert, prop_assert_eq, proptest};
use qd_env::{Env, ManualClock};
use qd_types::Usage;

use super::{Limits, Need};
use crate::sim::{LimitOptions, RampOptions};
use crate::wires::{Anthropic, Dialect, Measure, OpenAiServer, Refusal, ServeWire, Standing, Why};

/// 2024-02-29T00:00:00Z.
const START: i64 = 1_709_164_800_000;

const OPENAI: OpenAiServer = OpenAiServer { dialect: Dialect::Openai };

struct Bench {
    limits: Limits,
    clock: Arc<ManualClock>,
}

impl Bench {
    fn new(options: LimitOptions) -> Self {
        Self::with(&[options])
    }

    fn with(options: &[LimitOptions]) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let env = Env::with(clock.clone(), 0);
        Self { limits: Limits::new(options, env), clock }
    }

    /// One request that ends at once.
    fn ask(&self, need: Need) -> (Option<Standing>, Result<(), Refusal>) {
        let (standing, result) = self.limits.admit(1, "demo", need);
        (standing, result.map(drop))
    }

    fn refusal(&self, need: Need) -> Refusal {
        self.ask(need).1.unwrap_err()
    }

    fn pass(&self, seconds: f64) {
        self.clock.advance(Duration::from_secs_f64(seconds));
    }
}

/// A request that uses everything that it reserves.
fn need(input: u64, output: u64) -> Need {
    Need { input, output_max: output, output }
}

#[test]
fn without_limits_everything_is_taken_and_nothing_told() {
    let bench = Bench::with(&[]);
    for _ in 0..1000 {
        assert_eq!(bench.ask(need(1_000_000, 1_000_000)), (None, Ok(())));
    }
    let other = Bench::new(LimitOptions {
        model: Some("big".to_owned()),
        requests_per_minute: Some(1),
        ..LimitOptions::default()
    });
    assert_eq!(other.ask(need(1, 1)), (None, Ok(())));
}

#[test]
fn each_limit_refuses_what_is_beyond_it_and_says_how_long() {
    let none = LimitOptions::default();
    for (options, need, measure, takes, wait) in [
        (
            LimitOptions { requests_per_minute: Some(3), ..none.clone() },
            need(9, 9),
            Measure::Requests,
            3,
            20.0,
        ),
        (
            LimitOptions { requests_per_day: Some(2), ..none.clone() },
            need(9, 9),
            Measure::DailyRequests,
            2,
            43_200.0,
        ),
        (
            LimitOptions { input_tokens_per_minute: Some(100), ..none.clone() },
            need(40, 9),
            Measure::InputTokens,
            2,
            12.0,
        ),
        (
            LimitOptions { output_tokens_per_minute: Some(100), ..none.clone() },
            need(9, 50),
            Measure::OutputTokens,
            2,
            30.0,
        ),
        (LimitOptions { tokens_per_minute: Some(60), ..none }, need(10, 5), Measure::Tokens, 4, 15.0),
    ] {
        let bench = Bench::new(options);
        for _ in 0..takes {
            assert_eq!(bench.ask(need).1, Ok(()), "{measure:?}");
        }
        let refusal = bench.refusal(need);
        assert!(matches!(refusal.why, Why::Exceeded { measure: own, .. } if own == measure), "{refusal:?}");
        assert_eq!((refusal.status, refusal.retry_after), (429, Some(Duration::from_secs_f64(wait))));
        assert_eq!(bench.refusal(need), refusal, "what is refused takes nothing");
        bench.pass(wait - 0.001);
        assert!(bench.ask(need).1.is_err(), "{measure:?}: a moment early");
        bench.pass(0.001);
        assert_eq!(bench.ask(need).1, Ok(()), "{measure:?}");
    }
}

#[test]
fn customers_have_limits_of_their_own() {
    let bench = Bench::new(LimitOptions { requests_per_minute: Some(1), ..LimitOptions::default() });
    for (customer, is_taken) in [(1, true), (1, false), (2, true), (3, true)] {
        assert_eq!(bench.limits.admit(customer, "demo", need(1, 1)).1.is_ok(), is_taken, "{customer}");
    }
    bench.limits.clear();
    assert!(bench.limits.admit(1, "demo", need(1, 1)).1.is_ok());
}

#[test]
fn an_answer_reserves_its_bound_and_gives_back_what_it_did_not_need() {
    let bench = Bench::new(LimitOptions { output_tokens_per_minute: Some(1000), ..LimitOptions::default() });
    let need = Need { input: 5, output_max: 800, output: 10 };
    let (standing, reservation) = bench.limits.admit(1, "demo", need);
    assert_eq!(standing.unwrap().gauges[0].remaining, 200);
    assert!(bench.ask(need).1.is_err(), "while the first is under way there is no room");
    drop(reservation);
    assert_eq!(bench.limits.standing(1, "demo").unwrap().gauges[0].remaining, 990);
}

#[test]
fn what_no_wait_helps_against_names_no_wait() {
    let bench = Bench::new(LimitOptions {
        tokens_per_minute: Some(100),
        context_tokens: Some(50),
        spend_usd: Some(1.0),
        ..LimitOptions::default()
    });
    let window = bench.refusal(need(51, 1));
    assert_eq!((window.status, window.retry_after), (400, None));
    assert_eq!(window.why, Why::Window { limit: 50, got: 51 });

    let large = bench.refusal(need(50, 51));
    assert_eq!((large.status, large.retry_after), (429, None));
    assert_eq!(large.why, Why::TooLarge { measure: Measure::Tokens, limit: 100, requested: 101 });

    let (_, reservation) = bench.limits.admit(1, "demo", need(1, 1));
    reservation.unwrap().unwrap().paid(&Usage { input_tokens: 2_000_000, ..Usage::default() });
    let spent = bench.refusal(need(1, 1));
    assert_eq!((spent.status, spent.why, spent.retry_after), (429, Why::Spend, None));
    bench.limits.clear();
    assert_eq!(bench.ask(need(1, 1)).1, Ok(()));
}

#[test]
fn requests_may_grow_only_so_fast() {
    let ramp = RampOptions { requests: 4, growth: 0.5, window_seconds: 10.0 };
    let bench = Bench::new(LimitOptions { ramp: Some(ramp), ..LimitOptions::default() });
    let taken = || std::iter::repeat_with(|| bench.ask(need(1, 1)).1).take(50).filter(Result::is_ok).count();
    let mut windows = Vec::new();
    for _ in 0..4 {
        windows.push(taken());
        bench.pass(3.0);
        let refusal = bench.refusal(need(1, 1));
        assert_eq!((refusal.why, refusal.retry_after), (Why::Ramp, Some(Duration::from_secs(7))));
        bench.pass(7.0);
    }
    assert_eq!(windows, [4, 6, 9, 13]);
    bench.pass(20.0);
    assert_eq!(taken(), 4, "a pause takes it back to the start");
}

#[test]
fn more_customers_than_can_be_told_apart_share_one_limit() {
    let bench = Bench::new(LimitOptions { requests_per_minute: Some(1), ..LimitOptions::default() });
    for customer in 0..super::ACCOUNTS_MAX as u64 {
        assert!(bench.limits.admit(customer, "demo", need(1, 1)).1.is_ok());
    }
    assert!(bench.limits.admit(90_001, "demo", need(1, 1)).1.is_ok());
    assert!(bench.limits.admit(90_002, "demo", need(1, 1)).1.is_err(), "a fresh key gets around no limit");
}

type Headers = HashMap<&'static str, String>;

fn headers(wire: &dyn ServeWire, standing: &Standing) -> Headers {
    wire.headers(None, Some(standing)).into_iter().collect()
}

#[test]
fn headers_have_the_forms_of_their_providers() {
    let bench = Bench::new(LimitOptions {
        requests_per_minute: Some(50),
        requests_per_day: Some(30),
        input_tokens_per_minute: Some(40_000),
        output_tokens_per_minute: Some(8_000),
        ..LimitOptions::default()
    });
    bench.ask(need(20_000, 100)).1.unwrap();
    bench.pass(0.5);
    let (standing, _) = bench.ask(need(100, 100));
    let standing = standing.unwrap();
    let anthropic = headers(&Anthropic, &standing);
    for (name, value) in [
        ("requests-limit", "30"),
        ("requests-remaining", "28"),
        ("requests-reset", "2024-02-29T01:36:00Z"),
        ("input-tokens-limit", "40000"),
        ("input-tokens-remaining", "20233"),
        ("input-tokens-reset", "2024-02-29T00:00:31Z"),
        ("output-tokens-limit", "8000"),
        ("output-tokens-remaining", "7866"),
        ("output-tokens-reset", "2024-02-29T00:00:02Z"),
        ("tokens-remaining", "7866"),
    ] {
        assert_eq!(anthropic[&*format!("anthropic-ratelimit-{name}")], value, "{name}");
    }
    let openai = headers(&OPENAI, &standing);
    for (name, value) in [
        ("limit-requests", "30"),
        ("remaining-requests", "28"),
        ("reset-requests", "1h35m59.5s"),
        ("limit-tokens", "8000"),
        ("remaining-tokens", "7866"),
        ("reset-tokens", "1s"),
    ] {
        assert_eq!(openai[&*format!("x-ratelimit-{name}")], value, "{name}");
    }
}

/// A client that heeds headers alone: it knows what it needs, and waits for the reset where that is not left.
struct Heedful {
    headers: Headers,
    /// When they came, in milliseconds of the clock.
    at: i64,
}

impl Heedful {
    fn wait(&self, wire: &str, need: Need, now: i64) -> i64 {
        let number = |name: &str| self.headers.get(name).map(|value| value.parse::<u64>().unwrap());
        let names: &[(&str, u64)] = match wire {
            "anthropic" => &[
                ("requests", 1),
                ("input-tokens", need.input),
                ("output-tokens", need.output_max),
                ("tokens", need.input + need.output_max),
            ],
            _ => &[("requests", 1), ("tokens", need.input + need.output_max)],
        };
        let waits = names.iter().filter_map(|(name, need)| {
            let (remaining, reset) = match wire {
                "anthropic" => (
                    format!("anthropic-ratelimit-{name}-remaining"),
                    format!("anthropic-ratelimit-{name}-reset"),
                ),
                _ => (format!("x-ratelimit-remaining-{name}"), format!("x-ratelimit-reset-{name}")),
            };
            if number(&remaining)? >= *need {
                return None;
            }
            let reset = &self.headers[&*reset];
            Some(if wire == "anthropic" { rfc3339(reset) - now } else { self.at + go(reset) - now })
        });
        waits.max().unwrap_or(0).max(0)
    }
}

/// Milliseconds since 1970 of a moment on or after the day of [`START`].
fn rfc3339(text: &str) -> i64 {
    let (date, time) = text.trim_end_matches('Z').split_once('T').unwrap();
    let day: i64 = match date {
        "2024-02-29" => 0,
        march => march.strip_prefix("2024-03-").unwrap().parse().unwrap(),
    };
    let seconds = time.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().unwrap());
    START + (day * 86_400 + seconds) * 1000
}

/// Milliseconds of a Go duration.
fn go(text: &str) -> i64 {
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.parse().unwrap();
    }
    let mut millis = 0.0;
    let mut number = String::new();
    for c in text.chars() {
        let unit = match c {
            'h' => 3_600_000.0,
            'm' => 60_000.0,
            's' => 1000.0,
            digit => {
                number.push(digit);
                continue;
            }
        };
        millis += std::mem::take(&mut number).parse::<f64>().unwrap() * unit;
    }
    #[allow(clippy::cast_possible_truncation)]
    let whole = millis.round() as i64;
    whole
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whoever_heeds_the_headers_is_never_refused(
        requests in proptest::option::of(1_u64..40),
        daily in proptest::option::of(20_u64..2000),
        input in proptest::option::of(200_u64..5000),
        output in proptest::option::of(200_u64..5000),
        tokens in proptest::option::of(400_u64..9000),
        speaks_anthropic in proptest::bool::ANY,
        calls in proptest::collection::vec((1_u64..200, 1_u64..200, 0_u64..200, 0_u64..4000), 1..60),
    ) {
        let options = LimitOptions {
            requests_per_minute: requests,
            requests_per_day: daily,
            input_tokens_per_minute: input,
            output_tokens_per_minute: output,
            tokens_per_minute: tokens,
            ..LimitOptions::default()
        };
        let has_limits = options != LimitOptions::default();
        let bench = Bench::new(options);
        let (name, wire): (&str, &dyn ServeWire) =
            if speaks_anthropic { ("anthropic", &Anthropic) } else { ("openai", &OPENAI) };
        let mut client = Heedful { headers: Headers::new(), at: START };
        let mut now = START;
        for (input, output_max, unneeded, pause) in calls {
            let need = Need { input, output_max, output: output_max.saturating_sub(unneeded) };
            let wait = client.wait(name, need, now) + i64::try_from(pause).unwrap();
            bench.clock.advance(Duration::from_millis(wait.unsigned_abs()));
            now += wait;
            let (standing, result) = bench.ask(need);
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(standing.is_some(), has_limits);
            if let Some(standing) = standing {
                client = Heedful { headers: headers(wire, &standing), at: now };
            }
        }
    }

    #[test]
    fn whoever_waits_as_told_is_taken_next(
        limit in 1_u64..50,
        tokens in 50_u64..2000,
        calls in proptest::collection::vec((1_u64..50, 0_u64..3000), 1..80),
    ) {
        let bench = Bench::new(LimitOptions {
            requests_per_minute: Some(limit),
            tokens_per_minute: Some(tokens),
            ..LimitOptions::default()
        });
        for (input, pause) in calls {
            bench.clock.advance(Duration::from_millis(pause));
            if let Err(refusal) = bench.ask(need(input, 0)).1 {
                let wait = refusal.retry_after.unwrap();
                prop_assert!(wait > Duration::ZERO);
                // The clock of this test has milliseconds; a header of seconds rounds up even more.
                bench.clock.advance(Duration::from_millis(wait.as_nanos().div_ceil(1_000_000).try_into().unwrap()));
                prop_assert_eq!(bench.ask(need(input, 0)).1, Ok(()));
            }
        }
    }
}
