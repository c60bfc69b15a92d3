use super::validate::json_quoted;
use super::*;
use crate::wire::text_of;

fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
    let selector = LabelSelector::parse(selector).unwrap();
    selector.matches(|key| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v))
}

fn label_error(selector: &str) -> String {
    LabelSelector::parse(selector).unwrap_err()
}

const NAME_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
    an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
    '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', \
    and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for \
    validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

#[test]
fn every_operator_selects_and_rejects() {
    let web = &[("app", "web"), ("n", "7"), ("empty", "")][..];
    for selector in [
        "",
        "  ",
        "app",
        "!tier",
        "app=web",
        "app == web",
        "app!=db",
        "tier!=x",
        "app in (db,web)",
        "app in (web , db)",
        "app notin (db)",
        "tier notin (a,b)",
        "n>6",
        "n<8",
        "empty=",
        "empty in ()",
        "empty in (,)",
        "app,n=7",
        "app=web,tier!=front",
        "in notin (a)",
        "!in",
        "empty in (a,)",
        "empty=,app",
        "\tapp\r\n= web",
    ] {
        assert!(selects(selector, web), "{selector}");
    }
    for selector in [
        "tier",
        "!app",
        "app=db",
        "app!=web",
        "app in (db)",
        "app notin (web)",
        "tier in (a)",
        "n>7",
        "n<7",
        "app>1",
        "tier>1",
        "app in ()",
        "app=",
        "app,!n",
        "in",
        "in in (in)",
    ] {
        assert!(!selects(selector, web), "{selector}");
    }
}

#[test]
fn words_of_operators_may_be_keys_and_values() {
    let labels = &[("in", "notin"), ("notin", "in")][..];
    assert!(selects("in in (notin),notin=in", labels));
    assert!(selects("in", labels) && selects("notin", labels));
}

#[test]
fn errors_of_the_grammar_have_the_references_text() {
    for (selector, error) in [
        ("a===b", "unable to parse requirement: found '=', expected: identifier"),
        ("=a", "found '=', expected: !, identifier, or 'end of string'"),
        (",", "found ',', expected: !, identifier, or 'end of string'"),
        ("(", "found '(', expected: !, identifier, or 'end of string'"),
        ("a=b c", "found 'c', expected: ',' or 'end of string'"),
        ("a=b,", "found '', expected: identifier after ','"),
        ("a=b,,c", "found ',', expected: identifier after ','"),
        ("a=b,=c", "found '=', expected: identifier after ','"),
        ("a in (", "unable to parse requirement: found '', expected: ',', ')' or identifier"),
        ("a in", "unable to parse requirement: found '' expected: '('"),
        ("a in b", "unable to parse requirement: found 'b' expected: '('"),
        ("a in (b", "unable to parse requirement: found '', expected: ',' or ')'"),
        ("a in (b c)", "unable to parse requirement: found 'c', expected: ',' or ')'"),
        ("a in (b,", "unable to parse requirement: found '', expected: ',', or identifier"),
        ("a in (b,=)", "unable to parse requirement: found '=', expected: ',', or identifier"),
        ("a in (=)", "unable to parse requirement: found '=', expected: ',', ')' or identifier"),
        ("a in (b))", "found ')', expected: ',' or 'end of string'"),
        ("a gt 5", "unable to parse requirement: found 'gt', expected: in, notin, =, ==, !=, gt, lt"),
        ("a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"),
        ("a!", "unable to parse requirement: found '!', expected: in, notin, =, ==, !=, gt, lt"),
        ("!", "unable to parse requirement: found '', expected: identifier"),
        ("!!a", "unable to parse requirement: found '!', expected: identifier"),
        ("!a=b", "found '=', expected: ',' or 'end of string'"),
        ("a=(", "unable to parse requirement: found '(', expected: identifier"),
        ("a>=5", "unable to parse requirement: found '=', expected: identifier"),
    ] {
        assert_eq!(label_error(selector), error, "{selector}");
    }
}

#[test]
fn errors_of_keys_and_values_have_the_references_text() {
    let prefix = "unable to parse requirement: ";
    let long = "a".repeat(64);
    for (selector, error) in [
        ("-a=b".to_owned(), format!("<nil>: Invalid value: \"-a\": {NAME_RULE}")),
        ("/a".to_owned(), "<nil>: Invalid value: \"/a\": prefix part must be non-empty".to_owned()),
        ("a/".to_owned(), format!("<nil>: Invalid value: \"a/\": name part must be non-empty; {NAME_RULE}")),
        (long.clone(), format!("<nil>: Invalid value: \"{long}\": name part must be no more than 63 bytes")),
        (
            format!("{}/a", "p".repeat(254)),
            format!(
                "<nil>: Invalid value: \"{}/a\": prefix part must be no more than 253 bytes",
                "p".repeat(254)
            ),
        ),
        ("a=-b".to_owned(), format!("values[0][a]: Invalid value: \"-b\": {VALUE_RULE}")),
        ("a in (b,-c)".to_owned(), format!("values[0][a]: Invalid value: \"-c\": {VALUE_RULE}")),
        (
            "a in (-b,b,-c)".to_owned(),
            format!(
                "[values[0][a]: Invalid value: \"-b\": {VALUE_RULE}, values[1][a]: Invalid value: \"-c\": \
                 {VALUE_RULE}]"
            ),
        ),
        (
            format!("a={long}"),
            format!("values[0][a]: Invalid value: \"{long}\": must be no more than 63 bytes"),
        ),
        (
            "a>x".to_owned(),
            "values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer"
                .to_owned(),
        ),
        (
            "a<".to_owned(),
            "values[0]: Invalid value: \"\": for 'Gt', 'Lt' operators, the value must be an integer"
                .to_owned(),
        ),
        ("a>-5".to_owned(), format!("values[0][a]: Invalid value: \"-5\": {VALUE_RULE}")),
    ] {
        assert_eq!(label_error(&selector), format!("{prefix}{error}"), "{selector}");
    }
    assert!(label_error("a/b/c").starts_with(
        "unable to parse requirement: <nil>: Invalid value: \"a/b/c\": a valid label key must consist"
    ));
    assert!(label_error("A.b/c").contains("prefix part a lowercase RFC 1123 subdomain must consist"));
}

#[test]
fn requirements_are_sorted_and_have_the_operators_of_a_review() {
    let selector = LabelSelector::parse("z=1,!y,x notin (c,a,c),w,v>5,u!=").unwrap();
    let requirements: Vec<_> =
        selector.requirements().map(|(key, operator, values)| (key, operator, values.join(","))).collect();
    let expected = [
        ("u", "NotIn", ""),
        ("w", "Exists", ""),
        ("x", "NotIn", "a,c"),
        ("y", "DoesNotExist", ""),
        ("z", "In", "1"),
    ];
    assert_eq!(requirements, expected.map(|(k, o, v)| (k, o, v.to_owned())));
    assert!(!selector.is_empty() && LabelSelector::parse(" ").unwrap().is_empty());
}

#[test]
fn huge_selectors_are_refused() {
    let many = vec!["a"; SELECTOR_TERMS_MAX + 1].join(",");
    assert!(LabelSelector::parse(&many).is_err() && LabelSelector::parse(&many[2..]).is_ok());
    assert!(LabelSelector::parse(&format!("a in ({many})")).is_err());
    assert!(LabelSelector::parse(&"a".repeat(SELECTOR_LEN_MAX + 1)).unwrap_err().contains("longer than"));
    let many = vec!["a=b"; SELECTOR_TERMS_MAX + 1].join(",");
    assert!(FieldSelector::parse(&many).is_err() && FieldSelector::parse(&many[4..]).is_ok());
}

#[test]
fn a_nul_ends_a_word_or_the_selector() {
    assert!(LabelSelector::parse("\0=").unwrap().is_empty());
    assert_eq!(
        label_error("a\0b"),
        "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"
    );
}

fn field_selects(selector: &str, name: &str) -> bool {
    FieldSelector::parse(selector).unwrap().matches(|field| if field == "metadata.name" { name } else { "" })
}

#[test]
fn field_terms_select_by_name() {
    for selector in [
        "",
        ",",
        "metadata.name=a",
        "metadata.name==a",
        "metadata.name!=b",
        "metadata.namespace=",
        "metadata.name!=",
        "metadata.name=a,metadata.name!=c,",
    ] {
        assert!(field_selects(selector, "a"), "{selector}");
    }
    for selector in ["metadata.name=b", "metadata.name!=a", "metadata.name= a", "metadata.namespace=x"] {
        assert!(!field_selects(selector, "a"), "{selector}");
    }
    assert!(field_selects(r"metadata.name=a\,b\=c\\", r"a,b=c\"));
}

#[test]
fn errors_of_field_selectors_have_the_references_text() {
    for (selector, error) in [
        ("foo,bar", "invalid selector: 'foo,bar'; can't understand 'bar'"),
        ("metadata.name", "invalid selector: 'metadata.name'; can't understand 'metadata.name'"),
        (r"a=\b", r"invalid field selector: invalid escape sequence: \b"),
        (r"a=b\", r"invalid field selector: invalid escape sequence: \"),
        ("a=b=c", "invalid field selector: unescaped character in value: 61"),
        ("a===c", "invalid field selector: unescaped character in value: 61"),
    ] {
        assert_eq!(FieldSelector::parse(selector).unwrap_err(), error, "{selector}");
    }
}

#[test]
fn an_exact_field_is_the_first_equal_term() {
    let selector = FieldSelector::parse("b=1,a!=x,a=z,a=y").unwrap();
    assert_eq!(selector.exact("a"), Some("y"));
    assert_eq!(selector.exact("c"), None);
    let terms: Vec<_> = selector.terms().collect();
    assert_eq!(terms, [("a", false, "x"), ("a", true, "y"), ("a", true, "z"), ("b", true, "1")]);
    assert_eq!(FieldSelector::parse("=idle").unwrap().terms().next(), Some(("", true, "idle")));
    assert_eq!(FieldSelector::parse("=,a=b,!=").unwrap().terms().collect::<Vec<_>>(), [("a", true, "b")]);
}

#[test]
fn a_nul_is_gone_with_the_word_or_operator_before_it() {
    assert_eq!(label_error("a<1,\0==b"), "found '==', expected: identifier after ','");
    assert_eq!(LabelSelector::parse("a=\0b").unwrap(), LabelSelector::parse("a=b").unwrap());
}

#[test]
fn quotes_are_gos() {
    assert_eq!(quoted(&text_of(vec![b'a', 0xff])), "\"a\\xff\"");
    assert_eq!(json_quoted(&text_of(b"<\"\x01\n\xffe".to_vec())), r#""\u003c\"\u0001\n\ufffde""#);
    assert_eq!(
        quoted("a\"b\\<c>\n\x01\u{7f}é\u{a0}\u{200b}\u{1f600}'"),
        "\"a\\\"b\\\\<c>\\n\\x01\\x7fé\\u00a0\\u200b\u{1f600}'\""
    );
}
