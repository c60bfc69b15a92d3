//! The program as a child process: started, watched, asked for its memory, stopped.

use super::client::Client;
use super::{PATIENCE, eventually, pause};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What an attack or a bad peer may add to the program's own memory, in KiB. A debug build keeps far more on its stacks.
pub const GROWTH_KIB_MAX: u64 = if cfg!(debug_assertions) { 4096 } else { 2048 };

/// A running toplet, killed when dropped.
pub struct Toplet {
    child: Child,
    /// Its HTTPS port.
    pub port: u16,
    lines: Arc<Mutex<Vec<String>>>,
}

/// The program, with nothing of this machine's configuration.
pub fn command() -> Command {
    bare(env!("CARGO_BIN_EXE_toplet"))
}

/// The same in a folder.
///
/// `env` changes into it: with `current_dir` the standard library copies this whole process first (fork), where it is
/// linked statically.
pub fn command_in(folder: &Folder) -> Command {
    let mut command = bare("/usr/bin/env");
    command.arg("-C").arg(folder.path()).arg(env!("CARGO_BIN_EXE_toplet"));
    command
}

/// The same after a line of shell.
fn command_after(script: &str, folder: &Folder) -> Command {
    let mut command = bare("/bin/sh");
    command.args(["-c", &format!("cd \"$0\"; {script} exec \"$@\"")]).arg(folder.path());
    command.arg(env!("CARGO_BIN_EXE_toplet"));
    command
}

fn bare(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
    command
}

/// Runs it to its end in a folder of its own: exit code, standard output, standard error.
pub fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let folder = Folder::new();
    let output = command_in(&folder).args(args).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

/// What `toplet check` says is reserved with these flags for each holder, and `in all`, in KiB.
pub fn reserved(flags: &[&str]) -> BTreeMap<String, u64> {
    let (code, report, said) = run(&[&["check"], flags].concat());
    assert_eq!(code, Some(0), "{said}");
    let rows = report.lines().skip_while(|line| !line.starts_with("memory reserved")).skip(1);
    let row =
        |line: &str| line.trim().split_once("  ").map(|(len, name)| (name.into(), len.parse().unwrap()));
    rows.map_while(row).collect()
}

/// The program with a socket as systemd passes it: descriptor 3, and the process that it is for.
pub fn with_passed(socket: &impl std::os::fd::AsFd, folder: &Folder, args: &[&str]) -> Command {
    let mut command = command_after("exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1", folder);
    command.args(args).stdin(Stdio::from(socket.as_fd().try_clone_to_owned().unwrap()));
    command
}

/// A port that nobody listens on, and that no other test is given: it is below those that the system picks.
pub fn free_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(7919);
    let mut ports =
        std::iter::repeat_with(|| begin.wrapping_add(NEXT.fetch_add(1, Ordering::SeqCst)) % COUNT + FIRST);
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.by_ref().take(COUNT as usize).map(|port| port as u16).find(is_free).unwrap()
}

/// A folder of its own for one test, removed when dropped.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::SeqCst);
        let path = std::env::temp_dir().join(format!("toplet-test-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Toplet {
    /// Starts it on a free loopback port, with a certificate folder of its own, and waits until it serves.
    pub fn start(folder: &Folder, args: &[&str]) -> Toplet {
        let mut toplet = Toplet::spawn(folder, args);
        toplet.until_serving();
        toplet
    }

    /// The same without waiting.
    pub fn spawn(folder: &Folder, args: &[&str]) -> Toplet {
        let port = free_port();
        let mut program = command_in(folder);
        program.args(["--bind-address=127.0.0.1", &format!("--secure-port={port}")]).args(args);
        Toplet::launch(program, port, folder)
    }

    /// Starts it under a limit of the operating system, for example `-n 100` (`ulimit` of the shell), without waiting.
    pub fn spawn_limited(folder: &Folder, limit: &str, args: &[&str]) -> Toplet {
        let (port, mut program) = (free_port(), command_after(&format!("ulimit {limit};"), folder));
        program.args(["--bind-address=127.0.0.1", &format!("--secure-port={port}")]).args(args);
        Toplet::launch(program, port, folder)
    }

    /// Starts it as systemd would, with a listening socket that this process keeps, and waits until it serves.
    pub fn with_socket(folder: &Folder, args: &[&str], socket: &std::net::TcpListener) -> Toplet {
        let port = socket.local_addr().unwrap().port();
        let mut toplet = Toplet::launch(with_passed(socket, folder, args), port, folder);
        toplet.until_serving();
        toplet
    }

    fn launch(mut program: Command, port: u16, folder: &Folder) -> Toplet {
        let mut child = program
            .arg(format!("--cert-dir={}", folder.path().join("cert").display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        collect(child.stdout.take().unwrap(), lines.clone());
        collect(child.stderr.take().unwrap(), lines.clone());
        Toplet { child, port, lines }
    }

    /// Waits until it serves.
    pub fn until_serving(&mut self) {
        // The port alone is open before the certificate is made.
        eventually("it says that it serves", PATIENCE, || {
            assert!(self.running(), "it ended at the start:\n{}", self.log().join("\n"));
            (self.logged("serving the Metrics API") > 0).then_some(())
        });
    }

    /// What it printed and logged so far.
    pub fn log(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// How many log lines contain the text.
    pub fn logged(&self, text: &str) -> usize {
        self.log().iter().filter(|line| line.contains(text)).count()
    }

    /// A client without a certificate.
    pub fn client(&self) -> Client {
        Client::new(self.port)
    }

    /// Waits until the path answers 200, and gives the body.
    pub fn body(&self, path: &str) -> String {
        self.body_with(&self.client(), path)
    }

    /// The same with a client of one's own.
    pub fn body_with(&self, client: &Client, path: &str) -> String {
        let (mut last, begin) = (String::new(), Instant::now());
        while begin.elapsed() < PATIENCE {
            match client.get(path) {
                Ok(answer) if answer.status == 200 => return answer.text(),
                Ok(answer) => last = format!("{} {}", answer.status, answer.text()),
                Err(error) => last = error.to_string(),
            }
            pause(begin);
        }
        panic!("{path} does not answer 200: {last}\nlog:\n{}", self.log().join("\n"));
    }

    /// Waits until the body of the path satisfies the question.
    pub fn until(&self, client: &Client, path: &str, question: impl Fn(&str) -> bool) -> String {
        let (mut last, begin) = (String::new(), Instant::now());
        while begin.elapsed() < PATIENCE {
            if let Ok(answer) = client.get(path) {
                last = answer.text();
                if question(&last) {
                    return last;
                }
            }
            pause(begin);
        }
        panic!("{path} never answers as wanted, last: {last}\nlog:\n{}", self.log().join("\n"));
    }

    /// A line of /proc/PID/status in KiB, for example `VmRSS`.
    pub fn status_kib(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Memory that is its own now, in KiB: neither the program's file nor shared.
    pub fn anonymous_kib(&self) -> u64 {
        anonymous_kib(self.child.id()).unwrap()
    }

    /// Looks at that from now on, every few milliseconds, and exactly whenever the kernel's cheap count is higher than before.
    ///
    /// The exact figure walks every page, and many watches together took a tenth of all CPU time. The kernel's peak (`VmHWM`)
    /// counts the program's file too, of which some is given back soon after the start: a debug build has so much of it
    /// that a growth by megabytes would not show.
    pub fn watch_memory(&self) -> MemoryWatch {
        let (pid, before) = (self.child.id(), self.anonymous_kib());
        let (peak, stop) = (Arc::new(AtomicU64::new(before)), Arc::new(AtomicBool::new(false)));
        let (highest, stopped) = (peak.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut most_pages = 0;
            while !stopped.load(Ordering::SeqCst) {
                let Some(pages) = anonymous_pages(pid) else { break };
                if pages > most_pages {
                    most_pages = pages;
                    let Some(now) = anonymous_kib(pid) else { break };
                    highest.fetch_max(now, Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        MemoryWatch { pid, before, peak, stop }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The id of its first thread of this name.
    pub fn thread(&self, name: &str) -> u32 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let is_named = |path: &Path| {
            std::fs::read_to_string(path.join("comm")).is_ok_and(|text| text.trim_end() == name)
        };
        let mut found: Vec<u32> = tasks
            .filter_map(|task| Some(task.ok()?.path()).filter(|path| is_named(path)))
            .map(|path| path.file_name().unwrap().to_str().unwrap().parse().unwrap())
            .collect();
        found.sort_unstable();
        found[0]
    }

    /// CPU time of the thread that serves, in nanoseconds.
    pub fn serving_nanos(&self) -> u64 {
        let pid = self.child.id();
        let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    }

    /// Files and sockets it has open.
    pub fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    /// Resets the peak memory (`VmHWM`).
    pub fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Still there?
    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the program ends", PATIENCE, || self.child.try_wait().unwrap())
    }
}

/// The peak of a program's own memory since [`Toplet::watch_memory`].
pub struct MemoryWatch {
    pid: u32,
    before: u64,
    peak: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl MemoryWatch {
    /// KiB by which the peak until now is above what it began with.
    pub fn growth_kib(&self) -> u64 {
        let now = anonymous_kib(self.pid).unwrap_or_default();
        self.peak.fetch_max(now, Ordering::SeqCst).max(now).saturating_sub(self.before)
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn anonymous_kib(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find(|line| line.starts_with("Anonymous:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The kernel's count of the same in pages, which may lag by some dozens for each processor.
fn anonymous_pages(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut fields = text.split(' ').skip(1).map(|field| field.parse::<u64>().ok());
    let (resident, of_files) = (fields.next()??, fields.next()??);
    Some(resident.saturating_sub(of_files))
}

/// Gathers the lines of a pipe.
pub fn collect(from: impl std::io::Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            lines.lock().unwrap().push(line);
        }
    });
}

impl Drop for Toplet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let text = format!("---- what toplet logged\n{}\n", self.log().join("\n"));
            let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
        }
    }
}
