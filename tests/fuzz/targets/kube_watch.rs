//! Any bytes as a watch of the API server, in any pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::wire::kube_stream::WatchDecoder;

fn events(pieces: &[&[u8]]) -> (Vec<String>, Option<String>) {
    let (mut decoder, mut seen) = (WatchDecoder::new(), Vec::new());
    for piece in pieces {
        if let Err(error) = decoder.feed(piece, |event| seen.push(format!("{event:?}"))) {
            return (seen, Some(format!("{error:?}")));
        }
    }
    (seen, None)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, body)) = bytes.split_first() else { return };
    let (head, tail) = body.split_at(usize::from(*cut).min(body.len()));
    assert_eq!(events(&[body]), events(&[head, tail]));
});
