mod growth;

use super::*;
use std::collections::BTreeMap;
use std::sync::LazyLock;

#[allow(clippy::disallowed_methods)]
static START: LazyLock<Instant> = LazyLock::new(|| Instant::now() + Duration::from_secs(1_000));

const RESOLUTION: u64 = 15_000;

fn at(millis: u64) -> Instant {
    *START + Duration::from_millis(millis)
}

/// Milliseconds since the start, rounded up: a thread never wakes too early.
fn millis(at: Instant) -> u64 {
    at.duration_since(*START).as_nanos().div_ceil(1_000_000) as u64
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

fn schedule(names: &[&str]) -> Schedule<()> {
    let mut schedule = Schedule::new(Duration::from_millis(RESOLUTION), 7);
    schedule.replace(names.iter().map(|n| target(n)).collect(), at(0));
    schedule
}

/// Takes the next node at `now`, which must be `name`.
fn take(schedule: &mut Schedule<()>, now: u64, name: &str) -> Job<()> {
    match schedule.next(at(now)) {
        Turn::Scrape(job) => {
            assert_eq!(job.target.name, name, "at {now} ms");
            job
        }
        Turn::Sleep(until) => panic!("nothing due at {now} ms, sleeps until {until:?}"),
    }
}

/// When a thread with nothing to do at `now` wakes, in milliseconds.
fn sleeps_until(schedule: &mut Schedule<()>, now: u64) -> u64 {
    match schedule.next(at(now)) {
        Turn::Scrape(job) => panic!("{} is due at {now} ms", job.target.name),
        Turn::Sleep(until) => millis(until),
    }
}

const READ: Outcome = Outcome::Read { settled: true };
const YOUNG: Outcome = Outcome::Read { settled: false };
const DOWN: Outcome = Outcome::Failed("refused");

/// Takes `name` at `now` and ends the scrape after `took` ms.
fn scrape(schedule: &mut Schedule<()>, now: u64, name: &str, took: u64, outcome: Outcome) {
    let job = take(schedule, now, name);
    schedule.done(job, at(now + took), Duration::from_millis(took), outcome);
}

#[test]
fn a_young_node_is_scraped_at_0_2_6_and_10_5_seconds_and_then_each_resolution() {
    let mut s = schedule(&["a"]);
    for (now, next) in [(0, 2_000), (2_000, 6_000), (6_000, 10_500)] {
        scrape(&mut s, now, "a", 5, YOUNG);
        assert_eq!(sleeps_until(&mut s, now + 5), next);
    }
    scrape(&mut s, 10_500, "a", 5, READ);
    // A thread looks around each resolution at least.
    assert_eq!(sleeps_until(&mut s, 10_505), 25_500);
    scrape(&mut s, 25_500, "a", 5, READ);
    assert_eq!(sleeps_until(&mut s, 25_505), 40_500);
}

#[test]
fn a_settled_node_needs_no_extra_scrapes_and_keeps_its_distance() {
    let mut s = schedule(&["a"]);
    scrape(&mut s, 0, "a", 5, YOUNG);
    scrape(&mut s, 2_000, "a", 5, READ);
    // Late by a second: the next is due as if it had been on time.
    scrape(&mut s, 18_000, "a", 5, READ);
    assert_eq!(sleeps_until(&mut s, 18_005), 32_000);
    // Late by more than an eighth of a resolution: its distance starts from there.
    scrape(&mut s, 40_000, "a", 5, READ);
    assert_eq!(sleeps_until(&mut s, 40_005), 40_000 - 1_875 + 15_000);
}

#[test]
fn a_new_node_is_due_at_once() {
    let mut s = schedule(&["b"]);
    scrape(&mut s, 0, "b", 5, READ);
    s.replace(vec![target("a"), target("b"), target("c")], at(9_000));
    scrape(&mut s, 9_000, "a", 5, READ);
    scrape(&mut s, 9_005, "c", 5, READ);
    assert_eq!(sleeps_until(&mut s, 9_010), 15_000);
}

#[test]
fn a_removed_node_is_forgotten_even_in_flight() {
    let mut s = schedule(&["a", "b"]);
    let job = take(&mut s, 0, "a");
    s.replace(vec![target("b")], at(1));
    // Its place may be taken again meanwhile.
    s.replace(vec![target("b"), target("c")], at(1));
    s.done(job, at(2), Duration::from_millis(2), DOWN);
    scrape(&mut s, 2, "b", 1, READ);
    scrape(&mut s, 3, "c", 1, READ);
    assert_eq!(s.waiting(), 2);
    assert_eq!((s.other_cost, s.in_flight.len()), (Duration::ZERO, 0));
}

#[test]
fn slow_failing_and_unready_nodes_come_last() {
    let mut s = schedule(&["0-dead", "a", "b"]);
    scrape(&mut s, 0, "0-dead", 1, DOWN);
    scrape(&mut s, 1, "a", 1, READ);
    scrape(&mut s, 2, "b", 900, READ);
    let mut unready = target("0-unready");
    unready.ready = false;
    let rest = ["a", "b", "c"].map(target);
    s.replace([vec![target("0-dead"), unready], rest.to_vec()].concat(), at(14_999));
    let order: Vec<String> = std::iter::from_fn(|| match s.next(at(20_000)) {
        Turn::Scrape(job) => {
            let name = job.target.name.clone();
            s.done(job, at(20_000), Duration::from_millis(1), READ);
            Some(name)
        }
        Turn::Sleep(_) => None,
    })
    .collect();
    assert_eq!(order, ["a", "c", "0-dead", "0-unready", "b"]);
}

#[test]
fn a_failing_node_is_left_alone_longer_and_longer_but_at_most_a_minute() {
    let mut s = schedule(&["a"]);
    scrape(&mut s, 0, "a", 1, READ);
    let mut now = 15_000;
    for wait in [15_000, 30_000, 60_000, 60_000, 60_000] {
        scrape(&mut s, now, "a", 100, DOWN);
        let due = millis(s.queues.head_due(Class::Last).unwrap()) - now;
        assert!(due >= wait && due <= wait + wait / 5 + 1, "{due} ms instead of {wait}");
        now += due;
    }
}

#[test]
fn a_node_that_is_not_ready_and_fails_is_tried_slowly() {
    assert_eq!(backoff(1, Duration::from_secs(15), false), limits::BACKOFF_MAX);
    assert_eq!(backoff(u32::MAX, Duration::from_secs(15), true), limits::BACKOFF_MAX);
    assert_eq!(backoff(9, Duration::from_secs(600), true), Duration::from_secs(600), "a long resolution");
}

#[test]
fn a_node_that_was_never_read_is_tried_soon_at_first() {
    let mut s = schedule(&["a"]);
    let mut now = 0;
    for _ in 0..limits::EARLY_TRIES {
        scrape(&mut s, now, "a", 1, DOWN);
        assert_eq!(sleeps_until(&mut s, now + 1), now + 2_001);
        now += 2_001;
    }
    scrape(&mut s, now, "a", 1, DOWN);
    assert!(s.queues.head_due(Class::Last).unwrap() >= at(now + 60_000));
}

#[test]
fn a_failing_node_is_due_when_its_address_changes_or_the_api_server_is_reachable_again() {
    let mut s = schedule(&["a", "b"]);
    for (now, outcome) in [(0, READ), (15_000, Outcome::Failed("unauthorized")), (30_200, DOWN)] {
        while let Turn::Scrape(job) = s.next(at(now + 5_000)) {
            let result = if job.target.name == "a" { outcome } else { READ };
            s.done(job, at(now + 5_000), Duration::ZERO, result);
        }
    }
    let mut moved = target("a");
    moved.addresses[0].1 = "10.0.0.8".to_owned();
    s.replace(vec![moved, target("b")], at(36_000));
    scrape(&mut s, 36_000, "a", 1, Outcome::Failed("unauthorized"));
    s.retry(|reason| reason == "forbidden", at(37_000));
    sleeps_until(&mut s, 37_000);
    s.retry(|reason| reason == "unauthorized", at(37_000));
    take(&mut s, 37_000, "a");
}

#[test]
fn a_round_is_measured_once() {
    let mut s = schedule(&["a", "b"]);
    let job = take(&mut s, 100, "a");
    assert_eq!(s.end_round(at(110)), None, "a scrape is in flight");
    s.done(job, at(200), Duration::from_millis(100), READ);
    assert_eq!(s.end_round(at(200)), None, "b is due");
    scrape(&mut s, 200, "b", 50, READ);
    assert_eq!(s.end_round(at(250)), Some(Duration::from_millis(150)));
    assert_eq!(s.end_round(at(251)), None, "counted once");
}

#[test]
fn before_and_without_nodes_there_is_nothing_to_do() {
    let mut s: Schedule<()> = Schedule::new(Duration::from_millis(RESOLUTION), 7);
    assert!(!s.is_synced());
    assert_eq!(sleeps_until(&mut s, 0), 15_000);
    s.replace(vec![], at(0));
    assert!(s.is_synced());
    assert_eq!((sleeps_until(&mut s, 1), s.end_round(at(1))), (15_001, None));
}

#[test]
fn one_thread_does_while_a_round_fits_into_half_the_resolution() {
    let names: Vec<String> = (0..40).map(|i| format!("n{i:02}")).collect();
    let mut s = schedule(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for (i, name) in names.iter().enumerate() {
        scrape(&mut s, i as u64 * 180, name, 180, READ);
    }
    let _first = take(&mut s, 15_000, "n00");
    assert_eq!(
        sleeps_until(&mut s, 15_000),
        15_500,
        "40 x 0.18 s fits: the next thread looks when this one hangs"
    );
    let _second = take(&mut s, 15_500, "n01");
}

#[test]
fn more_threads_scrape_while_a_round_does_not_fit() {
    let names: Vec<String> = (0..60).map(|i| format!("n{i:02}")).collect();
    let mut s = schedule(&names.iter().map(String::as_str).collect::<Vec<_>>());
    for (i, name) in names.iter().enumerate() {
        scrape(&mut s, i as u64, name, 300, READ);
    }
    let jobs: Vec<Job<()>> = std::iter::from_fn(|| match s.next(at(20_000)) {
        Turn::Scrape(job) => Some(job),
        Turn::Sleep(_) => None,
    })
    .collect();
    assert_eq!(jobs.len(), 3, "60 x 0.3 s in 7.5 s");
}

#[test]
fn the_last_thread_is_for_quick_nodes() {
    let slow: Vec<String> = (0..30).map(|i| format!("slow{i:02}")).collect();
    let mut names: Vec<&str> = slow.iter().map(String::as_str).collect();
    names.insert(0, "quick");
    let mut s = schedule(&names);
    let mut jobs = Vec::new();
    for now in 0..60 {
        while let Turn::Scrape(job) = s.next(at(now * 500)) {
            if job.target.name == "quick" {
                s.done(job, at(now * 500), Duration::ZERO, READ);
            } else {
                jobs.push(job);
            }
        }
    }
    assert_eq!((jobs.len(), s.in_flight.len()), (15, 15));
    take(&mut s, 45_000, "quick");
}

/// How a simulated node answers.
#[derive(Clone, Copy)]
struct Behaviour {
    millis: u64,
    /// The first scrape takes so much longer: names that cannot be resolved.
    first: u64,
    outcome: Outcome,
}

const HEALTHY: Behaviour = Behaviour { millis: 8, first: 0, outcome: READ };
const SLOW: Behaviour = Behaviour { millis: 9_000, first: 0, outcome: READ };
const DEAD: Behaviour = Behaviour { millis: 2_000, first: 0, outcome: Outcome::Failed("timeout") };
const HUNG: Behaviour = Behaviour { millis: 10_000, ..DEAD };
const REFUSED: Behaviour = Behaviour { millis: 1, first: 0, outcome: DOWN };

/// Sixteen threads and these nodes for ten minutes of simulated time.
#[derive(Default)]
struct Simulated {
    /// The worst age of each node's last sample after the first minute, milliseconds.
    worst: BTreeMap<String, u64>,
    /// Scrapes of each node.
    count: BTreeMap<String, u32>,
    /// When each node's usage could be served: its second sample at least 10 s after the first, milliseconds.
    served: BTreeMap<String, u64>,
}

fn simulate(behaviours: &[Behaviour]) -> Simulated {
    let names: Vec<String> = (0..behaviours.len()).map(|i| format!("n{i:04}")).collect();
    let mut s = schedule(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let behaviour = |name: &str| behaviours[name[1..].parse::<usize>().unwrap()];
    let (mut now, mut flights) = (0_u64, Vec::<(u64, u64, Job<()>)>::new());
    let mut simulated = Simulated::default();
    let Simulated { worst, count, served } = &mut simulated;
    let (mut first, mut last) = (BTreeMap::new(), BTreeMap::new());
    // A minute to learn.
    let learned = 60_000;
    while now < 600_000 {
        let mut wake = u64::MAX;
        while flights.len() < limits::SCRAPERS_MAX {
            match s.next(at(now)) {
                Turn::Scrape(job) => {
                    let behaviour = behaviour(&job.target.name);
                    let extra = if count.contains_key(&job.target.name) { 0 } else { behaviour.first };
                    flights.push((now + behaviour.millis + extra, now, job));
                }
                Turn::Sleep(until) => {
                    wake = millis(until);
                    assert!(wake > now, "a thread would not sleep at {now} ms");
                    break;
                }
            }
        }
        let ends = flights.iter().map(|(end, ..)| *end).min().unwrap_or(u64::MAX);
        now = ends.min(wake);
        while let Some(index) = flights.iter().position(|(end, ..)| *end <= now) {
            let (end, begun, job) = flights.swap_remove(index);
            let name = job.target.name.clone();
            let mut outcome = behaviour(&name).outcome;
            if matches!(outcome, Outcome::Read { .. }) {
                let settled = begun >= *first.entry(name.clone()).or_insert(begun) + 10_000;
                outcome = Outcome::Read { settled };
                if settled {
                    served.entry(name.clone()).or_insert(end);
                }
            }
            *count.entry(name.clone()).or_insert(0) += 1;
            s.done(job, at(end), Duration::from_millis(end - begun), outcome);
            if matches!(outcome, Outcome::Read { .. }) {
                // The first sample has no age: nobody knows yet which nodes are slow.
                let before = last.insert(name.clone(), begun).filter(|_| end > learned);
                let worst = worst.entry(name).or_insert(0);
                *worst = before.map_or(0, |before| end - before).max(*worst);
            }
        }
    }
    simulated
}

/// The worst age of the nodes that behave like this.
fn worst_of(behaviours: &[Behaviour], worst: &BTreeMap<String, u64>, millis: u64) -> u64 {
    let of = behaviours.iter().enumerate().filter(|(_, b)| b.millis == millis);
    of.map(|(i, _)| worst[&format!("n{i:04}")]).max().unwrap()
}

fn mixed(parts: &[(usize, Behaviour)]) -> Vec<Behaviour> {
    // Spread over the names, so that no order of them helps.
    let mut all: Vec<Behaviour> = parts.iter().flat_map(|(count, b)| vec![*b; *count]).collect();
    let len = all.len();
    for i in 0..len {
        all.swap(i, (i * 7_919 + 13) % len);
    }
    all
}

#[test]
fn a_healthy_node_is_never_older_than_1_2_resolutions() {
    for (what, parts) in [
        ("healthy only", vec![(100, HEALTHY)]),
        ("45 that answer after 9 s", vec![(45, SLOW), (55, HEALTHY)]),
        ("10 slow and 10 dead of 100", vec![(10, SLOW), (10, DEAD), (80, HEALTHY)]),
        ("4 slow, a refused one, healthy ones", vec![(4, SLOW), (1, REFUSED), (2, HEALTHY)]),
        ("one healthy among dead ones", vec![(60, DEAD), (1, HEALTHY)]),
        ("500 healthy, 100 dead, 100 slow", vec![(500, HEALTHY), (100, DEAD), (100, SLOW)]),
    ] {
        let behaviours = mixed(&parts);
        let Simulated { worst, count, .. } = simulate(&behaviours);
        let healthy = worst_of(&behaviours, &worst, HEALTHY.millis);
        println!("{what}: worst age of a healthy node {healthy} ms");
        assert!(healthy <= RESOLUTION * 12 / 10, "{what}: {healthy} ms");
        assert!(count.values().all(|count| *count > 3), "{what}: a node is never scraped");
    }
}

#[test]
fn after_the_start_slow_and_dead_nodes_hold_healthy_ones_up_for_seconds_only() {
    let late = Behaviour { first: 3_000, ..HEALTHY };
    // The bad nodes come first by name. Without them a node is served 10.5 s after its first scrape.
    for (what, parts, most) in [
        ("10 hung and 10 dead of 100", vec![(10, HUNG), (10, DEAD), (80, HEALTHY)], 17_000),
        ("14 hung of 15", vec![(14, HUNG), (1, HEALTHY)], 13_000),
        ("60 dead of 100", vec![(60, DEAD), (40, HEALTHY)], 21_000),
        ("100 healthy that take 3 s once", vec![(100, late)], 33_000),
    ] {
        let behaviours: Vec<Behaviour> = parts.iter().flat_map(|(count, b)| vec![*b; *count]).collect();
        let served = simulate(&behaviours).served;
        let healthy = behaviours.iter().enumerate().filter(|(_, b)| b.millis == HEALTHY.millis);
        let last = healthy.map(|(i, _)| served[&format!("n{i:04}")]).max().unwrap();
        println!("{what}: every healthy node is served after {last} ms");
        assert!(last <= most, "{what}: {last} ms");
    }
}

#[test]
fn slow_nodes_get_what_threads_can_give() {
    let few = mixed(&[(10, SLOW), (90, HEALTHY)]);
    let age = worst_of(&few, &simulate(&few).worst, SLOW.millis);
    assert!(age <= RESOLUTION + SLOW.millis + RESOLUTION / 4, "ten of 9 s keep up: {age} ms");
    let many = mixed(&[(45, SLOW), (55, HEALTHY)]);
    let age = worst_of(&many, &simulate(&many).worst, SLOW.millis);
    assert!(
        age <= 3 * SLOW.millis + SLOW.millis + RESOLUTION / 4,
        "45 on 15 threads take three turns: {age} ms"
    );
}
