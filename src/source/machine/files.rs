//! Small kernel files: read whole into one reused buffer, or as far as it reaches.

use crate::limits;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::{Path, PathBuf};

/// The buffer and the path of the file at hand.
#[derive(Debug, Default)]
pub(super) struct Files {
    text: Vec<u8>,
    path: PathBuf,
}

impl Files {
    /// The start of a file.
    pub(super) fn text(&mut self, path: &Path) -> Result<&str> {
        self.path.clear();
        self.path.push(path);
        self.read()
    }

    /// The start of file `name` of `directory` below `root`.
    pub(super) fn below(&mut self, root: &Path, directory: &Path, name: &str) -> Result<&str> {
        self.path.clear();
        self.path.push(root);
        self.path.push(directory);
        self.path.push(name);
        self.read()
    }

    fn read(&mut self) -> Result<&str> {
        self.text.resize(limits::HOST_FILE_LEN_MAX, 0);
        let mut file = std::fs::File::open(&self.path)?;
        let mut len = 0;
        while let Some(room) = self.text.get_mut(len..).filter(|room| !room.is_empty()) {
            match file.read(room) {
                Ok(0) => break,
                Ok(more) => len += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
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
    fn a_long_file_is_cut_and_the_buffer_stays() {
        let path = std::env::temp_dir().join(format!("toplet-long-file-{}", std::process::id()));
        std::fs::write(&path, "x".repeat(limits::HOST_FILE_LEN_MAX * 2)).unwrap();
        let mut files = Files::default();
        assert_eq!(files.text(&path).unwrap().len(), limits::HOST_FILE_LEN_MAX);
        std::fs::remove_file(&path).unwrap();
        assert!(files.text(&path).is_err());
    }
}
