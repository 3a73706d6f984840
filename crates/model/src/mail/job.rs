//! A mail that waits to be sent: its recipient and its reason. It holds a link's token, so it rests sealed under a key of the
//! root secret, bound to the id of its row: a copy of the database gives no link away (T12), and a row that was edited or
//! copied does not open (T13).

use super::act::Notice;
use super::budget::Budget;
use crate::account::email::EmailAddress;
use crate::account::key_review::Span;
use crate::account::opaque::{Kind, OpaqueToken};
use crate::clock::UnixTime;
use crate::openid::provider_name::ProviderName;
use crate::rng::{self, NoRandomness, Random};
use crate::roots::Roots;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::hex_id;
use bmap_protocol::keys::EpochKeys;
use bmap_protocol::seal::{self, SealError};
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The purpose of the keys that are derived here.
const PURPOSE: &str = "mail";

/// Whom to write to, and why.
#[derive(Debug)]
pub struct MailJob {
    /// The address.
    pub to: EmailAddress,
    /// The reason.
    pub why: Why,
}

/// The reason of a mail. Which mail that makes is decided when it is sent, not when it is asked for.
#[derive(Debug)]
pub enum Why {
    /// A caller registered with the address.
    Registration(OpaqueToken),
    /// A caller says that they forgot the password of the address.
    PasswordReset(OpaqueToken),
    /// An admin invited the address.
    Invitation(OpaqueToken),
    /// A user with an account wants this address for it.
    NewAddress(OpaqueToken),
    /// The account of this address is to have another one.
    AddressChange {
        /// That one.
        new: EmailAddress,
    },
    /// The account that this address was of has another one.
    AddressChanged {
        /// That one.
        new: EmailAddress,
    },
    /// The password of the account of this address was changed.
    PasswordChanged {
        /// The keys to look through; `None` in a job from before there was such a list.
        keys: Option<Span>,
    },
    /// An act that outlives a session was done by the user of this address, or to them.
    Act(Notice),
    /// The account of this address can be signed in to with an OpenID provider too.
    ProviderLinked {
        /// The provider, as it is configured.
        provider: ProviderName,
    },
}

impl Why {
    /// The budget that it counts to.
    pub const fn budget(&self) -> Budget {
        match self {
            Why::PasswordReset(_) => Budget::NewPassword,
            Why::Registration(_) => Budget::Registration,
            Why::Invitation(_) => Budget::Invitation,
            Why::NewAddress(_) => Budget::NewAddress,
            Why::AddressChange { .. }
            | Why::AddressChanged { .. }
            | Why::PasswordChanged { .. }
            | Why::ProviderLinked { .. } => Budget::StoredNotice,
            Why::Act(_) => Budget::Act,
        }
    }
}

/// Id of a mail: `eml_` and a UUIDv7 in 32 hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailId(String);

impl MailId {
    /// The id for the 16 bytes of a UUIDv7.
    pub fn from_uuid(uuid: [u8; 16]) -> Self {
        Self(format!("eml_{}", uuid::Uuid::from_bytes(uuid).simple()))
    }

    /// Parses an id; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        hex_id(text, "eml_").map(|_| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An job as it is stored.
#[derive(Clone, Debug)]
pub struct SealedMailJob {
    /// Its row's id.
    pub id: MailId,
    /// The epoch of the root whose key seals it.
    pub epoch: u32,
    /// The sealed content.
    pub sealed: String,
    /// The budget that it counts to.
    pub budget: Budget,
    /// A keyed hash of address and budget, for counting.
    pub recipient: String,
    /// When it was asked for.
    pub created_at: UnixTime,
    /// When it is of no use any more.
    pub expires_at: UnixTime,
}

/// An job can't be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum MailJobError {
    /// No randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// It does not open: an edited row, or another root secret.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// Its root secret is not at hand.
    #[error("sealed in epoch {epoch}, whose root secret is not at hand")]
    Epoch {
        /// That epoch.
        epoch: u32,
    },
    /// The sealed text is no job of this version.
    #[error("what was sealed is no job")]
    Form,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    to: String,
    why: Reason,
    /// The token, the new address, the provider, the span, the notice, or nothing.
    about: Zeroizing<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reason {
    Registration,
    PasswordReset,
    NewAddress,
    AddressChange,
    AddressChanged,
    PasswordChanged,
    ProviderLinked,
    Act,
    Invitation,
}

impl MailJob {
    /// Seals it for a row of its own.
    ///
    /// # Errors
    /// [`MailJobError::Random`].
    pub fn seal(
        &self,
        roots: &Roots,
        random: &dyn Random,
        created_at: UnixTime,
        expires_at: UnixTime,
    ) -> Result<SealedMailJob, MailJobError> {
        let keys = roots.sealing();
        let id = MailId::from_uuid(rng::uuid_v7(created_at, random)?);
        let (why, about) = match &self.why {
            Why::Registration(token) => (Reason::Registration, token.reveal()),
            Why::PasswordReset(token) => (Reason::PasswordReset, token.reveal()),
            Why::NewAddress(token) => (Reason::NewAddress, token.reveal()),
            Why::AddressChange { new } => (Reason::AddressChange, new.as_str().to_owned().into()),
            Why::AddressChanged { new } => (Reason::AddressChanged, new.as_str().to_owned().into()),
            Why::PasswordChanged { keys } => {
                (Reason::PasswordChanged, keys.as_ref().map(Span::to_text).unwrap_or_default().into())
            }
            Why::Act(notice) => (Reason::Act, notice.to_text().into()),
            Why::Invitation(token) => (Reason::Invitation, token.reveal()),
            Why::ProviderLinked { provider } => (Reason::ProviderLinked, provider.as_str().to_owned().into()),
        };
        let written = Written { to: self.to.as_str().to_owned(), why, about };
        let written = Zeroizing::new(serde_json::to_vec(&written).map_err(|_| MailJobError::Form)?);
        let (epoch, nonce) = (keys.epoch(), rng::bytes(random)?);
        let sealed = seal::seal(&keys.storage_key(PURPOSE), epoch, nonce, &bound_to(&id), &written)?;
        let budget = self.why.budget();
        let recipient = recipient(&keys, &self.to, budget);
        Ok(SealedMailJob { id, epoch, sealed, budget, recipient, created_at, expires_at })
    }

    /// Opens the text that was sealed for exactly this row.
    ///
    /// # Errors
    /// [`MailJobError`].
    pub fn open(roots: &Roots, id: &MailId, epoch: u32, sealed: &str) -> Result<Self, MailJobError> {
        let keys = roots.of(epoch).ok_or(MailJobError::Epoch { epoch })?;
        let written = seal::open(&keys.storage_key(PURPOSE), epoch, &bound_to(id), sealed)?;
        let written: Written = serde_json::from_slice(&written).map_err(|_| MailJobError::Form)?;
        let address = |text: &str| EmailAddress::parse(text).map_err(|_| MailJobError::Form);
        let token = |kind| OpaqueToken::parse(kind, &written.about).ok_or(MailJobError::Form);
        let why = match written.why {
            Reason::Registration => Why::Registration(token(Kind::Confirmation)?),
            Reason::PasswordReset => Why::PasswordReset(token(Kind::PasswordReset)?),
            Reason::NewAddress => Why::NewAddress(token(Kind::EmailChange)?),
            Reason::AddressChange => Why::AddressChange { new: address(&written.about)? },
            Reason::AddressChanged => Why::AddressChanged { new: address(&written.about)? },
            Reason::PasswordChanged => Why::PasswordChanged {
                keys: match written.about.as_str() {
                    "" => None,
                    span => Some(Span::parse(span).ok_or(MailJobError::Form)?),
                },
            },
            Reason::Act => Why::Act(Notice::parse(&written.about).ok_or(MailJobError::Form)?),
            Reason::Invitation => Why::Invitation(token(Kind::Invitation)?),
            Reason::ProviderLinked => {
                Why::ProviderLinked { provider: ProviderName::parse(&written.about).ok_or(MailJobError::Form)? }
            }
        };
        Ok(Self { to: address(&written.to)?, why })
    }
}

fn bound_to(id: &MailId) -> Vec<u8> {
    format!("bmap/1/outbox\n{}", id.as_str()).into_bytes()
}

/// A reader of the database must not learn the recipients: addresses are counted under a keyed hash.
fn recipient(keys: &EpochKeys, to: &EmailAddress, budget: Budget) -> String {
    let mut hash = [0; 16];
    let derived = Hkdf::<Sha256>::new(None, keys.storage_key(PURPOSE).expose());
    // 16 bytes are far below what HKDF can give.
    let _ = derived.expand_multi_info(&[b"bmap/1/mail-recipient\n", budget.name(), to.as_str().as_bytes()], &mut hash);
    Base64UrlUnpadded::encode_string(&hash)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::act::Act;
    use crate::rng::SystemRandom;
    use crate::role::Role;
    use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
    use bmap_protocol::keys::RootSecret;

    fn roots(root: u8, epoch: u32) -> Roots {
        RootSecret::from_bytes([root; 32]).epoch(epoch).into()
    }

    fn ana() -> EmailAddress {
        EmailAddress::parse("ana@shop.example").unwrap()
    }

    fn sealed(why: Why) -> SealedMailJob {
        MailJob { to: ana(), why }.seal(&roots(7, 1), &SystemRandom, UnixTime(1), UnixTime(2)).unwrap()
    }

    #[test]
    fn a_mail_job_comes_back() {
        let new = EmailAddress::parse("new@shop.example").unwrap();
        for why in [
            Why::Registration(OpaqueToken::from_bytes(Kind::Confirmation, [1; 32])),
            Why::PasswordReset(OpaqueToken::from_bytes(Kind::PasswordReset, [2; 32])),
            Why::NewAddress(OpaqueToken::from_bytes(Kind::EmailChange, [3; 32])),
            Why::AddressChange { new: new.clone() },
            Why::AddressChanged { new },
            Why::PasswordChanged { keys: None },
            Why::PasswordChanged {
                keys: Some(Span { user: UserId::from_uuid([4; 16]), since: UnixTime(5), until: UnixTime(6) }),
            },
            Why::Invitation(OpaqueToken::from_bytes(Kind::Invitation, [5; 32])),
            Why::ProviderLinked { provider: ProviderName::parse("acme").unwrap() },
        ] {
            let shown = format!("{why:?}");
            let row = sealed(why);
            let job = MailJob::open(&roots(7, 1), &row.id, row.epoch, &row.sealed).unwrap();
            assert_eq!((job.to, format!("{:?}", job.why)), (ana(), shown));
            assert_eq!(MailId::parse(row.id.as_str()), Some(row.id));
        }
    }

    #[test]
    fn every_act_comes_back() {
        let (key, user) = (ApiKeyId::from_uuid([1; 16]), UserId::from_uuid([2; 16]));
        for act in [
            Act::KeyMade(key.clone()),
            Act::KeyChanged(key.clone()),
            Act::NewSecret(key),
            Act::RoleGiven { user: user.clone(), role: Role::Admin },
            Act::RoleGiven { user, role: Role::Member },
            Act::GrantGiven { user: UserId::from_uuid([2; 16]), tool: ToolId::parse("places").unwrap() },
            Act::GrantTaken { user: UserId::from_uuid([2; 16]), tool: ToolId::parse("places").unwrap() },
            Act::Invited(ana()),
            Act::ToolAdded(ToolId::parse("places").unwrap()),
            Act::ToolChanged(ToolId::parse("places").unwrap()),
        ] {
            for address in [None, Some("2001:db8::7".parse().unwrap())] {
                let notice = Notice { act: act.clone(), at: UnixTime(7), address };
                let row = sealed(Why::Act(notice.clone()));
                let job = MailJob::open(&roots(7, 1), &row.id, row.epoch, &row.sealed).unwrap();
                assert!(matches!(job.why, Why::Act(back) if back == notice));
            }
        }
        assert!(Notice::parse("key_made\nbmk_1\n7\n").is_none() && Notice::parse("").is_none());
    }

    #[test]
    fn t12_t13_a_dump_gives_no_link_and_an_edited_row_does_not_open() {
        let token = OpaqueToken::from_bytes(Kind::Confirmation, [1; 32]);
        let text = token.reveal();
        let row = sealed(Why::Registration(token));
        for stored in [&row.sealed, &row.recipient] {
            assert!(!stored.contains(&text[4..]) && !stored.contains("ana"));
        }
        let open = |roots: Roots, id: &MailId, epoch| MailJob::open(&roots, id, epoch, &row.sealed);
        assert!(matches!(open(roots(8, 1), &row.id, 1), Err(MailJobError::Seal(SealError::DoesNotOpen))));
        assert!(matches!(open(roots(7, 1), &row.id, 2), Err(MailJobError::Epoch { epoch: 2 })));
        let other = MailId::from_uuid([0; 16]);
        assert!(matches!(open(roots(7, 1), &other, 1), Err(MailJobError::Seal(SealError::DoesNotOpen))));
    }

    #[test]
    fn one_address_is_one_counter_and_no_name_in_the_database() {
        let token = || Why::Registration(OpaqueToken::from_bytes(Kind::Confirmation, [1; 32]));
        assert_eq!(sealed(token()).recipient, sealed(token()).recipient);
        let of = |root, to: &str| {
            recipient(&roots(root, 1).sealing(), &EmailAddress::parse(to).unwrap(), Budget::Registration)
        };
        assert_ne!(of(7, "ana@shop.example"), of(7, "ben@shop.example"));
        assert_ne!(of(7, "ana@shop.example"), of(8, "ana@shop.example"));
        // But for each budget there is one: what uses up one leaves the others.
        let by = [
            token(),
            Why::PasswordReset(OpaqueToken::from_bytes(Kind::PasswordReset, [1; 32])),
            Why::PasswordChanged { keys: None },
        ];
        let [asked, link, word] = by.map(|why| sealed(why).recipient);
        assert!(asked != link && link != word && word != asked);
    }
}
