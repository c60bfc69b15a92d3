use super::*;

fn selects(selector: &str, labels: &[(&str, &str)]) -> bool {
    let selector = LabelSelector::parse(selector).unwrap();
    selector.matches(|key| labels.iter().find(|(k, _)| *k == key).map(|(_, v)| *v))
}

fn label_error(selector: &str) -> String {
    LabelSelector::parse(selector).unwrap_err()
}

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
fn errors_name_the_position_what_was_expected_and_what_was_found() {
    let operator = "expected '=', '==', '!=', 'in', 'notin', '>', '<', ',' or the end, found";
    for (selector, position, problem) in [
        ("a===b", 4, "expected a label value, found \"=\"".to_owned()),
        ("=a", 1, "expected a label key or '!', found \"=\"".to_owned()),
        (",", 1, "expected a label key or '!', found \",\"".to_owned()),
        ("a=b c", 5, "expected ',' or the end, found \"c\"".to_owned()),
        ("a=b,", 5, "expected a label key or '!', found the end".to_owned()),
        ("a=b,,c", 5, "expected a label key or '!', found \",\"".to_owned()),
        ("a in (", 7, "expected a label value, ',' or ')', found the end".to_owned()),
        ("a in", 5, "expected '(', found the end".to_owned()),
        ("a in b", 6, "expected '(', found \"b\"".to_owned()),
        ("a in (b", 8, "expected ',' or ')', found the end".to_owned()),
        ("a in (b c)", 9, "expected ',' or ')', found \"c\"".to_owned()),
        ("a in (b,=)", 9, "expected a label value, ',' or ')', found \"=\"".to_owned()),
        ("a in (b))", 9, "expected ',' or the end, found \")\"".to_owned()),
        ("a gt 5", 3, format!("{operator} \"gt\"")),
        ("a!", 2, format!("{operator} \"!\"")),
        ("!", 2, "expected a label key, found the end".to_owned()),
        ("!!a", 2, "expected a label key, found \"!\"".to_owned()),
        ("!a=b", 3, "expected ',' or the end, found \"=\"".to_owned()),
        ("a=(", 3, "expected a label value, found \"(\"".to_owned()),
        ("a>=5", 3, "expected a whole number, found \"=\"".to_owned()),
        ("a>x", 3, "expected a whole number, found \"x\"".to_owned()),
        ("a<", 3, "expected a whole number, found the end".to_owned()),
        ("a>-5", 3, "expected a whole number, found \"-5\"".to_owned()),
        ("a>9223372036854775808", 3, "expected a whole number, found \"9223372036854775808\"".to_owned()),
    ] {
        assert_eq!(
            label_error(selector),
            format!("invalid selector at position {position}: {problem}"),
            "{selector}"
        );
    }
}

#[test]
fn keys_and_values_are_what_kubernetes_allows() {
    let long = "a".repeat(64);
    let prefix = "p".repeat(254);
    for selector in ["-a=b", "a-", "a/", "é", "a\0b", &long] {
        assert!(label_error(selector).contains("must have a name of 1 to 63 letters"), "{selector}");
    }
    for selector in ["/a", "A.b/c", "a..b/c", "-/c", "a_b/c", &format!("{prefix}/a")] {
        assert!(label_error(selector).contains("must have a DNS subdomain before '/'"), "{selector}");
    }
    assert!(label_error("a/b/c").contains("must have a name"));
    for selector in ["a=-b", "a in (b,-c)", "a=b.", "a!=é", &format!("a={long}")] {
        assert!(label_error(selector).contains("must have at most 63 letters"), "{selector}");
    }
    let most = format!("{}/{}={}", &prefix[..253], &long[..63], &long[..63]);
    assert!(LabelSelector::parse(&most).is_ok());
    assert!(
        label_error(&format!("{}/a b=c", "x".repeat(60_000))).len() < 500,
        "a message repeats little of its cause"
    );
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
fn errors_of_field_selectors_name_the_position() {
    const ESCAPES: &str = r"expected '\\', '\,' or '\=' for a backslash, comma or equals sign in a value";
    const FORM: &str = "expected FIELD=VALUE, FIELD==VALUE or FIELD!=VALUE, found";
    for (selector, position, problem) in [
        ("a=b,bar", 5, format!("{FORM} \"bar\"")),
        ("metadata.name", 1, format!("{FORM} \"metadata.name\"")),
        (r"a=\b", 3, ESCAPES.to_owned()),
        (r"a=b\", 4, ESCAPES.to_owned()),
        ("a=b=c", 4, ESCAPES.to_owned()),
        ("x!=y,a===c", 9, ESCAPES.to_owned()),
    ] {
        let error = format!("invalid selector at position {position}: {problem}");
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
