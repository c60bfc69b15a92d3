use super::*;

/// A document as text, or where and why it is refused.
fn steps(bytes: &[u8], piece_len: usize) -> Result<String, JsonError> {
    let (mut reader, mut seen) = (JsonReader::default(), String::new());
    reader.begin();
    for piece in bytes.chunks(piece_len) {
        reader.feed(piece, &mut |event, _| {
            seen.push_str(&match event {
                JsonEvent::Object => "{".to_owned(),
                JsonEvent::Array => "[".to_owned(),
                JsonEvent::End => ")".to_owned(),
                JsonEvent::Name(name) => format!("{name:?}:"),
                JsonEvent::Text(text) => format!("{text:?} "),
                JsonEvent::Number(number) => format!("{number} "),
                JsonEvent::Bool => "bool ".to_owned(),
                JsonEvent::Null => "null ".to_owned(),
            });
        })?;
    }
    reader.finish().map(|()| seen)
}

/// The same in pieces of every length.
fn read(text: &[u8]) -> Result<String, JsonError> {
    let whole = steps(text, text.len().max(1));
    for piece_len in 1..text.len() {
        assert_eq!(steps(text, piece_len), whole, "{piece_len}");
    }
    whole
}

fn refused(text: &[u8]) -> &'static str {
    read(text).map_err(|error| error.reason).unwrap_err()
}

#[test]
fn any_pieces_give_the_same_steps() {
    let text = br#" {"a": [1, -2.5e+3, {"b": null}], "c":{}, "d": [] , "e":true,"f":false, "g": "x y"}  "#;
    let seen = "{\"a\":[1 -2.5e+3 {\"b\":null ))\"c\":{)\"d\":[)\"e\":bool \"f\":bool \"g\":\"x y\" )";
    assert_eq!(read(text).unwrap(), seen);
    assert_eq!(read(b"[\n]\n").unwrap(), "[)");
}

#[test]
fn a_document_cut_anywhere_is_an_error() {
    let text = br#"{"a": [1, -2.5e+3, {"b\u00e4": null}], "g": "x\ty", "h": true}"#;
    read(text).unwrap();
    for len in 0..text.len() {
        assert_eq!(refused(&text[..len]), "the document ends too early", "{len}");
    }
}

#[test]
fn escapes_are_undone() {
    let text = br#"["\"\\\/\b\f\n\r\t", "\u0041\u00e9\u20AC\ud83d\ude00", "\ud83dx", "\ude00", "\ud83d\ud83d\ude00", "\ud83d"]"#;
    let seen = "[\"\\\"\\\\/\\u{8}\\u{c}\\n\\r\\t\" \"A\u{e9}\u{20ac}\u{1f600}\" \"\u{fffd}x\" \"\u{fffd}\" \
                \"\u{fffd}\u{1f600}\" \"\u{fffd}\" )";
    assert_eq!(read(text).unwrap(), seen);
}

#[test]
fn what_is_not_json_is_refused() {
    for text in [
        &b"[1 2]"[..],
        b"[1,]",
        b"{\"a\":1,}",
        b"{\"a\" 1}",
        b"{1:2}",
        b"[}",
        b"{]",
        b"{\"a\"}",
        b"[:]",
        b"[,1]",
    ] {
        assert_eq!(refused(text), "not JSON: another character is expected here", "{text:?}");
    }
    for text in [
        &b"[01]"[..],
        b"[1.]",
        b"[.5]",
        b"[1e]",
        b"[+1]",
        b"[--1]",
        b"[NaN]",
        b"[nul]",
        b"[truee]",
        b"[1e5.5]",
    ] {
        assert!(matches!(
            refused(text),
            "not a number, a text, true, false or null" | "not JSON: another character is expected here"
        ));
    }
    for text in [&b"5"[..], b"\"a\"", b"null", b"<html>", b"# HELP up", b"\xef\xbb\xbf{}"] {
        assert_eq!(refused(text), "not a JSON object or array");
    }
    assert_eq!(refused(b"{} {}"), "something follows the document");
    assert_eq!(refused(b"[\"a\nb\"]"), "a control character in a text");
    assert_eq!(refused(b"[\"\\x\"]"), "an unknown escape in a text");
    assert_eq!(refused(b"[\"\\u00g0\"]"), "an escape in a text is not hexadecimal");
    assert_eq!(refused(b"[\"\xff\"]"), "a text is not UTF-8");
}

#[test]
fn an_error_names_its_line() {
    assert_eq!(read(b"{\n\"a\":\n 1,\n]}").unwrap_err().line, 4);
}

#[test]
fn nesting_is_bounded() {
    let deep = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    let depth = limits::JSON_DEPTH_MAX as usize;
    assert!(steps(&deep(depth), 7).is_ok());
    assert_eq!(refused(&deep(depth + 1)), "nested too deeply");
    assert_eq!(steps(&b"{\"a\":".repeat(1_000_000), 8192).unwrap_err().reason, "nested too deeply");
}

#[test]
fn a_long_text_or_number_is_empty_and_takes_no_memory() {
    let long = [b"[\"", b"x".repeat(1_000_000).as_slice(), b"\\n\", ", &b"9".repeat(1_000_000), b", \"y\"]"]
        .concat();
    assert_eq!(steps(&long, 8192).unwrap(), "[\"\"  \"y\" )");
    let mut reader = JsonReader::default();
    reader.feed(&long, &mut |_, _| {}).unwrap();
    assert!(reader.text.capacity() <= 2 * limits::JSON_TEXT_LEN_MAX);
    let fits = format!("[\"{}\"]", "x".repeat(limits::JSON_TEXT_LEN_MAX));
    assert_eq!(steps(fits.as_bytes(), 100).unwrap().len(), limits::JSON_TEXT_LEN_MAX + 5);
}
