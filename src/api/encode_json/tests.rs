use super::*;

fn json_string(text: &str) -> String {
    let mut out = Vec::new();
    string(&mut out, text);
    String::from_utf8(out).unwrap()
}

#[test]
fn strings_are_escaped_as_go_does() {
    for (text, wanted) in [
        ("", "\"\""),
        ("web", "\"web\""),
        ("a\"b\\c", r#""a\"b\\c""#),
        ("<&>", r#""\u003c\u0026\u003e""#),
        ("\n\r\t\u{8}\u{c}\u{0}\u{1f}\u{7f}", "\"\\n\\r\\t\\b\\f\\u0000\\u001f\\u007f\""),
        // What YAML does not allow as it is.
        (
            "\u{80}\u{85}\u{9f}\u{a0}\u{feff}\u{fffe}\u{ffff}\u{fffd}",
            "\"\\u0080\\u0085\\u009f\u{a0}\\ufeff\\ufffe\\uffff\u{fffd}\"",
        ),
        ("a\u{2028}b\u{2029}c\u{2027}", "\"a\\u2028b\\u2029c\u{2027}\""),
        ("é\u{fffd}\u{1f600}", "\"é\u{fffd}\u{1f600}\""),
    ] {
        assert_eq!(json_string(text), wanted);
    }
}
