//! Keys, epochs and policy are exchanged while the verifier runs (F18): no valid request is refused, and what ended is refused at once.

use crate::actors::{NOW, PageToken, TestIssuer, decide, get, post};
use crate::world::{FakeClock, begin, slowly};
use bmap_protocol::ids::{ApiKeyId, ToolId};
use bmap_protocol::keys::ToolKey;
use bmap_protocol::token::{Assurance, IssuerKey, UnverifiedToken};
use bmap_protocol::tool_policy::Rule;
use bmap_verifier::{
    AllowedOrigins, ApiKeyGrant, Keys, LiveSettings, MemoryReplayStore, NoRevocations, Policy, Refusal, ReplayLimits,
    Settings, ToolKeys, Verifier,
};
use ed25519_dalek::SigningKey;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The tool's keys, and how often an unknown key of the issuer was met.
struct Counted(ToolKeys, Arc<AtomicU32>);

impl Keys for Counted {
    fn try_tool_keys(&self, token: &UnverifiedToken<'_>, try_key: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {
        self.0.try_tool_keys(token, try_key);
    }

    async fn api_key(&self, _: &ApiKeyId) -> Result<Option<ApiKeyGrant>, Refusal> {
        Ok(None)
    }

    fn issuer_key_unknown(&self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

struct Tool {
    verifier: Arc<Verifier<Counted>>,
    live: LiveSettings,
    first: Settings,
    unknown: Arc<AtomicU32>,
}

impl Tool {
    fn new(issuer: &TestIssuer) -> Self {
        let credential = issuer.credential("geo");
        let first = Settings::of(&credential, Policy::default());
        let (live, unknown) = (LiveSettings::new(first.clone()), Arc::default());
        let replay = MemoryReplayStore::new(
            ReplayLimits { entries: 4096, per_key: 1024 },
            first.policy.window,
            i64::from(NOW) - 1000,
        );
        let keys = Counted(ToolKeys::new(credential.tool, credential.epochs), Arc::clone(&unknown));
        let verifier = Verifier::with_settings(credential.issuer, live.clone(), keys, replay, NoRevocations);
        Self { verifier: Arc::new(verifier), live, first, unknown }
    }

    /// One exchange, from the first settings.
    fn exchange(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.first.clone();
        change(&mut settings);
        self.live.replace(settings);
    }

    async fn decide(&self, page: &PageToken) -> Result<(), &'static str> {
        let (head, body) = get("/a").sign(page).into_parts();
        let clock = FakeClock::new();
        self.verifier.verify(&head, body, None, &clock).await.map(|_| ()).map_err(|refusal| refusal.code().as_str())
    }
}

fn another_key() -> IssuerKey {
    IssuerKey::new("bj1.next", &SigningKey::from_bytes(&[9; 32]).verifying_key().to_bytes()).unwrap()
}

#[tokio::test]
async fn f18_a_token_ends_with_the_key_that_signed_it_though_it_is_remembered() {
    let issuer = TestIssuer::new();
    let (tool, known, new) = (Tool::new(&issuer), issuer.mint(|_| {}), issuer.mint(|_| {}));
    assert_eq!(tool.decide(&known).await, Ok(()));
    // The next key comes, and the former one is still there: nothing is refused.
    tool.exchange(|settings| settings.issuer_keys.push(another_key()));
    assert_eq!(tool.decide(&known).await, Ok(()));
    assert_eq!(tool.unknown.load(Ordering::SeqCst), 0);
    // The former one goes.
    tool.exchange(|settings| settings.issuer_keys = vec![another_key()]);
    for page in [&known, &new] {
        assert_eq!(tool.decide(page).await, Err("invalid_token"));
    }
    assert_eq!(tool.unknown.load(Ordering::SeqCst), 2, "each was met behind a MAC that holds");
    // A key of the same name is another key.
    let same_name = IssuerKey::new("bj1.test", &another_key().public_key()).unwrap();
    tool.exchange(|settings| settings.issuer_keys = vec![same_name]);
    assert_eq!(tool.decide(&known).await, Err("invalid_token"));
    tool.exchange(|_| {});
    assert_eq!(tool.decide(&known).await, Ok(()));
}

#[tokio::test]
async fn f19_a_forged_token_does_not_ask_for_an_issuers_key() {
    let (issuer, tool) = (TestIssuer::new(), Tool::new(&TestIssuer::new()));
    tool.exchange(|settings| settings.issuer_keys = vec![another_key()]);
    let mut page = issuer.mint(|_| {});
    // Signed with a key that is not the tool's.
    page.key = issuer.hand_over("router", page.token.clone(), page.jti.clone()).key;
    assert_eq!(tool.decide(&page).await, Err("invalid_signature"));
    assert_eq!(tool.unknown.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn f18_an_epoch_that_is_not_listed_any_more_is_not_tried() {
    let issuer = TestIssuer::new();
    let (tool, known, new) = (Tool::new(&issuer), issuer.mint(|_| {}), issuer.mint(|_| {}));
    assert_eq!(tool.decide(&known).await, Ok(()));
    tool.exchange(|settings| settings.epochs = Some(vec![2, 1]));
    assert_eq!(tool.decide(&known).await, Ok(()));
    tool.exchange(|settings| settings.epochs = Some(vec![2]));
    for page in [&known, &new] {
        assert_eq!(tool.decide(page).await, Err("invalid_signature"));
    }
}

#[tokio::test]
async fn f18_a_policy_that_is_narrowed_and_widened_counts_for_remembered_tokens() {
    let issuer = TestIssuer::new();
    let (tool, known) = (Tool::new(&issuer), issuer.mint(|claims| claims["asr"] = "origin".into()));
    assert_eq!(tool.decide(&known).await, Ok(()));
    let elsewhere = || AllowedOrigins::These(["https://other.example".parse().unwrap()].into());
    type Change = Box<dyn FnOnce(&mut Settings)>;
    let changes: [(Change, &str); 4] = [
        (Box::new(|settings| settings.policy.min_assurance = Assurance::User), "assurance_too_low"),
        (Box::new(move |settings| settings.policy.origins = elsewhere()), "origin_denied"),
        (Box::new(|settings| settings.policy.scopes = vec!["more".into()]), "scope_denied"),
        (Box::new(|settings| settings.own = vec!["https://b.example".parse().unwrap()]), "invalid_signature"),
    ];
    for (change, code) in changes {
        tool.exchange(change);
        assert_eq!(tool.decide(&known).await, Err(code));
        tool.exchange(|_| {});
        assert_eq!(tool.decide(&known).await, Ok(()));
    }
}

fn rule() -> Rule {
    Rule { path: "/a".into(), methods: Vec::new(), min_assurance: None, scopes: vec!["more".into()] }
}

#[test]
fn f18_settings_that_come_while_a_body_is_waited_for_count() {
    let issuer = TestIssuer::new();
    type Change = fn(&mut Settings);
    let changes: [(Change, Result<(), &str>); 8] = [
        (|_| {}, Ok(())),
        (|settings| settings.issuer_keys.push(another_key()), Ok(())),
        (|settings| settings.issuer_keys = vec![another_key()], Err("invalid_token")),
        (|settings| settings.epochs = Some(vec![2]), Err("invalid_signature")),
        (|settings| settings.policy.scopes = vec!["more".into()], Err("scope_denied")),
        (|settings| settings.policy.rules = vec![rule()], Err("scope_denied")),
        (|settings| settings.policy.allowed_ips = vec!["10.0.0.0/8".parse().unwrap()], Err("ip_denied")),
        (|settings| settings.own = vec!["http://geo.example".parse().unwrap()], Err("invalid_signature")),
    ];
    for (change, outcome) in changes {
        let (tool, page, clock) = (Tool::new(&issuer), issuer.mint(|_| {}), FakeClock::new());
        let (request, sender) = slowly(post("/a", b"{}").sign(&page));
        let mut decision = begin(&tool.verifier, &clock, request);
        assert_eq!(decision.now(), None);
        tool.exchange(change);
        sender.send(b"{}").unwrap();
        drop(sender);
        assert_eq!(decision.now(), Some(outcome));
    }
}

#[tokio::test]
async fn bounds_that_a_store_was_made_by_stay() {
    let tool = Tool::new(&TestIssuer::new());
    tool.exchange(|settings| {
        settings.policy.window.past = 600;
        settings.policy.known_tokens = 1;
        settings.policy.max_body = 7;
    });
    let now = tool.verifier.settings();
    assert_eq!((now.policy.window, now.policy.known_tokens), (tool.first.policy.window, 16_384));
    assert_eq!(now.policy.max_body, 7);
    assert!(tool.live.is_shared());
    // The plain constructors take a verifier whose settings are its own.
    assert_eq!(
        decide(&TestIssuer::new().verifier(|_| {}), get("/a").sign(&TestIssuer::new().mint(|_| {}))).await,
        Ok(())
    );
}
