//! The local socket: a file that clients of this machine connect to, and whose mode and group say who may.
//!
//! The file's mode is set before the socket listens, so nobody connects in between. A file that a process left behind is
//! replaced; one that a process serves, or that is no socket, is refused. Source: unix(7).

use crate::limits;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use rustix::net::{bind as bind_to, connect, listen as listen_on, socket_with};
use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// Owner and group may connect, which takes the right to write.
const MODE: u32 = 0o660;
/// The group of those who may read this machine's usage, where it exists.
const GROUP: &str = "toplet";

/// The socket's file, removed when dropped.
#[derive(Debug)]
pub struct LocalSocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for LocalSocketFile {
    fn drop(&mut self) {
        // Another process may have put its own in the place.
        let is_ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (self.device, self.inode));
        if is_ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Listens at `path`.
/// # Errors
/// What is in the way, and what to do.
pub fn listen(path: &Path) -> Result<(UnixListener, LocalSocketFile), String> {
    let address = SocketAddrUnix::new(path)
        .map_err(|e| format!("{e}; a path of at most 107 bytes can name a socket"))?;
    remove_stale(path, &address)?;
    let refused = |e: rustix::io::Errno| match std::io::Error::from(e) {
        e if e.kind() == ErrorKind::NotFound => format!("{e}; make the directory first"),
        e => format!("{e}; name a path in a directory that this user may write to"),
    };
    let socket =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).map_err(refused)?;
    bind_to(&socket, &address).map_err(refused)?;
    let failed = |e: std::io::Error| e.to_string();
    let made = fs::symlink_metadata(path).map_err(failed)?;
    let file = LocalSocketFile { path: path.to_owned(), device: made.dev(), inode: made.ino() };
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(failed)?;
    if let Some(group) = group_of(GROUP).filter(|group| *group != made.gid())
        && let Err(error) = chown(path, None, Some(group))
    {
        log::warn!(
            "{} stays with the group {} of this process: it cannot be given to the group {GROUP} ({error}); run as root, or \
             as a user whose group is {GROUP}",
            path.display(),
            made.gid()
        );
    }
    listen_on(&socket, limits::BACKLOG_MAX).map_err(refused)?;
    Ok((UnixListener::from(socket), file))
}

/// Makes room where a process that has ended left its socket.
fn remove_stale(path: &Path, address: &SocketAddrUnix) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {}
        Ok(_) => return Err("the file there is not a socket; remove it, or name another path".to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("{error}; name a path that this user may use")),
    }
    // Without blocking: a process that accepts nothing any more is no reason to wait.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe =
        socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).map_err(|e| e.to_string())?;
    match connect(&probe, address).map_err(std::io::Error::from) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)
            .map_err(|e| format!("the socket of an ended process cannot be removed: {e}")),
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(format!(
            "a socket is there and cannot be connected to: {error}; remove it, or name another path"
        )),
        _ => Err("another process serves it; stop that one, or name another path".to_owned()),
    }
}

/// The number of a group, by `/etc/group`.
fn group_of(name: &str) -> Option<u32> {
    let mut text = Vec::new();
    File::open("/etc/group").ok()?.take(limits::GROUP_FILE_LEN_MAX).read_to_end(&mut text).ok()?;
    group_in(&String::from_utf8_lossy(&text), name)
}

/// The same by the text of that file: `name:password:number:members`.
fn group_in(text: &str, name: &str) -> Option<u32> {
    let mut rows = text.lines().map(|line| line.split(':'));
    rows.find_map(|mut row| (row.next() == Some(name)).then(|| row.nth(1)?.parse().ok())).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixStream;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("toplet-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn a_served_socket_and_another_file_are_refused() {
        let folder = folder("socket-refused");
        let path = folder.join("s");
        let (_listener, _file) = listen(&path).unwrap();
        assert!(listen(&path).unwrap_err().starts_with("another process serves it"));
        UnixStream::connect(&path).unwrap();
        let plain = folder.join("plain");
        fs::write(&plain, "text").unwrap();
        assert!(listen(&plain).unwrap_err().contains("not a socket"));
        assert_eq!(fs::read_to_string(&plain).unwrap(), "text");
        assert!(listen(&folder).unwrap_err().contains("not a socket"));
        let link = folder.join("link");
        std::os::unix::fs::symlink("nowhere", &link).unwrap();
        assert!(listen(&link).unwrap_err().contains("not a socket"));
        assert!(listen(&folder.join("missing/s")).unwrap_err().contains("make the directory"));
        assert!(listen(&folder.join("x".repeat(120))).unwrap_err().contains("107 bytes"));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_socket_left_behind_is_replaced_and_ours_goes_with_us() {
        let folder = folder("socket-stale");
        let path = folder.join("s");
        drop(UnixListener::bind(&path).unwrap());
        let (listener, file) = listen(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, MODE);
        UnixStream::connect(&path).unwrap();
        // What another process put in its place is left alone.
        fs::rename(&path, folder.join("moved")).unwrap();
        let other = UnixListener::bind(&path).unwrap();
        drop(file);
        UnixStream::connect(&path).unwrap();
        drop((other, listener));
        let (_listener, file) = listen(&path).unwrap();
        drop(file);
        assert!(fs::symlink_metadata(&path).is_err());
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let text = "root:x:0:\ntoplet2:x:7:\nold-toplet:x:8:\ntoplet:x:991:a,b\n";
        assert_eq!(group_in(text, "toplet"), Some(991));
        assert_eq!(group_in("toplet:x", "toplet"), None);
        assert_eq!(group_in("toplet:x:many:", "toplet"), None);
        assert_eq!(group_in("", "toplet"), None);
    }
}
