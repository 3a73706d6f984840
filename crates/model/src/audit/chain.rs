//! The chain: each row's MAC is over the row, its number and the MAC of the row before.
//!
//! HMAC-SHA256 under `K_audit`, which follows from the root secret. So an attacker who can write to the database but lacks
//! the root secret can neither change a row, nor put one in, nor take one out of the middle, nor bring one from elsewhere,
//! without every later MAC failing. Cutting off the end leaves a shorter chain that holds: against that, note the head
//! elsewhere.

use super::Event;
use super::detail::Fact;
use crate::roots::Roots;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::keys::{EpochKeys, MacKey, MacStream};

/// The MAC of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mac(pub [u8; 32]);

/// The last row: its number and its MAC. Noted somewhere else, it shows that nothing was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its number; 0 in an empty log.
    pub sequence: i64,
    /// Its MAC.
    pub mac: Mac,
}

/// The keys of the chain, which follow from the root secrets: new rows are made with the newest.
#[derive(Clone, Debug)]
pub struct ChainKeys {
    roots: Roots,
    /// Keys of epochs whose root is gone.
    kept: Vec<(u32, MacKey)>,
}

/// The key of one epoch.
#[derive(Clone, Debug)]
pub struct ChainKey {
    epoch: i64,
    key: MacKey,
}

/// The content of a row, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Content {
    /// When, in unix milliseconds.
    pub at: i64,
    /// The action.
    pub action: String,
    /// How it ended.
    pub outcome: String,
    /// The kind of actor.
    pub actor: String,
    /// Its id.
    pub actor_id: Option<String>,
    /// The user behind it.
    pub actor_user: Option<String>,
    /// The kind of target.
    pub target: Option<String>,
    /// Its id.
    pub target_id: Option<String>,
    /// The user behind it.
    pub target_user: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// In which request.
    pub request_id: Option<String>,
    /// Further facts: a JSON object of texts.
    pub detail: String,
}

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its number: 1 for the first.
    pub sequence: i64,
    /// The epoch of its key.
    pub epoch: i64,
    /// Its content.
    pub content: Content,
    /// Its MAC, as stored.
    pub mac: String,
}

impl Mac {
    /// The MAC before the first row.
    pub const NONE: Self = Self([0; 32]);

    /// As stored and shown: 43 base64url characters.
    pub fn to_text(self) -> String {
        Base64UrlUnpadded::encode_string(&self.0)
    }

    /// Reads it back.
    pub fn parse(text: &str) -> Option<Self> {
        let mut mac = [0; 32];
        let length = Base64UrlUnpadded::decode(text, &mut mac).ok()?.len();
        (length == 32).then_some(Self(mac))
    }
}

impl ChainKeys {
    /// The keys that follow from these roots.
    pub const fn new(roots: Roots) -> Self {
        Self { roots, kept: Vec::new() }
    }

    /// The same, and the key of an epoch whose root is gone.
    #[must_use]
    pub fn and_kept(mut self, epoch: u32, key: &[u8; 32]) -> Self {
        self.kept.push((epoch, MacKey::from_key_bytes(key)));
        self
    }

    /// The key that new rows are made with.
    pub fn newest(&self) -> ChainKey {
        let newest = self.roots.sealing();
        ChainKey { epoch: i64::from(newest.epoch()), key: mac_key(&newest) }
    }

    /// The key that rows of an epoch are checked with; `None` where neither its root nor its key is at hand.
    pub fn of(&self, epoch: i64) -> Option<ChainKey> {
        let number = u32::try_from(epoch).ok()?;
        let kept = || self.kept.iter().find(|(kept, _)| *kept == number).map(|(_, key)| key.clone());
        let key = self.roots.of(number).map(|root| mac_key(&root)).or_else(kept)?;
        Some(ChainKey { epoch, key })
    }
}

impl ChainKey {
    /// The epoch that it is of.
    pub const fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The row that follows on `head`, and the head after it.
    pub fn next(&self, head: &Head, content: Content) -> (Row, Head) {
        let sequence = head.sequence.saturating_add(1);
        let mac = Mac(self.mac(sequence, &head.mac, &content).finish());
        (Row { sequence, epoch: self.epoch, content, mac: mac.to_text() }, Head { sequence, mac })
    }

    /// The head after `row`, if it is the one that follows on `head` and was not changed.
    pub fn follow(&self, head: &Head, row: &Row) -> Option<Head> {
        let mac = Mac::parse(&row.mac)?;
        let sequence = head.sequence.checked_add(1).filter(|next| *next == row.sequence)?;
        let holds = row.epoch == self.epoch && self.mac(sequence, &head.mac, &row.content).verify(&mac.0);
        holds.then_some(Head { sequence, mac })
    }

    /// i64(sequence) ‖ i64(epoch) ‖ previous MAC ‖ i64(at) ‖ each text: 0 where there is none, else 1 ‖ u32(length) ‖ bytes.
    fn mac(&self, sequence: i64, previous: &Mac, content: &Content) -> MacStream {
        let mut mac = self.key.begin();
        mac.update(&sequence.to_be_bytes());
        mac.update(&self.epoch.to_be_bytes());
        mac.update(&previous.0);
        mac.update(&content.at.to_be_bytes());
        for text in content.texts() {
            match text {
                None => mac.update(&[0]),
                Some(text) => {
                    mac.update(&[1]);
                    mac.update(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
                    mac.update(text.as_bytes());
                }
            }
        }
        mac
    }
}

/// `K_audit`, the storage key of this purpose: docs/design.md.
pub fn key_bytes(root: &EpochKeys) -> [u8; 32] {
    *root.storage_key("audit").expose()
}

fn mac_key(root: &EpochKeys) -> MacKey {
    MacKey::from_key_bytes(&key_bytes(root))
}

impl Content {
    /// Every text, in the order of the chain and of the table.
    pub fn texts(&self) -> [Option<&str>; 11] {
        [
            Some(&self.action),
            Some(&self.outcome),
            Some(&self.actor),
            self.actor_id.as_deref(),
            self.actor_user.as_deref(),
            self.target.as_deref(),
            self.target_id.as_deref(),
            self.target_user.as_deref(),
            self.address.as_deref(),
            self.request_id.as_deref(),
            Some(&self.detail),
        ]
    }
}

impl From<&Event> for Content {
    fn from(event: &Event) -> Self {
        let (actor, actor_id, actor_user) = event.actor.recorded();
        let target = event.target.as_ref().map(super::Target::recorded);
        let owned = |text: &str| text.to_owned();
        Self {
            at: event.at.0,
            action: event.action.as_str().to_owned(),
            outcome: event.outcome.as_str().to_owned(),
            actor: actor.to_owned(),
            actor_id: actor_id.map(owned),
            actor_user: actor_user.map(owned),
            target: target.map(|(kind, _, _)| kind.to_owned()),
            target_id: target.and_then(|(_, id, _)| id).map(owned),
            target_user: target.and_then(|(_, _, user)| user).map(owned),
            address: event.source.address.map(|address| address.to_string()),
            // Its caller may have chosen it.
            request_id: event.source.request_id.as_deref().map(|id| Fact::of_text(id).as_str().to_owned()),
            detail: event.detail.to_json(),
        }
    }
}

impl std::fmt::Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.sequence, self.mac.to_text())
    }
}

impl std::str::FromStr for Head {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let read = text.split_once(':').and_then(|(sequence, mac)| {
            let sequence = sequence.parse().ok().filter(|sequence| *sequence >= 0)?;
            Some(Self { sequence, mac: Mac::parse(mac)? })
        });
        read.ok_or_else(|| "a head is a number, a colon and 43 base64url characters".to_owned())
    }
}
