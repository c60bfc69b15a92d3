use super::super::batch::Batch;
use super::super::row::Point;
use super::super::{Capacity, NodeRecord, PodRecord, Store};
use super::*;
use crate::units::{CoreNanos, UnixNanos, Window};
use crate::wire::exposition::Key;

const STEP: u32 = 150;
const CAPACITY: Capacity = Capacity { nodes: 2, pods: 8, containers: 8, text_len: 1 << 16 };

#[test]
fn every_code_stands_for_one_number_and_none_is_further_off_than_said() {
    let last = encode(Some(u64::MAX));
    assert_eq!((encode(None), decode(0)), (0, None));
    assert_eq!((encode(Some(0)), decode(1)), (1, Some(0)));
    let mut before = None;
    for code in 1..=last {
        let value = decode(code).unwrap();
        assert_eq!(encode(Some(value)), code, "{value} comes back");
        if let Some(below) = before {
            assert!(value > below, "codes are in the order of their numbers");
            // The number with the largest error between two codes is in the middle.
            for worst in [below + (value - below) / 2, below + (value - below).div_ceil(2)] {
                let read = decode(encode(Some(worst))).unwrap();
                let error = u128::from(read.abs_diff(worst));
                assert!(error * 2_048 <= u128::from(worst), "{worst} is read as {read}");
            }
        }
        before = Some(value);
    }
    assert!((0..2_048).all(|exact| decode(encode(Some(exact))) == Some(exact)));
    assert_eq!(decode(last), Some(u64::MAX));
    assert!((last..=u16::MAX).all(|code| decode(code) == Some(u64::MAX)), "no code makes a panic");
}

/// Memory of the samples of a ring, 0 for a gap, after samples at these times (tenths of a second).
fn ring(times: &[u32], now: u32) -> Vec<u64> {
    let mut history = History::new(1, 6, STEP);
    for (value, at) in (1..).zip(times) {
        history.write(0, Uptime(*at), Recent { cpu: None, working_set: Some(Bytes(value)) });
    }
    let mut sums = vec![Recent::default(); 6];
    history.add_to(0, Uptime(now), &mut sums);
    sums.iter().map(|sum| sum.working_set.map_or(0, |bytes| bytes.0)).collect()
}

#[test]
fn samples_take_their_places_and_gaps_stay_gaps() {
    assert_eq!(ring(&[], 100), [0; 6]);
    assert_eq!(ring(&[1_000], 1_000), [0, 0, 0, 0, 0, 1]);
    assert_eq!(ring(&[1_000, 1_150, 1_300], 1_310), [0, 0, 0, 1, 2, 3]);
    // Two were missed.
    assert_eq!(ring(&[1_000, 1_150, 1_600], 1_600), [0, 1, 2, 0, 0, 3]);
    // Older ones than fit are forgotten, also when the ring comes round.
    assert_eq!(ring(&[1_000, 1_150, 1_300, 1_450, 1_600, 1_750, 1_900, 2_050], 2_050), [3, 4, 5, 6, 7, 8]);
    assert_eq!(ring(&[1_000, 1_150, 1_300, 1_450, 1_600, 1_750, 2_350], 2_350), [5, 6, 0, 0, 0, 7]);
    assert_eq!(ring(&[1_000, 1_150, 9_000], 9_000), [0, 0, 0, 0, 0, 3]);
    assert_eq!(ring(&[1_000, 1_150, u32::MAX], u32::MAX), [0, 0, 0, 0, 0, 3]);
    // A second sample of one resolution replaces the first; a clock that stands still or goes back does no harm.
    assert_eq!(ring(&[1_000, 1_150, 1_160], 1_160), [0, 0, 0, 0, 1, 3]);
    assert_eq!(ring(&[1_000, 1_150, 500], 1_160), [0, 0, 0, 0, 1, 3]);
}

#[test]
fn what_was_not_written_lately_is_a_gap_at_the_end() {
    let times = [1_000, 1_150, 1_300];
    assert_eq!(ring(&times, 1_300 + STEP), [0, 0, 0, 1, 2, 3]);
    assert_eq!(ring(&times, 1_300 + 2 * STEP), [0, 0, 1, 2, 3, 0]);
    assert_eq!(
        ring(&times, 1_300 + 5 * STEP),
        [2, 3, 0, 0, 0, 0],
        "4 are missing, the fifth is not late yet"
    );
    assert_eq!(ring(&times, 90_000), [0; 6]);
    assert_eq!(ring(&times, 0), [0, 0, 0, 1, 2, 3]);
}

#[test]
fn jitter_makes_neither_gaps_nor_doubles() {
    // Half a resolution around the grid, in any order.
    let jitter = [0, 70, -70, 110, -30, 100];
    let times: Vec<u32> =
        jitter.iter().zip(10..).map(|(off, n)| (n * 150_i32 + off).cast_unsigned()).collect();
    assert_eq!(ring(&times, *times.last().unwrap()), [1, 2, 3, 4, 5, 6]);
    // Scrapes a twentieth late each: 40 take 42 places, so two gaps come in 40 samples, and time is kept.
    let mut history = History::new(1, 64, STEP);
    for number in 0..40_u32 {
        let at = Uptime(1_000 + number * 1_575 / 10);
        history.write(0, at, Recent { cpu: None, working_set: Some(Bytes(u64::from(number) + 1)) });
    }
    let mut sums = vec![Recent::default(); 64];
    history.add_to(0, Uptime(1_000 + 39 * 1_575 / 10), &mut sums);
    let first = sums.iter().position(|sum| sum.working_set.is_some()).unwrap();
    let gaps = sums[first..].iter().filter(|sum| sum.working_set.is_none()).count();
    assert_eq!((64 - first, gaps), (42, 2), "39 steps of 1.05 are 40.95");
}

fn point(at: i64, cpu_millis: u64, working_set: u64) -> Point {
    let mut point = Point::NONE;
    point.taken_at = UnixNanos((1_000_000 + at) * 1_000_000_000);
    (point.cpu, point.working_set) = (CoreNanos(cpu_millis * 1_000_000), Bytes(working_set));
    point
}

fn commit(store: &mut Store, at: i64, containers: &[(&str, &str)]) {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(0));
    let cpu = 1_000 + at.unsigned_abs() * 100;
    batch.set_node(point(at, 2 * cpu, 4_000));
    for (pod, container) in containers {
        batch.set_container(Key { namespace: "ns1", pod, container }, point(at, cpu, 1_000)).unwrap();
    }
    batch.finish();
    store.commit("node1", &batch, Uptime((at + 100).unsigned_abs() as u32 * 10));
}

fn store(samples: u32) -> Store {
    let mut store = Store::new(CAPACITY, Window::from_secs(15)).with_history(samples);
    store.upsert_node(&NodeRecord { name: "node1", ready: true, ..NodeRecord::default() }).unwrap();
    list(&mut store, "pod1");
    store
}

fn list(store: &mut Store, name: &str) {
    store.upsert_pod(&PodRecord { namespace: "ns1", name, ..PodRecord::default() }).unwrap();
}

fn pod(store: &Store, name: &str, at: i64) -> String {
    let mut out = Vec::new();
    store.pod_history("ns1", name, Uptime((at + 100).unsigned_abs() as u32 * 10), &mut out);
    text(&out)
}

/// Millicores and bytes of each sample.
fn text(samples: &[Recent]) -> String {
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let sample = |it: &Recent| {
        let cpu = it.cpu.map(|cpu| (cpu.0 + 500_000) / 1_000_000);
        format!("{}/{}", number(cpu), number(it.working_set.map(|bytes| bytes.0)))
    };
    samples.iter().map(sample).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_pod_is_the_sum_of_its_containers_and_unknown_while_one_of_them_is() {
    let mut store = store(4);
    commit(&mut store, 0, &[("pod1", "a")]);
    assert_eq!(pod(&store, "pod1", 0), "-/- -/- -/- -/1000");
    commit(&mut store, 15, &[("pod1", "a")]);
    assert_eq!(pod(&store, "pod1", 15), "-/- -/- -/1000 100/1000");
    commit(&mut store, 30, &[("pod1", "a"), ("pod1", "b")]);
    assert_eq!(pod(&store, "pod1", 30), "-/- -/1000 100/1000 -/2000", "b has no rate yet");
    commit(&mut store, 45, &[("pod1", "a"), ("pod1", "b")]);
    assert_eq!(pod(&store, "pod1", 45), "-/1000 100/1000 -/2000 200/2000");
    let mut node = Vec::new();
    store.node_history("node1", Uptime(1_450), &mut node);
    assert_eq!(text(&node), "-/4000 200/4000 200/4000 200/4000");
}

#[test]
fn a_row_that_is_used_again_never_shows_what_was_in_it() {
    let mut store = store(4);
    list(&mut store, "pod2");
    [0, 15, 30].into_iter().for_each(|at| commit(&mut store, at, &[("pod1", "a")]));
    // The row of pod1 is freed and taken by pod2 in one commit after another.
    commit(&mut store, 45, &[]);
    assert_eq!(pod(&store, "pod1", 45), "-/- -/- -/- -/-");
    commit(&mut store, 60, &[("pod2", "a")]);
    assert_eq!(store.occupancy().containers, 1);
    assert_eq!(pod(&store, "pod2", 60), "-/- -/- -/- -/1000");
    assert_eq!(pod(&store, "pod1", 60), "-/- -/- -/- -/-");
    // A node's slot likewise.
    store.remove_node("node1");
    store.upsert_node(&NodeRecord { name: "node9", ..NodeRecord::default() }).unwrap();
    let mut node = Vec::new();
    store.node_history("node9", Uptime(1_600), &mut node);
    assert_eq!(text(&node), "-/- -/- -/- -/-");
    // What is not listed has no history to show.
    commit(&mut store, 75, &[("pod3", "a")]);
    assert_eq!(pod(&store, "pod3", 75), "-/- -/- -/- -/-");
}

#[test]
fn without_a_history_nothing_is_kept_or_reserved() {
    let mut store = store(0);
    commit(&mut store, 0, &[("pod1", "a")]);
    commit(&mut store, 15, &[("pod1", "a")]);
    assert_eq!(pod(&store, "pod1", 15), "");
    assert_eq!(CAPACITY.history_bytes(0), 0);
}

#[test]
fn fifteen_minutes_cost_what_is_promised() {
    let bytes = |nodes, containers| Capacity { nodes, pods: 0, containers, text_len: 0 }.history_bytes(60);
    assert!(bytes(1, 60) <= 64 * 1024);
    assert!(bytes(100, 14_000) <= 4 * 1024 * 1024);
}

#[test]
fn rows_beyond_the_limit_have_no_history_and_cost_nothing() {
    let rings = limits::HISTORY_LEN_MAX / ring_bytes(1_440);
    assert!((2_900..3_000).contains(&rings));
    let many = Capacity { nodes: 0, pods: 0, containers: 1_000_000, text_len: 0 };
    assert!(many.history_bytes(1_440) <= limits::HISTORY_LEN_MAX);
    let mut history = History::new(1_000_000, 1_440, STEP);
    let seen = Recent { cpu: None, working_set: Some(Bytes(7)) };
    for index in [0, 999_999, u32::try_from(rings).unwrap()] {
        history.write(index, Uptime(1_000), seen);
        history.clear(index);
    }
    assert_eq!(history.heads.len(), 1);
    let mut sums = vec![Recent::default(); 1_440];
    history.add_to(999_999, Uptime(1_000), &mut sums);
    assert!(sums.iter().all(|sum| *sum == Recent::default()));
}
