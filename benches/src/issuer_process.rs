//! An issuer that is measured: a process of its own, and what is asked of it.

use base64ct::{Base64, Encoding};
use bmap_model::clock::{MachineClock, WallClock};
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::ids::ApiKeyId;
use bmap_protocol::keys::MacKey;
use bmap_protocol::sign::{self, RequestKey, Stamp};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Connections at once, each with a key of its own.
pub(crate) const IN_FLIGHT: usize = 64;
const PASSWORD: &str = "violet-kettle-49-marsh";
const PAGE: &str = "https://shop.example";
const MINT: &str = "grant_type=client_credentials&audience=places";

/// A running issuer with a tool, a user and a key for each of the callers.
pub(crate) struct Issuer {
    child: Child,
    pub(crate) address: SocketAddr,
    pub(crate) folder: tempfile::TempDir,
    database: Option<String>,
    pub(crate) keys: Vec<(String, String)>,
}

impl Drop for Issuer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Issuer {
    pub(crate) fn start(database: Option<&str>) -> Self {
        Self::start_with(database, "1000000")
    }

    /// With so many requests a minute for each address.
    pub(crate) fn start_with(database: Option<&str>, per_address: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let command = |arguments: &[&str]| {
            let mut command = bmap(folder.path(), database);
            command.args(arguments);
            // So that a caller can be many addresses: sign-ins are limited for each.
            command.env("BMAP_TRUSTED_PROXIES", "127.0.0.1/32").env("BMAP_DEVELOPMENT", "true");
            command.envs(LIMITS.iter().copied()).env("BMAP_REQUESTS_PER_ADDRESS", per_address);
            command
        };
        let run = |arguments: &[&str]| finish(&mut command(arguments));
        let json = |arguments: &[&str]| serde_json::from_slice::<Value>(&run(arguments)).unwrap();
        run(&["tool", "add", "places", "--url", "http://127.0.0.1:4001"]);
        let user = json(&["user", "add", "bench", "--json"]);
        let user = user["id"].as_str().unwrap();
        let key = || {
            let key = json(&[
                "key", "add", "--user", user, "--name", "bench", "--tool", "places", "--origin", PAGE, "--json",
            ]);
            (key["id"].as_str().unwrap().to_owned(), key["secret"].as_str().unwrap().to_owned())
        };
        let keys = (0..IN_FLIGHT).map(|_| key()).collect();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut serve = command(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = serve.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once(" listens on ")?;
            rest.split(',').next()?.parse().ok()
        });
        let database = database.map(str::to_owned);
        Self { child, address: address.unwrap(), folder, database, keys }
    }

    /// Runs a command on its data; what it printed.
    pub(crate) fn run(&self, arguments: &[&str]) -> Vec<u8> {
        finish(bmap(self.folder.path(), self.database.as_deref()).args(arguments))
    }

    /// CPU that the process has used.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // utime and stime, in ticks of which Linux shows 100 in a second (proc(5)).
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    pub(crate) fn post(&self, path: &str, headers: &str, content_type: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {content_type}\r\n", self.address);
        format!("{head}content-length: {length}\r\n{headers}\r\n{body}").into_bytes()
    }

    pub(crate) fn mint_by_secret(&self, number: u64) -> Vec<u8> {
        self.post("/oauth/token", &self.secret(number), FORM, MINT)
    }

    pub(crate) fn ticket(&self, number: u64) -> Vec<u8> {
        let body = format!("{{\"tool\":\"places\",\"origin\":\"{PAGE}\"}}");
        self.post("/tickets", &self.secret(number), JSON, &body)
    }

    pub(crate) fn mint_by_ticket(&self, answer: &str) -> Vec<u8> {
        let answer: Value = serde_json::from_str(answer).unwrap();
        let ticket = answer["ticket"].as_str().unwrap();
        let body = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=places&subject_token={ticket}\
             &subject_token_type=urn:bmap:token-type:ticket"
        );
        self.post("/oauth/token", &format!("origin: {PAGE}\r\n"), FORM, &body)
    }

    /// The key of the so-many-th request: each caller has one of its own.
    pub(crate) fn key(&self, number: u64) -> &(String, String) {
        &self.keys[usize::try_from(number).unwrap() % self.keys.len()]
    }

    pub(crate) fn secret(&self, number: u64) -> String {
        let (id, secret) = self.key(number);
        format!("authorization: Basic {}\r\n", Base64::encode_string(format!("{id}:{secret}").as_bytes()))
    }

    pub(crate) fn mint_by_signature(&self, number: u64) -> Vec<u8> {
        let (id, secret) = self.key(number);
        let (id, secret) = (ApiKeyId::parse(id).unwrap(), ApiSecret::parse(secret).unwrap());
        let digest = BodyDigest::of(MINT.as_bytes()).header_value();
        let authority = self.address.to_string();
        let request = sign::Request {
            method: "POST",
            authority: &authority,
            path: "/oauth/token",
            query: None,
            authorization: None,
            content_type: Some(FORM),
            content_encoding: None,
            content_digest: Some(&digest),
            more: &[],
        };
        let created = u64::try_from(MachineClock.now().seconds()).unwrap();
        let stamp = Stamp { created, nonce: crate::inputs::spread(number), key_id: id.as_str() };
        let key = RequestKey::Hmac(MacKey::new(&secret.signing_key(&id)));
        let signed = sign::sign(&request, &stamp, &key).unwrap();
        let headers = format!(
            "content-digest: {digest}\r\nsignature-input: {}\r\nsignature: {}\r\n",
            signed.signature_input, signed.signature
        );
        self.post("/oauth/token", &headers, FORM, MINT)
    }

    /// With a wrong secret, and without a body, so that the connection stays whatever the answer is.
    pub(crate) fn wrong(&self, number: u64) -> Vec<u8> {
        let wrong = ApiSecret::from_bytes([9; 32]);
        let basic = Base64::encode_string(format!("{}:{}", self.key(number).0, *wrong.reveal()).as_bytes());
        format!("GET /users HTTP/1.1\r\nhost: {}\r\nauthorization: Basic {basic}\r\n\r\n", self.address).into_bytes()
    }

    pub(crate) fn login(&self, account: usize, number: usize) -> Vec<u8> {
        let body = format!("{{\"email\":\"bench{account}@shop.example\",\"password\":\"{PASSWORD}\"}}");
        let (high, low) = (number / 250 % 250 + 1, number % 250 + 1);
        self.post("/auth/login", &format!("x-forwarded-for: 198.18.{high}.{low}\r\n"), JSON, &body)
    }

    /// An account whose address is confirmed, as its owner would do it.
    pub(crate) fn register(&self, account: usize) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        let from = format!("x-forwarded-for: 198.19.0.{}\r\n", account + 1);
        let email = format!("bench{account}@shop.example");
        let body = format!("{{\"email\":\"{email}\",\"password\":\"{PASSWORD}\"}}");
        stream.write_all(&self.post("/auth/register", &from, JSON, &body)).unwrap();
        read_answer(&mut stream, "202");
        // Mails leave after the answer; each account has one link.
        let log = loop {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap();
            if log.matches("token=bmc_").count() > account {
                break log;
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        let token = log.rsplit("token=").next().unwrap();
        let token: String = token.chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect();
        let body = format!("{{\"token\":\"{token}\",\"password\":\"{PASSWORD}\"}}");
        stream.write_all(&self.post("/auth/confirm", &from, JSON, &body)).unwrap();
        read_answer(&mut stream, "200");
    }
}

/// A command on the data in a folder, and in a database beside it if there is one.
fn bmap(folder: &Path, database: Option<&str>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap().with_file_name("bmap"));
    command.env_clear().env("BMAP_DATA_DIR", folder.join("data"));
    command.envs(database.map(|url| ("BMAP_DATABASE_URL", url)));
    command
}

fn finish(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("cargo build --release -p bmap-server was run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
/// The limits for one caller are not what is measured.
const LIMITS: &[(&str, &str)] = &[("BMAP_REQUESTS_PER_KEY", "1000000"), ("BMAP_REQUESTS_PER_USER", "1000000")];

/// Reads one answer, which must have that status: its body.
pub(crate) fn read_answer(stream: &mut TcpStream, status: &str) -> String {
    let mut answer = [0; 8192];
    let mut filled = 0;
    loop {
        let read = stream.read(&mut answer[filled..]).unwrap();
        assert!(read > 0, "the issuer closed the connection");
        filled += read;
        let text = String::from_utf8_lossy(&answer[..filled]);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            assert!(head.split(' ').nth(1) == Some(status), "{text}");
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase().strip_prefix("content-length: ").and_then(|length| length.parse().ok())
            });
            if body.len() >= length.unwrap_or(0_usize) {
                return body.to_owned();
            }
        }
    }
}
