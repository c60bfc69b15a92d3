//! Any Accept, User-Agent and query: a choice that holds together and is its own answer, or 406.
//! Input: the three, a line each.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::api::negotiate::{self, Media, Rendition};
use toplet::wire::request::{Head, Header};

fuzz_target!(|input: &[u8]| {
    let mut lines = input.splitn(3, |b| *b == b'\n').map(<[u8]>::trim_ascii);
    let mut line = || lines.next().unwrap_or_default();
    let (accept, agent) = (line(), line());
    let query = std::str::from_utf8(line()).ok().filter(|query| !query.is_empty());
    let headers = [("Accept", accept), ("User-Agent", agent)].map(|(name, value)| Header { name, value });
    let head = Head { method: "GET", path: "/apis/metrics.k8s.io/v1beta1/nodes", query, headers: &headers };
    assert!(negotiate::json_only(&head).err().is_none_or(|status| status.code == 406));
    assert_eq!(negotiate::error(&head).rendition, Rendition::Plain);
    match negotiate::document(&head) {
        Ok(choice) => assert_eq!(choice.rendition, Rendition::Plain),
        Err(status) => assert_eq!(status.code, 406),
    }
    let choice = match negotiate::metrics(&head) {
        Ok(choice) => choice,
        Err(status) => return assert_eq!(status.code, 406),
    };
    assert!(!choice.pretty || choice.media != Media::Protobuf);
    assert!(choice.media != Media::Protobuf || choice.rendition == Rendition::Plain);
    // Asked for what was chosen, and nothing else, the choice is the same.
    let mut exact = choice.media.content_type().as_bytes().to_vec();
    if choice.rendition == Rendition::Table {
        exact.extend_from_slice(b";as=Table;v=v1;g=meta.k8s.io");
    }
    let headers = [Header { name: "Accept", value: &exact }];
    let again = negotiate::metrics(&Head { headers: &headers, ..head }).ok().unwrap();
    assert_eq!((again.media, again.rendition), (choice.media, choice.rendition));
});
