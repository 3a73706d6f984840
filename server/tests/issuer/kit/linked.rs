//! A tool's verifier with a live link, as the issuer sees it: it signs under its tool's link key, and reads the feed.

use crate::http_client::{Answer, Call};
use crate::world::{TOOL, World};
use bmap_model::clock::WallClock;
use bmap_protocol::LINK_TAG;
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::ids::ToolId;
use bmap_protocol::keys::MacKey;
use bmap_protocol::link::{APPLIED_PATH, Change, FEED_PATH, Mark, STATE_PATH, State, key_id};
use bmap_protocol::sign::{Request, RequestKey, Stamp, sign_tagged};
use serde_json::json;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longest wait for something that is to come.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Node<'w> {
    pub(crate) world: &'w World,
    pub(crate) tool: ToolId,
    pub(crate) id: String,
    /// The issuer that it asks.
    pub(crate) at: SocketAddr,
}

impl World {
    /// A verifier of the tool that everything is about; each letter is another one.
    pub(crate) fn node(&self, letter: char) -> Node<'_> {
        self.node_of(TOOL, letter)
    }

    pub(crate) fn node_of(&self, tool: &str, letter: char) -> Node<'_> {
        let id = format!("{}A", letter.to_string().repeat(21));
        Node { world: self, tool: ToolId::parse(tool).unwrap(), id, at: self.address }
    }
}

impl Node<'_> {
    /// A call that is signed with the link key of epoch 1.
    pub(crate) fn signed(&self, call: Call) -> Call {
        let key = self.world.issuer.roots.of(1).unwrap().tool_key(&self.world.issuer.url, &self.tool).link_key();
        self.signed_with(call, &MacKey::from_key_bytes(key.expose()), &key_id(&self.tool, 1))
    }

    pub(crate) fn signed_with(&self, mut call: Call, key: &MacKey, key_id: &str) -> Call {
        let digest = BodyDigest::of(&call.body).header_value();
        let content_type = call.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.clone());
        let (path, query) =
            call.path.split_once('?').map_or((call.path.as_str(), None), |(path, query)| (path, Some(query)));
        let has_body = !call.body.is_empty();
        let authority = self.world.address.to_string();
        let request = Request {
            method: call.method,
            authority: &authority,
            path,
            query,
            content_type: content_type.as_deref(),
            content_digest: has_body.then_some(digest.as_str()),
            ..Request::default()
        };
        let created = u64::try_from(self.world.clock.now().seconds()).unwrap();
        let nonce = bmap_model::rng::bytes(&bmap_model::rng::SystemRandom).unwrap();
        let headers =
            sign_tagged(&request, &Stamp { created, nonce, key_id }, &RequestKey::Hmac(key.clone()), LINK_TAG).unwrap();
        call.headers.push(("host".into(), authority));
        call.headers.push(("signature-input".into(), headers.signature_input));
        call.headers.push(("signature".into(), headers.signature));
        if has_body {
            call.headers.push(("content-digest".into(), digest));
        }
        call
    }

    pub(crate) fn state_call(&self) -> Call {
        Call::new("GET", &format!("{STATE_PATH}?node={}", self.id))
    }

    pub(crate) fn feed_call(&self, after: i64) -> Call {
        Call::new("GET", &format!("{FEED_PATH}?after={after}&node={}", self.id))
    }

    pub(crate) fn applied_call(&self, cursor: i64) -> Call {
        Call::json(&format!("{APPLIED_PATH}?node={}", self.id), &json!({ "cursor": cursor }))
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        self.signed(call).send(self.at).await
    }

    pub(crate) async fn state(&self) -> State {
        let answer = self.send(self.state_call()).await;
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }

    pub(crate) async fn applied(&self, cursor: i64) {
        assert_eq!(self.send(self.applied_call(cursor)).await.status, 204);
    }

    /// Opens the feed; the answer's head is 200.
    pub(crate) async fn feed(&self, after: i64) -> FeedReader {
        let call = self.signed(self.feed_call(after));
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        let mut head = format!("{} {} HTTP/1.1\r\n", call.method, call.path);
        for (name, value) in &call.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).await.unwrap();
        let mut reader = FeedReader { stream, read: String::new() };
        let head = reader.until("\r\n\r\n").await.expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.to_lowercase().contains("content-type: text/event-stream"), "{head}");
        reader
    }
}

/// What a feed said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Change(Change),
    Mark(Mark),
}

pub(crate) struct FeedReader {
    stream: TcpStream,
    read: String,
}

impl FeedReader {
    /// The text up to an end; `None` where the stream is over before it.
    async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.read.find(end) {
                let rest = self.read.split_off(at + end.len());
                return Some(std::mem::replace(&mut self.read, rest));
            }
            // The last chunk (RFC 9112 §7.1): the connection may stay open.
            if self.read.ends_with("\r\n0\r\n\r\n") {
                return None;
            }
            let mut bytes = [0; 4096];
            let read = timeout(PATIENCE, self.stream.read(&mut bytes)).await.expect("the feed is silent").unwrap_or(0);
            if read == 0 {
                return None;
            }
            self.read.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        }
    }

    /// The next event; `None` at the end of the feed.
    pub(crate) async fn next(&mut self) -> Option<Said> {
        // Chunk sizes stand between the events.
        let event = self.until("\n\n").await?;
        let field = |name: &str| {
            let line = event.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("no {name:?} in {event:?}"))
        };
        let (id, data) = (field("id: "), field("data: "));
        let said = match field("event: ") {
            "change" => Said::Change(serde_json::from_str(data).unwrap()),
            "sync" => Said::Mark(serde_json::from_str(data).unwrap()),
            other => panic!("an event {other}"),
        };
        let cursor = match &said {
            Said::Change(change) => change.cursor,
            Said::Mark(mark) => mark.cursor,
        };
        assert_eq!(id, cursor.to_string());
        Some(said)
    }

    /// Changes up to the next mark behind at least one of them, as `kind id tool`.
    pub(crate) async fn changes(&mut self) -> Vec<String> {
        let mut changes = Vec::new();
        loop {
            match self.next().await.expect("the feed is open") {
                Said::Change(change) => changes.push(shown(&change)),
                Said::Mark(_) if !changes.is_empty() => return changes,
                Said::Mark(_) => {}
            }
        }
    }

    /// The next mark; a change before it is a fault.
    pub(crate) async fn mark(&mut self) -> Mark {
        match self.next().await.expect("the feed is open") {
            Said::Mark(mark) => mark,
            Said::Change(change) => panic!("{change:?}"),
        }
    }

    /// Reads to the end of the feed.
    pub(crate) async fn end(&mut self) {
        while self.next().await.is_some() {}
    }
}

pub(crate) fn shown(change: &Change) -> String {
    let kind = serde_json::to_string(&change.kind).unwrap().replace('"', "");
    format!("{kind} {} {}", change.id, change.tool.as_deref().unwrap_or_default()).trim_end().to_owned()
}
