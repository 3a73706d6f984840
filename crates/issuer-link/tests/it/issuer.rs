//! An issuer that follows a script: it checks the verifier's signatures as the profile says, and answers what a test sets.

use crate::actors::{Page, mint, seconds};
use crate::serve::serve;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::{Issuer, ToolId};
use bmap_protocol::keys::{RootSecret, ToolKey};
use bmap_protocol::link::{Change, ChangeKind, LinkedTool, PublicKey, State};
use bmap_protocol::token::{Assurance, IssuerKey};
use bmap_verifier::{AllowedOrigins, ToolCredential};
use ed25519_dalek::SigningKey;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// What the issuer knows, says and has seen.
pub(crate) struct Script {
    pub(crate) cursor: i64,
    /// Changes that the feed still has.
    pub(crate) changes: Vec<Change>,
    /// Denials in the state.
    pub(crate) denials: Vec<Change>,
    /// Cursors up to this one are gone.
    pub(crate) forgotten: i64,
    pub(crate) kids: Vec<(String, SigningKey)>,
    pub(crate) tool: LinkedTool,
    /// Epochs whose `K_link` it derives.
    pub(crate) link_epochs: Vec<u32>,
    /// Milliseconds between its clock and the machine's.
    pub(crate) clock: i64,
    /// Whether the feed sends marks and changes by itself.
    pub(crate) speaks: bool,
    /// Text that the open feed sends once, as it is.
    pub(crate) raw: Vec<String>,
    /// Whether the feed's connections are to end.
    pub(crate) cuts: u64,
    pub(crate) sync_every: Duration,
    /// Added to the authority that signatures are checked against.
    pub(crate) authority: String,
    pub(crate) seen: Seen,
}

/// What was asked.
#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) states: u32,
    pub(crate) unchanged: u32,
    pub(crate) feeds: Vec<i64>,
    pub(crate) applied: Vec<(i64, Instant)>,
    pub(crate) nodes: std::collections::BTreeSet<String>,
    pub(crate) refused: Vec<String>,
}

/// A running issuer.
pub(crate) struct ScriptedIssuer {
    pub(crate) url: String,
    pub(crate) script: Arc<Mutex<Script>>,
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) address: SocketAddr,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl ScriptedIssuer {
    /// An issuer whose verifiers come to it directly.
    pub(crate) async fn start() -> Self {
        let issuer = Self::down().await;
        issuer.up().await;
        issuer
    }

    /// One that does not listen yet.
    pub(crate) async fn down() -> Self {
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        Self::at(address, address)
    }

    /// One that listens at `address`, and is known by the address of a proxy.
    pub(crate) fn at(address: SocketAddr, known: SocketAddr) -> Self {
        let tool = LinkedTool {
            id: "geo".to_owned(),
            epochs: vec![1],
            base_urls: vec!["https://geo.example".to_owned()],
            origins: vec!["*".to_owned()],
            min_assurance: Assurance::Origin,
            scopes: Vec::new(),
            policy: Default::default(),
        };
        let script = Script {
            cursor: 100,
            changes: Vec::new(),
            denials: Vec::new(),
            forgotten: 0,
            kids: vec![("bj1.a".to_owned(), SigningKey::from_bytes(&[2; 32]))],
            tool,
            link_epochs: vec![1, 2],
            clock: 0,
            speaks: true,
            raw: Vec::new(),
            cuts: 0,
            sync_every: Duration::from_millis(200),
            authority: known.to_string(),
            seen: Seen::default(),
        };
        Self {
            url: format!("http://{known}"),
            script: Arc::new(Mutex::new(script)),
            changed: watch::Sender::new(0),
            address,
            task: Mutex::default(),
        }
    }

    /// Listens.
    pub(crate) async fn up(&self) {
        let listener = loop {
            match TcpListener::bind(self.address).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        let (script, changed) = (Arc::clone(&self.script), self.changed.subscribe());
        *self.task.lock().unwrap() = Some(tokio::spawn(serve(listener, script, changed)));
    }

    /// Ends, with all its connections.
    pub(crate) fn kill(&self) {
        if let Some(task) = self.task.lock().unwrap().take() {
            task.abort();
        }
    }

    pub(crate) fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap()
    }

    /// Changes the script and wakes the feeds.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Script)) {
        change(&mut self.script());
        self.changed.send_modify(|count| *count += 1);
    }

    /// An act: its changes share the next cursor, which is returned. Denials are in the state too.
    pub(crate) fn act(&self, changes: &[(ChangeKind, &str)]) -> i64 {
        let mut cursor = 0;
        self.set(|script| {
            script.cursor += 1;
            cursor = script.cursor;
            for (kind, id) in changes {
                let change = change(cursor, *kind, id);
                script.changes.push(change.clone());
                if change.until > 0 {
                    script.denials.push(change);
                }
            }
        });
        cursor
    }

    /// Sends text on the open feed.
    pub(crate) fn say(&self, text: &str) {
        self.set(|script| script.raw.push(text.to_owned()));
    }

    /// The last `applied` that came.
    pub(crate) fn applied(&self) -> Option<i64> {
        self.script().seen.applied.last().map(|(cursor, _)| *cursor)
    }

    pub(crate) fn tool_key(&self, epoch: u32) -> ToolKey {
        tool_key(&self.url, epoch)
    }

    /// A credential of the epochs and keys that there are now.
    pub(crate) fn credential(&self) -> ToolCredential {
        let script = self.script();
        ToolCredential {
            issuer: Issuer::parse(&self.url).unwrap(),
            tool: ToolId::parse("geo").unwrap(),
            own: vec!["https://geo.example".parse().unwrap()],
            epochs: script.tool.epochs.iter().map(|epoch| (*epoch, tool_key(&self.url, *epoch))).collect(),
            issuer_keys: script.kids.iter().map(|(kid, key)| issuer_key(kid, key)).collect(),
            origins: AllowedOrigins::NamedByToken,
            min_assurance: Assurance::Origin,
            scopes: Vec::new(),
            policy: script.tool.policy.clone(),
        }
    }

    /// A token of the newest key and the first epoch.
    pub(crate) fn mint(&self, change: impl FnOnce(&mut Value)) -> Page {
        let (kid, key) = self.script().kids.last().cloned().unwrap();
        let epoch = self.script().tool.epochs[0];
        mint(&self.url, &kid, &key, &self.tool_key(epoch), epoch, change)
    }
}

impl Script {
    /// The state as it is sent.
    pub(crate) fn state(&self, issuer: &str) -> State {
        let public = |(kid, key): &(String, SigningKey)| PublicKey {
            kid: kid.clone(),
            x: Base64UrlUnpadded::encode_string(&key.verifying_key().to_bytes()),
        };
        State {
            cursor: self.cursor,
            server_time: self.now(),
            issuer: issuer.to_owned(),
            issuer_keys: self.kids.iter().map(public).collect(),
            tools: vec![self.tool.clone()],
            denials: self.denials.clone(),
        }
    }

    /// Its clock, milliseconds.
    pub(crate) fn now(&self) -> i64 {
        bmap_verifier::SystemClock.now().millis() + self.clock
    }
}

pub(crate) fn tool_key(url: &str, epoch: u32) -> ToolKey {
    let issuer = Issuer::parse(url).unwrap();
    RootSecret::from_bytes([1; 32]).epoch(epoch).tool_key(&issuer, &ToolId::parse("geo").unwrap())
}

fn issuer_key(kid: &str, key: &SigningKey) -> IssuerKey {
    IssuerKey::new(kid, &key.verifying_key().to_bytes()).unwrap()
}

/// A change as the issuer has it; a grant is of the tool.
pub(crate) fn change(cursor: i64, kind: ChangeKind, id: &str) -> Change {
    let denies = !matches!(kind, ChangeKind::Policy | ChangeKind::Keys | ChangeKind::Allowlist | ChangeKind::Lift);
    let tool = (kind == ChangeKind::Grant).then(|| "geo".to_owned());
    let until = if denies { seconds() + 610 } else { 0 };
    Change { cursor, kind, id: id.to_owned(), until, tool, of: None, issued_until: None }
}

/// The lift of a denial.
pub(crate) fn lift(cursor: i64, of: ChangeKind, id: &str) -> Change {
    Change { of: Some(of), ..change(cursor, ChangeKind::Lift, id) }
}

/// An event with a change.
pub(crate) fn event(change: &Change) -> String {
    format!("id: {}\nevent: change\ndata: {}\n\n", change.cursor, serde_json::to_string(change).unwrap())
}
