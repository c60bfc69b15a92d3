//! Trust on first use (`--kubelet-pin`): the key of each node's kubelet is remembered when it is first seen, and another one
//! is refused before a request or a token is sent.
//!
//! The handshake has proved by then that the server holds the key. A pin is the SHA-256 of the SubjectPublicKeyInfo, so a
//! certificate may be renewed with its key. Pins belong to names of nodes: two nodes at one address have a pin each. The file
//! is replaced as a whole and ends with a checksum; one that is damaged or unreadable is refused, since a lost pin would
//! mean to trust again. A key that cannot be remembered is not trusted. Memory: `limits::PIN_LEN` for each node.

use super::failure::{FetchError, Reason};
use super::pem::{self, Stamp};
use crate::access::digest::{hex, sha256};
use crate::limits;
use crate::lock::lock;
use crate::wire::x509::PublicKey;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;
use std::sync::Mutex;

const HEAD: &str = "toplet kubelet pins 1";

/// SHA-256 of a SubjectPublicKeyInfo.
type Fingerprint = [u8; 32];

/// The pinned keys of kubelets.
pub struct Pins {
    path: PathBuf,
    /// Pins there may be.
    count_max: usize,
    /// New keys are remembered; without it they are let pass, for a look that changes nothing.
    keeps: bool,
    table: Mutex<PinTable>,
}

struct PinTable {
    keys: BTreeMap<String, Fingerprint>,
    /// The file when it was last read or written.
    stamp: Option<Stamp>,
    /// Why the file as it is now cannot be read; the pins read before stay in force, and none is added.
    problem: Option<String>,
}

impl Pins {
    /// The pins of a file; none yet when there is no file.
    /// # Errors
    /// The file cannot be read or is damaged, and how to mend that.
    pub fn open(path: PathBuf, count_max: usize, keeps: bool) -> Result<Pins, String> {
        let stamp = pem::stamp(&path);
        let pins = Pins {
            path,
            count_max,
            keeps,
            table: Mutex::new(PinTable { keys: BTreeMap::new(), stamp, problem: None }),
        };
        lock(&pins.table).keys = pins.read()?;
        Ok(pins)
    }

    /// Every pin: node and fingerprint, by node.
    #[must_use]
    pub fn list(&self) -> Vec<(String, String)> {
        lock(&self.table).keys.iter().map(|(node, key)| (node.clone(), fingerprint(key))).collect()
    }

    /// Forgets a node's key; its fingerprint, if there was one. A toplet that runs follows at its next connection.
    /// # Errors
    /// The file cannot be read or written.
    pub fn forget(&self, node: &str) -> Result<Option<String>, String> {
        let mut table = lock(&self.table);
        table.keys = self.read()?;
        let Some(known) = table.keys.remove(node) else { return Ok(None) };
        self.save(&mut table)?;
        Ok(Some(fingerprint(&known)))
    }

    /// Compares the key in a server's certificate with the node's pin, and pins it when there is none.
    /// # Errors
    /// It is another key, or cannot be remembered.
    pub(super) fn check(&self, node: &str, certificate: Option<&[u8]>) -> Result<(), FetchError> {
        let refused = |reason, message: String| {
            Err(FetchError { connected: false, ..FetchError::new(reason, message) })
        };
        let Some(key) = certificate.and_then(PublicKey::of) else {
            return refused(
                Reason::Untrusted,
                "TLS: the server shows no key that could be pinned".to_owned(),
            );
        };
        let shown = sha256(key.der);
        let mut table = lock(&self.table);
        self.follow(&mut table);
        match table.keys.get(node) {
            Some(known) if *known == shown => Ok(()),
            Some(known) => {
                let (known, shown) = (fingerprint(known), fingerprint(&shown));
                refused(
                    Reason::KeyChanged,
                    format!("TLS: the kubelet's key changed: pinned is {known}, it shows {shown}"),
                )
            }
            None if !self.keeps => Ok(()),
            None => match self.pin(&mut table, node, shown) {
                Ok(()) => {
                    log::info!("node {node}: pinned the key of its kubelet, {}", fingerprint(&shown));
                    Ok(())
                }
                Err(problem) => {
                    refused(Reason::Untrusted, format!("TLS: the kubelet's key cannot be pinned: {problem}"))
                }
            },
        }
    }

    fn pin(&self, table: &mut PinTable, node: &str, key: Fingerprint) -> Result<(), String> {
        if let Some(problem) = &table.problem {
            return Err(problem.clone());
        }
        if node.is_empty()
            || node.len() > limits::NODE_NAME_LEN_MAX
            || !node.bytes().all(|b| b.is_ascii_graphic())
        {
            return Err("the node has no name that a file may hold".to_owned());
        }
        if table.keys.len() >= self.count_max {
            return Err(format!("{} keys are pinned and --max-nodes is no more", table.keys.len()));
        }
        table.keys.insert(node.to_owned(), key);
        self.save(table).inspect_err(|_| {
            table.keys.remove(node);
        })
    }

    /// Takes over what somebody else, such as `toplet doctor`, wrote.
    fn follow(&self, table: &mut PinTable) {
        let stamp = pem::stamp(&self.path);
        if stamp == table.stamp {
            return;
        }
        table.stamp = stamp;
        match self.read() {
            Ok(keys) => {
                if keys.is_empty() && !table.keys.is_empty() {
                    log::warn!(
                        "{}: all pins are gone: kubelets are pinned again as they show",
                        self.path.display()
                    );
                }
                (table.keys, table.problem) = (keys, None);
            }
            Err(problem) => {
                log::warn!("pins stay as they were read last, and no key is added: {problem}");
                table.problem = Some(problem);
            }
        }
    }

    fn read(&self) -> Result<BTreeMap<String, Fingerprint>, String> {
        let fault = |problem: &str| {
            let path = self.path.display();
            format!(
                "{path}: {problem}; restore the file, or remove it to pin the keys that kubelets show next"
            )
        };
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(fault(&error.to_string())),
        };
        let len_max = (self.count_max as u64).saturating_add(2).saturating_mul(limits::PIN_LEN);
        let mut bytes = Vec::new();
        file.take(len_max.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| fault(&e.to_string()))?;
        if bytes.len() as u64 > len_max {
            return Err(fault("larger than the pins of --max-nodes can be"));
        }
        parse(&bytes).ok_or_else(|| fault("damaged: not as it was written"))
    }

    fn save(&self, table: &mut PinTable) -> Result<(), String> {
        let mut text = format!("{HEAD}\n");
        for (node, key) in &table.keys {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{} {node}", hex(key));
        }
        let sum = hex(&sha256(text.as_bytes()));
        let _ = writeln!(text, "{sum}");
        pem::replace(&self.path, text.as_bytes(), 0o600)
            .map_err(|error| format!("{} cannot be written: {error}", self.path.display()))?;
        table.stamp = pem::stamp(&self.path);
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> Option<BTreeMap<String, Fingerprint>> {
    let text = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let at = text.rfind('\n')? + 1;
    let (body, sum) = text.split_at_checked(at)?;
    if sum != hex(&sha256(body.as_bytes())) {
        return None;
    }
    let mut lines = body.lines();
    if lines.next() != Some(HEAD) {
        return None;
    }
    lines
        .map(|line| line.split_once(' ').and_then(|(key, node)| Some((node.to_owned(), unhex(key)?))))
        .collect()
}

fn fingerprint(key: &Fingerprint) -> String {
    format!("sha256:{}", hex(key))
}

fn unhex(text: &str) -> Option<Fingerprint> {
    let mut key = [0; 32];
    let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    for (at, byte) in key.iter_mut().enumerate().filter(|_| is_hex) {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    is_hex.then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::clock;
    use crate::net::self_signed::SigningAuthority;
    use std::fs;
    use std::path::Path;

    fn certificate() -> Vec<u8> {
        let now = clock::wall();
        let issued = SigningAuthority::generate(now).unwrap().issue(&["n".to_owned()], now).unwrap();
        pem::chain(issued.chain_pem.as_bytes()).unwrap().remove(0).to_vec()
    }

    /// A folder of its own, and the file in it.
    fn folder(name: &str) -> (PathBuf, PathBuf) {
        let folder = std::env::temp_dir().join(format!("toplet-pins-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        (folder.clone(), folder.join("kubelet-pins"))
    }

    fn open(path: &Path) -> Pins {
        Pins::open(path.to_owned(), 4, true).unwrap()
    }

    #[test]
    fn another_key_is_refused_also_after_a_restart_and_until_it_is_forgotten() {
        let (folder, path) = folder("changed");
        let (old, new) = (certificate(), certificate());
        let pins = open(&path);
        pins.check("n1", Some(&old)).unwrap();
        for pins in [&pins, &open(&path)] {
            pins.check("n1", Some(&old)).unwrap();
            let error = pins.check("n1", Some(&new)).unwrap_err();
            assert_eq!((error.reason, error.connected), (Reason::KeyChanged, false));
            for key in [&old, &new] {
                let fingerprint = fingerprint(&sha256(PublicKey::of(key).unwrap().der));
                assert!(error.message.contains(&fingerprint), "{error}");
            }
        }
        // By another process, while this one runs.
        let doctor = open(&path);
        assert!(doctor.forget("n1").unwrap().is_some());
        assert_eq!(doctor.forget("n1").unwrap(), None);
        pins.check("n1", Some(&new)).unwrap();
        assert_eq!(pins.check("n1", Some(&old)).unwrap_err().reason, Reason::KeyChanged);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_is_damaged_is_refused_and_never_replaced() {
        let (folder, path) = folder("damaged");
        let key = certificate();
        let pins = open(&path);
        ["n1", "n2"].iter().for_each(|node| pins.check(node, Some(&key)).unwrap());
        let good = fs::read(&path).unwrap();
        let line = |at: usize| good.split_inclusive(|b| *b == b'\n').nth(at).unwrap().to_vec();
        let mut flipped = good.clone();
        flipped[30] ^= 1;
        let shortened = [line(0), line(1), line(3)].concat();
        for bad in [&b""[..], b"x\n", &good[..good.len() - 1], &good[..good.len() / 2], &flipped, &shortened]
        {
            fs::write(&path, bad).unwrap();
            let error = Pins::open(path.clone(), 4, true).err().unwrap();
            assert!(error.contains("damaged") && error.contains("remove it"), "{error}");
            // While it runs: known keys count as before, no other is added, and the file stays for the administrator.
            pins.check("n1", Some(&key)).unwrap();
            assert_eq!(pins.check("n1", Some(&certificate())).unwrap_err().reason, Reason::KeyChanged);
            assert_eq!(pins.check("n3", Some(&key)).unwrap_err().reason, Reason::Untrusted);
            assert_eq!(fs::read(&path).unwrap(), bad);
        }
        fs::write(&path, &good).unwrap();
        pins.check("n3", Some(&key)).unwrap();
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(Pins::open(path, 4, true).is_err(), "unreadable is not absent");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_key_that_cannot_be_remembered_is_not_trusted() {
        let (folder, path) = folder("full");
        let key = certificate();
        let pins = open(&path);
        for node in ["n1", "n2", "n3", "n4"] {
            pins.check(node, Some(&key)).unwrap();
        }
        let error = pins.check("n5", Some(&key)).unwrap_err();
        assert!(error.reason == Reason::Untrusted && error.message.contains("--max-nodes"), "{error}");
        for node in ["", "a b", "a\nb"] {
            assert!(pins.check(node, Some(&key)).is_err(), "{node:?}");
        }
        assert!(pins.check("n1", None).is_err() && pins.check("n1", Some(b"no certificate")).is_err());
        fs::remove_dir_all(&folder).unwrap();
        let nowhere = open(&path);
        for _ in 0..2 {
            assert!(nowhere.check("n1", Some(&key)).unwrap_err().message.contains("cannot be written"));
        }
        assert!(nowhere.list().is_empty());
    }

    #[test]
    fn nodes_at_one_address_have_a_pin_each() {
        let (folder, path) = folder("shared");
        let (one, other) = (certificate(), certificate());
        let pins = open(&path);
        ["n1", "n2"].iter().for_each(|node| pins.check(node, Some(&one)).unwrap());
        pins.forget("n1").unwrap();
        pins.check("n1", Some(&other)).unwrap();
        assert_eq!(pins.check("n2", Some(&other)).unwrap_err().reason, Reason::KeyChanged);
        assert_ne!(pins.list()[0].1, pins.list()[1].1);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_look_changes_nothing() {
        let (folder, path) = folder("look");
        let pins = Pins::open(path.clone(), 4, false).unwrap();
        pins.check("n1", Some(&certificate())).unwrap();
        assert!(!path.exists() && pins.list().is_empty());
        fs::remove_dir_all(folder).unwrap();
    }
}
