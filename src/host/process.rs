//! Another program, run to its end.

#![allow(unsafe_code)]

use std::ffi::{CString, c_char};
use std::io::{Error, ErrorKind, Result};

unsafe extern "C" {
    /// The variables of this process, which the program inherits.
    static environ: *const *mut c_char;
}

/// Runs a program that is found by `PATH`, with its arguments, and waits for it; its exit code, or 128 and the signal that
/// ended it. It shares standard output and error. The standard library's way is four times as large in the binary.
/// # Errors
/// The program cannot be started.
pub fn run(words: &[&str]) -> Result<i32> {
    let invalid = |_| Error::from(ErrorKind::InvalidInput);
    let words: Vec<CString> = words
        .iter()
        .map(|word| CString::new(*word))
        .collect::<std::result::Result<_, _>>()
        .map_err(invalid)?;
    let mut pointers: Vec<*mut c_char> = words.iter().map(|word| word.as_ptr().cast_mut()).collect();
    let program = *pointers.first().ok_or(ErrorKind::InvalidInput)?;
    pointers.push(std::ptr::null_mut());
    let (mut pid, mut status) = (0, 0);
    // SAFETY: both lists end with a null pointer, their strings outlive the call, and nothing changes the variables meanwhile.
    let failed = unsafe {
        libc::posix_spawnp(
            &raw mut pid,
            program,
            std::ptr::null(),
            std::ptr::null(),
            pointers.as_ptr(),
            environ,
        )
    };
    if failed != 0 {
        return Err(Error::from_raw_os_error(failed));
    }
    // SAFETY: the kernel writes one live integer.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } < 0 {
        let error = Error::last_os_error();
        if error.kind() != ErrorKind::Interrupted {
            return Err(error);
        }
    }
    Ok(if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 + libc::WTERMSIG(status) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_ends_with_its_code_or_its_signal() {
        assert_eq!(run(&["sh", "-c", "exit 3"]).unwrap(), 3);
        assert_eq!(run(&["sh", "-c", "kill -9 $$"]).unwrap(), 137);
        assert_eq!(run(&["true"]).unwrap(), 0);
        assert_eq!(run(&["no-program-of-this-name"]).unwrap_err().kind(), ErrorKind::NotFound);
        assert!(run(&[]).is_err() && run(&["a\0b"]).is_err());
    }
}
