//! Keys, epochs and policy are exchanged while requests run: no valid one is refused (F18), and an unknown key is looked for once (F19).

use crate::actors::{MovedClock, Page, Tool, wait_for};
use crate::issuer::ScriptedIssuer;
use bmap_issuer_link::LinkState;
use bmap_protocol::link::ChangeKind;
use bmap_protocol::token::Assurance;
use ed25519_dalek::SigningKey;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Requests without a pause, from two threads, with tokens that the test exchanges.
struct Load {
    stop: Arc<AtomicBool>,
    let_in: Arc<AtomicU64>,
    workers: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn of(tool: &Arc<Tool>, pages: &Arc<std::sync::Mutex<Arc<Page>>>) -> Self {
        let (stop, let_in) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let worker = |_| {
            let (tool, pages, stop, let_in) =
                (Arc::clone(tool), Arc::clone(pages), Arc::clone(&stop), Arc::clone(&let_in));
            tokio::spawn(async move {
                while !stop.load(Ordering::SeqCst) {
                    let page = Arc::clone(&pages.lock().unwrap());
                    assert_eq!(tool.ask(&page).await, Ok(()));
                    let_in.fetch_add(1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                }
            })
        };
        let workers = (0..2).map(worker).collect();
        Self { stop, let_in, workers }
    }

    async fn end(self) -> u64 {
        self.stop.store(true, Ordering::SeqCst);
        for worker in self.workers {
            worker.await.expect("a valid request was refused");
        }
        self.let_in.load(Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f18_an_exchange_of_keys_epochs_and_policy_under_load_refuses_no_valid_request() {
    let issuer = ScriptedIssuer::start().await;
    issuer.script().tool.epochs = vec![1, 2];
    let tool = Tool::start(&issuer, |_| {}, |_| {});
    tool.until(LinkState::Live).await;
    let tool = Arc::new(tool);
    let former = Arc::new(issuer.mint(|_| {}));
    let pages = Arc::new(std::sync::Mutex::new(Arc::clone(&former)));
    let load = Load::of(&tool, &pages);
    let in_force = async |cursor: i64| wait_for("the change", || issuer.applied() >= Some(cursor)).await;

    // A second key comes, then signs, then the first one goes.
    issuer.set(|script| script.kids.push(("bj1.b".to_owned(), SigningKey::from_bytes(&[3; 32]))));
    in_force(issuer.act(&[(ChangeKind::Keys, "")])).await;
    *pages.lock().unwrap() = Arc::new(issuer.mint(|_| {}));
    tokio::time::sleep(Duration::from_millis(50)).await;
    issuer.set(|script| drop(script.kids.remove(0)));
    in_force(issuer.act(&[(ChangeKind::Keys, "")])).await;
    assert_eq!(tool.ask(&former).await, Err("invalid_token"), "remembered or not, its key is gone");

    // The next epoch comes into use, then the first one is retired.
    let former = Arc::new(issuer.mint(|_| {}));
    assert_eq!(tool.ask(&former).await, Ok(()));
    issuer.set(|script| script.tool.epochs = vec![2, 1]);
    in_force(issuer.act(&[(ChangeKind::Keys, "")])).await;
    *pages.lock().unwrap() = Arc::new(issuer.mint(|_| {}));
    tokio::time::sleep(Duration::from_millis(50)).await;
    issuer.set(|script| script.tool.epochs = vec![2]);
    in_force(issuer.act(&[(ChangeKind::Keys, "")])).await;
    assert_eq!(tool.ask(&former).await, Err("invalid_signature"));

    // The policy is narrowed for others than these requests, and widened again.
    let weak = issuer.mint(|claims| claims["asr"] = "origin".into());
    let elsewhere = issuer.mint(|claims| claims["scope"] = "other".into());
    assert_eq!((tool.ask(&weak).await, tool.ask(&elsewhere).await), (Ok(()), Ok(())));
    issuer.set(|script| {
        script.tool.min_assurance = Assurance::User;
        script.tool.scopes = vec!["search".to_owned()];
        script.tool.origins = vec!["https://shop.example".to_owned()];
    });
    in_force(issuer.act(&[(ChangeKind::Policy, "geo")])).await;
    assert_eq!(tool.ask(&weak).await, Err("assurance_too_low"));
    assert_eq!(tool.ask(&elsewhere).await, Err("scope_denied"));
    issuer.set(|script| {
        script.tool.min_assurance = Assurance::Origin;
        script.tool.scopes.clear();
        script.tool.origins = vec!["*".to_owned()];
    });
    in_force(issuer.act(&[(ChangeKind::Policy, "geo")])).await;
    assert_eq!((tool.ask(&weak).await, tool.ask(&elsewhere).await), (Ok(()), Ok(())));

    let let_in = load.end().await;
    assert!(let_in > 100, "{let_in}");
    println!("{let_in} requests were let in, none refused");
}

#[tokio::test]
async fn f18_a_tools_own_policy_narrows_whatever_the_operator_sets() {
    let issuer = ScriptedIssuer::start().await;
    let tool = Tool::start(&issuer, |_| {}, |policy| policy.min_assurance = Assurance::User);
    tool.until(LinkState::Live).await;
    let weak = issuer.mint(|claims| claims["asr"] = "origin".into());
    assert_eq!(tool.ask(&weak).await, Err("assurance_too_low"));
    issuer.set(|script| script.tool.scopes = vec!["search".to_owned()]);
    let cursor = issuer.act(&[(ChangeKind::Policy, "geo")]);
    wait_for("the change", || issuer.applied() >= Some(cursor)).await;
    let settings = tool.verifier.settings();
    assert_eq!((settings.policy.min_assurance, settings.policy.scopes.len()), (Assurance::User, 1));
}

#[tokio::test]
async fn f18_an_epoch_whose_key_is_not_in_the_credential_is_said() {
    let issuer = ScriptedIssuer::start().await;
    let tool = Tool::live(&issuer).await;
    assert!(tool.link.status().missing_epochs.is_empty());
    issuer.set(|script| script.tool.epochs = vec![1, 2]);
    let cursor = issuer.act(&[(ChangeKind::Keys, "")]);
    wait_for("the change", || issuer.applied() >= Some(cursor)).await;
    assert_eq!(tool.link.status().missing_epochs, [2]);
    assert_eq!(tool.ask(&issuer.mint(|_| {})).await, Ok(()), "it goes on with the one that it has");
}

#[tokio::test]
async fn a_tool_that_the_issuer_no_longer_has_takes_no_tokens() {
    let issuer = ScriptedIssuer::start().await;
    let (tool, page) = (Tool::live(&issuer).await, issuer.mint(|_| {}));
    assert_eq!(tool.ask(&page).await, Ok(()));
    issuer.set(|script| script.tool.id = "router".to_owned());
    issuer.act(&[(ChangeKind::Keys, "")]);
    tool.until_refused(&page, "invalid_signature").await;
}

#[tokio::test]
async fn a_state_that_can_not_be_read_changes_nothing() {
    let issuer = ScriptedIssuer::start().await;
    let (tool, page) = (Tool::live(&issuer).await, issuer.mint(|_| {}));
    issuer.set(|script| {
        script.tool.base_urls.clear();
        script.kids = vec![("bj1.b".to_owned(), SigningKey::from_bytes(&[3; 32]))];
    });
    issuer.act(&[(ChangeKind::Policy, "geo")]);
    wait_for("the fault", || tool.link.status().fault.is_some()).await;
    assert_eq!(tool.ask(&page).await, Ok(()), "a state is taken as a whole or not at all");
    assert_eq!(tool.link.status().applied, Some(100), "and not said to be in force");
}

#[tokio::test]
async fn f19_a_storm_of_unknown_keys_looks_for_them_once_in_30_s() {
    let (issuer, clock) = (ScriptedIssuer::start().await, Arc::new(MovedClock::default()));
    let tool = Tool::start(&issuer, |options| options.clock = Arc::clone(&clock) as _, |_| {});
    tool.until(LinkState::Live).await;
    let looks = || {
        let script = issuer.script();
        script.seen.states + script.seen.unchanged
    };
    let first = looks();
    let strange = SigningKey::from_bytes(&[9; 32]);
    let storm = async |count: u32| {
        for _ in 0..count {
            let page = crate::actors::mint(&issuer.url, "bj1.strange", &strange, &issuer.tool_key(1), 1, |_| {});
            assert_eq!(tool.ask(&page).await, Err("invalid_token"));
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    // Time passes for both ends; no mark is on its way meanwhile.
    let pass = async |millis: u32| {
        issuer.set(|script| script.speaks = false);
        tokio::time::sleep(Duration::from_millis(100)).await;
        clock.steady.fetch_add(millis.into(), Ordering::SeqCst);
        issuer.set(|script| {
            script.clock += i64::from(millis);
            script.speaks = true;
        });
    };
    storm(300).await;
    assert_eq!(looks(), first + 1);
    pass(29_000).await;
    storm(100).await;
    assert_eq!(looks(), first + 1, "29 s later");
    pass(2_000).await;
    storm(100).await;
    assert_eq!(looks(), first + 2, "31 s later");
    // While the issuer is away a look is not tried again and again.
    issuer.kill();
    pass(31_000).await;
    storm(100).await;
    issuer.up().await;
    tool.until(LinkState::Live).await;
    assert_eq!(looks(), first + 2);
}

#[tokio::test]
async fn f19_a_key_that_the_feed_did_not_say_is_found_by_its_first_token() {
    let issuer = ScriptedIssuer::start().await;
    let tool = Tool::live(&issuer).await;
    issuer.set(|script| script.kids.push(("bj1.b".to_owned(), SigningKey::from_bytes(&[3; 32]))));
    tool.until_let_in(&issuer.mint(|_| {}), "invalid_token").await;
}
