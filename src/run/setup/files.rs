//! Files that `toplet setup` writes, and the record by which it knows them again.
//!
//! The record has a line for each file: SHA-256 of what was written, and the path. A file with another content was edited or
//! made by others: it is not overwritten, and not removed by `--undo`. What was replaced all the same stands beside the new
//! file, and comes back with `--undo`. The line is written before the file, so that no file is forgotten.

use crate::access::digest::{hex, sha256};
use crate::net::pem;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const RECORD: &str = "/etc/toplet/setup.record";
/// In place of a digest: the directory was made.
const MADE: &str = "directory";

/// A file to write.
pub struct SetupFile {
    /// Its absolute path on the machine.
    pub path: &'static str,
    /// Permissions.
    pub mode: u32,
    /// Content.
    pub bytes: Vec<u8>,
    /// What is edited by people: an edited one stays.
    pub is_configuration: bool,
}

/// How a file stands beside what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileState {
    /// It is not there.
    Absent,
    /// It has the wanted content.
    Same,
    /// It is as it was written.
    Ours,
    /// It is a default of the package.
    Shipped,
    /// Somebody else wrote it.
    Foreign,
}

/// The record below a root directory.
pub struct FileRecord {
    root: PathBuf,
    lines: Vec<(String, String)>,
}

impl FileRecord {
    /// Reads the record; an absent one is empty.
    /// # Errors
    /// It cannot be read.
    pub fn open(root: &Path) -> Result<FileRecord, String> {
        let path = below(root, RECORD);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(fault(&path, &error)),
        };
        let split = |line: &str| line.split_once(' ').map(|(sum, path)| (sum.to_owned(), path.to_owned()));
        Ok(FileRecord { root: root.to_owned(), lines: text.lines().filter_map(split).collect() })
    }

    /// A path of the machine below the root.
    #[must_use]
    pub fn at(&self, path: &str) -> PathBuf {
        below(&self.root, path)
    }

    /// How the file at `path` stands beside `wanted`.
    /// # Errors
    /// It cannot be read.
    pub fn state(&self, path: &str, wanted: &[u8]) -> Result<FileState, String> {
        let at = self.at(path);
        let found = match fs::read(&at) {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(FileState::Absent),
            Err(error) => return Err(fault(&at, &error)),
        };
        Ok(match found {
            _ if found == wanted => FileState::Same,
            _ if self.wrote(path, &found) => FileState::Ours,
            _ if found == include_bytes!("../../../configs/host-only.conf") => FileState::Shipped,
            _ => FileState::Foreign,
        })
    }

    fn wrote(&self, path: &str, bytes: &[u8]) -> bool {
        let sum = hex(&sha256(bytes));
        self.lines.iter().any(|(known, of)| *known == sum && of == path)
    }

    fn save(&self) -> Result<(), String> {
        let path = self.at(RECORD);
        make_parent(&path)?;
        let text: String = self.lines.iter().map(|(sum, path)| format!("{sum} {path}\n")).collect();
        pem::replace(&path, text.as_bytes(), 0o600).map_err(|error| fault(&path, &error))
    }

    fn remember(&mut self, sum: &str, path: &str) -> Result<(), String> {
        let line = (sum.to_owned(), path.to_owned());
        if !self.lines.contains(&line) {
            self.lines.push(line);
        }
        self.save()
    }

    /// Writes a file, and says what became of it: `unchanged`, `created`, `changed`, `replaced`, `kept`.
    /// # Errors
    /// It cannot be written, or another file is in its place and may not be replaced.
    pub fn write(&mut self, file: &SetupFile, replace: bool) -> Result<&'static str, String> {
        let at = self.at(file.path);
        let said = match self.state(file.path, &file.bytes)? {
            FileState::Same => return Ok("unchanged"),
            FileState::Foreign if !replace && file.is_configuration => return Ok("kept"),
            FileState::Foreign if !replace => return Err(refusal(&[file.path.to_owned()])),
            FileState::Absent => "created",
            FileState::Ours => "changed",
            FileState::Foreign | FileState::Shipped => {
                let aside = aside(&at);
                fs::hard_link(&at, &aside).map_err(|error| fault(&aside, &error))?;
                "replaced"
            }
        };
        make_parent(&at)?;
        self.remember(&hex(&sha256(&file.bytes)), file.path)?;
        pem::replace(&at, &file.bytes, file.mode).map_err(|error| fault(&at, &error))?;
        Ok(said)
    }

    /// Makes a directory that only its owner enters; remembers it when it was not there.
    /// # Errors
    /// It cannot be made.
    pub fn directory(&mut self, path: &str) -> Result<(), String> {
        let at = self.at(path);
        if at.exists() {
            // From here on it is known that a run began on this machine.
            return if self.is_missing() { self.save() } else { Ok(()) };
        }
        make_parent(&at)?;
        self.remember(MADE, path)?;
        fs::DirBuilder::new().mode(0o700).create(&at).map_err(|error| fault(&at, &error))
    }

    /// Removes what was written and is unchanged, the last first, and the record; what was replaced comes back. Gives each
    /// path with what became of it.
    /// # Errors
    /// Something cannot be removed: the record stays.
    pub fn undo(self) -> Result<Vec<(String, &'static str)>, String> {
        let mut said: Vec<(String, &'static str)> = Vec::new();
        for (sum, path) in self.lines.iter().rev() {
            if said.iter().any(|(done, _)| done == path) {
                continue;
            }
            let at = self.at(path);
            let what = if sum == MADE { remove_directory(&at)? } else { self.remove(path, &at)? };
            said.push((path.clone(), what));
        }
        let record = self.at(RECORD);
        if record.exists() {
            fs::remove_file(&record).map_err(|error| fault(&record, &error))?;
        }
        for (path, _) in &said {
            // Only an empty one goes, and only of ours: the names hold `toplet`.
            let at = self.at(path);
            let parent = at.parent().filter(|parent| parent.to_string_lossy().contains("/toplet"));
            let _ = parent.map(fs::remove_dir);
        }
        Ok(said)
    }

    fn remove(&self, path: &str, at: &Path) -> Result<&'static str, String> {
        match fs::read(at) {
            Ok(found) if !self.wrote(path, &found) => return Ok("kept"),
            Ok(_) => fs::remove_file(at).map_err(|error| fault(at, &error))?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(fault(at, &error)),
        }
        let aside = aside(at);
        if !aside.exists() {
            return Ok("removed");
        }
        fs::rename(&aside, at).map_err(|error| fault(at, &error))?;
        Ok("restored")
    }

    /// Whether no run began on this machine since the last that was undone.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        !self.at(RECORD).exists()
    }
}

/// Why files in the way are not overwritten.
#[must_use]
pub fn refusal(paths: &[String]) -> String {
    format!(
        "{}: not written by toplet setup, or changed since; move it away, or give --replace (the old file is kept beside it)",
        paths.join(", ")
    )
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Where a replaced file is kept.
fn aside(at: &Path) -> PathBuf {
    let mut name = at.as_os_str().to_owned();
    name.push(".before-setup");
    PathBuf::from(name)
}

fn make_parent(at: &Path) -> Result<(), String> {
    let Some(parent) = at.parent() else { return Ok(()) };
    fs::create_dir_all(parent).map_err(|error| fault(parent, &error))
}

/// Removes a directory with the files in it; systemd may have moved it and left a link.
fn remove_directory(at: &Path) -> Result<&'static str, String> {
    let target = match fs::read_link(at) {
        Ok(moved) => at.with_file_name(moved),
        Err(_) => at.to_owned(),
    };
    if !target.exists() {
        return Ok("removed");
    }
    let remove = || {
        for entry in fs::read_dir(&target)? {
            fs::remove_file(entry?.path())?;
        }
        fs::remove_dir(&target)?;
        if target == at { Ok(()) } else { fs::remove_file(at) }
    };
    remove().map(|()| "removed").map_err(|error| fault(&target, &error))
}

fn fault(path: &Path, error: &std::io::Error) -> String {
    let remedy = if error.kind() == ErrorKind::PermissionDenied { "; run toplet setup as root" } else { "" };
    format!("{}: {error}{remedy}", path.display())
}
