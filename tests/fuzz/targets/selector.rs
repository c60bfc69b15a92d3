//! Any label and field selector: an error that is said, or requirements that read back and decide as they say.
//! Input: the selector and, after a line feed, `key=value` lines to match.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::collections::BTreeMap;
use toplet::limits::SELECTOR_TERMS_MAX;
use toplet::wire::selector::{FieldSelector, LabelSelector};

fn labels(text: &str, object: &BTreeMap<&str, &str>) {
    let selector = match LabelSelector::parse(text) {
        Ok(selector) => selector,
        Err(error) => return assert!(!error.is_empty()),
    };
    let terms: Vec<_> = selector.requirements().collect();
    assert!(terms.len() <= SELECTOR_TERMS_MAX && terms.is_sorted_by_key(|(key, ..)| *key));
    let holds = |(key, operator, values): &(&str, &str, &[String])| {
        let value = object.get(key);
        let is_in = value.is_some_and(|value| values.iter().any(|v| v == value));
        match *operator {
            "In" => is_in,
            "NotIn" => !is_in,
            "Exists" => value.is_some(),
            "DoesNotExist" => value.is_none(),
            other => panic!("{other}"),
        }
    };
    let expected = terms.iter().all(holds);
    let matches = selector.matches(|key| object.get(key).copied());
    if text.contains(['<', '>']) {
        return assert!(expected || !matches);
    }
    assert_eq!(matches, expected, "{text:?}");
    let written = terms.iter().map(|(key, operator, values)| match *operator {
        "In" => format!("{key} in ({})", values.join(",")),
        "NotIn" => format!("{key} notin ({})", values.join(",")),
        "Exists" => (*key).to_owned(),
        _ => format!("!{key}"),
    });
    let written = written.collect::<Vec<_>>().join(",");
    assert_eq!(LabelSelector::parse(&written), Ok(selector), "{text:?} as {written:?}");
}

fn fields(text: &str, object: &BTreeMap<&str, &str>) {
    let selector = match FieldSelector::parse(text) {
        Ok(selector) => selector,
        Err(error) => return assert!(!error.is_empty()),
    };
    let terms: Vec<_> = selector.terms().collect();
    assert!(terms.len() <= SELECTOR_TERMS_MAX);
    let lookup = |field: &str| object.get(field).copied().unwrap_or("");
    let expected = terms.iter().all(|(field, equal, value)| (lookup(field) == *value) == *equal);
    assert_eq!(selector.matches(lookup), expected, "{text:?}");
    for (field, equal, _) in &terms {
        assert_eq!(selector.exact(field).is_some(), *equal || terms.iter().any(|(f, e, _)| f == field && *e));
    }
    let written = terms.iter().map(|(field, equal, value)| {
        let value = value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
        format!("{field}{}{value}", if *equal { "=" } else { "!=" })
    });
    let written = written.collect::<Vec<_>>().join(",");
    let again = FieldSelector::parse(&written).unwrap();
    let sorted = |selector: &FieldSelector| {
        let mut terms: Vec<_> =
            selector.terms().map(|(f, equal, v)| (f.to_owned(), equal, v.to_owned())).collect();
        terms.sort();
        terms
    };
    assert_eq!(sorted(&again), sorted(&selector), "{text:?} as {written:?}");
}

fuzz_target!(|input: &str| {
    let (text, object) = input.split_once('\n').unwrap_or((input, ""));
    let object: BTreeMap<&str, &str> = object.lines().filter_map(|line| line.split_once('=')).collect();
    labels(text, &object);
    fields(text, &object);
});
