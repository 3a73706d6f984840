//! The issuer as it is run: a process of its own with its database on this disk, asked over loopback by this one.

use crate::stats::{goal, median};
use base64ct::{Base64, Encoding};
use bmap_model::clock::{MachineClock, WallClock};
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::ids::ApiKeyId;
use bmap_protocol::keys::MacKey;
use bmap_protocol::sign::{self, RequestKey, Stamp};
use bmap_store::Database;
use bmap_store::address::Address;
use bmap_store::schema::Pending;
use bmap_test_kit::postgres::{Cluster, HASTY, is_installed};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const IN_FLIGHT: usize = 64;
const PASSWORD: &str = "violet-kettle-49-marsh";
const PAGE: &str = "https://shop.example";
const MINT: &str = "grant_type=client_credentials&audience=places";

/// A running issuer with a tool, a user and a key for each of the callers.
pub(crate) struct Issuer {
    child: Child,
    address: SocketAddr,
    pub(crate) folder: tempfile::TempDir,
    database: Option<String>,
    keys: Vec<(String, String)>,
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
    fn start_with(database: Option<&str>, per_address: &str) -> Self {
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
    fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // utime and stime, in ticks of which Linux shows 100 in a second (proc(5)).
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }

    fn post(&self, path: &str, headers: &str, content_type: &str, body: &str) -> Vec<u8> {
        let length = body.len();
        let head = format!("POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: {content_type}\r\n", self.address);
        format!("{head}content-length: {length}\r\n{headers}\r\n{body}").into_bytes()
    }

    fn mint_by_secret(&self, number: u64) -> Vec<u8> {
        self.post("/oauth/token", &self.secret(number), FORM, MINT)
    }

    fn ticket(&self, number: u64) -> Vec<u8> {
        let body = format!("{{\"tool\":\"places\",\"origin\":\"{PAGE}\"}}");
        self.post("/tickets", &self.secret(number), JSON, &body)
    }

    fn mint_by_ticket(&self, answer: &str) -> Vec<u8> {
        let answer: Value = serde_json::from_str(answer).unwrap();
        let ticket = answer["ticket"].as_str().unwrap();
        let body = format!(
            "grant_type=urn:ietf:params:oauth:grant-type:token-exchange&audience=places&subject_token={ticket}\
             &subject_token_type=urn:bmap:token-type:ticket"
        );
        self.post("/oauth/token", &format!("origin: {PAGE}\r\n"), FORM, &body)
    }

    /// The key of the so-many-th request: each caller has one of its own.
    fn key(&self, number: u64) -> &(String, String) {
        &self.keys[usize::try_from(number).unwrap() % self.keys.len()]
    }

    fn secret(&self, number: u64) -> String {
        let (id, secret) = self.key(number);
        format!("authorization: Basic {}\r\n", Base64::encode_string(format!("{id}:{secret}").as_bytes()))
    }

    fn mint_by_signature(&self, number: u64) -> Vec<u8> {
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
    fn wrong(&self, number: u64) -> Vec<u8> {
        let wrong = ApiSecret::from_bytes([9; 32]);
        let basic = Base64::encode_string(format!("{}:{}", self.key(number).0, *wrong.reveal()).as_bytes());
        format!("GET /users HTTP/1.1\r\nhost: {}\r\nauthorization: Basic {basic}\r\n\r\n", self.address).into_bytes()
    }

    fn login(&self, account: usize, number: usize) -> Vec<u8> {
        let body = format!("{{\"email\":\"bench{account}@shop.example\",\"password\":\"{PASSWORD}\"}}");
        let (high, low) = (number / 250 % 250 + 1, number % 250 + 1);
        self.post("/auth/login", &format!("x-forwarded-for: 198.18.{high}.{low}\r\n"), JSON, &body)
    }

    /// An account whose address is confirmed, as its owner would do it.
    fn register(&self, account: usize) {
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

pub(crate) fn run(quick: bool) {
    bmap_server::install_crypto_providers();
    let rounds = if quick { 5 } else { 20 };
    let issuer = Issuer::start(None);
    println!(
        "\nThe issuer as a process, SQLite with synchronous=FULL, asked over loopback by one thread of this machine"
    );
    let (by_secret, cost) =
        mints(&issuer, "token for a presented secret", rounds, |number| issuer.mint_by_secret(number));
    let (_, signed) =
        mints(&issuer, "token for a signed request, its nonce kept", rounds, |number| issuer.mint_by_signature(number));
    goal("tokens minted in a second, SQLite", by_secret, 5_000.0, false);
    goal("CPU of a token for a presented secret, µs", cost, 150.0, true);
    goal("CPU of a token for a signed request with its nonce in the database, µs", signed, 200.0, true);
    widgets(&issuer, rounds);
    sign_ins(&issuer, if quick { 3 } else { 10 });
    look_ups(
        "SQLite",
        &format!("sqlite://{}", issuer.folder.path().join("data/bmap.sqlite").display()),
        &issuer,
        rounds,
    );
    drop(issuer);
    refusals(rounds);
    if !is_installed() {
        println!("  PostgreSQL is not installed: its half was not measured");
        return;
    }
    let cluster = Cluster::new(&HASTY.replace("fsync=off\n", ""));
    cluster.sql("postgres", "CREATE DATABASE bench");
    let url = format!("{}?sslmode=disable", cluster.url("bench"));
    let issuer = Issuer::start(Some(&url));
    println!("\nThe same on PostgreSQL");
    mints(&issuer, "token for a presented secret", rounds, |number| issuer.mint_by_secret(number));
    mints(&issuer, "token for a signed request, its nonce kept", rounds, |number| issuer.mint_by_signature(number));
    look_ups("PostgreSQL", &url, &issuer, rounds);
}

/// Tokens in a second, and the microseconds of the process's CPU for each.
fn mints(issuer: &Issuer, what: &str, rounds: usize, request: impl FnMut(u64) -> Vec<u8>) -> (f64, f64) {
    exchanges(issuer, what, rounds, "200", request)
}

/// Requests in a second, with [`IN_FLIGHT`] connections, all answered with `status`; and the microseconds of the process's CPU for each.
#[expect(clippy::disallowed_methods, reason = "this measures: reading the clock is what it is for")]
fn exchanges(
    issuer: &Issuer,
    what: &str,
    rounds: usize,
    status: &str,
    mut request: impl FnMut(u64) -> Vec<u8>,
) -> (f64, f64) {
    const EACH: usize = 16;
    let mut streams: Vec<_> = (0..IN_FLIGHT).map(|_| TcpStream::connect(issuer.address).unwrap()).collect();
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    let mut number = 0;
    for round in 0..=rounds {
        let requests: Vec<Vec<u8>> = (0..IN_FLIGHT * EACH)
            .map(|_| {
                number += 1;
                request(number)
            })
            .collect();
        let (cpu, start) = (issuer.cpu(), Instant::now());
        // Each connection has its next request as soon as it has its answer, in turn.
        let mut waiting = requests.chunks(IN_FLIGHT);
        let first = waiting.next().unwrap();
        streams.iter_mut().zip(first).for_each(|(stream, request)| stream.write_all(request).unwrap());
        for next in waiting {
            for (stream, request) in streams.iter_mut().zip(next) {
                read_answer(stream, status);
                stream.write_all(request).unwrap();
            }
        }
        streams.iter_mut().map(|stream| read_answer(stream, status)).for_each(drop);
        // The first round warms up.
        if round > 0 {
            rates.push(requests.len() as f64 / start.elapsed().as_secs_f64());
            costs.push((issuer.cpu() - cpu).as_secs_f64() * 1e6 / requests.len() as f64);
        }
    }
    let (rate, cost) = (median(&mut rates), median(&mut costs));
    println!("  {what:<44} {rate:>8.0} /s   {cost:>6.0} µs of the process's CPU");
    (rate, cost)
}

/// What a wrong secret costs: looked at, and from an address that has no budget left.
fn refusals(rounds: usize) {
    let issuer = Issuer::start_with(None, "1000000");
    exchanges(&issuer, "a wrong secret, looked at", rounds, "401", |number| issuer.wrong(number));
    drop(issuer);
    let issuer = Issuer::start_with(None, "1");
    let mut stream = TcpStream::connect(issuer.address).unwrap();
    for status in ["401", "429"] {
        stream.write_all(&issuer.wrong(0)).unwrap();
        read_answer(&mut stream, status);
    }
    exchanges(&issuer, "the same over its address' limit", rounds, "429", |number| issuer.wrong(number));
}

/// Widgets in a second that begin: a ticket for the page's backend, and the token that the page swaps it for.
#[expect(clippy::disallowed_methods, reason = "this measures: reading the clock is what it is for")]
fn widgets(issuer: &Issuer, rounds: usize) {
    const EACH: usize = 4;
    let mut streams: Vec<_> = (0..IN_FLIGHT).map(|_| TcpStream::connect(issuer.address).unwrap()).collect();
    let (mut rates, mut costs) = (Vec::new(), Vec::new());
    for round in 0..=rounds {
        let (cpu, start) = (issuer.cpu(), Instant::now());
        for _ in 0..EACH {
            for (number, stream) in (0..).zip(&mut streams) {
                stream.write_all(&issuer.ticket(number)).unwrap();
            }
            for stream in &mut streams {
                let ticket = read_answer(stream, "201");
                stream.write_all(&issuer.mint_by_ticket(&ticket)).unwrap();
            }
            for stream in &mut streams {
                read_answer(stream, "200");
            }
        }
        if round > 0 {
            rates.push((IN_FLIGHT * EACH) as f64 / start.elapsed().as_secs_f64());
            costs.push((issuer.cpu() - cpu).as_secs_f64() * 1e6 / (IN_FLIGHT * EACH) as f64);
        }
    }
    let (rate, cost) = (median(&mut rates), median(&mut costs));
    println!("  a widget's start, ticket and token           {rate:>8.0} /s   {cost:>6.0} µs of the process's CPU");
}

/// Sign-ins in a second, and what they do to all other callers.
#[expect(clippy::disallowed_methods, reason = "this measures: reading the clock is what it is for")]
fn sign_ins(issuer: &Issuer, seconds: u64) {
    const ACCOUNTS: usize = 8;
    (0..ACCOUNTS).for_each(|account| issuer.register(account));
    let numbers = std::cell::Cell::new(1 << 32);
    let latency = |seconds: u64| {
        let mut stream = TcpStream::connect(issuer.address).unwrap();
        let mut took = Vec::new();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(seconds) {
            numbers.set(numbers.get() + 1);
            let request = issuer.mint_by_signature(numbers.get());
            let asked = Instant::now();
            stream.write_all(&request).unwrap();
            read_answer(&mut stream, "200");
            took.push(asked.elapsed().as_secs_f64() * 1e3);
            std::thread::sleep(Duration::from_millis(5));
        }
        took.sort_by(f64::total_cmp);
        (took[took.len() / 2], took[took.len() * 99 / 100])
    };
    let idle = latency(seconds);
    let (stop, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let next = AtomicUsize::new(0);
    let (busy, rate) = std::thread::scope(|scope| {
        for account in 0..4 {
            let (stop, done, next) = (&stop, &done, &next);
            scope.spawn(move || {
                let mut stream = TcpStream::connect(issuer.address).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    stream.write_all(&issuer.login(account, next.fetch_add(1, Ordering::Relaxed))).unwrap();
                    read_answer(&mut stream, "200");
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let start = Instant::now();
        let busy = latency(seconds);
        let rate = done.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        (busy, rate)
    });
    println!("  sign-ins, four at once                       {rate:>8.1} /s");
    println!("  a signed request meanwhile                   {:>8.2} ms median, {:.2} ms p99", busy.0, busy.1);
    println!("  a signed request without them                {:>8.2} ms median, {:.2} ms p99", idle.0, idle.1);
    goal("median with sign-ins / without", busy.0 / idle.0, 2.0, true);
    goal("p99 with sign-ins / without", busy.1 / idle.1, 2.0, true);
}

/// Rows of API keys in a second, read and opened.
#[expect(clippy::disallowed_methods, reason = "this measures: reading the clock is what it is for")]
fn look_ups(what: &str, url: &str, issuer: &Issuer, rounds: usize) {
    const TASKS: usize = 8;
    const EACH: usize = 250;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let ids: Vec<_> = issuer.keys.iter().map(|(id, _)| ApiKeyId::parse(id).unwrap()).collect();
    let root = std::fs::read(issuer.folder.path().join("data/root.secret")).unwrap();
    let root = bmap_store::root_file::parse(&root).unwrap().epoch(1);
    let roots = bmap_model::roots::Roots::from(&root);
    let rates = runtime.block_on(async {
        let store = Arc::new(Database::open(&Address::parse(url).unwrap(), Pending::Refuse).await.unwrap());
        let mut rates = Vec::new();
        for round in 0..=rounds {
            let start = Instant::now();
            let tasks: Vec<_> = (0..TASKS)
                .map(|task| {
                    let (store, id, roots) = (Arc::clone(&store), ids[task].clone(), roots.clone());
                    tokio::spawn(async move {
                        for _ in 0..EACH {
                            let row = store.api_key(&id).await.unwrap().unwrap();
                            assert!(row.open(&roots).is_ok());
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
            if round > 0 {
                rates.push((TASKS * EACH) as f64 / start.elapsed().as_secs_f64());
            }
        }
        rates
    });
    println!("  API keys read and opened, {what:<18} {:>8.0} /s", median(&mut rates.clone()));
}

/// Reads one answer, which must have that status: its body.
fn read_answer(stream: &mut TcpStream, status: &str) -> String {
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
