//! Any bytes as a list of the API server, in any pieces.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::wire::kube_stream::ListDecoder;

fn objects(pieces: &[&[u8]]) -> (Vec<String>, String) {
    let (mut decoder, mut seen) = (ListDecoder::new(), Vec::new());
    for piece in pieces {
        if let Err(error) = decoder.feed(piece, |object| seen.push(format!("{object:?}"))) {
            return (seen, format!("{error:?}"));
        }
    }
    (seen, format!("{:?}", decoder.finish()))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, body)) = bytes.split_first() else { return };
    let (head, tail) = body.split_at(usize::from(*cut).min(body.len()));
    assert_eq!(objects(&[body]), objects(&[head, tail]));
});
