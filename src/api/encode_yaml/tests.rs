use super::*;

fn yaml(json: &str) -> String {
    let mut out = Vec::new();
    value(&mut out, json.as_bytes(), 0);
    String::from_utf8(out).unwrap()
}

fn scalar_of(text: &str) -> String {
    let mut out = Vec::new();
    scalar::string(&mut out, text, 2, false);
    String::from_utf8(out).unwrap()
}

#[test]
fn keys_are_sorted_and_sequences_are_not_indented() {
    let json = r#"{"kind":"L","items":[{"name":"b","usage":{"memory":"2Gi","cpu":"1"}},{"cells":["a",7,null]}],"empty":[],"rows":null,"metadata":{}}"#;
    let text = "empty: []\nitems:\n- name: b\n  usage:\n    cpu: \"1\"\n    memory: 2Gi\n- cells:\n  - a\n  - 7\n  - null\nkind: L\nmetadata: {}\nrows: null\n";
    assert_eq!(yaml(json), text);
    assert_eq!(yaml(r#"{"a":[[1,2],["b"]]}"#), "a:\n- - 1\n  - 2\n- - b\n");
}

#[test]
fn an_item_continues_a_sequence() {
    let mut out = b"items:\n".to_vec();
    item(&mut out, br#"{"metadata":{"name":"a"},"window":"15s"}"#, 0);
    assert_eq!(String::from_utf8(out).unwrap(), "items:\n- metadata:\n    name: a\n  window: 15s\n");
}

#[test]
fn strings_that_look_like_other_types_are_quoted() {
    for text in [
        "true",
        "True",
        "no",
        "Y",
        "off",
        "null",
        "~",
        "123",
        "-1",
        "0x1f",
        "0b11",
        "0777",
        "1_000",
        "1.5",
        "1e3",
        ".5",
        "1.",
        ".inf",
        "-.INF",
        ".nan",
        "2026-11-24",
        "2026-11-24T09:57:00Z",
        "2026-1-2 3:4:5",
        "190:20:30",
        "+1",
        "66e5",
    ] {
        assert_eq!(scalar_of(text), format!("\"{text}\""));
    }
    assert_eq!(scalar_of(""), "\"\"");
}

#[test]
fn strings_that_are_strings_stay_plain() {
    for text in [
        "web",
        "5fddb4c866",
        "15.001s",
        "1563741155n",
        "2032496Ki",
        "yess",
        "v1",
        "a:b",
        "a#b",
        "1.2.3",
        "0xzz",
        "1e",
        "-a",
        "2026-13-01",
        "12-34",
        "<<",
        "tRue",
        "_1",
        "nope",
        "é",
        "190:70",
        "?a",
        "1e999",
    ] {
        assert_eq!(scalar_of(text), text);
    }
}

#[test]
fn strings_with_indicators_are_quoted() {
    assert_eq!(scalar_of("node \"nope\" not found"), "node \"nope\" not found");
    assert_eq!(scalar_of("\"a\" b"), "'\"a\" b'");
    assert_eq!(scalar_of("it's: x"), "'it''s: x'");
    for text in ["- a", "a: b", "a #b", " a", "a ", "*x", "&x", "!x", "%x", "@x", "---", "a:", "[a]", "{a}"] {
        assert_eq!(scalar_of(text), format!("'{text}'"));
    }
    assert_eq!(scalar_of("a\tb\u{1f600}\u{1}"), "\"a\\tb\\U0001F600\\x01\"");
}

#[test]
fn several_lines_are_a_literal_block() {
    assert_eq!(yaml(r#"{"m":"406: Not\n\nAvailable: a"}"#), "m: |-\n  406: Not\n\n  Available: a\n");
    assert_eq!(yaml(r#"{"m":"a\n"}"#), "m: |\n  a\n");
    assert_eq!(yaml(r#"{"m":"a \nb"}"#), "m: \"a \\nb\"\n");
}

#[test]
fn rarer_line_breaks_are_line_breaks_too() {
    assert_eq!(scalar_of("\u{2028}<&>"), "'\u{2028}  <&>'");
    assert_eq!(scalar_of("a\u{2029}\u{2028}b"), "'a\u{2029}\u{2028}  b'");
    assert_eq!(scalar_of("a\u{2028} b"), "\"a\\L b\"");
    assert_eq!(scalar_of("a\n\u{2028}b\nc"), "|-\n  a\n\u{2028}  b\n  c");
    assert_eq!(scalar_of("a\nb\u{2028}"), "\"a\\nb\\L\"");
}

#[test]
fn long_lines_are_folded_after_80_columns() {
    let json = r#"{"message":"nodes.metrics.k8s.io is forbidden: User \"bob\" cannot list resource \"nodes\" in API group \"metrics.k8s.io\" at the cluster scope"}"#;
    let text = "message: 'nodes.metrics.k8s.io is forbidden: User \"bob\" cannot list resource \"nodes\"\n  in API group \"metrics.k8s.io\" at the cluster scope'\n";
    assert_eq!(yaml(json), text);
}

#[test]
fn long_keys_are_introduced() {
    let key = "k".repeat(129);
    assert_eq!(yaml(&format!("{{\"{key}\":\"a\"}}")), format!("? {key}\n: a\n"));
}

#[test]
fn keys_are_in_natural_order() {
    let json = r#"{"a10":1,"a2":1,"a-b":1,"ab":1,"a":1,"1":1,"a/b":1,"a02":1}"#;
    let keys: Vec<String> = yaml(json).lines().map(|l| l.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(keys, ["\"1\"", "a", "a-b", "a/b", "a2", "a02", "a10", "ab"]);
}
