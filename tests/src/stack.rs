//! An issuer and the places tool, running, with a user and keys, made through the real command line.

use crate::clock;
use crate::program::{Running, binary, command, finish};
use crate::wire::{Answer, Request};
use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// The page that the keys are for.
pub const PAGE: &str = "https://shop.example";

/// Everything, in a folder of its own; it ends with this value.
pub struct Stack {
    /// The issuer's process.
    pub issuer: Running,
    /// The tool's process.
    pub tool: Running,
    /// The issuer's URL.
    pub issuer_url: String,
    /// The tool's URL.
    pub tool_url: String,
    /// The earliest `created` that the tool takes: a replay store in memory refuses what may have been let in before its start.
    pub signs_from: u64,
    /// The tool's admin listener.
    admin: String,
    /// The tool's credential.
    credential: String,
    /// What the tool's environment has besides, from its next start on.
    tool_environment: Vec<(String, String)>,
    folder: TempDir,
}

/// How a process ends.
#[derive(Clone, Copy, Debug)]
pub enum End {
    /// It is asked to (SIGTERM), and ends in order.
    Asked,
    /// It is killed (SIGKILL).
    Killed,
}

/// An API key with its secret.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its id.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// How it signs.
    pub signing: &'static str,
}

impl ApiKey {
    /// The value of `Authorization` that presents it.
    pub fn basic(&self) -> String {
        format!("Basic {}", Base64::encode_string(format!("{}:{}", self.id, self.secret).as_bytes()))
    }
}

impl Stack {
    /// Starts both.
    pub fn start() -> Self {
        Self::start_logging("info")
    }

    /// Starts both, the issuer with a log of this detail.
    ///
    /// # Panics
    /// If one of them does not come up.
    pub fn start_logging(log: &str) -> Self {
        Self::start_with(&[("BMAP_LOG", log)], &[])
    }

    /// Starts both, the issuer with this environment, and the tool for these pages.
    ///
    /// # Panics
    /// If one of them does not come up.
    pub fn start_with(environment: &[(&str, &str)], origins: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder of its own");
        let mut issuer = Running::start(
            bmap(folder.path())
                .args(["serve", "--listen", "127.0.0.1:0"])
                .envs(environment.iter().copied())
                .env("BMAP_METRICS_LISTEN", "127.0.0.1:0")
                // Tests send thousands of bad requests from one address; that these are limited is another test's matter.
                .env("BMAP_REQUESTS_PER_ADDRESS", "1000000"),
        );
        let issuer_url = issuer.word_after(", issuer ").unwrap_or_else(|said| panic!("bmap serve: {said}"));
        small_data(folder.path());
        // The tool's URL stands in its credential, so its port is chosen before it starts. Another process may take that port
        // meanwhile.
        let mut attempt = 0;
        let (tool, admin, tool_url, credential) = loop {
            let port = free_port();
            let tool_url = format!("http://127.0.0.1:{port}");
            let origins = origins.iter().flat_map(|origin| ["--origin", origin]);
            let mut add = bmap(folder.path());
            add.envs(environment.iter().copied()).args(["tool", "add", "places", "--url", &tool_url]);
            finish(add.args(origins));
            let credential = finish(bmap(folder.path()).args(["tool", "credential", "places"]));
            let mut tool = Running::start(&mut places_tool(folder.path(), &credential, &format!("127.0.0.1:{port}")));
            match tool.word_after("admin on http://") {
                Ok(admin) => break (tool, admin, tool_url, credential),
                Err(said) if attempt == 3 => panic!("places-tool: {said}"),
                Err(_) => attempt += 1,
            }
            finish(bmap(folder.path()).args(["tool", "remove", "places"]));
        };
        let signs_from = after_the_rule();
        let tool_environment = Vec::new();
        Self { issuer, tool, issuer_url, tool_url, signs_from, admin, credential, tool_environment, folder }
    }

    /// Waits until the tool takes what is signed now: a replay store that began a moment ago does not (profile §5).
    pub fn wait_for_the_rule(&self) {
        clock::wait_until_after(self.signs_from - 1);
    }

    /// The tool, not started, on an address and with a state folder of its own if there is one.
    pub fn tool_command(&self, listen: &str, state: Option<&Path>) -> std::process::Command {
        let mut command = places_tool(self.folder.path(), &self.credential, listen);
        command.envs(self.tool_environment.iter().map(|(name, value)| (name, value)));
        if let Some(state) = state {
            command.env("BMAP_STATE_DIR", state);
        }
        command
    }

    /// Sets a variable of the tool's environment, for its next start.
    pub fn set_for_tool(&mut self, name: &str, value: &str) {
        self.tool_environment.retain(|(other, _)| other != name);
        self.tool_environment.push((name.to_owned(), value.to_owned()));
    }

    /// As after a start: callers that are made from here on sign for when the tool takes it.
    pub fn begin_the_rule(&mut self) {
        self.signs_from = after_the_rule();
    }

    /// Ends the issuer's process.
    pub fn kill_issuer(&mut self) {
        self.issuer.kill();
    }

    /// Starts the issuer again, at its address.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start_issuer(&mut self) {
        let mut issuer = Running::start(
            bmap(self.folder.path())
                .args(["serve", "--listen", address(&self.issuer_url)])
                .env("BMAP_METRICS_LISTEN", "127.0.0.1:0")
                .env("BMAP_REQUESTS_PER_ADDRESS", "1000000"),
        );
        issuer.word_after(", issuer ").unwrap_or_else(|said| panic!("bmap serve: {said}"));
        self.issuer = issuer;
    }

    /// Ends the tool's process and starts another one at once, with a state folder if there is one.
    ///
    /// # Panics
    /// If it does not end, or not in order, or does not come up.
    pub fn restart_tool(&mut self, end: End, state: Option<&Path>) {
        match end {
            End::Asked => {
                self.tool.ask_to_stop();
                assert!(self.tool.ended_well(), "{}", self.tool.said());
            }
            End::Killed => self.tool.kill(),
        }
        let mut tool = Running::start(&mut self.tool_command(address(&self.tool_url), state));
        self.admin = tool.word_after("admin on http://").unwrap_or_else(|said| panic!("places-tool: {said}"));
        self.tool = tool;
    }

    /// A user of their own with an API key for the tool and the page.
    ///
    /// # Panics
    /// If the command line refuses.
    pub fn api_key(&self, signing: &'static str) -> ApiKey {
        static USERS: AtomicU32 = AtomicU32::new(1);
        let name = format!("user {}", USERS.fetch_add(1, Ordering::Relaxed));
        let user = self.json(&["user", "add", &name, "--json"]);
        let user = user["id"].as_str().expect("a user's id");
        let key = self.json(&[
            "key",
            "add",
            "--user",
            user,
            "--name",
            "tests",
            "--tool",
            "places",
            "--origin",
            PAGE,
            "--signing",
            signing,
            "--json",
        ]);
        let text = |name: &str| key[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned();
        ApiKey { id: text("id"), secret: text("secret"), signing }
    }

    /// A tool token for a direct caller: the whole answer of the token endpoint.
    ///
    /// # Panics
    /// If it is refused.
    pub fn token_response(&self, key: &ApiKey) -> Value {
        let form = b"grant_type=client_credentials&audience=places";
        let answer = self.ask_issuer(
            Request::new("POST", "/oauth/token", Some(form))
                .with("content-type", "application/x-www-form-urlencoded")
                .with("authorization", key.basic()),
        );
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        answer.json()
    }

    /// Sends a request to the issuer.
    pub fn ask_issuer(&self, request: Request) -> Answer {
        request.send(address(&self.issuer_url))
    }

    /// Sends a request to the tool.
    pub fn ask_tool(&self, request: &Request) -> Answer {
        request.send(address(&self.tool_url))
    }

    /// How many requests have entered the tool's handlers.
    ///
    /// # Panics
    /// If its metrics are not what they were.
    pub fn entered(&self) -> u64 {
        let metrics = Request::new("GET", "/metrics", None).send(&self.admin);
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        let counts = text.lines().filter(|line| line.starts_with("places_handler_entered_total{"));
        let counts: Vec<u64> = counts.filter_map(|line| line.rsplit_once(' ')?.1.parse().ok()).collect();
        assert_eq!(counts.len(), 2, "{text}");
        counts.iter().sum()
    }

    /// Runs a command of the issuer on its data, while it serves.
    pub fn bmap(&self) -> std::process::Command {
        bmap(self.folder.path())
    }

    /// The folder of the issuer's data.
    pub fn data(&self) -> PathBuf {
        data_dir(self.folder.path())
    }

    /// A folder for files of the test's own.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&finish(self.bmap().args(arguments))).expect("JSON was asked for")
    }
}

/// Host and port of a URL of ours.
///
/// # Panics
/// If it is no such URL.
pub fn address(url: &str) -> &str {
    url.strip_prefix("http://").expect("all is on loopback, without TLS")
}

fn data_dir(folder: &Path) -> PathBuf {
    folder.join("issuer")
}

fn bmap(folder: &Path) -> std::process::Command {
    let mut command = command(binary("bmap"));
    command.env("BMAP_DATA_DIR", data_dir(folder)).current_dir(folder);
    command
}

/// A port that is free now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    listener.expect("a free port").port()
}

/// Waits for the second after this one. A request that was signed 5 s ahead by then is later than all that a process before could
/// have let in.
fn after_the_rule() -> u64 {
    let started = clock::now();
    clock::wait_until_after(started);
    started + 6
}

fn places_tool(folder: &Path, credential: &str, listen: &str) -> std::process::Command {
    let mut command = command(binary("places-tool"));
    command
        .env("BMAP_TOOL_CREDENTIAL", credential.trim())
        .env("PLACES_LISTEN", listen)
        .env("PLACES_ADMIN_LISTEN", "127.0.0.1:0")
        .env("PLACES_DATA", folder.join("places"));
    command
}

/// A few places in the form of the npm package, so that a test needs no download and the tool starts at once.
pub(crate) fn small_data(folder: &Path) {
    let city = |name: &str, lat: &str, lng: &str| json!({"name": name, "lat": lat, "lng": lng, "country": "BG", "admin1": "42"});
    let cities = json!([city("Sofia", "42.69751", "23.32415"), city("Plovdiv", "42.15", "24.75")]);
    let data = folder.join("places");
    fs::create_dir_all(&data).expect("a folder for the data");
    for (name, content) in
        [("cities.json", cities), ("admin1.json", json!([{"code": "BG.42", "name": "Sofia-Capital"}]))]
    {
        fs::write(data.join(name), content.to_string()).expect("the data is written");
    }
}
