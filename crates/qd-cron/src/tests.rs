//! What is due when, by the clocks of the zones.

use jiff::Timestamp as Moment;

use super::{Due, Invalid, Timestamp, Timetable};

fn at(text: &str) -> Timestamp {
    Timestamp(text.parse::<Moment>().unwrap().as_millisecond())
}

fn shown(at: Timestamp) -> String {
    Moment::from_millisecond(at.0).unwrap().to_string()
}

/// The next ones after a moment.
fn next(expression: &str, zone: &str, after: &str, count: usize) -> Vec<String> {
    let timetable = Timetable::parse(expression, zone).unwrap();
    let mut moment = at(after);
    let moments = (0..count).map(|_| {
        moment = timetable.after(moment).unwrap();
        shown(moment)
    });
    moments.collect()
}

#[test]
fn expressions_are_due_by_the_clock_of_their_zone() {
    for (expression, zone, after, wanted) in [
        ("30 6 * * *", "UTC", "2026-03-01T06:29:59Z", vec!["2026-03-01T06:30:00Z", "2026-03-02T06:30:00Z"]),
        ("30 6 * * *", "UTC", "2026-03-01T06:30:00Z", vec!["2026-03-02T06:30:00Z"]),
        ("0 9 * * 1-5", "America/New_York", "2026-01-02T20:00:00Z", vec!["2026-01-05T14:00:00Z"]),
        (
            "*/20 * * * *",
            "Asia/Kolkata",
            "2026-01-01T00:00:00Z",
            vec!["2026-01-01T00:10:00Z", "2026-01-01T00:30:00Z"],
        ),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", vec!["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]),
        ("0 12 L * *", "UTC", "2026-02-01T00:00:00Z", vec!["2026-02-28T12:00:00Z", "2026-03-31T12:00:00Z"]),
        ("@daily", "Europe/Berlin", "2026-01-01T00:00:00Z", vec!["2026-01-01T23:00:00Z"]),
    ] {
        assert_eq!(next(expression, zone, after, wanted.len()), wanted, "{expression} in {zone}");
    }
}

#[test]
fn a_fixed_time_in_an_hour_that_is_left_out_runs_right_after_it() {
    // 2026-03-29 in Berlin: 02:00 is 03:00.
    let wanted = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", 3), wanted);
}

#[test]
fn steps_go_by_the_clock_on_the_wall_where_an_hour_is_left_out() {
    let wanted = ["2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"];
    assert_eq!(next("*/30 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", 3), wanted);
}

#[test]
fn a_fixed_time_in_an_hour_that_comes_twice_runs_once() {
    // 2026-10-25 in Berlin: 03:00 is 02:00 again.
    let wanted = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    assert_eq!(next("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", 3), wanted);
}

#[test]
fn steps_run_in_both_hours_where_one_comes_twice() {
    let wanted = [
        "2026-10-25T00:00:00Z",
        "2026-10-25T00:30:00Z",
        "2026-10-25T01:00:00Z",
        "2026-10-25T01:30:00Z",
        "2026-10-25T02:00:00Z",
    ];
    assert_eq!(next("*/30 * * * *", "Europe/Berlin", "2026-10-24T23:45:00Z", 5), wanted);
}

#[test]
fn what_cannot_be_read_or_is_never_due_is_told() {
    for expression in [
        "",
        " ",
        "* * * *",
        "* * * * * *",
        "0 0 1 1 * 2030",
        "60 * * * *",
        "* 24 * * *",
        "0 0 0 * *",
        "0 0 * 13 *",
        "0 0 * * 8",
        "a b c d e",
        "5-1 * * * *",
        "*/0 * * * *",
        "@often",
        "\u{0} * * * *",
        "*\n* * * *x",
    ] {
        let wrong = Timetable::parse(expression, "UTC").unwrap_err();
        assert!(matches!(wrong, Invalid::Expression(_)), "{expression:?}: {wrong:?}");
    }
    let long = format!("{} * * * *", "1,".repeat(60));
    assert!(Timetable::parse(&long, "UTC").is_err());
    for expression in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31 2 *"] {
        assert_eq!(Timetable::parse(expression, "UTC").unwrap_err(), Invalid::NeverDue, "{expression}");
    }
    for zone in ["", "Berlin", "Europe/Nowhere", "../etc/passwd", "local", &"x".repeat(65)] {
        assert_eq!(Timetable::parse("@daily", zone).unwrap_err(), Invalid::Zone, "{zone}");
    }
}

#[test]
fn the_last_that_are_due_are_found_however_long_ago_the_first_was() {
    let every = Timetable::parse("* * * * *", "UTC").unwrap();
    let now = at("2026-06-01T12:00:30Z");
    let minutes = |back: i64| at("2026-06-01T12:00:00Z").0 - back * 60_000;
    for (first, most, count) in [
        (minutes(0), 5, 1),
        (minutes(3), 5, 4),
        (minutes(3), 2, 2),
        (minutes(3_000), 5, 5),
        (minutes(3_000_000), 5, 5),
    ] {
        let due = every.due(Timestamp(first), now, most);
        let wanted: Vec<_> = (0..count).rev().map(|back| Timestamp(minutes(back))).collect();
        assert_eq!(due, Due { last: wanted, next: Some(at("2026-06-01T12:01:00Z")) }, "{first} {most}");
    }
    let yearly = Timetable::parse("@yearly", "UTC").unwrap();
    let due = yearly.due(at("2020-01-01T00:00:00Z"), now, 3);
    assert_eq!(
        (due.last.len(), due.last[2], due.next),
        (3, at("2026-01-01T00:00:00Z"), Some(at("2027-01-01T00:00:00Z")))
    );
}
