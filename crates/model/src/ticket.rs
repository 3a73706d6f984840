//! Tickets: made by a page's backend with its API key, swapped once by the page for a tool token.

use super::audit::Event;
use super::idempotency::SealedAnswer;
use super::roots::Roots;
use super::scope::Scopes;
use crate::clock::UnixTime;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::keys::{EpochKeys, MacKey};
use bmap_protocol::origin::Origin;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// Longest life of a ticket, in seconds (profile §1).
pub const MAX_TICKET_SECONDS: i64 = 120;

/// Most tickets of one API key that are neither used nor over. A backend that makes a thousand a second, each used within ten, has
/// as many; one that makes tickets which no page uses stops here.
pub const MAX_LIVE_TICKETS: u64 = 10_000;

const PREFIX: &str = "bmt_";

/// A ticket as the page gets it: a bearer secret until it is used. Redacted in `Debug`, wiped on drop.
pub struct PlainTicket(Zeroizing<String>);

/// SHA-256 of a ticket: all that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketHash(String);

impl PlainTicket {
    /// The ticket for a content: 16 random bytes, and 16 of a MAC over them and all of `ticket`. So a row that was put in or edited
    /// by an attacker who can only write the database is no ticket's (T13), see [`Ticket::is_of`].
    pub fn make(keys: &EpochKeys, random: &[u8; 16], ticket: &Ticket) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        let mac = ticket.mac(keys, random);
        bytes.iter_mut().zip(random.iter().chain(&mac)).for_each(|(to, from)| *to = *from);
        Self::from_bytes(&bytes)
    }

    /// The ticket for its 32 bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(Zeroizing::new(format!("{PREFIX}{}", Base64UrlUnpadded::encode_string(bytes))))
    }

    /// The text, for its one receiver.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PlainTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainTicket(…)")
    }
}

impl TicketHash {
    /// The hash of a presented text; `None` if it can't be a ticket.
    pub fn of(text: &str) -> Option<Self> {
        let encoded = text.strip_prefix(PREFIX)?;
        let in_alphabet = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if encoded.len() != 43 || !encoded.bytes().all(in_alphabet) {
            return None;
        }
        Some(Self(Base64UrlUnpadded::encode_string(&Sha256::digest(text.as_bytes()))))
    }

    /// The hash as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The content of a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The tool that its token will be for.
    pub tool: ToolId,
    /// The page that may swap it.
    pub origin: Origin,
    /// The page around that page, where the widget runs in an iframe.
    pub embed_origin: Option<Origin>,
    /// The host's own user id.
    pub end_user: Option<EndUser>,
    /// Scopes of the token.
    pub scope: Scopes,
    /// The API key that made it.
    pub key: ApiKeyId,
    /// That key's user.
    pub user: UserId,
    /// End of its life.
    pub expires_at: UnixTime,
}

/// A ticket as it is stored: all of it in one transaction, or nothing.
#[derive(Clone, Debug)]
pub struct RecordedTicket {
    /// Its hash.
    pub hash: TicketHash,
    /// Its content.
    pub ticket: Ticket,
    /// The answer to its request, where that is to be kept.
    pub answer: Option<SealedAnswer>,
    /// Its entry in the audit log.
    pub event: Event,
}

impl Ticket {
    /// Whether a ticket was made for this content: made again of it, it has the same text.
    pub fn is_of(&self, text: &str, roots: &Roots) -> bool {
        let mut bytes = [0; 32];
        let encoded = text.strip_prefix(PREFIX).unwrap_or_default();
        let decoded = Base64UrlUnpadded::decode(encoded, &mut bytes).ok();
        let Some((random, _)) = decoded.and_then(|bytes| bytes.split_first_chunk()) else { return false };
        let presented = TicketHash::of(text);
        // Hashes are compared, so how far they are alike says nothing about the ticket.
        let is_made_by = |keys| TicketHash::of(PlainTicket::make(keys, random, self).reveal()) == presented;
        presented.is_some() && roots.all().iter().any(is_made_by)
    }

    /// Each field as 0 where there is none, else 1 ‖ u32(length) ‖ bytes, so that nothing shifts from one to the next (R21).
    fn mac(&self, keys: &EpochKeys, random: &[u8; 16]) -> [u8; 32] {
        let (scope, end) = (self.scope.to_string(), self.expires_at.0.to_be_bytes());
        let fields: [Option<&[u8]>; 9] = [
            Some(random),
            Some(self.tool.as_str().as_bytes()),
            Some(self.origin.as_str().as_bytes()),
            self.embed_origin.as_ref().map(|origin| origin.as_str().as_bytes()),
            self.end_user.as_ref().map(|user| user.as_str().as_bytes()),
            Some(scope.as_bytes()),
            Some(self.key.as_str().as_bytes()),
            Some(self.user.as_str().as_bytes()),
            Some(&end),
        ];
        let mut mac = MacKey::from_key_bytes(keys.storage_key("ticket").expose()).begin();
        for field in fields {
            match field {
                None => mac.update(&[0]),
                Some(bytes) => {
                    mac.update(&[1]);
                    mac.update(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
                    mac.update(bytes);
                }
            }
        }
        mac.finish()
    }
}

/// The host's own user id: opaque, 1 to 256 bytes, no control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndUser(String);

impl EndUser {
    /// Parses it; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (1..=256).contains(&text.len()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_hash_can_be_stored() {
        let ticket = PlainTicket::from_bytes(&[7; 32]);
        assert_eq!(ticket.reveal().len(), 47);
        let hash = TicketHash::of(ticket.reveal()).unwrap();
        assert_eq!(hash.as_str().len(), 43);
        assert!(!hash.as_str().contains(&ticket.reveal()[4..]));
        assert_eq!(format!("{ticket:?}"), "PlainTicket(…)");
        for text in ["", "bmt_", &ticket.reveal()[..46], &format!("{}x", ticket.reveal()), &"x".repeat(47)] {
            assert_eq!(TicketHash::of(text), None, "{text}");
        }
    }
}
