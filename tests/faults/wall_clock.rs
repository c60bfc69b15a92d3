//! Steps the wall clock of a running program, and of it alone.
//!
//! A static program takes no library in between, and a time namespace has no wall clock of its own. But it reads the clock
//! through a function that the kernel maps into it (the vDSO), and a debugger may write there, as it does for a
//! breakpoint: the function is replaced by one that asks the kernel and adds to the seconds of `CLOCK_REALTIME`.

use crate::support::toplet::Toplet;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The clock of one program.
pub struct WallClock {
    memory: File,
    /// Address of the number that is added.
    offset_at: u64,
}

/// For x86-64: `test edi, edi; mov eax, 228; jne 2f; syscall; add qword [rsi], OFFSET; ret; 2: syscall; ret`.
const CODE: [u8; 22] = [
    0x85, 0xff, 0xb8, 228, 0, 0, 0, 0x75, 0x0a, 0x0f, 0x05, 0x48, 0x81, 0x06, 0, 0, 0, 0, 0xc3, 0x0f, 0x05,
    0xc3,
];
const OFFSET_AT: u64 = 14;

impl WallClock {
    /// The clock of a program; `None` on other machines, or where it may not be written.
    pub fn of(toplet: &Toplet) -> Option<WallClock> {
        let code_at = vdso(toplet.pid())? + function_offset()?;
        let memory =
            File::options().read(true).write(true).open(format!("/proc/{}/mem", toplet.pid())).ok()?;
        // Nobody may be in it meanwhile.
        toplet.signal("STOP");
        let written = (0..50).any(|_| {
            let is_free = !inside(toplet.pid(), code_at..code_at + CODE.len() as u64);
            if !is_free {
                toplet.signal("CONT");
                toplet.signal("STOP");
            }
            is_free && memory.write_all_at(&CODE, code_at).is_ok()
        });
        toplet.signal("CONT");
        written.then_some(WallClock { memory, offset_at: code_at + OFFSET_AT })
    }

    /// Sets the clock so many seconds ahead of the machine's.
    pub fn step(&self, ahead: i32) {
        self.memory.write_all_at(&ahead.to_le_bytes(), self.offset_at).unwrap();
    }
}

/// Where the kernel mapped its functions.
fn vdso(pid: u32) -> Option<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let line = maps.lines().find(|line| line.ends_with("[vdso]"))?;
    u64::from_str_radix(line.split('-').next()?, 16).ok()
}

/// How far behind that `clock_gettime` begins: as in this process.
#[allow(unsafe_code)]
fn function_offset() -> Option<u64> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    // SAFETY: names end in zero; the library is mapped already, and is only asked for an address.
    let address = unsafe {
        let library = libc::dlopen(c"linux-vdso.so.1".as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_NOW);
        if library.is_null() {
            return None;
        }
        libc::dlsym(library, c"__vdso_clock_gettime".as_ptr()).addr() as u64
    };
    address.checked_sub(vdso(std::process::id())?)
}

/// Whether a thread of a stopped program is in this range.
fn inside(pid: u32, range: std::ops::Range<u64>) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.flatten().any(|task| {
        let text = std::fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
        let at = text
            .trim()
            .rsplit(' ')
            .next()
            .and_then(|pc| u64::from_str_radix(pc.trim_start_matches("0x"), 16).ok());
        at.is_none_or(|at| range.contains(&at))
    })
}
