//! The rows before and after the upgrade of a database from before there were grants.

use crate::api_key::SealedApiKey;
use crate::audit::Event;
use crate::audit::chain::Row;
use crate::tool::Tool;
use crate::tool_grant::ToolGrant;
use crate::user::User;

/// The rows before the upgrade.
#[derive(Debug, Default)]
pub struct Former {
    /// Every tool.
    pub tools: Vec<Tool>,
    /// Every API key.
    pub keys: Vec<SealedApiKey>,
    /// The active users whose rows say that they are admins.
    pub admins: Vec<User>,
    /// Entries of the audit log that say which key the issuer made by itself, or that there was an upgrade: each with the MAC of the entry
    /// before it.
    pub entries: Vec<(Row, Option<String>)>,
}

/// The rows that the upgrade writes.
#[derive(Debug, Default)]
pub struct Upgrade {
    /// Tools, sealed anew, each with the MAC of its former seal.
    pub tools: Vec<(Tool, String)>,
    /// Grants.
    pub grants: Vec<ToolGrant>,
    /// The key of the first start, as it was and as it is to be.
    pub first_key: Option<(SealedApiKey, SealedApiKey)>,
    /// Entries of the audit log.
    pub events: Vec<Event>,
    /// Notes for the operator, a line each.
    pub notes: Vec<String>,
}
