//! Two processes of the tool that share a replay store: a signed request is let in by one of them, once. And what a process says that can't start.

use bmap_test_kit::folder::Folder;
use bmap_test_kit::port;
use bmap_test_kit::process::{Process, within};
use bmap_test_kit::redis::{Flavor, RedisServer};
use bmap_verifier::SystemClock;
use bmap_verifier::test::{SignRequest, TestClaims, TestIssuer};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

/// The issuer whose keys this process and the tool's both know.
fn issuer() -> TestIssuer {
    TestIssuer::from_bytes([1; 32])
}

fn credential() -> String {
    issuer().credential("geo", "https://geo.example").expose().to_string()
}

/// A search as a page signs it, in the bytes of HTTP/1.1; each call is another request.
fn signed_search() -> String {
    let now = SystemClock.now();
    let token = issuer().token(TestClaims::of("geo").origin("https://shop.example").scope("search"), now);
    let request =
        axum::http::Request::get("/v1/search?q=Sofia").header("host", "geo.example").header("connection", "close");
    let request = request.body("").unwrap().sign(&token, now);
    let headers: String =
        request.headers().iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    format!("GET {} HTTP/1.1\r\n{headers}\r\n", request.uri())
}

/// The tool's data: one town.
fn data() -> Folder {
    let folder = Folder::new();
    folder.write("cities.json", r#"[{"name":"Sofia","lat":"42.7","lng":"23.3","country":"BG","admin1":"42"}]"#);
    folder.write("admin1.json", r#"[{"code":"BG.42","name":"Sofia-Capital"}]"#);
    folder
}

struct Tool {
    process: Process,
    folder: Folder,
}

impl Tool {
    fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[("BMAP_TOOL_CREDENTIAL", &credential())])
    }

    fn start_with(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let folder = data();
        let mut command = Command::new(env!("CARGO_BIN_EXE_places-tool"));
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"]).arg(folder.path());
        command.args(arguments).env_remove("BMAP_TOOL_CREDENTIAL").env_remove("BMAP_TOOL_CREDENTIAL_FILE");
        command.envs(environment.iter().copied());
        Self { process: Process::start(&mut command, &folder.path().join("log")), folder }
    }

    /// Waits until it listens, or has ended; what it said.
    fn log(&mut self) -> String {
        let settled = |tool: &mut Self| tool.process.has_ended() || tool.process.log().contains("admin on");
        assert!(
            within(Duration::from_secs(10), || settled(self)),
            "{}: {}",
            self.folder.path().display(),
            self.process.log()
        );
        self.process.log()
    }

    /// The status that it answers with, and the rest.
    fn answers(&mut self, request: &str) -> (u16, String) {
        let log = self.log();
        let at = log.split_once("listening on http://").unwrap_or_else(|| panic!("{log}")).1;
        let mut stream = TcpStream::connect(at.lines().next().unwrap()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }
}

#[test]
fn t7_of_two_processes_with_one_store_one_lets_a_request_in() {
    if !Flavor::Redis.is_here() {
        return;
    }
    let server = RedisServer::start(Flavor::Redis, "save \"\"\nmaxmemory 64mb\nmaxmemory-policy noeviction");
    let url = format!("redis://{}/", server.address());
    let arguments = ["--replay-store", &url, "--replay-store-single"];
    // A new store refuses requests for some seconds. This one is an hour old, as far as the processes see.
    Tool::start(&arguments).log();
    let forgot = SystemClock.now().seconds() - 3600;
    server.tell(&format!("HSET bmap:{{geo}}:marker forgot {forgot}"));

    let [mut first, mut second] = [Tool::start(&arguments), Tool::start(&arguments)];
    let requests: Vec<_> = (0..10).map(|_| signed_search()).collect();
    for request in &requests {
        let (status, answer) = first.answers(request);
        assert!(status == 200 && answer.contains("Sofia-Capital"), "{answer}");
        for tool in [&mut second, &mut first] {
            let (status, answer) = tool.answers(request);
            assert!(status == 401 && answer.contains("replayed"), "{answer}");
        }
    }
    // It is started again, and needs no pause.
    first.process.stop();
    let mut again = Tool::start(&arguments);
    assert_eq!(again.answers(&requests[0]).0, 401);
    assert_eq!(again.answers(&signed_search()).0, 200);
}

#[test]
fn f04_the_tool_does_not_start_without_its_store_and_names_no_password() {
    let at = port::local(port::free());
    let url = format!("redis://geo:geheim@{at}/");
    let log = Tool::start(&["--replay-store", &url]).log();
    assert!(log.contains("replay store: no connection") && !log.contains("geheim"), "{log}");
    let log = Tool::start(&["--replay-store", &url, "--state-dir", "/tmp"]).log();
    assert!(log.contains("cannot be used with") && !log.contains("geheim"), "{log}");
    let log = Tool::start(&["--replay-store-single"]).log();
    assert!(log.contains("--replay-store <REPLAY_STORE>"), "{log}");
}

#[test]
fn without_a_credential_the_tool_ends_with_a_sentence() {
    for (environment, sentence) in [
        (
            vec![],
            "places-tool: there is no tool credential: set BMAP_TOOL_CREDENTIAL to what `bmap tool credential ID` prints",
        ),
        (vec![("BMAP_TOOL_CREDENTIAL", "")], "places-tool: BMAP_TOOL_CREDENTIAL is empty: "),
        (vec![("BMAP_TOOL_CREDENTIAL", "places")], "places-tool: BMAP_TOOL_CREDENTIAL holds no tool credential: "),
        (
            vec![("BMAP_TOOL_CREDENTIAL_FILE", "/nowhere")],
            "places-tool: BMAP_TOOL_CREDENTIAL_FILE names /nowhere, which can't be read",
        ),
    ] {
        let mut tool = Tool::start_with(&[], &environment);
        let log = tool.log();
        assert!(log.contains(sentence) && tool.process.has_ended(), "{log}");
    }
}
