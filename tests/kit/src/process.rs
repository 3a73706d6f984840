//! A process that ends with its test.

use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A process, and the file that it writes its output to. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).expect("a log");
        let errors = file.try_clone().expect("the log once more");
        let child = command.stdin(Stdio::null()).stdout(file).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, log: log.to_owned() }
    }

    /// Its id.
    ///
    /// # Panics
    /// Where the system's ids are no `i32`.
    pub fn id(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    /// Where the system does not know.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("the state of a process").is_some()
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once (SIGKILL), and waits for that.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end in order (SIGTERM), and waits for that.
    ///
    /// # Panics
    /// Where it does not within 10 s.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        assert!(within(Duration::from_secs(10), || self.has_ended()), "{}", self.log());
    }

    /// Holds it (SIGSTOP): its sockets stay open, and nothing is read.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.id()).expect("a process id"), signal).expect("a process of ours");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether it holds within this time; asked each 10 ms.
#[expect(clippy::disallowed_methods, reason = "a test waits for a process")]
pub fn within(time: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if began.elapsed() > time {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
