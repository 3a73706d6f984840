//! Several machines: two issuers on one PostgreSQL, and four processes of one tool that share a store. Each is a network namespace of its own with a
//! cable to a bridge, so that each can be killed, and cut off without a word.
//!
//! What one machine says to another goes through two proxies, one at each end, since `bmap` and the tool speak without TLS on their own loopback only:
//! from `127.0.0.1` of the one over the bridge to `127.0.0.1` of the other.

use crate::caller::Caller;
use crate::clock::wait_for;
use crate::program::{Running, binary, command, finish};
use crate::stack::{ApiKey, PAGE, small_data};
use crate::wire::{Answer, Request};
use bmap_test_kit::folder::{Folder, root};
use bmap_test_kit::netns::{Network, Node};
use bmap_test_kit::postgres::{Cluster, HASTY};
use bmap_test_kit::proxy::Proxy;
use bmap_test_kit::redis::{Flavor, RedisServer};
use serde_json::Value;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::Duration;

/// Where a client of an issuer finds one, on each machine; and where a tool listens, on each machine.
const ISSUER: &str = "http://127.0.0.1:8080";
const TOOL: &str = "http://127.0.0.1:4001";
/// Ports of the bridge, and of each machine's loopback.
const ISSUERS: u16 = 8080;
const OWN_ISSUER: u16 = 8081;
const DATABASE: u16 = 5432;
const STORE: u16 = 6379;

/// All machines.
pub struct Fleet {
    /// The issuers.
    pub issuers: Vec<IssuerNode>,
    /// The tool's processes.
    pub tools: Vec<ToolNode>,
    /// The servers of the shared store: the first one is primary at the start, and the others follow it.
    pub stores: Vec<StoreNode>,
    folder: Folder,
    _database: (Node, Cluster, Proxy),
    _network: Network,
}

/// A machine with an issuer.
pub struct IssuerNode {
    /// The machine.
    pub node: Node,
    /// The issuer's process.
    pub process: Running,
    /// Its way to the database.
    pub database: Proxy,
    /// Where the other machines reach it, while it runs.
    door: Option<Proxy>,
}

/// A machine with a process of the tool.
pub struct ToolNode {
    /// The machine.
    pub node: Node,
    /// The tool's process.
    pub process: Running,
    /// Its way to the issuers: each connection to the next one that answers.
    pub issuers: Proxy,
    /// Its way to the store.
    pub store: Proxy,
}

/// A machine with a server of the store.
pub struct StoreNode {
    /// The machine.
    pub node: Node,
    /// The server.
    pub server: RedisServer,
    /// Its way to the primary that it follows.
    pub primary: Option<Proxy>,
    _door: Proxy,
}

fn here(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn at(node: &Node, port: u16) -> SocketAddr {
    (node.address(), port).into()
}

impl Fleet {
    /// Everything, started, with a tool named `places`.
    ///
    /// # Panics
    /// If a part does not come up.
    pub fn start() -> Self {
        let (mut network, folder) = (Network::new(), Folder::new());
        let machine = network.node();
        let cluster = machine.within(|| Cluster::new(HASTY));
        cluster_database(&machine, &cluster);
        let port = cluster.port;
        let door = machine.within(|| Proxy::at(at(&machine, DATABASE), vec![here(port)]));
        small_data(folder.path());
        let stores = stores(&mut network);
        let mut issuers = Vec::new();
        for _ in 0..2 {
            issuers.push(IssuerNode::start(network.node(), at(&machine, DATABASE), &folder));
        }
        let run = |arguments: &[&str]| issuers[0].bmap(&folder, arguments);
        run(&["tool", "add", "places", "--url", TOOL]);
        let credential = run(&["tool", "credential", "places"]);
        let doors: Vec<_> = issuers.iter().map(|issuer| at(&issuer.node, ISSUERS)).collect();
        let mut tools = Vec::new();
        for _ in 0..4 {
            tools.push(ToolNode::start(
                network.node(),
                doors.clone(),
                at(&stores[0].node, STORE),
                &folder,
                &credential,
            ));
        }
        let fleet = Self { issuers, tools, stores, folder, _database: (machine, cluster, door), _network: network };
        wait_for("the link of each tool", || (fleet.linked() == 4).then_some(()));
        fleet
    }

    /// Runs a command at an issuer's machine; what it printed.
    ///
    /// # Panics
    /// If it fails.
    pub fn bmap(&self, issuer: usize, arguments: &[&str]) -> String {
        self.issuers[issuer].bmap(&self.folder, arguments)
    }

    /// How many of the tools have every change, as the issuers know it.
    ///
    /// # Panics
    /// If the command line refuses.
    pub fn linked(&self) -> usize {
        let shown: Value = serde_json::from_str(&self.bmap(0, &["tool", "show", "places", "--json"])).expect("JSON");
        let verifiers = shown["verifiers"].as_array().expect("a list");
        verifiers.iter().filter(|verifier| verifier["up_to_date"] == true).count()
    }

    /// A user of their own with an API key for the tool.
    ///
    /// # Panics
    /// If the command line refuses.
    pub fn api_key(&self, name: &str) -> ApiKey {
        let user: Value = serde_json::from_str(&self.bmap(0, &["user", "add", name, "--json"])).expect("JSON");
        let user = user["id"].as_str().expect("an id");
        let arguments =
            ["key", "add", "--user", user, "--name", "tests", "--tool", "places", "--origin", PAGE, "--json"];
        let key: Value = serde_json::from_str(&self.bmap(0, &arguments)).expect("JSON");
        let text = |name: &str| key[name].as_str().expect("a text").to_owned();
        ApiKey { id: text("id"), secret: text("secret"), signing: "hmac-sha256" }
    }

    /// Asks for a token from a tool's machine; the whole answer.
    pub fn ask_for_token(&self, from: usize, key: &ApiKey) -> Answer {
        let form = b"grant_type=client_credentials&audience=places";
        let request = Request::new("POST", "/oauth/token", Some(form))
            .with("content-type", "application/x-www-form-urlencoded")
            .with("authorization", key.basic());
        self.tools[from].node.within(|| request.send(ISSUER.trim_start_matches("http://")))
    }

    /// A direct caller with a token, whom every tool lets in: a store that began a moment ago refuses what was signed until then.
    ///
    /// # Panics
    /// If it is refused.
    pub fn caller(&self, key: &ApiKey) -> Caller {
        let answer = self.ask_for_token(0, key);
        assert_eq!(answer.status, 200, "{answer:?}");
        let caller = Caller::at(TOOL, 0, answer.json());
        wait_for("a caller to be let in", || {
            self.ask_all(|| caller.search()).iter().all(|(status, _)| *status == 200).then_some(())
        });
        caller
    }

    /// Sends a request to one of the tools; status and code.
    pub fn ask(&self, tool: usize, request: &Request) -> (u16, String) {
        self.tools[tool].node.within(|| request.send(TOOL.trim_start_matches("http://")).refusal())
    }

    /// Sends a request to each of the tools in turn.
    pub fn ask_all(&self, mut request: impl FnMut() -> Request) -> Vec<(u16, String)> {
        (0..self.tools.len()).map(|tool| self.ask(tool, &request())).collect()
    }

    /// Sends requests to one of the tools as a caller does that waits as it is told: where the store did not answer within its 50 ms, as on a machine with
    /// much else to do, another request follows. The one that was decided, with its status and code.
    pub fn ask_until_decided(&self, tool: usize, mut request: impl FnMut() -> Request) -> (Request, (u16, String)) {
        let mut tries = 0;
        loop {
            let sent = request();
            let answer = self.ask(tool, &sent);
            tries += 1;
            if answer != (503, "replay_store_unavailable".to_owned()) || tries == 10 {
                return (sent, answer);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The same at each of the tools in turn; status and code.
    pub fn ask_all_until_decided(&self, mut request: impl FnMut() -> Request) -> Vec<(u16, String)> {
        (0..self.tools.len()).map(|tool| self.ask_until_decided(tool, &mut request).1).collect()
    }

    /// Starts an issuer again that was killed.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start_issuer(&mut self, issuer: usize) {
        let folder = &self.folder;
        let issuer = &mut self.issuers[issuer];
        issuer.process = issuer.node.within(|| serve(folder));
        issuer.open();
    }
}

fn cluster_database(machine: &Node, cluster: &Cluster) {
    machine.within(|| cluster.sql("postgres", "CREATE DATABASE issuer"));
}

impl IssuerNode {
    fn start(node: Node, database: SocketAddr, folder: &Folder) -> Self {
        let (database, process) = node.within(|| (Proxy::at(here(DATABASE), vec![database]), serve(folder)));
        let mut issuer = Self { node, process, database, door: None };
        issuer.open();
        issuer
    }

    fn open(&mut self) {
        let node = &self.node;
        self.door = Some(node.within(|| Proxy::at(at(node, ISSUERS), vec![here(OWN_ISSUER)])));
    }

    /// Kills it: connections to it are refused.
    ///
    /// # Panics
    /// If the system does not let it.
    pub fn kill(&mut self) {
        self.process.kill();
        self.door = None;
    }

    fn bmap(&self, folder: &Folder, arguments: &[&str]) -> String {
        self.node.within(|| finish(bmap(folder).args(arguments)))
    }
}

/// Commands of the issuer, with the root secret that all have.
fn bmap(folder: &Folder) -> Command {
    let mut command = command(binary("bmap"));
    let database = format!("postgres://bmap@127.0.0.1:{DATABASE}/issuer");
    command.env("BMAP_DATA_DIR", folder.path().join("issuer")).env("BMAP_DATABASE_URL", database);
    command.env("BMAP_ISSUER", ISSUER).current_dir(folder.path());
    command
}

fn serve(folder: &Folder) -> Running {
    let mut serve = bmap(folder);
    serve.args(["serve", "--listen", &here(OWN_ISSUER).to_string()]).env("BMAP_METRICS_LISTEN", "127.0.0.1:0");
    let mut process = Running::start(serve.env("BMAP_REQUESTS_PER_ADDRESS", "1000000"));
    process.word_after(", issuer ").unwrap_or_else(|said| panic!("bmap serve: {said}"));
    process
}

impl ToolNode {
    fn start(node: Node, doors: Vec<SocketAddr>, store: SocketAddr, folder: &Folder, credential: &str) -> Self {
        let (issuers, store, process) = node.within(|| {
            let issuers = Proxy::at(here(ISSUERS), doors);
            let store = Proxy::at(here(STORE), vec![store]);
            let mut tool = command(binary("places-tool"));
            tool.env("BMAP_TOOL_CREDENTIAL", credential.trim())
                .env("BMAP_LINK", "on")
                .env("BMAP_REPLAY_STORE", format!("redis://{}/", here(STORE)))
                .env("PLACES_LISTEN", TOOL.trim_start_matches("http://"))
                .env("PLACES_ADMIN_LISTEN", "127.0.0.1:0")
                .env("PLACES_DATA", folder.path().join("places"));
            let mut process = Running::start(&mut tool);
            process.word_after("admin on http://").unwrap_or_else(|said| panic!("places-tool: {said}"));
            (issuers, store, process)
        });
        Self { node, process, issuers, store }
    }
}

/// A primary and two replicas, as documented.
fn stores(network: &mut Network) -> Vec<StoreNode> {
    let flavor = if Flavor::Valkey.program().is_some() { Flavor::Valkey } else { Flavor::Redis };
    let mut stores: Vec<StoreNode> = Vec::new();
    for _ in 0..3 {
        let (node, primary) = (network.node(), stores.first().map(|primary| at(&primary.node, STORE)));
        let (server, primary, door) = node.within(|| {
            let primary = primary.map(|primary| Proxy::at(here(STORE), vec![primary]));
            let server = match &primary {
                Some(primary) => RedisServer::replica(flavor, &documented(), primary.address()),
                None => RedisServer::start(flavor, &documented()),
            };
            let door = Proxy::at(at(&node, STORE), vec![server.address()]);
            (server, primary, door)
        });
        stores.push(StoreNode { node, server, primary, _door: door });
    }
    stores[0].node.within(|| stores[0].server.awaits_replicas(2));
    stores
}

/// The configuration that `docs/replay.md` shows for a primary with replicas.
fn documented() -> String {
    let text = std::fs::read_to_string(root().join("docs/replay.md")).expect("docs/replay.md");
    let (_, below) = text.split_once("### A primary with replicas").expect("its heading");
    let (_, block) = below.split_once("```conf\n").expect("its configuration");
    block.split_once("```").expect("its end").0.to_owned()
}
