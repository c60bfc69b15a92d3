//! Any bytes as a watch of the API server, in any pieces: the same events, and an inventory within its capacity.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::store::{Capacity, Store};
use toplet::units::Window;
use toplet::wire::kube_objects::{Object, WatchEvent};
use toplet::wire::kube_stream::WatchDecoder;

const CAPACITY: Capacity = Capacity { nodes: 4, pods: 8, containers: 8, text_len: 2048 };

/// The events, the error or whether the stream may end here.
fn events(bytes: &[u8], piece_len: usize, mut each: impl FnMut(&WatchEvent<'_>)) -> (Vec<String>, String) {
    let (mut decoder, mut seen) = (WatchDecoder::default(), Vec::new());
    for piece in bytes.chunks(piece_len) {
        let fed = decoder.feed(piece, |event| {
            seen.push(format!("{event:?}"));
            each(&event);
        });
        if let Err(error) = fed {
            return (seen, format!("{error:?}"));
        }
    }
    (seen, decoder.is_between_events().to_string())
}

fn put(store: &mut Store, event: &WatchEvent<'_>) {
    match event {
        WatchEvent::Added(versioned) | WatchEvent::Modified(versioned) => {
            toplet_fuzz::keep(store, &versioned.object);
        }
        WatchEvent::Deleted(versioned) => {
            toplet_fuzz::release(store, &versioned.object);
            let is_gone = match &versioned.object {
                Object::Node(node) => store.node(node.name).is_none(),
                Object::Pod(pod) => store.pod(pod.namespace, pod.name).is_none(),
            };
            assert!(is_gone);
        }
        WatchEvent::Bookmark { .. } | WatchEvent::Error(_) => {}
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((bytes, piece_len)) = toplet_fuzz::cut(input) else { return };
    let mut store = Store::new(CAPACITY, Window::from_secs(60));
    let whole = events(bytes, bytes.len().max(1), |event| put(&mut store, event));
    toplet_fuzz::check(&store, CAPACITY.nodes, CAPACITY.pods, CAPACITY.text_len);
    let same = events(bytes, piece_len, |event| match event {
        WatchEvent::Added(v) | WatchEvent::Modified(v) | WatchEvent::Deleted(v) => {
            toplet_fuzz::release(&mut store, &v.object);
        }
        _ => {}
    });
    assert_eq!(whole, same);
    let occupancy = store.occupancy();
    assert_eq!((occupancy.nodes, occupancy.pods, occupancy.text_len), (0, 0, 0));
});
