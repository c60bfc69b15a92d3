//! Any bytes as a request: refused, or read and answered, whatever it asks for.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::time::Duration;
use toplet::api::request::RequestInfo;
use toplet::api::self_metrics::SelfMetrics;
use toplet::api::{Context, Settings, Vitals, answer, before_authentication};
use toplet::serve::http1;
use toplet::store::{Capacity, Store};
use toplet::units::{UnixNanos, Window};
use toplet::wire::selector::LabelSelector;

struct House {
    settings: Settings,
    metrics: SelfMetrics,
    store: Store,
}

thread_local! {
    static HOUSE: House = House {
        settings: Settings {
            node_selector: LabelSelector::parse("").unwrap(),
            server_address: ":4443".into(),
            gzip: false,
            resolution: Duration::from_secs(15),
        },
        metrics: SelfMetrics::new(Duration::from_secs(15)),
        store: Store::new(Capacity { nodes: 2, pods: 2, containers: 2, text_len: 4096 }, Window::from_secs(15)),
    };
}

fuzz_target!(|bytes: &[u8]| {
    let Some(end) = http1::head_end(bytes, 0) else { return };
    let Ok(request) = http1::parse(&bytes[..end]) else { return };
    assert!(request.path.starts_with('/') || request.path == "*");
    let head = request.head();
    let info = RequestInfo::new(&head);
    let now = UnixNanos(1_795_500_000_000_000_000);
    HOUSE.with(|house| {
        let House { settings, metrics, store } = house;
        let context = Context { settings, metrics, vitals: Vitals::default(), now, store };
        let answer = before_authentication(&head, &info).unwrap_or_else(|| answer(&context, &head, &info));
        assert!((200..600).contains(&answer.status));
    });
});
