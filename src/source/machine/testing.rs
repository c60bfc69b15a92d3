//! A made-up machine: kernel files and log links in a directory of its own, for tests.

use super::MachineRoots;
use std::fs;
use std::path::PathBuf;

/// A machine's files in a directory of its own.
pub(crate) struct Machine {
    pub(crate) root: PathBuf,
    is_unified: bool,
}

/// Start of the machine: 1,000 s before [`Machine::now`].
const UPTIME: &str = "1000.50 3979.51\n";

impl Machine {
    pub(crate) fn new(test: &str, is_unified: bool) -> Machine {
        let root = std::env::temp_dir().join(format!("toplet-machine-{test}-{}", std::process::id()));
        // A run that was cut off may have left it.
        let _ = fs::remove_dir_all(&root);
        let machine = Machine { root, is_unified };
        machine.write("proc/sys/kernel/hostname", "Edge-1\n");
        machine.write("proc/uptime", UPTIME);
        machine.write("proc/stat", "cpu  1 2 4 1000 1000 8 16 32 64 128\n");
        let meminfo =
            "MemTotal: 8000 kB\nMemFree: 3000 kB\nInactive(file): 1000 kB\nSwapTotal: 9 kB\nSwapFree: 2 kB\n";
        machine.write("proc/meminfo", meminfo);
        fs::create_dir_all(machine.root.join("containers")).unwrap();
        if is_unified {
            machine.write("cgroup/cgroup.controllers", "cpuset cpu io memory pids\n");
        } else {
            machine.write("cgroup/memory/cgroup.procs", "");
            machine.write("cgroup/cpuacct/cgroup.procs", "");
        }
        machine
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn link(&self, pod: &str, container: &str, id: &str) {
        self.write(&format!("containers/{pod}_default_{container}-{id}.log"), "");
    }

    /// A cgroup with so many microseconds and bytes in use, 4096 of them inactive file pages, and a process that started
    /// so many seconds after the machine.
    pub(crate) fn cgroup(&self, path: &str, micros: u64, bytes: u64, process: Option<u32>) {
        let pids = process.map_or_else(String::new, |pid| format!("{pid}\n"));
        if self.is_unified {
            let path = format!("cgroup/{path}");
            self.write(&format!("{path}/cgroup.type"), "domain\n");
            self.write(&format!("{path}/cgroup.procs"), &pids);
            self.write(&format!("{path}/cpu.stat"), &format!("usage_usec {micros}\nuser_usec 1\n"));
            self.write(&format!("{path}/memory.current"), &format!("{bytes}\n"));
            self.write(&format!("{path}/memory.stat"), "anon 1\ninactive_file 4096\n");
        } else {
            let (cpu, memory) = (format!("cgroup/cpuacct/{path}"), format!("cgroup/memory/{path}"));
            self.write(&format!("{cpu}/cgroup.procs"), &pids);
            self.write(&format!("{cpu}/cpuacct.usage"), &format!("{}\n", micros * 1000));
            self.write(&format!("{memory}/cgroup.procs"), &pids);
            self.write(&format!("{memory}/memory.usage_in_bytes"), &format!("{bytes}\n"));
            self.write(&format!("{memory}/memory.stat"), "inactive_file 1\ntotal_inactive_file 4096\n");
        }
    }

    pub(crate) fn process(&self, pid: u32, started_after_seconds: u32) {
        let ticks = started_after_seconds * 100;
        let stat = format!("{pid} (a b) c) S 1 2 2 0 -1 4 1 2 3 4 5 6 7 8 20 0 1 0 {ticks} 1000 1\n");
        self.write(&format!("proc/{pid}/stat"), &stat);
    }

    pub(crate) fn roots(&self) -> MachineRoots {
        let at = |name| self.root.join(name);
        MachineRoots { proc: at("proc"), cgroup: at("cgroup"), containers: at("containers") }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A container's ID.
pub(crate) fn id(n: u32) -> String {
    format!("{n:064x}")
}
