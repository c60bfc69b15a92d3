use super::number::plain_number;
use super::*;
use crate::wire::tests::Lcg;

const REAL: &str = include_str!("../../../tests/golden/kubelet/metrics-resource.txt");

fn decode(pieces: &[&[u8]]) -> (Vec<String>, u32, Option<(u32, DropReason)>) {
    let (mut decoder, mut seen) = (Decoder::default(), Vec::new());
    let mut keep = |sample: Sample<'_>| {
        let Key { namespace, pod, container } = sample.key;
        let (value, at) = (sample.value, sample.at_millis);
        seen.push(format!("{:?} {namespace}/{pod}/{container} {value} {at:?}", sample.family));
    };
    for piece in pieces {
        decoder.feed(piece, &mut keep);
    }
    decoder.finish(&mut keep);
    (seen, decoder.bad_line_count(), decoder.first_bad())
}

fn text(body: &str) -> (Vec<String>, u32, Option<(u32, DropReason)>) {
    decode(&[body.as_bytes()])
}

#[test]
fn a_real_body_gives_every_sample_in_use() {
    let (seen, bad, _) = text(REAL);
    assert_eq!(bad, 0);
    let expected = REAL
        .lines()
        .filter(|line| {
            let name = line.split(['{', ' ']).next().unwrap_or("");
            let in_use = ["cpu_usage_seconds_total", "memory_working_set_bytes", "swap_usage_bytes"];
            let of = |prefix: &str| name.strip_prefix(prefix).is_some_and(|rest| in_use.contains(&rest));
            of("node_") || of("container_") || name == "container_start_time_seconds"
        })
        .count();
    assert_eq!(seen.len(), expected);
    assert!(expected > 40);
    assert_eq!(seen[0], "ContainerCpu kube-public/idle/idle 0.014971765 Some(1795510116466)");
    assert!(seen.contains(&"ContainerStart kube-public/idle/idle 1795509411.450216 None".to_owned()));
}

#[test]
fn any_chunking_gives_the_same_samples() {
    let body = format!(
        "{REAL}\n\ncontainer_cpu_usage_seconds_total{{pod=\"a\\\"b\",container=\"c\",namespace=\"n\"}} 1 2\nbad\ncontainer_cpu_usage_seconds_total 5\n{}\nnode_cpu_usage_seconds_total 3",
        "x".repeat(9000)
    );
    let whole = decode(&[body.as_bytes()]);
    assert_eq!(whole.1, 2);
    for len in [1, 2, 3, 7, 64, 100, 1000, 4095, 4096, 4097] {
        assert_eq!(decode(&body.as_bytes().chunks(len).collect::<Vec<_>>()), whole, "pieces of {len}");
    }
}

#[test]
fn k1_labels_of_a_node_sample_are_ignored() {
    let (seen, bad, _) = text("node_cpu_usage_seconds_total{foo=\"bar\"} 1 1\n");
    assert_eq!((seen, bad), (vec!["NodeCpu // 1 Some(1)".to_owned()], 0));
}

#[test]
fn k2_other_families_are_passed_over() {
    let body = "container_cpu_usage_seconds_totals{a=\"b\"} 1 1\ncontainer_swap_limit_bytes{} 1\nresource_scrape_error 1\n\
                pod_cpu_usage_seconds_total{} 1\n# HELP x\n node_cpu_usage_seconds_total 1\nnode_cpu 1\nn\nc\n\n\
                node_cpu_usage_seconds_total\u{a0}1\n\
                container_memory_working_set_bytes2 1\n";
    assert_eq!(text(body), (vec![], 0, None));
}

#[test]
fn k6_labels_come_in_any_order_with_blanks_and_a_trailing_comma() {
    for labels in [
        "container=\"c\",namespace=\"n\",pod=\"p\"",
        "pod=\"p\",namespace=\"n\",container=\"c\"",
        "pod=\"p\", namespace=\"n\", container=\"c\", ",
        " container = \"c\" ,namespace\t=\"n\",pod=\"p\",",
        "container=\"c\",foo_pod=\"x\",namespace=\"n\",pod=\"p\",zone=\"\"",
        "container=\"c\",namespace=\"n\",pod=\"p\",uid=\"\\\\\"",
    ] {
        let (seen, bad, first) = text(&format!("container_cpu_usage_seconds_total{{{labels}}} 5 7"));
        assert_eq!((seen, bad), (vec!["ContainerCpu n/p/c 5 Some(7)".to_owned()], 0), "{labels} {first:?}");
    }
}

#[test]
fn k7_a_sample_without_its_labels_is_dropped_and_counted() {
    for line in [
        "container_cpu_usage_seconds_total 5",
        "container_cpu_usage_seconds_total{} 5",
        "container_cpu_usage_seconds_total{container=\"c\",namespace=\"n\"} 5",
        "container_cpu_usage_seconds_total{container=\"c\",namespace=\"n\",pod=\"\"} 5",
        "container_cpu_usage_seconds_total",
    ] {
        let reason = "the name of the container, namespace or pod is missing";
        assert_eq!(text(line), (vec![], 1, Some((1, reason))), "{line}");
    }
}

#[test]
fn k8_escapes_in_labels_are_undone() {
    let body = r#"container_cpu_usage_seconds_total{container="c\\d",namespace="n\nm",pod="a\"b\x"} 1"#;
    assert_eq!(text(body).0, ["ContainerCpu n\nm/a\"b\\x/c\\d 1 None"]);
}

#[test]
fn k9_a_bad_line_is_dropped_with_its_number_and_reason_and_never_the_node() {
    let good = "node_cpu_usage_seconds_total 1 2";
    for (line, reason) in [
        ("node_cpu_usage_seconds_total 1 2\r\r", "timestamp is not a whole number"),
        ("node_cpu_usage_seconds_total 1 0", "timestamp is zero"),
        ("node_cpu_usage_seconds_total NaN 1", "value is infinite or not a number"),
        ("node_cpu_usage_seconds_total -1 1", "value is negative"),
        ("node_cpu_usage_seconds_total 1e19 1", "value is too large"),
        ("node_cpu_usage_seconds_total 1 1.5", "timestamp is not a whole number"),
        ("node_cpu_usage_seconds_total 1 +5", "timestamp is not a whole number"),
        ("node_cpu_usage_seconds_total 1 -5", "timestamp is negative"),
        ("node_cpu_usage_seconds_total 1 5 6", "something follows the timestamp"),
        ("node_cpu_usage_seconds_total", "value is not a number"),
        ("node_cpu_usage_seconds_total abc", "value is not a number"),
        ("node_cpu_usage_seconds_total 0x10", "value is not a number"),
        ("node_cpu_usage_seconds_total 1_0", "value is not a number"),
        ("container_start_time_seconds{conta", "label has no value"),
        ("container_start_time_seconds{container", "label has no value"),
        ("container_start_time_seconds{container=\"a", "label value is not closed"),
        ("container_start_time_seconds{container=\"a\"", "labels are not closed"),
        ("container_start_time_seconds{container=\"a\",", "labels are not closed"),
        ("container_start_time_seconds{container=a}", "label value is not quoted"),
        ("container_start_time_seconds{container=\"a\" pod=\"b\"}", "labels are not separated by a comma"),
        ("container_start_time_seconds{\"container\"=\"a\"}", "label name is not valid"),
        ("container_start_time_seconds{1a=\"a\"}", "label name is not valid"),
    ] {
        let (seen, bad, first) = text(&format!("{good}\n{line}\n{good}\n"));
        assert_eq!((seen.len(), bad, first), (2, 1, Some((2, reason))), "{line}");
    }
    let mut bytes = b"container_cpu_usage_seconds_total{container=\"".to_vec();
    bytes.extend_from_slice(b"\xff\",namespace=\"n\",pod=\"p\"} 1\n");
    assert_eq!(decode(&[&bytes]), (vec![], 1, Some((1, "line is not UTF-8"))));
}

#[test]
fn a_line_beyond_the_limit_is_dropped_in_bounded_memory() {
    let mut decoder = Decoder::default();
    let mut seen = 0;
    for _ in 0..100 {
        decoder.feed(&[b'n'; 1000], |_: Sample<'_>| seen += 1);
        assert!(decoder.carry.capacity() <= 2 * limits::EXPOSITION_LINE_LEN_MAX);
    }
    decoder.feed(b"\nnode_swap_usage_bytes 1\n", |_: Sample<'_>| seen += 1);
    decoder.finish(|_: Sample<'_>| seen += 1);
    assert_eq!((seen, decoder.bad_line_count()), (1, 1));
    assert_eq!(decoder.first_bad(), Some((1, "line is too long")));
}

#[test]
fn a_decoder_is_used_again_without_traces() {
    let mut decoder = Decoder::default();
    decoder.feed(b"container_cpu_usage_seconds_total 5\nnode_cpu_us", |_: Sample<'_>| {});
    decoder.begin();
    let mut seen = 0;
    decoder.feed(b"node_cpu_usage_seconds_total 5\n", |_: Sample<'_>| seen += 1);
    decoder.finish(|_: Sample<'_>| seen += 1);
    assert_eq!((seen, decoder.bad_line_count(), decoder.first_bad()), (1, 0, None));
}

#[test]
fn a15_arbitrary_bytes_never_panic_and_chunk_alike() {
    let mut lcg = Lcg(13);
    let alphabet = b"\n\n {}\",=\\\t#-+.0123456789eEcontainer_podnamespace\xff\xc3";
    for round in 0..2_000 {
        let mut bytes: Vec<u8> = if round % 2 == 0 {
            (0..lcg.below(300)).map(|_| alphabet[lcg.below(alphabet.len())]).collect()
        } else {
            let start = lcg.below(REAL.len() - 600);
            REAL.as_bytes()[start..start + 600].to_vec()
        };
        for _ in 0..lcg.below(6) {
            let index = lcg.below(bytes.len());
            if let Some(byte) = bytes.get_mut(index) {
                *byte = alphabet[lcg.below(alphabet.len())];
            }
        }
        let pieces: Vec<_> = bytes.chunks(1 + lcg.below(60)).collect();
        assert_eq!(decode(&pieces), decode(&[&bytes]));
    }
}

#[test]
fn times_of_any_length_are_whole_numbers_that_saturate() {
    let mut lcg = Lcg(59);
    for round in 0..20_000 {
        let mut time =
            (0..round % 24).map(|_| char::from(b'0' + (lcg.next() % 10) as u8)).collect::<String>();
        if round % 5 == 0 {
            time.insert(
                lcg.below(time.len() + 1),
                ['-', '+', '.', '/', ':', 'e', '\0', '\u{e9}'][lcg.below(8)],
            );
        }
        let expected = match time.parse::<u128>() {
            _ if time.is_empty() => Ok(None),
            _ if time.starts_with('+') => Err("timestamp is not a whole number"),
            Ok(0) => Err("timestamp is zero"),
            Ok(millis) => Ok(Some(i64::try_from(millis).unwrap_or(i64::MAX))),
            _ if time.starts_with('-') => Err("timestamp is negative"),
            _ => Err("timestamp is not a whole number"),
        };
        for blanks in ["", " ", " \t"] {
            let found = value_and_time(format!(" 1 {time}{blanks}").as_bytes());
            assert_eq!(found, expected.map(|at| (1.0, at)), "{time:?}");
        }
        let expected = if time.is_empty() { expected } else { Err("something follows the timestamp") };
        assert!(
            time.is_empty()
                || value_and_time(format!("1 {time} 7").as_bytes()) == expected.map(|at| (1.0, at))
        );
    }
}

#[test]
fn a_search_for_quotes_and_backslashes_finds_the_first_wherever_it_stands() {
    let mut lcg = Lcg(61);
    let alphabet = ['"', '\\', 'a', '#', '!', ']', '[', '\u{22}', '\u{a2}', '\u{dc}', '\0', '\u{7f}'];
    for round in 0..20_000 {
        let plain_len = lcg.below(20);
        let text: String = (0..lcg.below(40))
            .map(|at| alphabet[if at < plain_len { 2 + lcg.below(5) } else { lcg.below(12) }])
            .collect();
        let known = text.bytes().position(|byte| byte == b'"' || byte == b'\\');
        assert_eq!(quote_or_backslash(text.as_bytes()), known, "{round} {text:?}");
    }
}

#[test]
fn plain_numbers_are_those_of_the_standard_library() {
    let mut lcg = Lcg(53);
    let check = |text: &str| {
        let known: Option<f64> = text.parse().ok();
        let plain = plain_number(text.as_bytes());
        if let Some((value, rest)) = plain {
            assert_eq!((Some(value.to_bits()), rest), (known.map(f64::to_bits), &b""[..]), "{text}");
        }
        let line = format!("node_cpu_usage_seconds_total \t{text} 5");
        let taken = known.filter(|value| (0.0..VALUE_MAX).contains(value));
        let expected = taken.map(|value| format!("NodeCpu // {value} Some(5)"));
        let expected = if text.is_empty() { Some("NodeCpu // 5 None".to_owned()) } else { expected };
        assert_eq!(decode(&[line.as_bytes()]).0, expected.into_iter().collect::<Vec<_>>(), "{text}");
        plain.is_some()
    };
    for text in
        ["", ".", "e5", "1e", "1e+", "-1", "+1", "1.2.3", "1e5e5", "1e123", "NaN", "Inf", "1_0", "1e-23"]
    {
        assert!(!check(text), "{text}");
    }
    for text in
        ["0", "1.", ".5", "12345.678901234", "1.0325e+09", "9007199254740992", "1e22", "3E-22", "00.10"]
    {
        assert!(check(text), "{text}");
    }
    assert!(!check("9007199254740993"), "the next double is another number");
    let plain_count = (0..50_000).filter(|_| {
        let (digits, point) = (lcg.next() >> (lcg.next() % 64), lcg.next() % 20);
        let mut text = digits.to_string();
        text.insert(text.len().min(point as usize), '.');
        let exponent = (lcg.next() % 60) as i64 - 30;
        check(&text) | check(&format!("{text}e{exponent:+03}"))
    });
    assert!(plain_count.count() > 10_000);
}
