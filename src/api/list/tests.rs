use super::*;
use crate::api::answer::Pieces;
use crate::api::negotiate::MetaVersion;
use crate::api::tests::{NOW, commit, metrics, whole};
use crate::api::view::{Include, Resource};
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
        store.upsert_pod(&PodRecord { namespace, name, labels }).unwrap();
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

const fn form(transform: Transform) -> Form {
    Form { api_version: "metrics.k8s.io/v1beta1", transform, include: Include::Metadata, now: NOW }
}

const fn choice(media: Media, pretty: bool) -> Choice<'static> {
    Choice { media, pretty, convert: None }
}

fn pieces(store: &Store, media: Media, pretty: bool, transform: Transform) -> Box<dyn Pieces> {
    match body(selection(), form(transform), &choice(media, pretty), store, &metrics()) {
        Body::List(pieces) => pieces,
        _ => panic!("the list fits one piece"),
    }
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

const FORMS: [(Media, bool, Transform); 8] = [
    (Media::Json, false, Transform::None),
    (Media::Json, true, Transform::None),
    (Media::Yaml, false, Transform::None),
    (Media::Json, false, Transform::Table(MetaVersion::V1)),
    (Media::Yaml, false, Transform::Table(MetaVersion::V1)),
    (Media::Json, false, Transform::PartialList(MetaVersion::V1)),
    (Media::Protobuf, false, Transform::None),
    (Media::Protobuf, false, Transform::PartialList(MetaVersion::V1beta1)),
];

#[test]
fn every_pod_comes_once_in_order_whatever_the_form() {
    let store = crowd(1000);
    for (media, pretty, transform) in FORMS {
        let (out, progress) = drained(&mut *pieces(&store, media, pretty, transform), &store);
        assert_eq!(progress, Progress::Done);
        let text = String::from_utf8_lossy(&out);
        let mut found =
            text.match_indices("pod-").map(|(at, _)| text[at + 4..at + 8].parse::<usize>().unwrap());
        let twice = if matches!(transform, Transform::Table(_)) { 2 } else { 1 };
        for n in 0..1000 * twice {
            assert_eq!(found.next(), Some(n / twice), "{media:?} {transform:?}");
        }
        assert_eq!(found.next(), None);
    }
}

#[test]
fn indented_json_and_yaml_are_the_compact_document_in_another_layout() {
    let store = crowd(300);
    for transform in
        [Transform::None, Transform::Table(MetaVersion::V1), Transform::PartialList(MetaVersion::V1)]
    {
        let (compact, _) = drained(&mut *pieces(&store, Media::Json, false, transform), &store);
        let compact = compact.strip_suffix(b"\n").unwrap();
        for (media, pretty) in [(Media::Json, true), (Media::Yaml, false)] {
            let (out, _) = drained(&mut *pieces(&store, media, pretty, transform), &store);
            let wanted = encode_json::document(media, pretty, compact);
            assert_eq!(String::from_utf8(out).unwrap(), String::from_utf8(wanted).unwrap());
        }
    }
}

/// Items of a protobuf list, and that the whole has the announced length and metadata that decode to nothing.
fn items_of(list: &mut dyn Pieces, out: &[u8], numbers: (u32, u32)) -> usize {
    assert_eq!(list.len(), Some(out.len()));
    let fields: Vec<_> = Fields::new(&out[4..]).map(Result::unwrap).collect();
    assert_eq!(fields.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let list: Vec<_> = Fields::new(fields[1].1.bytes().unwrap()).map(Result::unwrap).collect();
    let mut self_link = "never set";
    for (_, meta) in list.iter().filter(|(number, _)| *number == numbers.0) {
        for field in Fields::new(meta.bytes().unwrap()).map(Result::unwrap) {
            if field.0 == 1 {
                self_link = field.1.text().unwrap();
            }
        }
    }
    assert_eq!(self_link, "");
    list.iter().filter(|(number, _)| *number == numbers.1).count()
}

#[test]
fn a_protobuf_list_has_the_length_it_announces() {
    for count in [90, 150, 400, 1000] {
        let store = crowd(count);
        for (transform, numbers) in
            [(Transform::None, (1, 2)), (Transform::PartialList(MetaVersion::V1beta1), (2, 1))]
        {
            let body =
                body(selection(), form(transform), &choice(Media::Protobuf, false), &store, &metrics());
            let Body::List(mut list) = body else { continue };
            let (out, progress) = drained(&mut *list, &store);
            assert_eq!(progress, Progress::Done);
            assert_eq!(items_of(&mut *list, &out, numbers), count);
        }
    }
}

#[test]
fn a_short_protobuf_list_is_exact() {
    let store = crowd(20);
    let body = body(selection(), form(Transform::None), &choice(Media::Protobuf, false), &store, &metrics());
    let Body::Whole(out) = body else { panic!("it fits") };
    let raw = Fields::new(&out[4..]).map(Result::unwrap).nth(1).unwrap().1.bytes().unwrap();
    let numbers: Vec<u32> = Fields::new(raw).map(|field| field.unwrap().0).collect();
    assert_eq!(numbers, [vec![1], vec![2; 20]].concat());
}

#[test]
fn pods_that_vanish_and_pods_that_come_leave_the_length_alone() {
    let mut store = crowd(600);
    for (media, transform) in [(Media::Protobuf, Transform::None), (Media::Json, Transform::None)] {
        let mut list = pieces(&store, media, false, transform);
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
            let count = items_of(&mut *list, &out, (1, 2));
            assert!((300..400).contains(&count), "{count}");
        }
        store = crowd(600);
    }
}

#[test]
fn a_list_that_outgrows_its_length_is_broken_off() {
    let mut store = crowd(600);
    let mut list = pieces(&store, Media::Protobuf, false, Transform::None);
    let mut out = Vec::new();
    list.next(&store, &metrics(), &mut out);
    let long = "v".repeat(60);
    for n in 0..600 {
        let labels = vec![("a", &*long), ("b", &*long)];
        store.upsert_pod(&PodRecord { namespace: "a", name: &format!("pod-{n:04}"), labels }).unwrap();
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
    store.upsert_pod(&PodRecord { namespace: "a", name: "pod-0100", labels }).unwrap();
    let mut list = pieces(&store, Media::Json, false, Transform::None);
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
    for (media, transform, wanted) in [
        (
            Media::Json,
            Transform::None,
            r#"{"kind":"PodMetricsList","apiVersion":"metrics.k8s.io/v1beta1","metadata":{},"items":[]}"#,
        ),
        (
            Media::Json,
            Transform::PartialList(MetaVersion::V1),
            r#"{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":{},"items":null}"#,
        ),
        (
            Media::Json,
            Transform::Table(MetaVersion::V1),
            r#"{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{},"columnDefinitions":null,"rows":null}"#,
        ),
        (
            Media::Yaml,
            Transform::None,
            "apiVersion: metrics.k8s.io/v1beta1\nitems: []\nkind: PodMetricsList\nmetadata: {}",
        ),
        (
            Media::Yaml,
            Transform::Table(MetaVersion::V1),
            "apiVersion: meta.k8s.io/v1\ncolumnDefinitions: null\nkind: Table\nmetadata: {}\nrows: null",
        ),
    ] {
        let body = body(selection(), form(transform), &choice(media, false), &store, &metrics());
        let out = whole(body, &store, &metrics());
        assert_eq!(String::from_utf8(out).unwrap(), format!("{wanted}\n"));
    }
}
