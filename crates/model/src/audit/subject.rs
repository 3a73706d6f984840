//! The actor of an act, and its target.

use crate::session::{SessionId, TokenId};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};

/// The actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A caller that proved to be that user.
    User(UserId),
    /// A caller that proved to have that API key.
    ApiKey {
        /// The key.
        key: ApiKeyId,
        /// Its user.
        owner: UserId,
    },
    /// An operator with a shell on the issuer's machine.
    CommandLine,
    /// A caller that proved nothing.
    Anonymous,
    /// The issuer by itself.
    System,
}

/// The target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A user.
    User(UserId),
    /// An API key.
    ApiKey {
        /// The key.
        key: ApiKeyId,
        /// Its user.
        owner: UserId,
    },
    /// A session.
    Session {
        /// The session.
        id: SessionId,
        /// Its user.
        user: UserId,
    },
    /// A tool.
    Tool(ToolId),
    /// A tool token.
    Token {
        /// Its id.
        id: TokenId,
        /// Its user.
        user: UserId,
    },
}

/// An actor or a target as it is recorded: its kind, its id, and the user behind it.
pub type Recorded<'a> = (&'static str, Option<&'a str>, Option<&'a str>);

impl Actor {
    /// Kind, id and user.
    pub fn recorded(&self) -> Recorded<'_> {
        match self {
            Actor::User(user) => ("user", Some(user.as_str()), Some(user.as_str())),
            Actor::ApiKey { key, owner } => ("api_key", Some(key.as_str()), Some(owner.as_str())),
            Actor::CommandLine => ("command_line", None, None),
            Actor::Anonymous => ("anonymous", None, None),
            Actor::System => ("system", None, None),
        }
    }
}

impl Target {
    /// Kind, id and user.
    pub fn recorded(&self) -> Recorded<'_> {
        match self {
            Target::User(user) => ("user", Some(user.as_str()), Some(user.as_str())),
            Target::ApiKey { key, owner } => ("api_key", Some(key.as_str()), Some(owner.as_str())),
            Target::Session { id, user } => ("session", Some(id.as_str()), Some(user.as_str())),
            Target::Tool(tool) => ("tool", Some(tool.as_str()), None),
            Target::Token { id, user } => ("token", Some(id.as_str()), Some(user.as_str())),
        }
    }
}

impl From<&UserId> for Target {
    fn from(user: &UserId) -> Self {
        Target::User(user.clone())
    }
}

impl From<&ToolId> for Target {
    fn from(tool: &ToolId) -> Self {
        Target::Tool(tool.clone())
    }
}
