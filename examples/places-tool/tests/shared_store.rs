//! Two processes of the tool that share a replay store: a signed request is let in by one of them, once.

use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::{Issuer, ToolId};
use bmap_protocol::keys::{MacKey, RootSecret, TokenDigest};
use bmap_protocol::origin::Origin;
use bmap_protocol::sign::{self, RequestKey, Stamp};
use bmap_protocol::token::{Assurance, IssuerKey};
use bmap_test_kit::folder::Folder;
use bmap_test_kit::port;
use bmap_test_kit::process::{Process, within};
use bmap_test_kit::redis::{Flavor, RedisServer};
use bmap_verifier::{AllowedOrigins, SystemClock, ToolCredential};
use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

const ISSUER: &str = "https://auth.example";

fn tool() -> ToolId {
    ToolId::parse("geo").unwrap()
}

fn issuer_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32])
}

fn tool_key() -> bmap_protocol::keys::ToolKey {
    RootSecret::from_bytes([1; 32]).epoch(1).tool_key(&Issuer::parse(ISSUER).unwrap(), &tool())
}

fn credential() -> String {
    let credential = ToolCredential {
        issuer: Issuer::parse(ISSUER).unwrap(),
        tool: tool(),
        own: vec![Origin::parse("https://geo.example").unwrap()],
        epochs: vec![(1, tool_key())],
        issuer_keys: vec![IssuerKey::new("bj1.test", &issuer_key().verifying_key().to_bytes()).unwrap()],
        origins: AllowedOrigins::NamedByToken,
        min_assurance: Assurance::Origin,
        scopes: Vec::new(),
        policy: Default::default(),
    };
    credential.expose().to_string()
}

/// A search as a page signs it, in the bytes of HTTP/1.1.
fn signed_search(nonce: u8) -> String {
    let now = SystemClock.now().seconds();
    let jti = Base64UrlUnpadded::encode_string(&[7; 16]);
    let claims = json!({
        "iss": ISSUER, "aud": "geo", "sub": "usr_0192f0c1a7e27c3c9f60b2b4b1c7a001",
        "client_id": "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff", "iat": now - 10, "exp": now + 200, "jti": jti,
        "scope": "search", "origin": "https://shop.example", "asr": "server", "cnf": {"kid": "bt1.geo.1"},
    });
    let encode = |value: &Value| Base64UrlUnpadded::encode_string(value.to_string().as_bytes());
    let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": "bj1.test"});
    let signed = format!("{}.{}", encode(&header), encode(&claims));
    let signature = Base64UrlUnpadded::encode_string(&issuer_key().sign(signed.as_bytes()).to_bytes());
    let token = format!("{signed}.{signature}");
    let key = RequestKey::Hmac(MacKey::new(&tool_key().signing_key(&TokenDigest::of(token.as_bytes()))));
    let authorization = sign::authorization(&token);
    let request = sign::Request {
        method: "GET",
        authority: "geo.example",
        path: "/v1/search",
        query: Some("q=Sofia"),
        authorization: Some(&authorization),
        content_type: None,
        content_encoding: None,
        content_digest: None,
        more: &[],
    };
    let stamp = Stamp { created: now.cast_unsigned(), nonce: [nonce; 16], key_id: &jti };
    let signed = sign::sign(&request, &stamp, &key).unwrap();
    format!(
        "GET /v1/search?q=Sofia HTTP/1.1\r\nhost: geo.example\r\nconnection: close\r\norigin: https://shop.example\r\n\
         authorization: {authorization}\r\nsignature-input: {}\r\nsignature: {}\r\n\r\n",
        signed.signature_input, signed.signature
    )
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
        let folder = data();
        let mut command = Command::new(env!("CARGO_BIN_EXE_places-tool"));
        command.args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data"]).arg(folder.path());
        command.args(arguments).env("BMAP_TOOL_CREDENTIAL", credential());
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
    let requests: Vec<_> = (0..10).map(signed_search).collect();
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
    assert_eq!(again.answers(&signed_search(100)).0, 200);
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
