//! A real mail server in a process of its own: npm's `smtp-server`, which writes down what it gets (`tests/smtp`). And a
//! certificate authority for it.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A mail server; killed when the test ends.
pub(crate) struct MailServer {
    child: Child,
    pub(crate) port: u16,
    said: Arc<Mutex<Vec<Value>>>,
}

/// A message as the server got it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) secure: bool,
    pub(crate) user: Option<String>,
    pub(crate) raw: String,
}

/// A certificate authority, and a server's certificate that it made.
pub(crate) struct Authority {
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    /// For a server of that name or address.
    pub(crate) fn for_server(name: &str) -> Self {
        Self::until(name, 2100)
    }

    /// The same, for a certificate that ends with the year before.
    pub(crate) fn until(name: &str, year: i32) -> Self {
        let mut ca = CertificateParams::new(Vec::<String>::new()).unwrap();
        ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let mut certificate = CertificateParams::new(vec![name.to_owned()]).unwrap();
        certificate.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = certificate.signed_by(&key, &ca).unwrap();
        Self { ca: ca.pem(), certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// The TLS settings of the server.
    pub(crate) fn tls(&self, implicit: bool) -> Value {
        json!({ "key": self.key, "cert": self.certificate, "implicit": implicit })
    }
}

/// Whether Node is here; in CI it must be. Without it nothing of this can run.
pub(crate) fn is_at_hand() -> bool {
    let found =
        Command::new("node").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    assert!(found || std::env::var_os("CI").is_none(), "CI sends real mail, and Node is not installed");
    if !found {
        println!("Node is not installed: nothing was mailed");
    }
    found
}

impl MailServer {
    /// A server with these options (`tests/smtp/server.mjs`).
    pub(crate) fn start(options: &Value) -> Self {
        let mut child = Command::new("node")
            .arg(installed().join("server.mjs"))
            .arg(options.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Made first, so that whatever fails below, the process is ended.
        let mut server = Self { child, port: 0, said: Arc::default() };
        let first = lines.next().unwrap().unwrap();
        server.port = first.strip_prefix("listening on ").unwrap().parse().unwrap();
        let said = Arc::clone(&server.said);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                said.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        server
    }

    /// One without encryption that takes everything.
    pub(crate) fn plain() -> Self {
        Self::start(&json!({}))
    }

    pub(crate) fn plain_url(&self) -> String {
        format!("smtp://127.0.0.1:{}?tls=none", self.port)
    }

    /// Every message so far.
    pub(crate) fn messages(&self) -> Vec<Message> {
        let said = self.said.lock().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let messages = said.iter().filter(|event| event["raw"].is_string()).map(|event| Message {
            from: text(&event["from"]),
            to: event["to"].as_array().unwrap().iter().map(text).collect(),
            secure: event["secure"].as_bool().unwrap(),
            user: event["user"].as_str().map(str::to_owned),
            raw: text(&event["raw"]),
        });
        messages.collect()
    }

    /// How often it refused.
    pub(crate) fn refusals(&self) -> usize {
        self.said.lock().unwrap().iter().filter(|event| event["refused"].is_string()).count()
    }

    /// The messages, as soon as there are so many.
    pub(crate) async fn wait_for(&self, count: usize) -> Vec<Message> {
        for _ in 0..3000 {
            let messages = self.messages();
            if messages.len() >= count {
                return messages;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("waited 30 s for {count} messages: {:?}", self.said.lock().unwrap());
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Message {
    /// The value of a header that is there once.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> String {
        let (head, _) = self.raw.split_once("\r\n\r\n").unwrap();
        let lines: Vec<&str> =
            head.lines().filter(|line| line.to_lowercase().starts_with(&name.to_lowercase())).collect();
        assert_eq!(lines.len(), 1, "{name} in {head}");
        lines[0].split_once(": ").unwrap().1.to_owned()
    }

    /// The token of the link in it.
    #[track_caller]
    pub(crate) fn token(&self) -> String {
        let rest = self.raw.split_once("?token=").unwrap_or_else(|| panic!("no link in {}", self.raw)).1;
        rest.split_whitespace().next().unwrap().to_owned()
    }
}

/// The folder of the server, with `npm ci` done as `cargo xtask setup` does it. Tests come here at once.
fn installed() -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/smtp");
    let (lock, done) = (folder.join("package-lock.json"), folder.join("node_modules/.bmap-lock"));
    let turn = File::create(PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("smtp.lock")).unwrap();
    turn.lock().unwrap();
    let wanted = fs::read(&lock).unwrap();
    if fs::read(&done).is_ok_and(|known| known == wanted) {
        return folder;
    }
    let made = Command::new("npm").args(["ci", "--silent"]).current_dir(&folder).status();
    assert!(made.is_ok_and(|status| status.success()), "npm ci in {}", folder.display());
    fs::write(done, wanted).unwrap();
    folder
}
