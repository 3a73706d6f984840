//! Second implementations of RFC 9421, each in a process of its own: PyPI's and npm's `http-message-signatures`.
//!
//! Their sources are in `tests/interop`; what they stand on is pinned there and installed here, once.

use crate::program::{finish, root, target};
use crate::wire::Request;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Oracle {
    /// `http-message-signatures` of PyPI, in a virtual environment in the target folder.
    Python,
    /// `http-message-signatures` of npm.
    Npm,
}

/// Both.
pub const ORACLES: [Oracle; 2] = [Oracle::Python, Oracle::Npm];

impl Oracle {
    /// Signs a request: the headers to send, its own among them.
    ///
    /// # Panics
    /// If the library refuses.
    pub fn sign(self, key: &Value, request: &Request, url: &str) -> Request {
        let answers = self.ask("sign", key, std::slice::from_ref(request), url);
        let headers = answers[0]["headers"].as_object().unwrap_or_else(|| panic!("{answers:?}"));
        let lines = headers.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().into()));
        Request { headers: lines.collect(), ..request.clone() }
    }

    /// Whether the library takes each of these signed requests.
    ///
    /// # Panics
    /// If it says neither yes nor no.
    pub fn verifies(self, key: &Value, requests: &[Request], url: &str) -> Vec<bool> {
        let answers = self.ask("verify", key, requests, url);
        answers.iter().map(|answer| answer["verified"].as_bool().unwrap_or_else(|| panic!("{answer}"))).collect()
    }

    fn ask(self, what: &str, key: &Value, requests: &[Request], url: &str) -> Vec<Value> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text, in these jobs");
        let job = |request: &Request| {
            let headers: serde_json::Map<String, Value> =
                request.headers.iter().map(|(name, value)| (name.clone(), text(value).into())).collect();
            json!({
                "do": what, "method": request.method, "url": format!("{url}{}", request.target), "headers": headers,
                "body": request.body.as_deref().map(text), "key": key,
            })
        };
        let jobs = Value::from_iter(requests.iter().map(job));
        let mut child = self.command().stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the oracle starts");
        child
            .stdin
            .take()
            .expect("its input is a pipe")
            .write_all(jobs.to_string().as_bytes())
            .expect("it reads its jobs");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{self:?} failed at {jobs}");
        let answers: Vec<Value> = serde_json::from_slice(&output.stdout).expect("it answers in JSON");
        assert_eq!(answers.len(), requests.len(), "{answers:?}");
        answers
    }

    fn command(self) -> Command {
        let (program, source) = match self {
            Oracle::Python => (python(), "oracle.py"),
            Oracle::Npm => (node(), "oracle.mjs"),
        };
        let mut command = Command::new(program);
        command.arg(folder().join(source));
        command
    }
}

fn folder() -> PathBuf {
    root().join("tests/interop")
}

/// The interpreter of a virtual environment that holds what `requirements.txt` pins, where `cargo xtask setup` puts it too.
fn python() -> PathBuf {
    let environment = root().join("target/python");
    let interpreter = environment.join("bin/python");
    let requirements = folder().join("requirements.txt");
    once(&environment.join(".requirements"), &requirements, || {
        let _ = fs::remove_dir_all(&environment);
        let made = Command::new("python3").args(["-m", "venv"]).arg(&environment).output();
        assert!(
            made.is_ok_and(|made| made.status.success()),
            "Python's venv module is missing. As root: apt-get install -y --no-install-recommends python3 python3-venv"
        );
        let mut pip = Command::new(&interpreter);
        finish(pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&requirements));
    });
    interpreter
}

/// Node, with `npm ci` done in `tests/interop`, as `cargo xtask setup` does it too.
fn node() -> PathBuf {
    let folder = folder();
    once(&folder.join("node_modules/.bmap-lock"), &folder.join("package-lock.json"), || {
        finish(Command::new("npm").args(["ci", "--silent"]).current_dir(&folder));
    });
    "node".into()
}

/// Installs unless `done` says that it was done for what `pins` holds now. Tests are processes of their own and come here at once.
fn once(done: &Path, pins: &Path, install: impl FnOnce()) {
    let wanted = fs::read_to_string(pins).expect("what is pinned");
    let lock = File::create(target().join("oracles.lock")).expect("a lock in the target folder");
    lock.lock().expect("it is given in turn");
    if fs::read_to_string(done).is_ok_and(|known| known == wanted) {
        return;
    }
    install();
    fs::write(done, wanted).expect("what was done is noted");
}
