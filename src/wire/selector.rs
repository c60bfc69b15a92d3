//! Label and field selectors: grammar, errors and matching.
//!
//! Both are read whole and refused with the reference's texts. A label selector is a conjunction of requirements; `!=`
//! and `notin` also match objects without the key. A field selector is a conjunction of `=` and `!=` terms, sorted
//! before they are read. Size and number of terms are bounded, since a selector comes from anybody who may ask.
//! Source: `k8s.io/apimachinery` `labels` and `fields`.

mod field;
mod validate;

pub use field::FieldSelector;
pub use validate::{InvalidField, Mistake, quoted};

use crate::limits::{SELECTOR_LEN_MAX, SELECTOR_TERMS_MAX};
use validate::{key_mistakes, value_mistakes};

/// How a requirement compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

/// One requirement: a key and what its value must be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
    /// Sorted, each once.
    values: Vec<String>,
}

impl Requirement {
    /// Checks operator and values; the key is checked already.
    fn new(key: &str, operator: Operator, mut values: Vec<String>) -> Result<Requirement, String> {
        values.sort();
        values.dedup();
        let mut mistakes = Vec::new();
        if matches!(operator, Operator::GreaterThan | Operator::LessThan) {
            for (index, value) in values.iter().enumerate().filter(|(_, value)| value.parse::<i64>().is_err())
            {
                let detail = "for 'Gt', 'Lt' operators, the value must be an integer".to_owned();
                mistakes.push(InvalidField::invalid(format!("values[{index}]"), value, detail));
            }
        }
        for (index, value) in values.iter().enumerate() {
            let wrong = value_mistakes(value);
            if !wrong.is_empty() {
                mistakes.push(InvalidField::invalid(
                    format!("values[{index}][{key}]"),
                    value,
                    wrong.join("; "),
                ));
            }
        }
        if mistakes.is_empty() {
            Ok(Requirement { key: key.to_owned(), operator, values })
        } else {
            Err(InvalidField::joined(&mistakes))
        }
    }

    fn matches(&self, value: Option<&str>) -> bool {
        let has = |value: &str| self.values.iter().any(|v| v == value);
        let number = |text: &str| text.parse::<i64>().ok();
        let bound = || self.values.first().and_then(|text| number(text));
        match (self.operator, value) {
            (Operator::In, value) => value.is_some_and(has),
            (Operator::NotIn, value) => !value.is_some_and(has),
            (Operator::Exists, value) => value.is_some(),
            (Operator::DoesNotExist, value) => value.is_none(),
            (Operator::GreaterThan, value) => value.and_then(number).zip(bound()).is_some_and(|(v, b)| v > b),
            (Operator::LessThan, value) => value.and_then(number).zip(bound()).is_some_and(|(v, b)| v < b),
        }
    }
}

/// A parsed label selector; matches everything when empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

impl LabelSelector {
    /// Parses the full grammar: `k`, `!k`, `k=v`, `k==v`, `k!=v`, `k in (a,b)`, `k notin (a)`, `k>5`, `k<5`, joined by
    /// commas.
    /// # Errors
    /// The reference's text; text of our own beyond `limits::SELECTOR_LEN_MAX` and `SELECTOR_TERMS_MAX`.
    pub fn parse(text: &str) -> Result<LabelSelector, String> {
        bounded(text)?;
        let mut parser = Parser { lexer: Lexer { text, pos: 0 }, peeked: None, terms: 0 };
        let mut requirements = parser.selector()?;
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
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

    /// Key, operator and sorted values of each requirement that a review knows; `>` and `<` are none of them, and
    /// leaving them out asks for more rights, not for fewer.
    pub fn requirements(&self) -> impl Iterator<Item = (&str, &'static str, &[String])> {
        self.requirements.iter().filter_map(|r| {
            let operator = match r.operator {
                Operator::In => "In",
                Operator::NotIn => "NotIn",
                Operator::Exists => "Exists",
                Operator::DoesNotExist => "DoesNotExist",
                Operator::GreaterThan | Operator::LessThan => return None,
            };
            Some((&*r.key, operator, &*r.values))
        })
    }
}

fn bounded(text: &str) -> Result<(), String> {
    if text.len() > SELECTOR_LEN_MAX {
        return Err(format!("the selector is longer than {SELECTOR_LEN_MAX} bytes"));
    }
    Ok(())
}

/// A word of a label selector. Everything that is neither an operator nor a blank is an identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    End,
    Close,
    Open,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    NotEquals,
    Greater,
    Less,
    In,
    NotIn,
    Identifier,
}

/// A token and its text.
type Word<'a> = (Token, &'a str);

/// Splits a label selector into words. A NUL ends a word or an operator and is gone with it; anywhere else it ends the
/// text. So does the reference.
struct Lexer<'a> {
    text: &'a str,
    pos: usize,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Word<'a> {
        let rest = self.text.get(self.pos..).unwrap_or("");
        let rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        self.pos = self.text.len() - rest.len();
        let (token, len) = match rest.as_bytes() {
            [] | [0, ..] => return (Token::End, ""),
            [b'=', b'=', ..] => (Token::DoubleEquals, 2),
            [b'=', ..] => (Token::Equals, 1),
            [b'!', b'=', ..] => (Token::NotEquals, 2),
            [b'!', ..] => (Token::Not, 1),
            [b'>', ..] => (Token::Greater, 1),
            [b'<', ..] => (Token::Less, 1),
            [b'(', ..] => (Token::Open, 1),
            [b')', ..] => (Token::Close, 1),
            [b',', ..] => (Token::Comma, 1),
            _ => return self.identifier(rest),
        };
        self.pos += len + usize::from(rest.as_bytes().get(len) == Some(&0));
        (token, rest.get(..len).unwrap_or(""))
    }

    fn identifier(&mut self, rest: &'a str) -> Word<'a> {
        let ends = ['=', '!', '(', ')', ',', '>', '<', ' ', '\t', '\r', '\n', '\0'];
        let (word, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        self.pos += word.len() + usize::from(after.starts_with('\0'));
        match word {
            "in" => (Token::In, word),
            "notin" => (Token::NotIn, word),
            _ => (Token::Identifier, word),
        }
    }
}

/// Reads requirements with one word of lookahead.
struct Parser<'a> {
    lexer: Lexer<'a>,
    peeked: Option<Word<'a>>,
    /// Requirements and values so far.
    terms: usize,
}

impl<'a> Parser<'a> {
    /// The next word with its own meaning, kept.
    fn peek_operator(&mut self) -> Word<'a> {
        let lexer = &mut self.lexer;
        *self.peeked.get_or_insert_with(|| lexer.next())
    }

    fn take_operator(&mut self) -> Word<'a> {
        let word = self.peek_operator();
        self.peeked = None;
        word
    }

    /// The next word where `in` and `notin` are ordinary words, kept.
    fn peek(&mut self) -> Word<'a> {
        match self.peek_operator() {
            (Token::In | Token::NotIn, word) => (Token::Identifier, word),
            word => word,
        }
    }

    fn take(&mut self) -> Word<'a> {
        let word = self.peek();
        self.peeked = None;
        word
    }

    fn count(&mut self) -> Result<(), String> {
        self.terms += 1;
        if self.terms > SELECTOR_TERMS_MAX {
            return Err(format!("the selector has more than {SELECTOR_TERMS_MAX} terms"));
        }
        Ok(())
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                (Token::Identifier | Token::Not, _) => {}
                (Token::End, _) => return Ok(requirements),
                (_, word) => {
                    return Err(format!("found '{word}', expected: !, identifier, or 'end of string'"));
                }
            }
            let requirement = self.requirement().map_err(|e| format!("unable to parse requirement: {e}"))?;
            requirements.push(requirement);
            match self.take() {
                (Token::End, _) => return Ok(requirements),
                (Token::Comma, _) => {}
                (_, word) => return Err(format!("found '{word}', expected: ',' or 'end of string'")),
            }
            match self.peek() {
                (Token::Identifier | Token::Not, _) => {}
                (_, word) => return Err(format!("found '{word}', expected: identifier after ','")),
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        self.count()?;
        let (mut token, mut key) = self.take();
        let negated = token == Token::Not;
        if negated {
            (token, key) = self.take();
        }
        if token != Token::Identifier {
            return Err(format!("found '{key}', expected: identifier"));
        }
        let mistakes = key_mistakes(key);
        if !mistakes.is_empty() {
            // The reference prints the path of a field that has none.
            let wrong = InvalidField::invalid("<nil>".to_owned(), key, mistakes.join("; "));
            return Err(InvalidField::joined(&[wrong]));
        }
        if negated {
            return Requirement::new(key, Operator::DoesNotExist, Vec::new());
        }
        if matches!(self.peek().0, Token::End | Token::Comma) {
            return Requirement::new(key, Operator::Exists, Vec::new());
        }
        let (operator, exact) = match self.take_operator() {
            (Token::In, _) => (Operator::In, false),
            (Token::NotIn, _) => (Operator::NotIn, false),
            (Token::Equals | Token::DoubleEquals, _) => (Operator::In, true),
            (Token::NotEquals, _) => (Operator::NotIn, true),
            (Token::Greater, _) => (Operator::GreaterThan, true),
            (Token::Less, _) => (Operator::LessThan, true),
            (_, word) => return Err(format!("found '{word}', expected: in, notin, =, ==, !=, gt, lt")),
        };
        let values = if exact { vec![self.exact_value()?] } else { self.values()? };
        Requirement::new(key, operator, values)
    }

    /// One value; none at all is the empty one.
    fn exact_value(&mut self) -> Result<String, String> {
        match self.peek() {
            (Token::End | Token::Comma, _) => Ok(String::new()),
            (Token::Identifier, word) => {
                self.take();
                Ok(word.to_owned())
            }
            (_, word) => Err(format!("found '{word}', expected: identifier")),
        }
    }

    /// Values in parentheses; what is missing between commas is the empty value.
    fn values(&mut self) -> Result<Vec<String>, String> {
        match self.take() {
            (Token::Open, _) => {}
            (_, word) => return Err(format!("found '{word}' expected: '('")),
        }
        match self.peek() {
            (Token::Identifier | Token::Comma, _) => {}
            (Token::Close, _) => {
                self.take();
                return Ok(vec![String::new()]);
            }
            (_, word) => return Err(format!("found '{word}', expected: ',', ')' or identifier")),
        }
        let mut values: Vec<String> = Vec::new();
        loop {
            self.count()?;
            match self.take() {
                (Token::Identifier, word) => {
                    values.push(word.to_owned());
                    match self.peek() {
                        (Token::Comma, _) => {}
                        (Token::Close, _) => break,
                        (_, word) => return Err(format!("found '{word}', expected: ',' or ')'")),
                    }
                }
                (Token::Comma, _) => {
                    let next = self.peek().0;
                    if values.is_empty() || matches!(next, Token::Comma | Token::Close) {
                        values.push(String::new());
                    }
                    if next == Token::Close {
                        break;
                    }
                }
                (_, word) => return Err(format!("found '{word}', expected: ',', or identifier")),
            }
        }
        self.take();
        Ok(values)
    }
}

#[cfg(test)]
mod tests;
