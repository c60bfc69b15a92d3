//! Small kernel files: read whole into one reused buffer, or as many lines as it holds.

use crate::limits;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

/// The buffer.
#[derive(Debug, Default)]
pub(super) struct Files {
    text: Vec<u8>,
}

impl Files {
    /// The start of a file.
    pub(super) fn text(&mut self, path: &Path) -> Result<&str> {
        self.text.resize(limits::HOST_FILE_LEN_MAX, 0);
        let mut file = std::fs::File::open(path)?;
        let mut len = 0;
        while let Some(room) = self.text.get_mut(len..).filter(|room| !room.is_empty()) {
            match file.read(room) {
                Ok(0) => break,
                Ok(more) => len += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if len == self.text.len() {
            // Cut: the last line may end within a number.
            len = self.text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        }
        self.text.truncate(len);
        std::str::from_utf8(&self.text).map_err(|_| Error::from(ErrorKind::InvalidData))
    }
}

/// The number after a key that starts a line: `MemTotal:  24683656 kB`, `usage_usec 42`.
pub(super) fn keyed(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        if words.next()? == key { words.next()?.parse().ok() } else { None }
    })
}

/// Nanoseconds of so many clock ticks: USER_HZ is 100 a second on every architecture we run on.
pub(super) fn ticks_nanos(ticks: u64) -> Option<u64> {
    ticks.checked_mul(10_000_000)
}

/// The number that a file is.
pub(super) fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_match_whole_words_only() {
        let text = "Active: 1 kB\nInactive(file):  7 kB\ntotal_inactive_file 9\n";
        assert_eq!(keyed(text, "Inactive(file):"), Some(7));
        assert_eq!(keyed(text, "total_inactive_file"), Some(9));
        assert_eq!(keyed(text, "inactive_file"), None);
        assert_eq!(keyed("usage_usec x", "usage_usec"), None);
        assert_eq!(number("12\n"), Some(12));
        assert_eq!(number("max\n"), None);
    }

    #[test]
    fn a_long_file_is_cut_after_a_whole_line() {
        let path = std::env::temp_dir().join(format!("toplet-long-file-{}", std::process::id()));
        std::fs::write(&path, "key 1234567\n".repeat(limits::HOST_FILE_LEN_MAX)).unwrap();
        let mut files = Files::default();
        let text = files.text(&path).unwrap();
        assert_eq!(text.len(), limits::HOST_FILE_LEN_MAX / 12 * 12);
        assert!(text.ends_with("key 1234567\n"));
        std::fs::write(&path, "x".repeat(limits::HOST_FILE_LEN_MAX)).unwrap();
        assert_eq!(files.text(&path).unwrap(), "");
        std::fs::remove_file(&path).unwrap();
        assert!(files.text(&path).is_err());
    }
}
