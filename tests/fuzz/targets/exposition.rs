//! Any bytes from a kubelet, in any pieces: the same samples, and never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::wire::exposition::Decoder;

fn samples(pieces: &[&[u8]]) -> Vec<String> {
    let (mut decoder, mut seen) = (Decoder::new(), Vec::new());
    decoder.begin();
    for piece in pieces {
        decoder.feed(piece, |sample| seen.push(format!("{sample:?}")));
    }
    decoder.finish(|sample| seen.push(format!("{sample:?}")));
    seen
}

fuzz_target!(|bytes: &[u8]| {
    let Some((cut, body)) = bytes.split_first() else { return };
    let (head, tail) = body.split_at(usize::from(*cut).min(body.len()));
    assert_eq!(samples(&[body]), samples(&[head, tail]));
});
