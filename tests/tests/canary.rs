//! R33, T12, T33: a whole flow with secrets that are known, and then a search for them where they must not be: in the logs of both
//! processes at their most talkative, in the numbers for Prometheus, in the database, in the answers to refused requests.

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::ApiKeyId;
use bmap_tests::caller::{Caller, Content};
use bmap_tests::program::finish;
use bmap_tests::stack::{ApiKey, PAGE, Stack};
use bmap_tests::wire::{Answer, Request};
use serde_json::json;
use std::fs;
use std::path::Path;

const FORM: &str = "application/x-www-form-urlencoded";
const EXCHANGE: &str = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=places";
const OF_TICKET: &str = "&subject_token_type=urn%3Abmap%3Atoken-type%3Aticket&subject_token=";
const OF_TOKEN: &str = "&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&subject_token=";

/// Secrets under their names, in every spelling in which they could leak.
#[derive(Default)]
struct Secrets(Vec<(String, Vec<u8>)>);

impl Secrets {
    fn add(&mut self, name: &str, secret: impl AsRef<[u8]>) {
        assert!(secret.as_ref().len() >= 16, "{name} would be found by accident");
        self.0.push((name.to_owned(), secret.as_ref().to_vec()));
    }

    /// A key: its bytes, and the texts that bytes are written as.
    fn add_bytes(&mut self, name: &str, bytes: &[u8]) {
        let hex = |upper: bool| {
            bytes
                .iter()
                .map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") })
                .collect::<String>()
        };
        self.add(&format!("{name}, raw"), bytes);
        self.add(&format!("{name}, base64url"), Base64UrlUnpadded::encode_string(bytes));
        self.add(&format!("{name}, base64"), Base64::encode_string(bytes));
        self.add(&format!("{name}, hex"), hex(false));
        self.add(&format!("{name}, HEX"), hex(true));
        self.add(&format!("{name}, as a list"), format!("{bytes:?}"));
    }

    fn add_base64url(&mut self, name: &str, text: &str) {
        self.add_bytes(name, &Base64UrlUnpadded::decode_vec(text).unwrap());
    }

    fn add_token(&mut self, name: &str, caller: &Caller) {
        // The signature is what makes the token one; header and claims are no secret.
        let (_, signature) = caller.text("access_token").rsplit_once('.').unwrap();
        self.add(name, signature);
        self.add_base64url(&format!("signing key of {name}"), caller.text("signing_key"));
    }

    fn add_api_key(&mut self, name: &str, key: &ApiKey) {
        let (secret, id) = (ApiSecret::parse(&key.secret).unwrap(), ApiKeyId::parse(&key.id).unwrap());
        self.add(name, key.secret.as_bytes());
        self.add_bytes(name, secret.expose());
        self.add_bytes(&format!("K_api of {name}"), secret.signing_key(&id).expose());
        self.add_bytes(&format!("seed of {name}"), secret.ed25519_seed(&id).expose());
        self.add(&format!("{name} as it is presented"), key.basic().strip_prefix("Basic ").unwrap());
        self.add(&format!("{name} in a header of its own"), Base64::encode_string(key.secret.as_bytes()));
    }

    fn assert_absent(&self, place: &str, bytes: &[u8]) {
        let text = searchable(bytes);
        let found = self.0.iter().filter(|(_, secret)| text.contains(&searchable(secret)));
        let found: Vec<&str> = found.map(|(name, _)| name.as_str()).collect();
        assert!(found.is_empty(), "{place} holds {found:?}");
    }
}

/// Each byte as a character of its own: a search in text is quick also where nothing is optimised.
fn searchable(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn holds(bytes: &[u8], needle: &[u8]) -> bool {
    searchable(bytes).contains(&searchable(needle))
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let here = files.into_iter().map(|path| (path.display().to_string(), fs::read(path).unwrap()));
    here.chain(folders.iter().flat_map(|folder| self::files(folder))).collect()
}

fn form(body: &str) -> Request {
    Request::new("POST", "/oauth/token", Some(body.as_bytes())).with("content-type", FORM)
}

fn ticket_request(key: &ApiKey) -> Request {
    let body = json!({"tool": "places", "origin": PAGE, "end_user": "canary-customer"}).to_string();
    Request::new("POST", "/tickets", Some(body.as_bytes()))
        .with("content-type", "application/json")
        .with("authorization", key.basic())
}

/// Gets a ticket and swaps it, as a page does.
fn page(stack: &Stack, key: &ApiKey, secrets: &mut Secrets) -> Caller {
    let made = stack.ask_issuer(ticket_request(key));
    assert_eq!(made.status, 201, "{made:?}");
    let ticket = made.json()["ticket"].as_str().unwrap().to_owned();
    secrets.add("ticket", ticket.strip_prefix("bmt_").unwrap());
    let exchange = format!("{EXCHANGE}{OF_TICKET}{ticket}&encrypt=1");
    let answer = stack.ask_issuer(form(&exchange).with("origin", PAGE));
    assert_eq!(answer.status, 200, "{answer:?}");
    // A ticket is good once.
    assert_eq!(stack.ask_issuer(form(&exchange).with("origin", PAGE)).status / 100, 4);
    let caller = Caller::with(stack, answer.json());
    secrets.add_base64url("encryption key", caller.text("encryption_key"));
    caller
}

/// Renews, with a request that is signed with the token's own key.
fn renew(stack: &Stack, page: &Caller) -> Caller {
    let body = format!("{EXCHANGE}{OF_TOKEN}{}", page.text("access_token"));
    let content = Content { body: Some((FORM, body.as_bytes())), ..Content::default() };
    let answer = stack.ask_issuer(page.sign(&stack.issuer_url, "POST", "/oauth/token", content).with("origin", PAGE));
    assert_eq!(answer.status, 200, "{answer:?}");
    Caller::with(stack, answer.json())
}

/// Everything that goes wrong with a secret in hand.
fn mistakes(stack: &Stack, key: &ApiKey, direct: &Caller, page: &Caller) -> Vec<Answer> {
    let token = direct.text("access_token");
    let signing_key = direct.text("signing_key");
    let replayed = direct.search();
    assert_eq!(stack.ask_tool(&replayed).status, 200);
    let other = |request: Request, name: &str, value: &str| request.replace(name, value);
    let to_tool = [
        replayed,
        Request { target: format!("/v1/search?q={signing_key}"), ..direct.search() },
        Request { body: Some(b"{}".to_vec()), ..direct.nearby() },
        other(direct.search(), "authorization", &format!("Bearer {token}")),
        other(direct.search(), "authorization", &format!("HTTPSig {token}x")),
        other(direct.search(), "authorization", &format!("HTTPSig {}", key.secret)),
        other(direct.search(), "signature", &format!("bmap=:{signing_key}:")),
        direct.search().with("origin", "https://evil.example"),
        page.search(),
        page.search().with("origin", "https://evil.example"),
        direct.sign(&stack.tool_url, "GET", "/v1/search?limit=many", Content::default()),
    ];
    let wrong_id =
        format!("Basic {}", Base64::encode_string(format!("bmk_{}:{}", "0".repeat(32), key.secret).as_bytes()));
    let client = "grant_type=client_credentials&audience=";
    let to_issuer = [
        form(&format!("{client}places")).with("authorization", wrong_id),
        form(&format!("{client}elsewhere")).with("authorization", key.basic()),
        form(&format!("{client}places&scope={}", key.secret)).with("authorization", key.basic()),
        form(&format!("{client}places&client_secret={}", key.secret)),
        form(&format!("{client}places")).with("authorization", format!("Bearer {}", key.secret)),
        form(&format!("{client}places")).with("authorization", key.basic()).with("authorization", key.basic()),
        form(&format!("{client}places")).with("x-api-key", &key.id).with("x-api-secret", &key.secret),
        form(&format!("{EXCHANGE}{OF_TICKET}{}", key.secret)).with("origin", PAGE),
        form(&format!("{EXCHANGE}{OF_TOKEN}{token}")).with("origin", PAGE),
        form(&format!("grant_type={}", key.secret)).with("authorization", key.basic()),
        Request::new("POST", "/tickets", Some(key.secret.as_bytes()))
            .with("content-type", "application/json")
            .with("authorization", key.basic()),
        Request::new("GET", &format!("/oauth/token?client_secret={}", key.secret), None)
            .with("authorization", key.basic()),
    ];
    let answers = to_tool
        .iter()
        .map(|request| stack.ask_tool(request))
        .chain(to_issuer.into_iter().map(|request| stack.ask_issuer(request)));
    answers.inspect(|answer| assert!((400..500).contains(&answer.status), "{answer:?}")).collect()
}

/// The issuer's numbers.
fn metrics(stack: &Stack) -> String {
    let said = stack.issuer.said();
    let (_, rest) = said.split_once("metrics for Prometheus on http://").unwrap();
    let address = rest.split_once("/metrics").unwrap().0;
    let answer = Request::new("GET", "/metrics", None).send(address);
    assert_eq!(answer.status, 200, "{answer:?}");
    String::from_utf8(answer.body).unwrap()
}

#[test]
fn r33_no_secret_is_in_a_log_in_a_number_in_the_database_or_in_a_refusal() {
    let stack = Stack::start_logging("trace");
    let mut secrets = Secrets::default();
    let (hmac, ed25519) = (stack.api_key("hmac-sha256"), stack.api_key("ed25519"));
    secrets.add_api_key("API secret (HMAC)", &hmac);
    secrets.add_api_key("API secret (Ed25519)", &ed25519);
    let credential = finish(stack.bmap().args(["tool", "credential", "places"]));
    let credential = credential.trim();
    secrets.add("tool credential", credential);
    let content: serde_json::Value = serde_json::from_slice(
        &Base64UrlUnpadded::decode_vec(credential.strip_prefix("bmap-tool-1.").unwrap()).unwrap(),
    )
    .unwrap();
    secrets.add_base64url("K_tool", content["epochs"][0]["key"].as_str().unwrap());

    let mut refusals = Vec::new();
    for key in [&hmac, &ed25519] {
        let direct = Caller::new(&stack, key);
        let page = page(&stack, key, &mut secrets);
        let renewed = renew(&stack, &page);
        for (name, caller) in [("direct token", &direct), ("page's token", &page), ("renewed token", &renewed)] {
            secrets.add_token(name, caller);
        }
        for caller in [&page, &renewed] {
            assert_eq!(stack.ask_tool(&caller.search().with("origin", PAGE)).status, 200);
            assert_eq!(stack.ask_tool(&caller.nearby().with("origin", PAGE)).status, 200);
        }
        refusals.extend(mistakes(&stack, key, &direct, &page));
    }

    // The search finds what is there.
    let (issuer, tool) = (stack.issuer.said(), stack.tool.said());
    assert!(issuer.contains("/oauth/token") && issuer.contains("refused") && tool.contains("invalid_signature"));
    let data = files(&stack.data());
    assert!(data.iter().any(|(_, bytes)| holds(bytes, hmac.id.as_bytes())), "the database is among the files");
    // All but the one for an unknown method say why.
    assert!(refusals.iter().filter(|answer| answer.json()["code"].is_string()).count() > 40, "{refusals:?}");

    secrets.assert_absent("the issuer's log", issuer.as_bytes());
    secrets.assert_absent("the tool's log", tool.as_bytes());
    let metrics = metrics(&stack);
    assert!(metrics.contains("bmap_refusals_total"), "{metrics}");
    secrets.assert_absent("the metrics", metrics.as_bytes());
    // Its memory holds secrets, and is not written into a file when it crashes.
    #[cfg(target_os = "linux")]
    {
        let limits = fs::read_to_string(format!("/proc/{}/limits", stack.issuer.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"], "{core}");
    }
    for (path, bytes) in &data {
        secrets.assert_absent(path, bytes);
    }
    for refusal in &refusals {
        secrets.assert_absent("a refusal's head", refusal.head.as_bytes());
        secrets.assert_absent("a refusal", &refusal.body);
    }

    // The first credential is shown once, as said; and the root secret is in its own file alone.
    let shown = issuer.split_once("secret  ").and_then(|(_, rest)| rest.split_whitespace().next()).unwrap();
    assert_eq!(issuer.matches(shown).count(), 1);
    let admin = ApiSecret::parse(shown).unwrap();
    assert!(data.iter().all(|(_, bytes)| !holds(bytes, admin.expose()) && !holds(bytes, shown.as_bytes())));
}
