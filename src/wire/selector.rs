//! Label and field selectors: grammar, errors and matching.
//!
//! Both are read whole or refused with one line that says where, what was expected and what stands there. A label
//! selector is a conjunction of requirements; `!=` and `notin` also match objects without the key. A field selector is
//! a conjunction of `=` and `!=` terms. Size and number of terms are bounded, since any caller may send a selector.
//! Deviation: messages about selectors, numbers and durations have wording of our own, not that of Go's libraries.
//! Source: the grammar of `k8s.io/apimachinery` `labels` and `fields`.

mod field;
mod validate;

pub use field::FieldSelector;

use super::text::quoted;
use crate::limits::{SELECTOR_LEN_MAX, SELECTOR_TERMS_MAX};
use validate::{key_fault, value_fault};

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    /// Above this number.
    Above(i64),
    /// Below this number.
    Below(i64),
}

/// One requirement: a key and what its value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LabelRequirement {
    key: String,
    operator: Operator,
    /// Sorted, each once.
    values: Vec<String>,
}

impl LabelRequirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let has = |value: &str| match &*self.values {
            [one] => one == value,
            all => all.binary_search_by(|known| (**known).cmp(value)).is_ok(),
        };
        let number = |text: &str| text.parse::<i64>().ok();
        match (self.operator, value) {
            (Operator::In, value) => value.is_some_and(has),
            (Operator::NotIn, value) => !value.is_some_and(has),
            (Operator::Exists, value) => value.is_some(),
            (Operator::DoesNotExist, value) => value.is_none(),
            (Operator::Above(bound), value) => value.and_then(number).is_some_and(|number| number > bound),
            (Operator::Below(bound), value) => value.and_then(number).is_some_and(|number| number < bound),
        }
    }
}

/// A parsed label selector; matches everything when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<LabelRequirement>,
}

impl LabelSelector {
    /// Parses the full grammar: `k`, `!k`, `k=v`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a)`, `k>5`, `k<5`, joined by
    /// commas.
    /// # Errors
    /// One line with the position (in bytes, from 1) and what was expected there.
    pub fn parse(text: &str) -> Result<LabelSelector, String> {
        check_len(text)?;
        let mut parser = Parser { lexer: Lexer { text, at: 0 }, peeked: None, term_count: 0 };
        let mut requirements = parser.selector()?;
        requirements.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        Ok(LabelSelector { requirements })
    }

    /// Whether an object with these labels is selected; `value` looks a key up.
    pub fn matches<'a>(&self, value: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.requirements.iter().all(|r| r.matches(value(&r.key)))
    }

    /// Whether everything is selected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// Key, operator and sorted values of each requirement that a review knows. It does not know `>` and `<`; without
    /// them a review asks for more rights, never for fewer.
    pub fn requirements(&self) -> impl Iterator<Item = (&str, &'static str, &[String])> {
        self.requirements.iter().filter_map(|r| {
            let operator = match r.operator {
                Operator::In => "In",
                Operator::NotIn => "NotIn",
                Operator::Exists => "Exists",
                Operator::DoesNotExist => "DoesNotExist",
                Operator::Above(_) | Operator::Below(_) => return None,
            };
            Some((&*r.key, operator, &*r.values))
        })
    }
}

fn check_len(text: &str) -> Result<(), String> {
    if text.len() > SELECTOR_LEN_MAX {
        return Err(format!("the selector is longer than {SELECTOR_LEN_MAX} bytes"));
    }
    Ok(())
}

fn too_many_terms() -> String {
    format!("the selector has more than {SELECTOR_TERMS_MAX} terms")
}

/// The one form of an error: where, and what is wrong there.
fn error_at(at: usize, problem: &str) -> String {
    format!("invalid selector at position {}: {problem}", at + 1)
}

/// A word of a label selector. Everything that is neither an operator nor a blank is a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    End,
    Close,
    Open,
    Comma,
    Not,
    Equals,
    NotEquals,
    Greater,
    Less,
    Name,
}

/// A token, its text and where it stands.
#[derive(Clone, Copy)]
struct Word<'a> {
    token: Token,
    text: &'a str,
    at: usize,
}

impl Word<'_> {
    fn expected(self, what: &str) -> String {
        let found = if self.token == Token::End { "the end".to_owned() } else { quoted(self.text) };
        error_at(self.at, &format!("expected {what}, found {found}"))
    }
}

/// Splits a label selector into words.
struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Word<'a> {
        let (_, rest) = self.text.split_at(self.at);
        let rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let at = self.text.len() - rest.len();
        let (token, len) = match rest.as_bytes() {
            [] => (Token::End, 0),
            [b'=', b'=', ..] => (Token::Equals, 2),
            [b'=', ..] => (Token::Equals, 1),
            [b'!', b'=', ..] => (Token::NotEquals, 2),
            [b'!', ..] => (Token::Not, 1),
            [b'>', ..] => (Token::Greater, 1),
            [b'<', ..] => (Token::Less, 1),
            [b'(', ..] => (Token::Open, 1),
            [b')', ..] => (Token::Close, 1),
            [b',', ..] => (Token::Comma, 1),
            _ => {
                let ends = ['=', '!', '(', ')', ',', '>', '<', ' ', '\t', '\r', '\n'];
                (Token::Name, rest.find(ends).unwrap_or(rest.len()))
            }
        };
        self.at = at + len;
        Word { token, text: rest.split_at(len).0, at }
    }
}

/// Reads requirements with one word of lookahead.
struct Parser<'a> {
    lexer: Lexer<'a>,
    peeked: Option<Word<'a>>,
    /// Requirements and values so far.
    term_count: usize,
}

impl<'a> Parser<'a> {
    fn peek(&mut self) -> Word<'a> {
        let lexer = &mut self.lexer;
        *self.peeked.get_or_insert_with(|| lexer.next())
    }

    fn take(&mut self) -> Word<'a> {
        let word = self.peek();
        self.peeked = None;
        word
    }

    fn count(&mut self) -> Result<(), String> {
        self.term_count += 1;
        if self.term_count > SELECTOR_TERMS_MAX { Err(too_many_terms()) } else { Ok(()) }
    }

    fn selector(&mut self) -> Result<Vec<LabelRequirement>, String> {
        let mut requirements = Vec::new();
        if self.peek().token == Token::End {
            return Ok(requirements);
        }
        loop {
            requirements.push(self.requirement()?);
            let word = self.take();
            match word.token {
                Token::End => return Ok(requirements),
                Token::Comma => {}
                _ => return Err(word.expected("',' or the end")),
            }
        }
    }

    fn requirement(&mut self) -> Result<LabelRequirement, String> {
        self.count()?;
        let mut word = self.take();
        let negated = word.token == Token::Not;
        if negated {
            word = self.take();
        }
        if word.token != Token::Name {
            return Err(word.expected(if negated { "a label key" } else { "a label key or '!'" }));
        }
        if let Some(fault) = key_fault(word.text) {
            return Err(error_at(word.at, &format!("label key {} {fault}", quoted(word.text))));
        }
        let key = word.text.to_owned();
        let plain = |operator| Ok(LabelRequirement { key: key.clone(), operator, values: Vec::new() });
        if negated {
            return plain(Operator::DoesNotExist);
        }
        if matches!(self.peek().token, Token::End | Token::Comma) {
            return plain(Operator::Exists);
        }
        let word = self.take();
        let (operator, mut values) = match (word.token, word.text) {
            (Token::Equals, _) => (Operator::In, vec![self.value()?]),
            (Token::NotEquals, _) => (Operator::NotIn, vec![self.value()?]),
            (Token::Greater, _) => return plain(Operator::Above(self.number()?)),
            (Token::Less, _) => return plain(Operator::Below(self.number()?)),
            (Token::Name, "in") => (Operator::In, self.values()?),
            (Token::Name, "notin") => (Operator::NotIn, self.values()?),
            _ => return Err(word.expected("'=', '==', '!=', 'in', 'notin', '>', '<', ',' or the end")),
        };
        values.sort_unstable();
        values.dedup();
        Ok(LabelRequirement { key, operator, values })
    }

    /// One value; none at all is the empty one.
    fn value(&mut self) -> Result<String, String> {
        let word = self.peek();
        match word.token {
            Token::End | Token::Comma => Ok(String::new()),
            Token::Name => {
                self.take();
                checked_value(word)
            }
            _ => Err(word.expected("a label value")),
        }
    }

    fn number(&mut self) -> Result<i64, String> {
        let word = self.take();
        let is_value = word.token == Token::Name && value_fault(word.text).is_none();
        let number = Some(word.text).filter(|_| is_value).and_then(|text| text.parse().ok());
        number.ok_or_else(|| word.expected("a whole number"))
    }

    /// Values in parentheses; what is missing between commas is the empty value.
    fn values(&mut self) -> Result<Vec<String>, String> {
        let word = self.take();
        if word.token != Token::Open {
            return Err(word.expected("'('"));
        }
        let mut values = Vec::new();
        loop {
            self.count()?;
            let word = self.peek();
            values.push(match word.token {
                Token::Comma | Token::Close => String::new(),
                Token::Name => checked_value(self.take())?,
                _ => return Err(word.expected("a label value, ',' or ')'")),
            });
            let word = self.take();
            match word.token {
                Token::Comma => {}
                Token::Close => return Ok(values),
                _ => return Err(word.expected("',' or ')'")),
            }
        }
    }
}

fn checked_value(word: Word<'_>) -> Result<String, String> {
    match value_fault(word.text) {
        None => Ok(word.text.to_owned()),
        Some(fault) => Err(error_at(word.at, &format!("label value {} {fault}", quoted(word.text)))),
    }
}

#[cfg(test)]
mod tests;
