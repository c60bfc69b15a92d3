//! What runs between decoding and encoding: rates, selectors, interned names.

use crate::Row;
use crate::measure::Work;
use crate::{names, world};
use std::hint::black_box;
use toplet::wire::selector::LabelSelector;

/// The operations.
pub const ALL: &[Row] = &[
    ("rates of 14,000 containers", "toplet", "container", rates),
    ("a label selector on 7,000 pods", "toplet", "pod", selector),
    ("parsing a label selector", "toplet", "term", parsing),
    ("interning 7,000 known names", "toplet", "name", names::known),
    ("looking 7,000 known names up", "std HashMap", "name", names::in_a_map),
];

fn rates() -> Work {
    let store = world::store();
    let count = world::NODES * world::PODS * 2;
    Work::new(count * 64, count, move || {
        let mut sum = 0;
        for pod in store.pods_after(None, None) {
            for (_, usage) in pod.usage.unwrap().containers() {
                sum += black_box(usage.cpu.0) as usize;
            }
        }
        sum
    })
}

fn selector() -> Work {
    let store = world::store();
    let selector = LabelSelector::parse("app in (web-003,web-004),pod-template-hash,!canary").unwrap();
    let bytes = store.pods_after(None, None).map(|pod| pod.labels.text_len()).sum();
    Work::new(bytes, world::NODES * world::PODS, move || {
        let selected =
            store.pods_after(None, None).filter(|pod| selector.matches(|key| pod.labels.value(key)));
        let count = selected.count();
        assert_eq!(count, 100);
        count
    })
}

fn parsing() -> Work {
    const TEXT: &str = "app in (web-003,web-004),pod-template-hash,!canary,tier!=back,region notin (a,b)";
    const TIMES: usize = 1_000;
    Work::new(TIMES * TEXT.len(), TIMES * 5, || {
        (0..TIMES).map(|_| LabelSelector::parse(black_box(TEXT)).unwrap().requirements().count()).sum()
    })
}
