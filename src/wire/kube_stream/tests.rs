use super::*;
use crate::units::{Bytes, Nanocores};
use crate::wire::allocatable::Allocatable;
use crate::wire::kube_objects::{NodeObject, Object, PodObject, StatusObject};
use crate::wire::protobuf::{put_bytes, put_varint_field};
use crate::wire::tests::Lcg;

const NODES: &[u8] = include_bytes!("../../../tests/golden/kube-api/nodes-list.pb");
const PODS: &[u8] = include_bytes!("../../../tests/golden/kube-api/pods-list.pb");
const WATCH: &[u8] = include_bytes!("../../../tests/golden/kube-api/pods-watch.pb");

const ADDRESSES: [(&str, &str); 2] = [("InternalIP", "10.88.0.2"), ("Hostname", "edge-1")];
const PODS_VERSION: &str = "623";
const PODS_LISTED: [&str; 6] = [
    "default/web-5fddb4c866-lq75t app=web,pod-template-hash=5fddb4c866,tier=front",
    "default/web-5fddb4c866-npf6t app=web,pod-template-hash=5fddb4c866,tier=front",
    "default/web-5fddb4c866-rkhkm app=web,pod-template-hash=5fddb4c866,tier=front",
    "default/web-5fddb4c866-rwstc app=web,pod-template-hash=5fddb4c866,tier=front",
    "default/with-init app=with-init",
    "kube-public/idle app=idle",
];
const WATCHED: [&str; 7] = [
    "ADDED short one 826",
    "MODIFIED short two 829",
    "MODIFIED short two 830",
    "MODIFIED short two 833",
    "MODIFIED short two 835",
    "DELETED short two 836",
    "BOOKMARK 838",
];

/// One line an object, so that results of different chunkings compare.
fn list(pieces: &[&[u8]]) -> (Vec<String>, Result<ListEnd, ObjectError>) {
    let (mut decoder, mut seen) = (ListDecoder::default(), Vec::new());
    for piece in pieces {
        if let Err(error) = decoder.feed(piece, |object| seen.push(format!("{object:?}"))) {
            return (seen, Err(error));
        }
    }
    (seen, decoder.finish())
}

fn watch(pieces: &[&[u8]]) -> (Vec<String>, Result<bool, ObjectError>) {
    let (mut decoder, mut seen) = (WatchDecoder::default(), Vec::new());
    for piece in pieces {
        if let Err(error) = decoder.feed(piece, |event| seen.push(format!("{event:?}"))) {
            return (seen, Err(error));
        }
    }
    (seen, Ok(decoder.is_between_events()))
}

fn message(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

fn put_pair(out: &mut Vec<u8>, number: u32, key: &str, value: &str) {
    let entry = message(|out| {
        put_bytes(out, 1, key.as_bytes());
        put_bytes(out, 2, value.as_bytes());
    });
    put_bytes(out, number, &entry);
}

fn enveloped(kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put_pair(&mut out, 1, "v1", kind);
    put_bytes(&mut out, 2, raw);
    put_bytes(&mut out, 3, b"");
    put_bytes(&mut out, 4, b"");
    out
}

fn pod(name: &str, padding_len: usize) -> Vec<u8> {
    let meta = message(|out| {
        put_bytes(out, 1, name.as_bytes());
        put_bytes(out, 3, b"default");
        put_bytes(out, 6, b"7");
        put_pair(out, 12, "padding", &"x".repeat(padding_len));
    });
    message(|out| put_bytes(out, 1, &meta))
}

fn framed(event_type: &str, body: &[u8]) -> Vec<u8> {
    let extension = message(|out| put_bytes(out, 1, body));
    let event = message(|out| {
        put_bytes(out, 1, event_type.as_bytes());
        put_bytes(out, 2, &extension);
    });
    let mut out = u32::try_from(event.len()).unwrap().to_be_bytes().to_vec();
    out.extend_from_slice(&event);
    out
}

#[test]
fn a_real_node_list_gives_what_the_inventory_needs() {
    let (mut decoder, mut count) = (ListDecoder::default(), 0);
    decoder
        .feed(NODES, |versioned| {
            count += 1;
            assert_eq!(versioned.resource_version, "732");
            let Object::Node(node) = versioned.object else { panic!("not a node") };
            assert_eq!(
                node,
                NodeObject {
                    name: "edge-1",
                    labels: vec![
                        ("beta.kubernetes.io/arch", "amd64"),
                        ("beta.kubernetes.io/os", "linux"),
                        ("kubernetes.io/arch", "amd64"),
                        ("kubernetes.io/hostname", "edge-1"),
                        ("kubernetes.io/os", "linux"),
                    ],
                    addresses: ADDRESSES.to_vec(),
                    kubelet_port: 10250,
                    metrics_path: "",
                    ready: true,
                    allocatable: Allocatable {
                        cpu: Nanocores(2_000_000_000),
                        memory: Bytes(24_683_072 << 10),
                        swap: None
                    },
                }
            );
        })
        .unwrap();
    assert_eq!(count, 1);
    let end = ListEnd { resource_version: "814".into(), ..ListEnd::default() };
    assert_eq!(decoder.finish(), Ok(end));
}

#[test]
fn a_real_pod_list_gives_names_and_labels() {
    let (mut decoder, mut pods) = (ListDecoder::default(), Vec::new());
    decoder
        .feed(PODS, |versioned| {
            let Object::Pod(pod) = versioned.object else { panic!("not a pod") };
            let labels: Vec<_> = pod.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            pods.push(format!("{}/{} {}", pod.namespace, pod.name, labels.join(",")));
        })
        .unwrap();
    assert_eq!(pods, PODS_LISTED);
    assert_eq!(decoder.finish().unwrap().resource_version, PODS_VERSION);
}

#[test]
fn a_real_watch_gives_every_event() {
    let (mut decoder, mut events) = (WatchDecoder::default(), Vec::new());
    decoder
        .feed(WATCH, |event| {
            let (name, versioned) = match event {
                WatchEvent::Added(v) => ("ADDED", v),
                WatchEvent::Modified(v) => ("MODIFIED", v),
                WatchEvent::Deleted(v) => ("DELETED", v),
                WatchEvent::Bookmark { resource_version, .. } => {
                    return events.push(format!("BOOKMARK {resource_version}"));
                }
                WatchEvent::Error(status) => panic!("{status:?}"),
            };
            let Object::Pod(pod) = versioned.object else { panic!("not a pod") };
            let step = pod.labels.iter().find(|(key, _)| *key == "step").map_or("", |(_, value)| value);
            events.push(format!("{name} {} {step} {}", pod.name, versioned.resource_version));
        })
        .unwrap();
    assert_eq!(events, WATCHED);
    assert!(decoder.is_between_events());
}

#[test]
fn any_chunking_gives_the_same_objects() {
    let whole = list(&[PODS]);
    for len in [1, 2, 3, 5, 7, 64, 1000, 4096] {
        assert_eq!(list(&PODS.chunks(len).collect::<Vec<_>>()), whole, "pieces of {len}");
        assert_eq!(list(&NODES.chunks(len).collect::<Vec<_>>()), list(&[NODES]), "pieces of {len}");
        assert_eq!(watch(&WATCH.chunks(len).collect::<Vec<_>>()), watch(&[WATCH]), "pieces of {len}");
    }
    let mut lcg = Lcg(5);
    for _ in 0..50 {
        let (first, rest) = PODS.split_at(lcg.below(PODS.len()));
        let (second, third) = rest.split_at(lcg.below(rest.len()));
        assert_eq!(list(&[first, second, &[], third]), whole);
    }
}

#[test]
fn a_body_cut_anywhere_is_an_error_and_never_a_short_list() {
    for len in 0..NODES.len() {
        let (_, end) = list(&[&NODES[..len]]);
        // The envelope's last two fields are empty; without them the list is whole all the same.
        assert_eq!(end.is_ok(), len == NODES.len() - 2 || len == NODES.len() - 4, "cut at {len}");
    }
    let ends = (1..=WATCH.len()).filter(|len| watch(&[&WATCH[..*len]]).1 == Ok(true)).count();
    assert_eq!(ends, WATCHED.len());
}

#[test]
fn list_meta_may_come_after_the_items() {
    let raw = message(|out| {
        put_bytes(out, 2, &pod("a", 0));
        put_bytes(out, 2, &pod("b", 0));
        put_varint_field(out, 9, 3);
        put_pair(out, 1, "", "9");
    });
    let (seen, end) = list(&[&enveloped("PartialObjectMetadataList", &raw)]);
    assert_eq!(seen.len(), 2);
    assert_eq!(end.unwrap().resource_version, "9");
}

#[test]
fn whole_pods_name_their_node() {
    let spec = message(|out| {
        put_bytes(out, 2, b"containers are passed over");
        put_bytes(out, 10, b"edge-1");
    });
    let whole = message(|out| {
        out.extend_from_slice(&pod("a", 0));
        put_bytes(out, 2, &spec);
        put_bytes(out, 3, b"status");
    });
    let raw = message(|out| {
        put_bytes(out, 2, &whole);
        put_bytes(out, 2, &pod("pending", 0));
    });
    let mut nodes = Vec::new();
    let mut decoder = ListDecoder::default();
    let fed = decoder.feed(&enveloped("PodList", &raw), |versioned| match versioned.object {
        Object::Pod(pod) => nodes.push((pod.name.to_owned(), pod.node_name.to_owned())),
        Object::Node(_) => panic!("not a pod"),
    });
    assert_eq!(fed, Ok(()));
    let expected = [("a", "edge-1"), ("pending", "")].map(|(pod, node)| (pod.to_owned(), node.to_owned()));
    assert_eq!(nodes, expected);
}

#[test]
fn a_page_names_the_next_one() {
    let meta = message(|out| {
        put_bytes(out, 2, b"9");
        put_bytes(out, 3, b"token");
    });
    let raw = message(|out| put_bytes(out, 1, &meta));
    let (seen, end) = list(&[&enveloped("PartialObjectMetadataList", &raw)]);
    assert!(seen.is_empty());
    assert_eq!(end.unwrap().continue_token, "token");
}

#[test]
fn an_empty_list_is_a_list() {
    let (seen, end) = list(&[&enveloped("NodeList", b"")]);
    assert_eq!((seen.len(), end), (0, Ok(ListEnd::default())));
}

#[test]
fn an_object_beyond_the_limit_is_skipped_in_a_list_and_ends_a_watch() {
    let giant = pod("giant", limits::OBJECT_LEN_MAX);
    let raw = message(|out| {
        put_bytes(out, 2, &pod("before", 0));
        put_bytes(out, 2, &giant);
        put_bytes(out, 2, &pod("large", limits::OBJECT_LEN_MAX / 2));
    });
    let body = enveloped("PartialObjectMetadataList", &raw);
    for len in [1000, body.len()] {
        let mut decoder = ListDecoder::default();
        let mut names = Vec::new();
        for piece in body.chunks(len) {
            decoder
                .feed(piece, |versioned| match versioned.object {
                    Object::Pod(PodObject { name, .. }) => names.push(name.to_owned()),
                    Object::Node(_) => panic!("a node"),
                })
                .unwrap();
            decoder.gather.give_back();
            assert!(decoder.gather.bytes.capacity() <= 2 * limits::OBJECT_LEN_MAX);
        }
        assert_eq!(names, ["before", "large"]);
        assert!(decoder.gather.bytes.capacity() <= limits::OBJECT_SCRATCH_LEN_KEPT);
        assert_eq!(decoder.finish().unwrap().skipped, 1);
    }
    let (seen, end) = watch(&[&framed("ADDED", &enveloped("PartialObjectMetadata", &giant))]);
    assert_eq!((seen.len(), end), (0, Err(ObjectError::TooLarge)));
}

#[test]
fn an_invalid_object_is_skipped_in_a_list_and_ends_a_watch() {
    let raw = message(|out| {
        put_bytes(out, 2, b"\x0a\x05ab");
        put_bytes(out, 2, &message(|out| put_bytes(out, 1, &message(|out| put_bytes(out, 1, b"\xff\xfe")))));
        put_bytes(out, 2, &pod("good", 0));
    });
    let (seen, end) = list(&[&enveloped("PartialObjectMetadataList", &raw)]);
    assert_eq!((seen.len(), end.unwrap().skipped), (1, 2));
    let (_, end) = watch(&[&framed("ADDED", &enveloped("PartialObjectMetadata", b"\x0a\x05ab"))]);
    assert_eq!(end, Err(ObjectError::Malformed));
}

#[test]
fn bookmarks_tell_the_end_of_initial_events() {
    let bookmark = |key: &str, value: &str| {
        let meta = message(|out| {
            put_bytes(out, 6, b"42");
            put_pair(out, 12, key, value);
        });
        framed("BOOKMARK", &enveloped("Node", &message(|out| put_bytes(out, 1, &meta))))
    };
    for (key, value, expected) in [
        ("k8s.io/initial-events-end", "true", true),
        ("k8s.io/initial-events-end", "false", false),
        ("other", "true", false),
    ] {
        let frame = bookmark(key, value);
        let mut decoder = WatchDecoder::default();
        let mut seen = 0;
        decoder
            .feed(&frame, |event| {
                seen += 1;
                let bookmark = WatchEvent::Bookmark { resource_version: "42", initial_events_end: expected };
                assert_eq!(event, bookmark);
            })
            .unwrap();
        assert_eq!(seen, 1);
    }
}

#[test]
fn an_error_event_and_a_refusal_give_the_status() {
    let raw = message(|out| {
        put_bytes(out, 1, b"");
        put_bytes(out, 2, b"Failure");
        put_bytes(out, 3, b"too old resource version: 1 (2)");
        put_bytes(out, 4, b"Expired");
        put_bytes(out, 5, &message(|out| put_varint_field(out, 5, 3)));
        put_varint_field(out, 6, 410);
    });
    let expected = StatusObject {
        code: 410,
        reason: "Expired",
        message: "too old resource version: 1 (2)",
        retry_after_secs: 3,
    };
    let body = enveloped("Status", &raw);
    assert_eq!(StatusObject::decode(&body), Ok(expected));
    let mut seen = 0;
    WatchDecoder::default()
        .feed(&framed("ERROR", &body), |event| {
            seen += 1;
            assert_eq!(event, WatchEvent::Error(expected));
        })
        .unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn other_bodies_are_refused_with_their_reason() {
    assert_eq!(list(&[b"{\"kind\":\"NodeList\"}"]).1, Err(ObjectError::NotProtobuf));
    assert_eq!(list(&[&enveloped("ConfigMapList", b"")]).1, Err(ObjectError::UnexpectedKind));
    assert_eq!(list(&[&enveloped("Status", b"")]).1, Err(ObjectError::UnexpectedKind));
    assert_eq!(list(&[b""]).1, Err(ObjectError::Truncated));
    assert_eq!(StatusObject::decode(b"Unauthorized"), Err(ObjectError::NotProtobuf));
    assert_eq!(StatusObject::decode(&enveloped("Node", b"")), Err(ObjectError::UnexpectedKind));
    // An item that claims more bytes than the list has.
    assert_eq!(list(&[&enveloped("NodeList", b"\x12\x7f")]).1, Err(ObjectError::Malformed));
    let frame = framed("RENAMED", &enveloped("Node", b""));
    assert_eq!(watch(&[&frame]).1, Err(ObjectError::UnexpectedKind));
}

#[test]
fn a_nodes_path_port_and_readiness_are_read() {
    let meta = message(|out| {
        put_bytes(out, 1, b"n");
        put_pair(out, 12, "metrics.k8s.io/resource-metrics-path", "/fake");
        put_pair(out, 12, "toplet.io/kubelet-port", "20250");
        put_pair(out, 12, "toplet.io/kubelet-port", "1");
        put_pair(out, 12, "toplet.io/kubelet-address", "");
        put_pair(out, 12, "toplet.io/other", "x");
    });
    let status = message(|out| {
        put_pair(out, 4, "MemoryPressure", "True");
        put_pair(out, 4, "Ready", "False");
        put_bytes(
            out,
            6,
            &message(|out| put_bytes(out, 1, &message(|out| put_varint_field(out, 1, 70_000)))),
        );
    });
    let node = message(|out| {
        put_bytes(out, 1, &meta);
        put_bytes(out, 3, &status);
    });
    let raw = message(|out| put_bytes(out, 2, &node));
    let mut decoder = ListDecoder::default();
    let mut seen = 0;
    decoder
        .feed(&enveloped("NodeList", &raw), |versioned| {
            seen += 1;
            let expected = NodeObject {
                name: "n",
                addresses: vec![("toplet.io/kubelet-port", "20250")],
                metrics_path: "/fake",
                ..NodeObject::default()
            };
            assert_eq!(versioned.object, Object::Node(expected));
        })
        .unwrap();
    assert_eq!(seen, 1);
}

#[test]
fn mutated_and_arbitrary_bytes_never_panic_and_chunk_alike() {
    let mut lcg = Lcg(11);
    for round in 0..3_000 {
        let mut bytes = match round % 3 {
            0 => NODES.to_vec(),
            1 => WATCH[..4000].to_vec(),
            _ => (0..lcg.below(200)).map(|_| (lcg.next() >> 56) as u8).collect(),
        };
        for _ in 0..=lcg.below(4) {
            let index = lcg.below(bytes.len());
            if let Some(byte) = bytes.get_mut(index) {
                *byte = (lcg.next() >> 56) as u8;
            }
        }
        let pieces: Vec<_> = bytes.chunks(1 + lcg.below(300)).collect();
        assert_eq!(list(&pieces), list(&[&bytes]));
        assert_eq!(watch(&pieces), watch(&[&bytes]));
    }
}
