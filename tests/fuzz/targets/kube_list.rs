//! Any bytes as a list of the API server, in any pieces: the same objects, and an inventory within its capacity.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::store::{Capacity, Inventory, Store};
use toplet::units::Window;
use toplet::wire::kube_objects::StatusObject;
use toplet::wire::kube_stream::ListDecoder;

const CAPACITY: Capacity = Capacity { nodes: 4, pods: 8, containers: 8, text_len: 2048 };

fn objects(bytes: &[u8], piece_len: usize, store: &mut Store) -> (Vec<String>, String) {
    let (mut decoder, mut seen) = (ListDecoder::default(), Vec::new());
    for piece in bytes.chunks(piece_len) {
        let fed = decoder.feed(piece, |versioned| {
            seen.push(format!("{versioned:?}"));
            toplet_fuzz::keep(store, &versioned.object);
        });
        if let Err(error) = fed {
            return (seen, format!("{error:?}"));
        }
    }
    (seen, format!("{:?}", decoder.finish()))
}

fuzz_target!(|input: &[u8]| {
    let Some((bytes, piece_len)) = toplet_fuzz::cut(input) else { return };
    let mut store = Store::new(CAPACITY, Window::from_secs(60));
    let whole = objects(bytes, bytes.len().max(1), &mut store);
    toplet_fuzz::check(&store, CAPACITY.nodes, CAPACITY.pods, CAPACITY.text_len);
    // A second list replaces the first, whatever it holds.
    for kind in [Inventory::Nodes, Inventory::Pods] {
        store.begin_list(kind);
    }
    assert_eq!(whole, objects(bytes, piece_len, &mut store));
    for kind in [Inventory::Nodes, Inventory::Pods] {
        store.end_list(kind);
    }
    toplet_fuzz::check(&store, CAPACITY.nodes, CAPACITY.pods, CAPACITY.text_len);
    for kind in [Inventory::Nodes, Inventory::Pods] {
        store.begin_list(kind);
        store.end_list(kind);
    }
    let occupancy = store.occupancy();
    assert_eq!((occupancy.nodes, occupancy.pods, occupancy.text_len), (0, 0, 0));
    let _ = StatusObject::decode(bytes);
});
