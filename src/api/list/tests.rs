use super::*;
use crate::allocator::allocation_count;
use crate::api::answer::Pieces;
use crate::api::negotiate::Rendition;
use crate::api::tests::{NOW, commit, metrics, whole};
use crate::api::view::{Include, Resource};
use crate::limits::{LIST_WORK_MAX, SELECTOR_TERMS_MAX};
use crate::store::{Capacity, NodeRecord, PodRecord};
use crate::units::Window;
use crate::wire::protobuf::Fields;
use crate::wire::selector::{FieldSelector, LabelSelector};

const CAPACITY: Capacity = Capacity { nodes: 8, pods: 4096, containers: 8192, text_len: 1 << 20 };

/// A store whose pods need many pieces.
fn crowd(count: usize) -> Store {
    let mut store = Store::new(CAPACITY, Window::from_secs(60));
    add(&mut store, "a", count);
    store
}

fn add(store: &mut Store, namespace: &str, count: usize) {
    store.upsert_node(&NodeRecord { name: namespace, ..NodeRecord::default() }).unwrap();
    let names: Vec<String> = (0..count).map(|n| format!("pod-{n:04}")).collect();
    for name in &names {
        let labels = vec![("app", "crowd"), ("quote", "\"<\\>")];
        store.upsert_pod(&PodRecord { namespace, name, labels, ..PodRecord::default() }).unwrap();
    }
    let pods: Vec<_> = names
        .iter()
        .flat_map(|name| {
            [
                (namespace, &**name, "main", 15_000_000_000, 250_000_017, 5),
                (namespace, name, "side", 15_000_000_000, 3, 7),
            ]
        })
        .collect();
    commit(store, namespace, None, &pods);
}

fn selection() -> Selection {
    Selection {
        resource: Resource::Pods,
        namespace: None,
        labels: LabelSelector::default(),
        node_labels: LabelSelector::default(),
        fields: FieldSelector::default(),
    }
}

fn form(is_table: bool) -> Form {
    Form::new("metrics.k8s.io/v1beta1", is_table, Include::Metadata, NOW)
}

fn pieces_of(
    selection: Selection,
    store: &Store,
    media: Media,
    pretty: bool,
    is_table: bool,
) -> Box<dyn Pieces> {
    // The form alone says whether it is a table.
    let choice = Choice { media, pretty, rendition: Rendition::Plain };
    let Body::List(mut pieces) = body(selection, form(is_table), &choice, store) else {
        panic!("a list comes in pieces")
    };
    let metrics = metrics();
    while !pieces.prepare(store, &metrics) {}
    pieces
}

fn pieces(store: &Store, media: Media, pretty: bool, is_table: bool) -> Box<dyn Pieces> {
    pieces_of(selection(), store, media, pretty, is_table)
}

/// All pieces, each checked for its length.
fn drained(pieces: &mut dyn Pieces, store: &Store) -> (Vec<u8>, Progress) {
    let metrics = metrics();
    let mut out = Vec::new();
    loop {
        let before = out.len();
        let progress = pieces.next(store, &metrics, &mut out);
        assert!(out.len() - before <= CHUNK_LEN_MAX, "{}", out.len() - before);
        if progress != Progress::More {
            return (out, progress);
        }
    }
}

const FORMS: [(Media, bool, bool); 5] = [
    (Media::Json, false, false),
    (Media::Json, true, false),
    (Media::Json, false, true),
    (Media::Yaml, true, true),
    (Media::Protobuf, false, false),
];

#[test]
fn every_pod_comes_once_in_order_whatever_the_form() {
    let store = crowd(1000);
    for (media, pretty, is_table) in FORMS {
        let (out, progress) = drained(&mut *pieces(&store, media, pretty, is_table), &store);
        assert_eq!(progress, Progress::Done);
        let text = String::from_utf8_lossy(&out);
        let mut found =
            text.match_indices("pod-").map(|(at, _)| text[at + 4..at + 8].parse::<usize>().unwrap());
        let twice = if is_table { 2 } else { 1 };
        for n in 0..1000 * twice {
            assert_eq!(found.next(), Some(n / twice), "{media:?} {is_table}");
        }
        assert_eq!(found.next(), None);
    }
}

#[test]
fn indented_json_is_the_compact_document_in_another_layout() {
    let store = crowd(300);
    for is_table in [false, true] {
        let (compact, _) = drained(&mut *pieces(&store, Media::Json, false, is_table), &store);
        let compact = compact.strip_suffix(b"\n").unwrap();
        let (out, _) = drained(&mut *pieces(&store, Media::Yaml, true, is_table), &store);
        let wanted = document::encoded(true, compact.to_vec());
        assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(wanted).unwrap());
    }
}

/// Items of a protobuf list, and that the whole has the announced length and metadata that decode to nothing.
fn items_of(list: &mut dyn Pieces, out: &[u8]) -> usize {
    assert_eq!(list.len(), Some(out.len()));
    let fields: Vec<_> = Fields::new(&out[4..]).map(Result::unwrap).collect();
    assert_eq!(fields.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let list: Vec<_> = Fields::new(fields[1].1.bytes().unwrap()).map(Result::unwrap).collect();
    let mut self_link = "never set";
    for (_, meta) in list.iter().filter(|(number, _)| *number == 1) {
        for field in Fields::new(meta.bytes().unwrap()).map(Result::unwrap) {
            if field.0 == 1 {
                self_link = field.1.text().unwrap();
            }
        }
    }
    assert_eq!(self_link, "");
    list.iter().filter(|(number, _)| *number == 2).count()
}

#[test]
fn a_protobuf_list_has_the_length_it_announces() {
    for count in [1, 20, 50, 90, 150, 400, 1000, 4000] {
        let store = crowd(count);
        let mut list = pieces(&store, Media::Protobuf, false, false);
        let (out, progress) = drained(&mut *list, &store);
        assert_eq!(progress, Progress::Done);
        assert_eq!(items_of(&mut *list, &out), count);
    }
}

#[test]
fn a_short_protobuf_list_is_exact() {
    let store = crowd(20);
    let (out, _) = drained(&mut *pieces(&store, Media::Protobuf, false, false), &store);
    let raw = Fields::new(&out[4..]).map(Result::unwrap).nth(1).unwrap().1.bytes().unwrap();
    let numbers: Vec<u32> = Fields::new(raw).map(|field| field.unwrap().0).collect();
    assert_eq!(numbers, [vec![1], vec![2; 20]].concat());
}

#[test]
fn the_most_that_an_object_takes_is_known_without_writing_it() {
    let mut store = crowd(3);
    let (key, value) = ("k".repeat(150), "v".repeat(200));
    let labels = vec![("short", ""), (&*key, &*value)];
    store
        .upsert_pod(&PodRecord { namespace: "a", name: "pod-0001", labels, ..PodRecord::default() })
        .unwrap();
    store.upsert_pod(&PodRecord { namespace: "a", name: "pod-0002", ..PodRecord::default() }).unwrap();
    let (form, mut seen) = (form(false), 0);
    selection().walk(&store, &mut Position::begin(&store), |object| {
        let mut out = Vec::new();
        encode_protobuf::item(&mut out, 2, object, &form);
        let len_max = encode_protobuf::item_len_max(object, &form);
        assert!((out.len()..out.len() + 32).contains(&len_max), "{len_max} for {}", out.len());
        seen += 1;
        true
    });
    assert_eq!(seen, 3);
}

#[test]
fn pods_that_vanish_and_pods_that_come_leave_the_length_alone() {
    let mut store = crowd(600);
    for media in [Media::Protobuf, Media::Json] {
        let mut list = pieces(&store, media, false, false);
        let mut out = Vec::new();
        assert_eq!(list.next(&store, &metrics(), &mut out), Progress::More);
        for n in (0..600).step_by(2) {
            store.remove_pod("a", &format!("pod-{n:04}"));
        }
        add(&mut store, "b", 500);
        let (rest, progress) = drained(&mut *list, &store);
        assert_eq!(progress, Progress::Done);
        out.extend(rest);
        assert!(
            !out.windows(3).any(|w| w == b"\x01b\"" || w == b":\"b"),
            "a pod that came later is left out"
        );
        if media == Media::Protobuf {
            let count = items_of(&mut *list, &out);
            assert!((300..400).contains(&count), "{count}");
        }
        store = crowd(600);
    }
}

#[test]
fn a_list_that_outgrows_its_length_is_broken_off() {
    let mut store = crowd(600);
    let mut list = pieces(&store, Media::Protobuf, false, false);
    let mut out = Vec::new();
    list.next(&store, &metrics(), &mut out);
    let long = "v".repeat(60);
    for n in 0..600 {
        let labels = vec![("a", &*long), ("b", &*long)];
        let name = &*format!("pod-{n:04}");
        store.upsert_pod(&PodRecord { namespace: "a", name, labels, ..PodRecord::default() }).unwrap();
    }
    let (rest, progress) = drained(&mut *list, &store);
    assert_eq!(progress, Progress::Broken);
    assert!(out.len() + rest.len() < list.len().unwrap());
}

#[test]
fn an_object_larger_than_a_piece_comes_alone() {
    let mut store = crowd(200);
    let names: Vec<String> = (0..200).map(|n| format!("{n:0>60}")).collect();
    let labels: Vec<(&str, &str)> = names.iter().map(|name| (&**name, &**name)).collect();
    store
        .upsert_pod(&PodRecord { namespace: "a", name: "pod-0100", labels, ..PodRecord::default() })
        .unwrap();
    let mut list = pieces(&store, Media::Json, false, false);
    let (mut out, mut largest) = (Vec::new(), 0);
    loop {
        let before = out.len();
        let progress = list.next(&store, &metrics(), &mut out);
        largest = largest.max(out.len() - before);
        if progress == Progress::Done {
            break;
        }
    }
    assert!(largest > 200 * 120 && largest < 200 * 130 + 400, "{largest}");
}

#[test]
fn an_empty_list_of_every_form() {
    let store = Store::new(CAPACITY, Window::from_secs(60));
    for (media, is_table, wanted) in [
        (
            Media::Json,
            false,
            r#"{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[]}"#,
        ),
        (
            Media::Json,
            true,
            r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":null,"rows":null}"#,
        ),
    ] {
        let list = pieces(&store, media, false, is_table);
        assert_eq!(list.len(), Some(wanted.len() + 1));
        let out = whole(Body::List(list), &store, &metrics());
        assert_eq!(String::from_utf8(out).unwrap(), format!("{wanted}\n"));
    }
}

#[test]
fn a_selector_that_selects_nothing_is_many_small_pieces_of_work() {
    // As long as a selector may be: every label set but the last term passes it.
    let terms: Vec<String> = (0..SELECTOR_TERMS_MAX - 1).map(|n| format!("!a{n}")).collect();
    let labels = LabelSelector::parse(&format!("{},zz=nope", terms.join(","))).unwrap();
    let pods = 4000;
    let mut store = crowd(pods);
    let distinct = 500;
    for n in 0..distinct {
        let (name, value) = (format!("pod-{n:04}"), n.to_string());
        let labels = vec![("only", &*value)];
        store.upsert_pod(&PodRecord { namespace: "a", name: &name, labels, ..PodRecord::default() }).unwrap();
    }
    for (media, is_table) in [(Media::Json, false), (Media::Json, true), (Media::Protobuf, false)] {
        let choice = Choice { media, pretty: false, rendition: Rendition::Plain };
        let selection = Selection { labels: labels.clone(), ..selection() };
        let Body::List(mut list) = body(selection, form(is_table), &choice, &store) else { panic!() };
        let mut turns = 1;
        while !list.prepare(&store, &metrics()) {
            turns += 1;
        }
        let walks = if is_table { 2 } else { 1 };
        // Each set is evaluated once for each walk: the distinct ones, and that of all others for each turn.
        let work_max = walks * (pods + (distinct + turns) * SELECTOR_TERMS_MAX);
        let work_len = LIST_WORK_MAX as usize;
        assert!(turns >= distinct * SELECTOR_TERMS_MAX / (work_len + SELECTOR_TERMS_MAX), "{turns}");
        assert!(turns <= 2 + work_max / work_len, "{turns}");
        let out = whole(Body::List(list), &store, &metrics());
        assert!(!String::from_utf8_lossy(&out).contains("pod-"));
    }
}

#[test]
fn turns_for_others_leave_pieces_as_large_as_they_may_be() {
    let mut store = crowd(400);
    let terms: Vec<String> = (0..400).map(|n| format!("!a{n}")).collect();
    let labels = LabelSelector::parse(&format!("{},only", terms.join(","))).unwrap();
    // Each length of the objects ends the first turns somewhere else in the piece.
    for padding in 0..30 {
        for n in 0..100 {
            let (name, value) = (format!("pod-{:04}", n * 4), format!("{:0>1$}", n, padding + 3));
            let labels = vec![("only", &*value)];
            store
                .upsert_pod(&PodRecord { namespace: "a", name: &name, labels, ..PodRecord::default() })
                .unwrap();
        }
        for media in [Media::Json, Media::Protobuf] {
            let selection = Selection { labels: labels.clone(), ..selection() };
            // `drained` looks at the length of every piece.
            let (out, progress) = drained(&mut *pieces_of(selection, &store, media, false, false), &store);
            assert_eq!(progress, Progress::Done);
            assert_eq!(String::from_utf8_lossy(&out).matches("pod-").count(), 100);
        }
    }
}

#[test]
fn a_list_by_label_is_right_however_label_sets_share_their_place() {
    let mut store = crowd(2000);
    for n in 0..1000 {
        let (name, value) = (format!("pod-{:04}", n * 2), (n % 500).to_string());
        store
            .upsert_pod(&PodRecord {
                namespace: "a",
                name: &name,
                labels: vec![("week", &*value)],
                ..PodRecord::default()
            })
            .unwrap();
    }
    let labels = LabelSelector::parse("week in (3, 5)").unwrap();
    let selection = Selection { labels, ..selection() };
    let (out, _) = drained(&mut *pieces_of(selection, &store, Media::Json, false, false), &store);
    let text = String::from_utf8(out).unwrap();
    let wanted: Vec<String> =
        (0..1000).filter(|n| n % 500 == 3 || n % 500 == 5).map(|n| format!("pod-{:04}", n * 2)).collect();
    let found: Vec<&str> = text.match_indices("pod-").map(|(at, _)| &text[at..at + 8]).collect();
    assert_eq!(found, wanted);
}

/// Allocations of a list from its beginning to its end, those among them behind the first piece, and its bytes.
fn cost(
    selection: Selection,
    store: &Store,
    media: Media,
    pretty: bool,
    is_table: bool,
) -> (u64, u64, usize) {
    let metrics = metrics();
    let mut out = Vec::with_capacity(4 * CHUNK_LEN_MAX);
    let begin = allocation_count();
    let mut list = pieces_of(selection, store, media, pretty, is_table);
    let (mut len, mut first) = (0, None);
    loop {
        out.clear();
        let progress = list.next(store, &metrics, &mut out);
        len += out.len();
        let first = *first.get_or_insert_with(allocation_count);
        if progress != Progress::More {
            assert_eq!(progress, Progress::Done);
            return (allocation_count() - begin, allocation_count() - first, len);
        }
    }
}

#[test]
fn a_list_allocates_nothing_that_grows_with_it() {
    let (small, large) = (crowd(400), crowd(4000));
    let by_label = Selection { labels: LabelSelector::parse("app=crowd,quote,!x").unwrap(), ..selection() };
    for (selection, media, pretty, is_table) in [
        (selection(), Media::Protobuf, false, false),
        (selection(), Media::Json, false, false),
        (selection(), Media::Json, true, false),
        (selection(), Media::Json, false, true),
        (by_label, Media::Protobuf, false, false),
    ] {
        let (small_count, _, small_len) = cost(selection.clone(), &small, media, pretty, is_table);
        let (count, steady, len) = cost(selection, &large, media, pretty, is_table);
        println!(
            "{media:?} {pretty} {is_table}: {len} bytes, {count} allocations, {steady} in steady pieces"
        );
        assert!(len > 9 * small_len, "{len} bytes beside {small_len}");
        assert_eq!(steady, 0, "{media:?}");
        assert!(count <= small_count + 2, "{count} allocations beside {small_count}");
    }
}
