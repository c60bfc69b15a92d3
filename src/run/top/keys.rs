//! Keys of the live screen, out of the bytes that a terminal sends for them, one at a time.
//!
//! Keys with a name send a sequence: `ESC [`, parameters, a last byte; or `ESC O` and one byte. Source: console_codes(4).

use crate::cli::SortBy;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LiveKey {
    /// The end.
    Quit,
    /// Another order.
    Sort(Option<SortBy>),
    /// So many lines down; up where negative.
    Lines(isize),
    /// So many screens down; up where negative.
    Screens(isize),
    /// To the first row.
    First,
    /// To the last one.
    Last,
}

/// A sequence under way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum KeyReader {
    #[default]
    Idle,
    /// ESC came.
    Escape,
    /// `ESC O` came.
    Single,
    /// `ESC [` came, and this number with it.
    Parameters(u8),
}

impl KeyReader {
    /// Takes the next byte; a key where it completes one that means something.
    pub(super) fn take(&mut self, byte: u8) -> Option<LiveKey> {
        match std::mem::take(self) {
            KeyReader::Escape if byte == b'[' => *self = KeyReader::Parameters(0),
            KeyReader::Escape if byte == b'O' => *self = KeyReader::Single,
            KeyReader::Idle | KeyReader::Escape if byte == 0x1b => *self = KeyReader::Escape,
            // The key ESC by itself means nothing, the next one what it always means.
            KeyReader::Idle | KeyReader::Escape => return plain(byte),
            KeyReader::Single => return named(byte, 0),
            KeyReader::Parameters(number) => match byte {
                b'0'..=b'9' => {
                    *self = KeyReader::Parameters(number.saturating_mul(10).saturating_add(byte - b'0'));
                }
                0x40..=0x7e => return named(byte, number),
                // With a modifier: what follows the first number says which.
                _ => *self = KeyReader::Parameters(number),
            },
        }
        None
    }
}

fn plain(byte: u8) -> Option<LiveKey> {
    Some(match byte {
        // Ctrl-C is a signal as a rule.
        b'q' | b'Q' | 3 => LiveKey::Quit,
        b'c' => LiveKey::Sort(Some(SortBy::Cpu)),
        b'm' => LiveKey::Sort(Some(SortBy::Memory)),
        b'n' => LiveKey::Sort(None),
        b'j' => LiveKey::Lines(1),
        b'k' => LiveKey::Lines(-1),
        b'g' => LiveKey::First,
        b'G' => LiveKey::Last,
        _ => return None,
    })
}

fn named(last: u8, number: u8) -> Option<LiveKey> {
    Some(match (last, number) {
        (b'A', _) => LiveKey::Lines(-1),
        (b'B', _) => LiveKey::Lines(1),
        (b'~', 5) => LiveKey::Screens(-1),
        (b'~', 6) => LiveKey::Screens(1),
        (b'H', _) | (b'~', 1 | 7) => LiveKey::First,
        (b'F', _) | (b'~', 4 | 8) => LiveKey::Last,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(bytes: &[u8]) -> Vec<LiveKey> {
        let mut reader = KeyReader::default();
        bytes.iter().filter_map(|byte| reader.take(*byte)).collect()
    }

    #[test]
    fn sequences_are_keys_and_what_is_unknown_is_nothing() {
        for (bytes, wanted) in [
            (&b"\x1b[A\x1bOA\x1b[Bjk"[..], &[-1, -1, 1, 1, -1].map(LiveKey::Lines)[..]),
            (b"\x1b[5~\x1b[6~", &[-1, 1].map(LiveKey::Screens)),
            (b"\x1b[H\x1bOH\x1b[1~\x1b[7~g", &[LiveKey::First; 5]),
            (b"\x1b[F\x1bOF\x1b[4~\x1b[8~G", &[LiveKey::Last; 5]),
            (b"cmn", &[Some(SortBy::Cpu), Some(SortBy::Memory), None].map(LiveKey::Sort)),
            (b"q\x03", &[LiveKey::Quit; 2]),
            // F5, Delete, a mouse, letters, a sequence that never ends: none of their bytes is a key by itself.
            (b"\x1b[15~\x1b[3~\x1b[M\x1b[99999999999999999q x\x80", &[]),
            (b"\x1b\x1bq", &[LiveKey::Quit]),
        ] {
            assert_eq!(keys(bytes), wanted, "{bytes:?}");
        }
    }
}
