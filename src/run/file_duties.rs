//! What is done with files every few seconds: certificates, CA files of the trust, the file of points, and how full file systems are.
//!
//! Any of them may be on a file system that does not answer. The rest goes on then: what was read last stays in force, figures of
//! file systems are left out, and one line says so.

use super::state_file::StateFile;
use crate::api::context::HostLoad;
use crate::cluster::authentication::TrustSource;
use crate::host::errand::Errand;
use crate::host::{clock, load};
use crate::limits;
use crate::lock::lock;
use crate::log_once::LogOnce;
use crate::net::certificate::Certificates;
use crate::store::Store;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// What is done.
pub struct FileDuties {
    /// CA files; refreshed here only without a cluster, with one the reviewer does it.
    pub authentication: Option<Arc<TrustSource>>,
    /// Reloaded and renewed here: the serving thread reads no file.
    pub certificates: Arc<Certificates>,
    /// Where points are kept between runs.
    pub state_file: Option<Arc<StateFile>>,
    /// What it keeps.
    pub store: Arc<Mutex<Store>>,
    /// Where the load of this machine is put, if it is asked for.
    pub host: Option<Arc<Mutex<Option<HostLoad>>>>,
}

/// When it is done next.
struct DueTimes {
    refresh: Instant,
    save: Instant,
}

/// Does it, and goes on without it while it hangs.
pub struct FileCare {
    duties: Arc<FileDuties>,
    due: Arc<Mutex<DueTimes>>,
    errand: Errand,
    log: LogOnce,
    /// A reload was asked for while the last errand was under way.
    reload: bool,
}

impl FileDuties {
    fn fulfil(&self, due: &mut DueTimes) {
        if let Some(host) = &self.host {
            let found = load::read();
            *lock(host) = Some(found);
        }
        let now = clock::mono();
        if let Some(authentication) = self.authentication.as_ref().filter(|_| now >= due.refresh) {
            due.refresh = now + authentication.refresh();
        }
        self.certificates.check_reload(clock::wall());
        if let Some(file) = self.state_file.as_ref().filter(|_| now >= due.save) {
            due.save = now + limits::SNAPSHOT_INTERVAL;
            file.save(&self.store);
        }
    }
}

impl FileCare {
    /// Begins with what is due now.
    pub fn new(duties: FileDuties) -> FileCare {
        let now = clock::mono();
        let due = DueTimes { refresh: now, save: now + limits::SNAPSHOT_INTERVAL };
        FileCare {
            duties: Arc::new(duties),
            due: Arc::new(Mutex::new(due)),
            errand: Errand::default(),
            log: LogOnce::new(),
            reload: false,
        }
    }

    /// CA files are looked at again with the next errand.
    pub fn reload(&mut self) {
        self.reload = true;
    }

    /// Starts what is due, on a thread of its own; waits for nothing.
    pub fn start(&mut self) {
        let (duties, due, reload) = (self.duties.clone(), self.due.clone(), self.reload);
        let work = move || {
            let mut due = lock(&due);
            if reload {
                due.refresh = clock::mono();
            }
            duties.fulfil(&mut due);
        };
        match self.errand.start(clock::mono(), work) {
            Ok(()) => {
                self.reload = false;
                self.log.recovered((), format_args!("the file systems answer again"));
            }
            Err(waited) if waited >= limits::FILE_WAIT_MAX => {
                if let Some(host) = &self.duties.host {
                    *lock(host) = Some(HostLoad { pressure: load::pressures(), ..HostLoad::default() });
                }
                self.log.problem(
                    log::Level::Warn,
                    (),
                    (),
                    "a file system does not answer: certificates and CA files stay as they were read, points are not kept for the \
                     next start, and the use of file systems is not shown; look for a network mount whose server is gone \
                     (findmnt), and mount it again or unmount it (umount -l)",
                );
            }
            Err(_) => {}
        }
    }
}
