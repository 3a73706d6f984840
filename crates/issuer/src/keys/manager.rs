//! Which users' keys a caller may manage.

use bmap_model::audit::Source;
use bmap_protocol::ids::UserId;

/// A caller who manages keys.
#[derive(Clone, Debug)]
pub struct Manager {
    /// As what.
    pub right: Right,
    /// The request or command, for the audit log.
    pub source: Source,
}

/// The right of a manager.
#[derive(Clone, Debug)]
pub enum Right {
    /// A signed-in user: their own keys.
    Owner(UserId),
    /// An admin: every key, but no secret of another user's.
    Admin(UserId),
    /// A person with the data folder: every key.
    Operator,
}

impl Manager {
    /// Whether a key of that user is theirs to manage. Any other key is answered like an unknown one.
    pub fn may_manage(&self, owner: &UserId) -> bool {
        match &self.right {
            Right::Owner(user) => user == owner,
            Right::Admin(_) | Right::Operator => true,
        }
    }

    /// Whether they see which tools there are.
    pub const fn sees_every_tool(&self) -> bool {
        matches!(self.right, Right::Admin(_) | Right::Operator)
    }

    /// Whether they may be given the secret of a key of that user: its owner may, and the operator, who has the root secret anyway (O07).
    pub fn may_have_secret(&self, owner: &UserId) -> bool {
        match &self.right {
            Right::Owner(user) | Right::Admin(user) => user == owner,
            Right::Operator => true,
        }
    }

    /// Whether they may make a key for every tool, also for those to come.
    pub const fn may_allow_every_tool(&self) -> bool {
        matches!(self.right, Right::Admin(_) | Right::Operator)
    }
}
