//! One GET over the local socket of a toplet on this machine: HTTP/1.0, so that the answer ends with the connection.
//!
//! Bounded in bytes and in time; no credentials, since the socket's file has decided who may ask.

use crate::host::clock;
use std::io::{Error, ErrorKind, Read, Result, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// Status and body.
pub type LocalAnswer = (u16, Vec<u8>);

/// Asks for `target`, which begins with a slash. The answer must have come whole within `timeout`, in at most `len_max` bytes.
/// # Errors
/// There is no whole answer; any status is one.
pub fn get(
    socket: &Path,
    target: &str,
    accept: &str,
    timeout: Duration,
    len_max: u64,
) -> Result<LocalAnswer> {
    let end = clock::mono() + timeout;
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(timeout))?;
    let head = format!("GET {target} HTTP/1.0\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let (mut answer, mut piece) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let left = end.saturating_duration_since(clock::mono()).max(Duration::from_millis(1));
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut piece)? {
            0 => break,
            len => answer.extend_from_slice(piece.split_at(len).0),
        }
        if answer.len() as u64 > len_max {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("the answer is longer than {len_max} bytes"),
            ));
        }
    }
    parse(answer).ok_or_else(|| Error::new(ErrorKind::InvalidData, "the answer is not HTTP, or not whole"))
}

/// Takes an answer apart; `None` for what is none, or shorter than it says.
fn parse(mut answer: Vec<u8>) -> Option<LocalAnswer> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = std::str::from_utf8(answer.get(..end)?).ok()?;
    let (line, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = line.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let mut fields = fields.split("\r\n").filter_map(|field| field.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.map(|(_, len)| len.trim().parse::<usize>().ok());
    let body = answer.split_off(end.checked_add(4)?);
    let is_whole = length.is_none_or(|len| len == Some(body.len()));
    is_whole.then_some((status, body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_whole_or_none() {
        let parse = |text: &str| parse(text.as_bytes().to_vec());
        let whole = "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nok";
        assert_eq!(parse(whole), Some((200, b"ok".to_vec())));
        assert_eq!(parse("HTTP/1.1 404 Not Found\r\n\r\n"), Some((404, Vec::new())));
        for broken in
            ["", "HTTP/1.1 200 OK\r\n", "HTTP/1.1\r\n\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 x y\r\n\r\n"]
        {
            assert_eq!(parse(broken), None, "{broken:?}");
        }
        assert_eq!(parse(whole.strip_suffix('k').unwrap()), None, "cut");
    }
}
