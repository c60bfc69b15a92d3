use super::*;

const REAL: &str = include_str!("../../../tests/golden/kubelet/summary.json");

/// Whose, family, value and time of each sample, or why the body is refused; what was dropped, and the first of it.
type Read = (Result<Vec<String>, SummaryError>, u32, Option<(u32, &'static str)>);

fn pieces(body: &[u8], piece_len: usize) -> Read {
    let (mut decoder, mut seen) = (SummaryDecoder::default(), Vec::new());
    decoder.begin();
    let fed = body.chunks(piece_len).try_for_each(|piece| {
        decoder.feed(piece, |sample| {
            let Sample { family, key: Key { namespace, pod, container }, value, at_millis } = sample;
            let at = at_millis.map_or(0, |at| at);
            seen.push(format!("{namespace}/{pod}/{container} {family:?} {value} {at}"));
        })
    });
    let ended = fed.and_then(|()| decoder.finish());
    (ended.map(|()| seen), decoder.bad_count(), decoder.first_bad())
}

/// The same in pieces of many lengths.
fn read(body: &str) -> Read {
    let whole = pieces(body.as_bytes(), body.len().max(1));
    for piece_len in [1, 2, 3, 7, 64] {
        assert_eq!(pieces(body.as_bytes(), piece_len), whole, "{piece_len}");
    }
    whole
}

/// The samples of a body of which nothing is dropped.
fn clean(body: &str) -> Vec<String> {
    let (samples, bad_count, _) = read(body);
    assert_eq!(bad_count, 0);
    samples.unwrap()
}

/// A body with one pod that has these containers.
fn pod(containers: &str) -> String {
    format!(r#"{{"pods":[{{"podRef":{{"name":"p","namespace":"n"}},"containers":[{containers}]}}]}}"#)
}

const T: &str = r#""time":"2026-11-24T10:37:00Z""#;
const MILLIS: u64 = 1_795_516_620_000;

#[test]
fn a_kubelets_body_gives_node_and_containers_and_nothing_else() {
    let samples = clean(REAL);
    let count = |name: &str| samples.iter().filter(|sample| sample.starts_with(name)).count();
    assert_eq!((count("// "), samples.len()), (3, 3 + 4 + 3 + 3), "{samples:?}");
    assert!(samples.contains(&"// NodeCpu 1204.518884 1795516622000".to_owned()), "{samples:?}");
    assert!(samples.contains(&"// NodeSwap 1048576 1795516622000".to_owned()));
    for sample in [
        "ContainerStart 1795511551 0",
        "ContainerMemory 17825792 1795516620000",
        "ContainerSwap 0 1795516620000",
        "ContainerCpu 10.985211 1795516620000",
    ] {
        assert!(
            samples.contains(&format!("kube-system/coredns-6799fbcd5-x7k2p/coredns {sample}")),
            "{samples:?}"
        );
    }
    assert!(samples.contains(&"default/sensor-0/proxy ContainerCpu 1.985211 1795516621000".to_owned()));
}

#[test]
fn a_body_cut_anywhere_is_an_error() {
    let body = REAL.trim_end();
    for len in 1..body.len() {
        let (samples, ..) = pieces(&body.as_bytes()[..len], 512);
        assert_eq!(samples.unwrap_err().reason, "the document ends too early", "{len}");
    }
    assert_eq!(pieces(b"", 1).0, Ok(vec![]), "an empty body is not a Summary's failure");
}

#[test]
fn the_cpu_sample_comes_last_whatever_the_bodys_order() {
    let cpu_first = clean(&pod(&format!(
        r#"{{"cpu":{{"usageCoreNanoSeconds":5,{T}}},"memory":{{"workingSetBytes":6,{T}}},"name":"c"}}"#
    )));
    let seen =
        [format!("n/p/c ContainerMemory 6 {MILLIS}"), format!("n/p/c ContainerCpu 0.000000005 {MILLIS}")];
    assert_eq!(cpu_first, seen);
}

#[test]
fn missing_families_are_missing_and_an_empty_container_is_incomplete() {
    let only_cpu =
        clean(&pod(&format!(r#"{{"name":"c","cpu":{{{T},"usageCoreNanoSeconds":5}},"memory":null}}"#)));
    assert_eq!(only_cpu, [format!("n/p/c ContainerCpu 0.000000005 {MILLIS}")]);
    let no_usage = clean(&pod(r#"{"name":"c"}"#));
    assert_eq!(no_usage, ["n/p/c ContainerMemory 0 0"]);
    let no_counter = format!(r#"{{"name":"c","cpu":{{{T},"usageNanoCores":5}},"memory":{{{T}}}}}"#);
    assert_eq!(clean(&pod(&no_counter)), ["n/p/c ContainerMemory 0 0"]);
    assert_eq!(clean(r#"{"node":{"nodeName":"x"},"pods":null}"#), [""; 0]);
    assert_eq!(clean("{}"), [""; 0]);
}

#[test]
fn a_value_without_time_is_dropped_and_counted() {
    for time in ["", r#","time":null"#, r#","time":"1970-01-01T00:00:00Z""#] {
        let body = format!(r#"{{"node":{{"cpu":{{"usageCoreNanoSeconds":5{time}}}}}}}"#);
        assert_eq!(read(&body), (Ok(vec![]), 1, Some((1, "a usage has no time"))), "{time}");
    }
}

#[test]
fn odd_values_are_dropped_and_counted_with_their_line() {
    for value in ["-1", "1e400", "9223372036854775808", "true", "\"5\"", "{}", "[5]", &"9".repeat(4096)] {
        let body = format!("{{\"node\":\n{{\"cpu\":{{{T},\n\"usageCoreNanoSeconds\":{value}}}}}}}");
        let (samples, bad_count, first_bad) = read(&body);
        assert_eq!(samples, Ok(vec![]), "{value}");
        let of_type = matches!(value, "-1" | "9223372036854775808");
        let reason = if of_type {
            "a usage is out of range"
        } else {
            "an object is not JSON, or one of its fields not of its type"
        };
        assert_eq!((bad_count, first_bad), (1, Some((3, reason))), "{value}");
    }
    assert_eq!(clean(&format!(r#"{{"node":{{"memory":{{{T},"workingSetBytes":1.5e3}}}}}}"#)).len(), 1);
    for time in ["5", "\"soon\"", "{}"] {
        let body = format!(r#"{{"node":{{"cpu":{{"time":{time},"usageCoreNanoSeconds":5}}}}}}"#);
        let (samples, bad_count, _) = read(&body);
        assert_eq!((samples, bad_count > 0), (Ok(vec![]), true), "{time}");
    }
    for body in ["{\"node\":5}", "{\"pods\":{\"a\":[]}}", "{\"pods\":[5,[{}],null]}"] {
        assert_eq!(read(body).0, Ok(vec![]), "{body}");
    }
}

#[test]
fn of_repeated_fields_the_last_one_counts_alone() {
    let twice = format!(
        r#"{{"name":"b","name":"c","cpu":{{{T},"usageCoreNanoSeconds":5}},"cpu":{{"usageNanoCores":1}},
            "memory":{{"workingSetBytes":1,{T},"workingSetBytes":2}}}}"#
    );
    assert_eq!(clean(&pod(&twice)), [format!("n/p/c ContainerMemory 2 {MILLIS}")]);
    let nulled = format!(r#"{{"name":"c","memory":{{{T},"workingSetBytes":2,"workingSetBytes":null}}}}"#);
    assert_eq!(clean(&pod(&nulled)), ["n/p/c ContainerMemory 0 0"]);
}

#[test]
fn a_container_without_all_its_names_is_never_another_ones() {
    let memory = format!(r#""memory":{{{T},"workingSetBytes":2}}"#);
    let named =
        format!(r#"{{"podRef":{{"name":"p","namespace":"n"}},"containers":[{{"name":"c",{memory}}}]}}"#);
    for nameless in [
        format!(r#"{{"podRef":{{"namespace":"n"}},"containers":[{{"name":"d",{memory}}}]}}"#),
        format!(r#"{{"podRef":{{"name":"q","namespace":"n"}},"containers":[{{{memory}}}]}}"#),
        format!(r#"{{"podRef":{{"name":"q","namespace":null}},"containers":[{{"name":"d",{memory}}}]}}"#),
        format!(
            r#"{{"podRef":{{"name":"{}","namespace":"n"}},"containers":[{{"name":"d",{memory}}}]}}"#,
            "q".repeat(9_999)
        ),
        format!(
            r#"{{"podRef":{{"name":"q","namespace":"n"}},"containers":[{{"name":"{}",{memory}}}]}}"#,
            "d".repeat(64)
        ),
    ] {
        let (samples, bad_count, _) = read(&format!(r#"{{"pods":[{named},{nameless},{named}]}}"#));
        let once = format!("n/p/c ContainerMemory 2 {MILLIS}");
        assert_eq!((samples, bad_count), (Ok(vec![once.clone(), once]), 1), "{nameless}");
    }
    let name_last = r#"{"pods":[{"containers":[{"name":"c"}],"podRef":{"name":"q","namespace":"n"}}]}"#;
    assert_eq!(clean(name_last), ["n/q/c ContainerMemory 0 0"]);
}

#[test]
fn fields_in_use_count_at_their_place_only() {
    let body = format!(
        r#"{{"cpu":{{{T},"usageCoreNanoSeconds":1}},"x":{{"node":{{"cpu":{{{T},"usageCoreNanoSeconds":2}}}}}},
            "node":{{"x":{{"memory":{{{T},"workingSetBytes":3}}}},"cpu":{{"x":{{{T},"usageCoreNanoSeconds":4}}}},
            "name":"y","runtime":{{"imageFs":{{{T}}}}}}},
            "pods":[{{"podRef":{{"name":"p","namespace":"n","x":{{"name":"z"}}}},
            "cpu":{{{T},"usageCoreNanoSeconds":5}},"volume":[{{"name":"v"}}],
            "containers":[{{"name":"c","rootfs":{{"name":"r",{T}}},"memory":{{"workingSetBytes":6,{T}}},
            "userDefinedMetrics":[{{"name":"u","value":7}}]}}]}}]}}"#
    );
    assert_eq!(clean(&body), [format!("n/p/c ContainerMemory 6 {MILLIS}")]);
}

#[test]
fn names_are_unescaped() {
    let body = pod(&format!(r#"{{"n\u0061me":"\u0063","memory":{{{T},"workingSetBytes":6}}}}"#));
    assert_eq!(clean(&body), [format!("n/p/c ContainerMemory 6 {MILLIS}")]);
}

#[test]
fn what_is_not_a_summary_is_refused_and_a_decoder_begins_again() {
    let exposition = "# HELP container_cpu_usage_seconds_total x\n";
    assert_eq!(read(exposition).0, Err(SummaryError { line: 1, reason: "not a JSON object" }));
    assert_eq!(read("\n[{\"node\":{}}]").0, Err(SummaryError { line: 2, reason: "not a JSON object" }));
    assert_eq!(read("{}\n{").0, Err(SummaryError { line: 2, reason: "something follows the document" }));
    let mut decoder = SummaryDecoder::default();
    decoder.feed(b"{\"pods\":[{\"podRef\":{\"name\":\"p\"", |_| {}).unwrap();
    decoder.begin();
    let mut count = 0;
    decoder.feed(REAL.as_bytes(), |_| count += 1).unwrap();
    assert_eq!((decoder.finish(), count), (Ok(()), 13));
}

#[test]
fn a_broken_or_too_large_object_is_dropped_and_the_others_are_read() {
    let good = format!(
        r#"{{"podRef":{{"name":"p","namespace":"n"}},"containers":[{{"name":"c","memory":{{"workingSetBytes":2,{T}}}}}]}}"#
    );
    let of_len = |len: usize| format!(r#"{{"x":"{}"}}"#, "\\\"".repeat((len - 8) / 2));
    let max = limits::SUMMARY_OBJECT_LEN_MAX;
    for (odd, dropped) in [
        (of_len(max), None),
        (of_len(max + 2), Some("an object is too large")),
        ("{\"x\":[}]".to_owned(), Some("an object is not JSON, or one of its fields not of its type")),
        ("{\"x\":{\"}\":}}".to_owned(), Some("an object is not JSON, or one of its fields not of its type")),
    ] {
        let body = format!("{{\"pods\":[\n{good},\n{odd},\n{good}]}}");
        let (samples, bad_count, first_bad) = read(&body);
        assert_eq!(samples.unwrap().len(), 2, "{dropped:?}");
        assert_eq!((bad_count, first_bad), (dropped.into_iter().count() as u32, dropped.map(|why| (3, why))));
    }
    let deep = format!("{{\"node\":{{\"x\":{}}}}}", "[".repeat(9_000) + &"]".repeat(9_000));
    assert_eq!(clean(&deep), [""; 0]);
    let mut latin = good.into_bytes();
    latin.extend_from_slice(b",{\"x\":\"\xe9\"}]}");
    let (samples, bad_count, _) = pieces(&[&b"{\"pods\":["[..], &latin].concat(), 5);
    assert_eq!((samples.unwrap().len(), bad_count), (1, 1));
}
