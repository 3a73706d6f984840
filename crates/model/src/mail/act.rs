//! Acts that a mail tells of: those of a signed-in user, or of a thief with the user's tokens, that outlive the session.

use crate::account::email::EmailAddress;
use crate::clock::UnixTime;
use crate::role::Role;
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use std::net::IpAddr;

/// The act. Names that callers choose are not in it: no caller can have the issuer mail a text of their own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// An API key was made.
    KeyMade(ApiKeyId),
    /// The rights of an API key were changed.
    KeyChanged(ApiKeyId),
    /// An API key was given a new secret.
    NewSecret(ApiKeyId),
    /// A user was given a role.
    RoleGiven {
        /// The user.
        user: UserId,
        /// The role.
        role: Role,
    },
    /// A user was given a grant of a tool, or another one.
    GrantGiven {
        /// The user.
        user: UserId,
        /// The tool.
        tool: ToolId,
    },
    /// A user's grant of a tool was taken away.
    GrantTaken {
        /// The user.
        user: UserId,
        /// The tool.
        tool: ToolId,
    },
    /// An address was invited to have an account.
    Invited(EmailAddress),
    /// A tool was added.
    ToolAdded(ToolId),
    /// A tool's address, pages, callers, scopes or access were changed.
    ToolChanged(ToolId),
}

/// An act, when and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The act.
    pub act: Act,
    /// When.
    pub at: UnixTime,
    /// From which address.
    pub address: Option<IpAddr>,
}

impl Act {
    fn written(&self) -> (&'static str, String) {
        match self {
            Act::KeyMade(key) => ("key_made", key.to_string()),
            Act::KeyChanged(key) => ("key_changed", key.to_string()),
            Act::NewSecret(key) => ("new_secret", key.to_string()),
            Act::RoleGiven { user, role: Role::Admin } => ("made_admin", user.to_string()),
            Act::RoleGiven { user, role: Role::Member } => ("made_member", user.to_string()),
            Act::GrantGiven { user, tool } => ("grant_given", format!("{user} {tool}")),
            Act::GrantTaken { user, tool } => ("grant_taken", format!("{user} {tool}")),
            Act::Invited(email) => ("invited", email.to_string()),
            Act::ToolAdded(tool) => ("tool_added", tool.to_string()),
            Act::ToolChanged(tool) => ("tool_changed", tool.to_string()),
        }
    }

    fn read(word: &str, about: &str) -> Option<Self> {
        let key = || ApiKeyId::parse(about).ok();
        let role = |role| Some(Act::RoleGiven { user: UserId::parse(about).ok()?, role });
        let grant = || {
            let (user, tool) = about.split_once(' ')?;
            Some((UserId::parse(user).ok()?, ToolId::parse(tool).ok()?))
        };
        match word {
            "grant_given" => grant().map(|(user, tool)| Act::GrantGiven { user, tool }),
            "grant_taken" => grant().map(|(user, tool)| Act::GrantTaken { user, tool }),
            "key_made" => key().map(Act::KeyMade),
            "key_changed" => key().map(Act::KeyChanged),
            "new_secret" => key().map(Act::NewSecret),
            "made_admin" => role(Role::Admin),
            "made_member" => role(Role::Member),
            "invited" => EmailAddress::parse(about).ok().map(Act::Invited),
            "tool_added" => ToolId::parse(about).ok().map(Act::ToolAdded),
            "tool_changed" => ToolId::parse(about).ok().map(Act::ToolChanged),
            _ => None,
        }
    }

    /// The subject of its mail, and a sentence about it.
    pub fn told(&self) -> (&'static str, String) {
        match self {
            Act::KeyMade(key) => ("An API key was made", format!("the API key\n{key}\nwas made.")),
            Act::KeyChanged(key) => ("An API key was changed", format!("what the API key\n{key}\nmay do was changed.")),
            Act::NewSecret(key) => {
                ("An API key was given a new secret", format!("the API key\n{key}\nwas given a new secret."))
            }
            Act::RoleGiven { user, role: Role::Admin } => {
                ("A user was made an admin", format!("the user\n{user}\nwas made an admin."))
            }
            Act::RoleGiven { user, role: Role::Member } => (
                "An admin was made a member",
                format!("the user\n{user}\nwas made a member, and is no admin any more."),
            ),
            Act::GrantGiven { user, tool } => {
                ("A user was granted a tool", format!("the user\n{user}\nwas granted the tool\n{tool}"))
            }
            Act::GrantTaken { user, tool } => (
                "A grant of a tool was taken away",
                format!("the user\n{user}\nhas no grant any more of the tool\n{tool}"),
            ),
            Act::Invited(email) => ("An address was invited", format!("the address\n{email}\nwas invited.")),
            Act::ToolAdded(tool) => ("A tool was added", format!("the tool\n{tool}\nwas added.")),
            Act::ToolChanged(tool) => {
                ("A tool was changed", format!("what the tool\n{tool}\nis, and who may have it, was changed."))
            }
        }
    }
}

impl Notice {
    /// As it is sealed in a job: texts without line ends, a line each.
    pub(super) fn to_text(&self) -> String {
        let (word, about) = self.act.written();
        let address = self.address.map(|address| address.to_string()).unwrap_or_default();
        format!("{word}\n{about}\n{}\n{address}", self.at.0)
    }

    /// As it was sealed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let act = Act::read(lines.next()?, lines.next()?)?;
        let at = UnixTime(lines.next()?.parse().ok()?);
        let address = match lines.next()? {
            "" => None,
            address => Some(address.parse().ok()?),
        };
        lines.next().is_none().then_some(Self { act, at, address })
    }
}
