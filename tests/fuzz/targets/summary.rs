//! Any bytes as a Summary, in any pieces: the same samples or the same refusal, and what is handed out is a sample.
#![no_main]

use libfuzzer_sys::fuzz_target;
use toplet::store::batch::{Batch, BatchError, BatchSource, Dropped};
use toplet::units::UnixNanos;
use toplet::wire::exposition::{Family, Sample};
use toplet::wire::summary::{SummaryDecoder, SummaryError};

type Seen = Vec<(Family, String, u64, Option<i64>)>;

fn samples(bytes: &[u8], piece_len: usize) -> (Seen, Result<(), SummaryError>) {
    let (mut decoder, mut seen) = (SummaryDecoder::default(), Vec::new());
    decoder.begin();
    let fed = bytes.chunks(piece_len).try_for_each(|piece| {
        decoder.feed(piece, |sample: Sample<'_>| {
            assert!(sample.value >= 0.0 && sample.value < 9.3e18 && sample.at_millis.is_none_or(|at| at >= 0));
            let names = [sample.key.namespace, sample.key.pod, sample.key.container].join("\n");
            seen.push((sample.family, names, sample.value.to_bits(), sample.at_millis));
        })
    });
    (seen, fed.and_then(|()| decoder.finish()))
}

fn read(bytes: &[u8], piece_len: usize) -> (Batch, Dropped, Option<BatchError>) {
    let mut batch = Batch::new();
    batch.begin(UnixNanos(1_795_514_230_000_000_000));
    batch.set_source(BatchSource::Summary);
    let _ = bytes.chunks(piece_len).try_for_each(|piece| batch.feed(piece));
    let dropped = batch.finish();
    let error = batch.error();
    (batch, dropped, error)
}

fuzz_target!(|input: &[u8]| {
    let Some((bytes, piece_len)) = toplet_fuzz::cut(input) else { return };
    let whole_len = bytes.len().max(1);
    let (seen, ended) = samples(bytes, whole_len);
    assert_eq!((seen, ended), samples(bytes, piece_len));
    // What is JSON for another reader is never refused as a whole, unless it is no object.
    if serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes).is_ok() {
        assert_eq!(ended, Ok(()));
    }
    let (batch, dropped, error) = read(bytes, whole_len);
    let (same, same_dropped, same_error) = read(bytes, piece_len);
    assert_eq!((dropped, error), (same_dropped, same_error));
    assert_eq!(batch.node(), same.node());
    assert_eq!(batch.pods().count(), same.pods().count());
    if error.is_some() {
        assert!(batch.node().is_none() && batch.pods().next().is_none());
    }
});
