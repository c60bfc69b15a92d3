//! Any Accept, Content-Type, User-Agent and query: a choice that holds together and is its own answer, or 406 or 415.
//! Input: the four, a line each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::api::negotiate::{self, Media, Produces, Transform};
use toplet::wire::request::{Head, Header};

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(4, |b| *b == b'\n').map(<[u8]>::trim_ascii);
    let mut line = || lines.next().unwrap_or_default();
    let (accept, content_type, agent) = (line(), line(), line());
    let query = std::str::from_utf8(line()).ok().filter(|query| !query.is_empty());
    let headers = [("Accept", accept), ("Content-Type", content_type), ("User-Agent", agent)]
        .map(|(name, value)| Header { name, value });
    let head = Head { method: "GET", path: "/apis/metrics.k8s.io/v1beta1/nodes", query, headers: &headers };
    for produces in [Produces::JsonOnly, Produces::Documents, Produces::Lists] {
        assert!(negotiate::route(&head, produces).err().is_none_or(|answer| answer.status == 406));
        assert!(negotiate::consume(&head, produces).err().is_none_or(|answer| answer.status == 415));
    }
    match negotiate::document(&head) {
        Ok(choice) => assert!(choice.convert.is_none() && (!choice.pretty || choice.media == Media::Json)),
        Err(answer) => assert!(matches!(answer.status, 406 | 415)),
    }
    assert!(negotiate::error(&head).is_some() || !accept.is_empty());
    let (choice, transform) = match negotiate::metrics(&head) {
        Ok(chosen) => chosen,
        Err(answer) => return assert_eq!(answer.status, 406),
    };
    assert!(!choice.pretty || choice.media == Media::Json);
    assert!(choice.media != Media::Protobuf || !matches!(transform, Transform::Table(_)));
    assert_eq!(choice.convert.is_none(), transform == Transform::None);
    // Asked for what was chosen, and nothing else, the choice is the same.
    let mut exact = choice.media.content_type().as_bytes().to_vec();
    if let Some(convert) = choice.convert {
        for (name, value) in [("as", convert.kind), ("g", convert.group), ("v", convert.version)] {
            exact.extend_from_slice(format!(";{name}=").as_bytes());
            exact.extend_from_slice(value);
        }
    }
    let headers = [Header { name: "Accept", value: &exact }];
    let (again, same) = negotiate::metrics(&Head { headers: &headers, ..head }).ok().unwrap();
    assert_eq!((again.media, again.convert, same), (choice.media, choice.convert, transform));
});
