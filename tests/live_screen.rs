//! `toplet top --watch` on a pseudo-terminal: what it leaves behind first, then keys, sizes and colours.
#![allow(unsafe_code)]

use crate::support::kubelet::{Behaviour, Kubelet, container};
use crate::support::lab::Lab;
use crate::support::toplet::{Folder, Toplet, command};
use crate::support::{PATIENCE, eventually};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex};

/// The program on a terminal of its own.
struct Screen {
    child: Child,
    master: File,
    slave: File,
    seen: Arc<Mutex<Vec<u8>>>,
}

/// Flags and control characters of a terminal, as text.
fn state(terminal: &File) -> String {
    // SAFETY: a zeroed termios is a valid place for tcgetattr, which fills it.
    let state = unsafe {
        let mut state: libc::termios = std::mem::zeroed();
        assert_eq!(libc::tcgetattr(terminal.as_raw_fd(), &raw mut state), 0);
        state
    };
    format!(
        "{:x} {:x} {:x} {:x} {:?}",
        state.c_iflag, state.c_oflag, state.c_cflag, state.c_lflag, state.c_cc
    )
}

impl Screen {
    fn open(socket: &str, size: (u16, u16), variables: &[(&str, &str)]) -> Screen {
        let (mut master, mut slave) = (0, 0);
        let size = libc::winsize { ws_col: size.0, ws_row: size.1, ws_xpixel: 0, ws_ypixel: 0 };
        // SAFETY: two live places for descriptors that nobody else owns.
        let (master, slave) = unsafe {
            let null = std::ptr::null_mut();
            assert_eq!(
                libc::openpty(&raw mut master, &raw mut slave, null, std::ptr::null(), &raw const size),
                0
            );
            (File::from_raw_fd(master), File::from_raw_fd(slave))
        };
        let stdio = || Stdio::from(slave.try_clone().unwrap());
        let flag = format!("--local-socket={socket}");
        let mut program = command();
        program.args(["top", "-w", &flag]).envs(variables.iter().copied()).env("TERM", "xterm");
        // SAFETY: both calls are allowed between fork and exec; standard input is the terminal by then.
        unsafe {
            program.pre_exec(|| {
                libc::setsid();
                match libc::ioctl(libc::STDIN_FILENO, libc::TIOCSCTTY, 0) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                }
            });
        }
        let child = program.stdin(stdio()).stdout(stdio()).stderr(stdio()).spawn().unwrap();
        let seen: Arc<Mutex<Vec<u8>>> = Arc::default();
        let (to, mut from) = (seen.clone(), master.try_clone().unwrap());
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = from.read(&mut piece) {
                to.lock().unwrap().extend_from_slice(&piece[..len]);
            }
        });
        Screen { child, master, slave, seen }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }

    fn until(&self, text: &str) {
        eventually(&format!("the screen shows {text:?}"), PATIENCE, || {
            self.text().contains(text).then_some(())
        });
    }

    fn key(&mut self, key: &[u8]) {
        self.seen.lock().unwrap().clear();
        self.master.write_all(key).unwrap();
    }

    fn signal(&self, signal: i32) {
        // SAFETY: our own child, which is not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    fn ends(&mut self) {
        let status = eventually("the program ends", PATIENCE, || self.child.try_wait().unwrap());
        assert!(status.success(), "{status}: {}", self.text());
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn served() -> (Folder, Toplet, String) {
    let folder = Folder::new();
    let socket = folder.path().join("toplet.sock").display().to_string();
    let toplet = Toplet::start(&folder, &["--host-only", &format!("--local-socket={socket}")]);
    toplet.until(&toplet.client(), crate::support::lab::NODES, |body| body.contains("\"usage\""));
    (folder, toplet, socket)
}

#[test]
fn the_terminal_is_as_before_after_every_end() {
    let (_folder, _toplet, socket) = served();
    type End = fn(&mut Screen);
    let ends: [(&str, End); 5] = [
        ("q", |screen| screen.key(b"q")),
        ("ctrl-c", |screen| screen.key(b"\x03")),
        ("SIGTERM", |screen| screen.signal(libc::SIGTERM)),
        ("SIGINT", |screen| screen.signal(libc::SIGINT)),
        ("SIGHUP", |screen| screen.signal(libc::SIGHUP)),
    ];
    for (name, end) in ends {
        let mut screen = Screen::open(&socket, (80, 24), &[]);
        screen.until("[q] quit");
        // Held, it is another one: the keys are not echoed.
        let held = state(&screen.slave);
        end(&mut screen);
        screen.ends();
        let after = state(&screen.slave);
        assert_ne!(held, after, "{name}");
        let fresh = Screen::open("/nowhere", (80, 24), &[]);
        assert_eq!(after, state(&fresh.slave), "{name}");
        screen.until("\x1b[?25h\x1b[?1049l");
    }
}

#[test]
fn keys_sizes_and_colours_are_obeyed() {
    let (_folder, toplet, socket) = served();
    let mut screen = Screen::open(&socket, (80, 24), &[("LANG", "C.UTF-8")]);
    screen.until("by CPU");
    screen.until("\x1b[1m");
    screen.key(b"m");
    screen.until("by memory");
    // Neither suspends it, nor does another key end it.
    screen.key(b"\x1a\x1c\x1bxn");
    screen.until("by name");
    let size = libc::winsize { ws_col: 40, ws_row: 5, ws_xpixel: 0, ws_ypixel: 0 };
    screen.seen.lock().unwrap().clear();
    // SAFETY: a live winsize; the kernel tells the program that it changed.
    assert_eq!(unsafe { libc::ioctl(screen.master.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) }, 0);
    screen.until("\x1b[H\x1b[1mtoplet top ");
    let text = screen.text();
    let frame = text.split("\x1b[H").nth(1).unwrap();
    assert!(!frame.contains("[q] quit"), "40 columns: {frame:?}");
    // A server that ends is said, and what it told before stays.
    drop(toplet);
    screen.until("toplet top: /");
    screen.key(b"q");
    screen.ends();

    let (_folder, _toplet, socket) = served();
    let mut screen = Screen::open(&socket, (80, 24), &[("NO_COLOR", "1")]);
    screen.until("[q] quit");
    screen.until("#");
    screen.key(b"q");
    screen.ends();
    assert!(!screen.text().contains("\x1b[1m") && !screen.text().contains("\x1b[3"), "{:?}", screen.text());
}

#[test]
fn rows_that_do_not_fit_can_be_scrolled_to() {
    let lab = Lab::new();
    let pods: Vec<String> = (0..12).map(|n| format!("pod-{n:02}")).collect();
    let rows = pods.iter().map(|pod| container("ns", pod, "main", 50, 10)).collect();
    let kubelet = Kubelet::start(Behaviour::Steady(rows));
    lab.node("one", &kubelet, &pods.iter().map(|pod| ("ns", pod.as_str())).collect::<Vec<_>>());
    let socket = lab.folder.path().join("toplet.sock").display().to_string();
    let _toplet = lab.start(&[&format!("--local-socket={socket}")]);
    let flag = format!("--local-socket={socket}");
    eventually("all pods are measured", PATIENCE, || {
        let (_, text, _) = crate::support::toplet::run(&["top", "pod", "-A", "--no-headers", &flag]);
        (text.lines().count() == 12).then_some(())
    });
    // Title, heads, the node, five pods, and what is not shown.
    let mut screen = Screen::open(&socket, (80, 9), &[("NO_COLOR", "1")]);
    screen.until("7 below  [j k PgUp PgDn] scroll");
    screen.key(b"n");
    screen.until("ns/pod-00");
    for (key, shown) in [
        (&b"j"[..], "... 1 above, 6 below"),
        (b"\x1b[B\x1bOB", "... 3 above, 4 below"),
        (b"\x1b[6~", "... 7 above  ["),
        (b"\x1b[6~kk", "... 5 above, 2 below"),
        (b"\x1b[5~\x1b[A", "... 7 below"),
        (b"G", "ns/pod-11"),
        (b"\x1b[H", "ns/pod-00"),
    ] {
        screen.key(key);
        screen.until(shown);
        assert!(screen.text().contains("\r\none  "), "{key:?}: the node stays");
    }
    screen.key(b"q");
    screen.ends();
    screen.until("\x1b[?25h\x1b[?1049l");
}

#[test]
fn without_a_terminal_the_table_is_printed_again_and_again() {
    let (_folder, _toplet, socket) = served();
    let flag = format!("--local-socket={socket}");
    let mut child = command().args(["top", "node", "-w", &flag]).stdout(Stdio::piped()).spawn().unwrap();
    let (mut out, mut text) = (child.stdout.take().unwrap(), String::new());
    let mut piece = [0; 1024];
    while text.matches("CPU(cores)").count() < 2 {
        let len = out.read(&mut piece).unwrap();
        assert!(len > 0, "it ended: {text}");
        text.push_str(&String::from_utf8_lossy(&piece[..len]));
    }
    assert!(!text.contains('\x1b'), "{text:?}");
    drop(out);
    eventually("nobody reads", PATIENCE, || child.try_wait().unwrap());
}
