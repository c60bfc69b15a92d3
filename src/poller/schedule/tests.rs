use super::*;
use std::sync::LazyLock;

#[allow(clippy::disallowed_methods)]
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(millis: u64) -> Instant {
    *START + Duration::from_millis(millis)
}

fn target(name: &str) -> Target {
    Target {
        name: name.to_owned(),
        addresses: vec![("InternalIP".to_owned(), "10.0.0.7".to_owned())],
        kubelet_port: 10250,
        metrics_path: String::new(),
        ready: true,
    }
}

fn schedule(names: &[&str]) -> Schedule {
    let mut schedule = Schedule::new(Duration::from_secs(15));
    schedule.replace(names.iter().map(|n| target(n)).collect(), at(0));
    assert!(schedule.begin_round(at(0)));
    schedule
}

/// Takes the next node at `now`, which must be `name`.
fn take(schedule: &mut Schedule, now: u64, name: &str) {
    match schedule.next(at(now)) {
        Next::Scrape(target) => assert_eq!(target.name, name, "at {now} ms"),
        Next::Sleep(until) => panic!("nothing due at {now} ms, sleeps until {until:?}"),
    }
}

fn sleeps_until(schedule: &mut Schedule, now: u64, until: u64) {
    assert_eq!(schedule.next(at(now)), Next::Sleep(at(until)), "at {now} ms");
}

const READ: Outcome = Outcome::Read { settled: true };
const YOUNG: Outcome = Outcome::Read { settled: false };
const DOWN: Outcome = Outcome::Failed;

fn done(schedule: &mut Schedule, now: u64, name: &str, outcome: Outcome) {
    schedule.done(name, at(now), Duration::from_millis(5), outcome);
}

#[test]
fn a_young_node_is_scraped_at_0_2_6_and_10_5_seconds_and_then_each_resolution() {
    let mut s = schedule(&["a"]);
    take(&mut s, 0, "a");
    done(&mut s, 5, "a", YOUNG);
    sleeps_until(&mut s, 5, 2_000);
    take(&mut s, 2_000, "a");
    done(&mut s, 2_005, "a", YOUNG);
    sleeps_until(&mut s, 2_005, 6_000);
    take(&mut s, 6_000, "a");
    done(&mut s, 6_005, "a", YOUNG);
    sleeps_until(&mut s, 6_005, 10_500);
    take(&mut s, 10_500, "a");
    done(&mut s, 10_505, "a", READ);
    sleeps_until(&mut s, 10_505, 15_000);
    assert!(s.begin_round(at(15_000)));
    take(&mut s, 15_000, "a");
    done(&mut s, 15_005, "a", READ);
    sleeps_until(&mut s, 15_005, 30_000);
}

#[test]
fn a_settled_node_needs_no_extra_scrapes() {
    let mut s = schedule(&["a"]);
    take(&mut s, 0, "a");
    done(&mut s, 5, "a", YOUNG);
    take(&mut s, 2_000, "a");
    done(&mut s, 2_005, "a", READ);
    sleeps_until(&mut s, 2_005, 15_000);
}

#[test]
fn a_new_node_is_due_at_once_and_then_follows_the_rounds() {
    let mut s = schedule(&["b"]);
    take(&mut s, 0, "b");
    done(&mut s, 5, "b", READ);
    s.replace(vec![target("a"), target("b")], at(14_000));
    take(&mut s, 14_000, "a");
    done(&mut s, 14_005, "a", YOUNG);
    sleeps_until(&mut s, 14_005, 15_000);
    assert!(s.begin_round(at(15_000)));
    assert_eq!(s.due(at(15_000)), 2);
}

#[test]
fn a_removed_node_is_forgotten_even_in_flight() {
    let mut s = schedule(&["a", "b"]);
    take(&mut s, 0, "a");
    s.replace(vec![target("b")], at(1));
    done(&mut s, 2, "a", DOWN);
    take(&mut s, 2, "b");
    done(&mut s, 3, "b", READ);
    sleeps_until(&mut s, 3, 15_000);
}

#[test]
fn failing_and_unready_nodes_come_last() {
    let mut s = schedule(&["a", "b"]);
    take(&mut s, 0, "a");
    done(&mut s, 1, "a", DOWN);
    take(&mut s, 1, "b");
    done(&mut s, 2, "b", READ);
    let mut unready = target("0-unready");
    unready.ready = false;
    s.replace(vec![unready, target("a"), target("b")], at(14_999));
    s.begin_round(at(15_000));
    take(&mut s, 15_000, "b");
    take(&mut s, 15_000, "0-unready");
    take(&mut s, 15_000, "a");
}

#[test]
fn a_failing_node_is_left_alone_longer_and_longer_but_at_most_a_minute() {
    let mut s = schedule(&["a"]);
    take(&mut s, 0, "a");
    done(&mut s, 1, "a", READ);
    let mut now = 15_000;
    for wait in [15_000, 30_000, 60_000, 60_000, 60_000] {
        take(&mut s, now, "a");
        done(&mut s, now + 100, "a", DOWN);
        let Next::Sleep(round) = s.next(at(now + 100)) else { panic!("due at once") };
        assert_eq!(round, at(now + 15_000), "rounds go on");
        assert_eq!(s.due(at(now + wait - 1)), 0);
        now += wait;
        assert_eq!(s.due(at(now)), 1);
    }
}

#[test]
fn a_long_resolution_never_skips_a_round() {
    assert_eq!(rounds_skipped(9, Duration::from_secs(60)), 0);
    assert_eq!(rounds_skipped(9, Duration::from_secs(600)), 0);
    assert_eq!(rounds_skipped(u32::MAX, Duration::from_secs(15)), 3);
}

#[test]
fn a_node_that_was_never_read_is_tried_soon_at_first() {
    let mut s = schedule(&["a"]);
    let mut now = 0;
    for _ in 0..3 {
        take(&mut s, now, "a");
        done(&mut s, now + 1, "a", DOWN);
        sleeps_until(&mut s, now + 1, now + 2_001);
        now += 2_001;
    }
    take(&mut s, now, "a");
    done(&mut s, now + 1, "a", DOWN);
    assert_eq!(s.due(at(59_999)), 0);
    assert_eq!(s.due(at(60_000)), 1);
}

#[test]
fn a_failing_node_is_due_when_its_address_changes() {
    let mut s = schedule(&["a"]);
    take(&mut s, 0, "a");
    done(&mut s, 1, "a", READ);
    take(&mut s, 15_000, "a");
    done(&mut s, 15_001, "a", DOWN);
    let mut moved = target("a");
    moved.addresses[0].1 = "10.0.0.8".to_owned();
    s.replace(vec![moved], at(16_000));
    take(&mut s, 16_000, "a");
}

#[test]
fn a_slow_round_drops_the_rounds_it_covers() {
    let mut s = schedule(&["a"]);
    take(&mut s, 0, "a");
    assert_eq!(s.end_round(at(10)), None, "a scrape is in flight");
    s.done("a", at(40_000), Duration::from_secs(40), READ);
    assert_eq!(s.end_round(at(40_000)), Some(Duration::from_secs(40)));
    assert_eq!(s.end_round(at(40_001)), None, "told once");
    assert!(s.begin_round(at(40_001)));
    sleeps_until(&mut s, 40_001, 45_000);
    assert!(!s.begin_round(at(44_999)));
    assert!(s.begin_round(at(45_000)));
}

#[test]
fn k50_no_nodes_is_a_round_without_work() {
    let mut s = schedule(&[]);
    sleeps_until(&mut s, 1, 15_000);
    assert!(s.end_round(at(1)).is_some());
    assert!(s.begin_round(at(15_000)));
}

#[test]
fn before_the_inventory_there_are_no_rounds() {
    let mut s = Schedule::new(Duration::from_secs(15));
    assert!(!s.begin_round(at(0)));
    sleeps_until(&mut s, 0, 15_000);
}

#[test]
fn one_thread_does_while_a_round_fits_into_half_the_resolution() {
    let names: Vec<String> = (0..40).map(|i| format!("n{i:02}")).collect();
    let mut s = schedule(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for (i, name) in names.iter().enumerate() {
        take(&mut s, i as u64, name);
        s.done(name, at(i as u64), Duration::from_millis(180), READ);
    }
    assert_eq!(s.workers(), 1, "40 x 0.18 s fits into 7.5 s");
}

#[test]
fn slow_nodes_call_for_more_threads_within_the_round_and_fewer_after_it() {
    let names: Vec<String> = (0..20).map(|i| format!("n{i:02}")).collect();
    let mut s = schedule(&names.iter().map(String::as_str).collect::<Vec<_>>());
    take(&mut s, 0, "n00");
    s.done("n00", at(2_000), Duration::from_secs(2), READ);
    assert_eq!(s.workers(), 6, "20 x 2 s foreseen, 7.5 s allowed");
    take(&mut s, 2_000, "n01");
    s.done("n01", at(12_000), Duration::from_secs(10), READ);
    assert_eq!(s.workers(), 16, "never more than 16");
    s.begin_round(at(15_000));
    assert_eq!(s.workers(), 2, "the last round took 12 s in all");
    s.begin_round(at(30_000));
    assert_eq!(s.workers(), 1);
}

#[test]
fn help_comes_when_a_scrape_hangs_or_threads_are_too_few() {
    let mut s = schedule(&["a", "b", "c"]);
    assert_eq!(s.help_at(at(0)), None, "nobody is busy");
    take(&mut s, 0, "a");
    assert_eq!(s.help_at(at(0)), Some(at(500)), "one is enough until it hangs");
    assert_eq!(s.help_at(at(500)), Some(at(500)));
    take(&mut s, 500, "b");
    assert_eq!(s.help_at(at(500)), Some(at(1_000)), "the hanging one does not count, the second does");
    take(&mut s, 1_000, "c");
    assert_eq!(s.help_at(at(1_000)), None, "no node is left");
    done(&mut s, 1_100, "c", READ);
    assert_eq!(s.help_at(at(1_100)), Some(at(15_000)), "the next round must not wait for the hanging ones");
    s.done("b", at(9_000), Duration::from_secs(9), READ);
    s.done("a", at(9_000), Duration::from_secs(9), READ);
    assert!(s.workers() > 1);
    take(&mut s, 15_000, "a");
    assert_eq!(s.help_at(at(15_000)), Some(at(15_000)), "more threads than one are foreseen");
}
