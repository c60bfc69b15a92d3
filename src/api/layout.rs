//! JSON as it is sent: compact, or indented by two blanks a level, which is YAML too.
//!
//! Encoders write fixed texts, which hold all that a layout changes, and between these what stands in quotes. So a list is
//! indented by looking at each of its fixed texts once: what came of it is kept for the objects that follow. Memory of an
//! indented list: a few kilobytes, since there are some twenty texts, each in one or two places of an object.

use crate::invariant::assured;
use crate::wire::text::append;

/// Turns compact JSON into indented JSON, piece by piece; pieces may end anywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Indenter {
    depth: usize,
    in_string: bool,
    /// In a string: the next byte is escaped. Else: a bracket was opened, and nothing came yet.
    pending: bool,
}

impl Indenter {
    /// Appends a piece.
    pub fn feed(&mut self, compact: &[u8], out: &mut Vec<u8>) {
        for byte in compact {
            let was_pending = std::mem::take(&mut self.pending);
            if self.in_string {
                self.in_string = was_pending || *byte != b'"';
                self.pending = !was_pending && *byte == b'\\';
                out.push(*byte);
                continue;
            }
            let closes = matches!(byte, b'}' | b']');
            if was_pending != closes {
                self.depth = if closes { self.depth.saturating_sub(1) } else { self.depth + 1 };
                self.new_line(out);
            }
            out.push(*byte);
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => self.pending = true,
                b',' => self.new_line(out),
                b':' => out.push(b' '),
                _ => {}
            }
        }
    }

    fn new_line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        out.resize(out.len() + 2 * self.depth, b' ');
    }
}

/// How a document is laid out while it is written.
#[derive(Debug)]
pub enum JsonLayout {
    /// As it is written.
    Compact,
    /// Indented.
    Indented(Box<IndentedParts>),
}

impl JsonLayout {
    /// The layout of a document from its begin.
    #[must_use]
    pub fn new(pretty: bool) -> JsonLayout {
        if pretty { JsonLayout::Indented(Box::default()) } else { JsonLayout::Compact }
    }

    /// Appends a fixed text. What stands in quotes is appended as it is, between two of them.
    #[inline]
    pub fn part(&mut self, out: &mut Vec<u8>, compact: &'static [u8]) {
        match self {
            JsonLayout::Compact => out.extend_from_slice(compact),
            JsonLayout::Indented(parts) => parts.put(out, compact),
        }
    }

    /// Appends a text that comes once.
    pub fn once(&mut self, out: &mut Vec<u8>, compact: &[u8]) {
        match self {
            JsonLayout::Compact => out.extend_from_slice(compact),
            JsonLayout::Indented(parts) => parts.indenter.feed(compact, out),
        }
    }

    /// Where the document is, to go back to.
    #[must_use]
    pub fn place(&self) -> Indenter {
        match self {
            JsonLayout::Compact => Indenter::default(),
            JsonLayout::Indented(parts) => parts.indenter,
        }
    }

    /// Goes back: what was written since is removed.
    pub fn go_back(&mut self, place: Indenter) {
        if let JsonLayout::Indented(parts) = self {
            parts.indenter = place;
        }
    }
}

/// The fixed texts of a document that were indented already.
#[derive(Debug, Default)]
pub struct IndentedParts {
    indenter: Indenter,
    known: Vec<IndentedPart>,
    /// Behind the last one that was put: the next one, most likely.
    next: usize,
}

#[derive(Debug)]
struct IndentedPart {
    compact: &'static [u8],
    before: Indenter,
    after: Indenter,
    text: Box<[u8]>,
}

impl IndentedParts {
    fn put(&mut self, out: &mut Vec<u8>, compact: &'static [u8]) {
        let before = self.indenter;
        // Told by its place in the program: the same text at two places would only be known twice.
        let is_it = |part: &IndentedPart| std::ptr::eq(part.compact, compact) && part.before == before;
        let index = match self.known.get(self.next).is_some_and(is_it) {
            true => self.next,
            false => self.known.iter().position(is_it).unwrap_or_else(|| self.learn(compact)),
        };
        let part = assured(self.known.get(index), "a text is learned before it is put");
        append(out, &part.text);
        self.indenter = part.after;
        self.next = index + 1;
    }

    fn learn(&mut self, compact: &'static [u8]) -> usize {
        let (before, mut after, mut text) = (self.indenter, self.indenter, Vec::new());
        after.feed(compact, &mut text);
        self.known.push(IndentedPart { compact, before, after, text: text.into() });
        self.known.len() - 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_cutting_gives_the_same_indented_json() {
        let compact = br#"{"a":{},"b":[],"c":[{"d":"{[,:\"\\"},null,1],"e":{"f":"g"}}"#;
        let wanted = "{\n  \"a\": {},\n  \"b\": [],\n  \"c\": [\n    {\n      \"d\": \"{[,:\\\"\\\\\"\n    },\n    null,\n    1\n  ],\n  \"e\": {\n    \"f\": \"g\"\n  }\n}";
        for cut in 0..=compact.len() {
            let (mut indenter, mut out) = (Indenter::default(), Vec::new());
            indenter.feed(&compact[..cut], &mut out);
            indenter.feed(&compact[cut..], &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), wanted);
        }
    }

    #[test]
    fn fixed_texts_are_indented_as_the_document_that_they_are_of() {
        let (mut indented, mut compact) = (Vec::new(), Vec::new());
        let (mut layout, mut plain) = (JsonLayout::new(true), JsonLayout::new(false));
        for number in 0..5 {
            let mut part = |text: &'static [u8]| {
                layout.part(&mut indented, text);
                plain.part(&mut compact, text);
            };
            part(if number == 0 { b"[{\"a\":\"" } else { b",{\"a\":\"" });
            part(b"x,{:");
            part(if number == 3 { b"\"}" } else { b"\",\"b\":[],\"c\":{\"d\":null}}" });
        }
        layout.once(&mut indented, b"]");
        plain.once(&mut compact, b"]");
        let mut wanted = Vec::new();
        Indenter::default().feed(&compact, &mut wanted);
        assert_eq!(String::from_utf8(indented), String::from_utf8(wanted));
    }

    #[test]
    fn going_back_is_as_if_nothing_had_come() {
        let (mut layout, mut out) = (JsonLayout::new(true), Vec::new());
        layout.part(&mut out, b"[{");
        let (place, len) = (layout.place(), out.len());
        layout.part(&mut out, b"\"a\":{\"b\":[");
        out.truncate(len);
        layout.go_back(place);
        layout.part(&mut out, b"}]");
        assert_eq!(out, b"[\n  {}\n]");
    }
}
