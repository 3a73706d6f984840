//! Storage: small traits, and one implementation of them on SQLite or PostgreSQL. All SQL is in this folder.
//!
//! "Not found" is `None`, never an error. A row that can't be read back into its types is an error and not a default.

mod accounts;
mod append_only;
mod audit_filter;
mod batch_loader;
mod bounded;
mod connect;
mod epochs;
mod invitations;
mod known_networks;
mod mail;
mod managed_keys;
mod openid;
mod primary;
mod reach;
mod sql_account_links;
mod sql_accounts;
mod sql_api_keys;
mod sql_audit;
mod sql_epochs;
mod sql_grants_upgrade;
mod sql_health;
mod sql_idempotent_answers;
mod sql_invitations;
mod sql_issuer_keys;
mod sql_known_networks;
mod sql_managed_keys;
mod sql_many;
mod sql_nonces;
mod sql_openid;
mod sql_outbox;
mod sql_portions;
mod sql_row;
mod sql_sessions;
mod sql_settings;
mod sql_step_ups;
mod sql_tickets;
mod sql_tool_grants;
mod sql_tools;
mod sql_user_sessions;
mod sql_users;
mod step_ups;
mod tool_grants;

pub mod address;
pub mod data_dir;
pub mod installation_file;
pub mod root_file;
pub mod schema;

pub use accounts::{Accounts, NewPassword, UserSessions};
pub use connect::Database;
pub use epochs::{EpochUse, Epochs, Reseal, SealedRow};
pub use invitations::{Invitations, InvitedAccount};
pub use known_networks::{IgnoredProxies, IgnoredProxy, KnownNetworks};
pub use mail::{AccountLinks, ClaimedMail, Outbox};
pub use managed_keys::{Created, IdempotentAnswers, ManagedKeys};
pub use openid::{Openid, Unlinked};
pub use sql_idempotent_answers::ANSWER;
pub use step_ups::{GivenSecrets, StepUps};
pub use tool_grants::{Given, GrantsUpgrade, ToolGrants, Widen};

use crate::clock::UnixMillis;
use crate::domain::account::email::EmailAddress;
use crate::domain::account::step_up::SteppedUp;
use crate::domain::api_key::{KeyScope, SealedApiKey};
use crate::domain::audit::chain::{Head, Row};
use crate::domain::audit::kept::KeptKey;
use crate::domain::audit::query::Filter;
use crate::domain::audit::{Action, Event, Source};
use crate::domain::issuer_key::SealedIssuerKey;
use crate::domain::keys::OwnedKey;
use crate::domain::role::{Role, UnverifiedRole};
use crate::domain::session::{Session, SessionId};
use crate::domain::ticket::{RecordedTicket, Ticket, TicketHash};
use crate::domain::tool::Tool;
use crate::domain::user::{User, UserName};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::origin::Origin;
use std::future::Future;

/// Why storage did not answer.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A name or id is taken.
    #[error("there is already a {what} of that name")]
    Taken {
        /// The kind of thing.
        what: &'static str,
    },
    /// A row can't be read back into its types.
    #[error("a row of {table} has a bad value in column {column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A change can't be recorded: the database was opened without the keys of its audit log.
    #[error("the database was opened without the keys of its audit log, so nothing that is recorded can be changed")]
    NotRecording,
    /// The database can't be reached or did not do as told.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The file can't be opened as a database.
    #[error("database {}: {cause}", file.display())]
    File {
        /// The file.
        file: std::path::PathBuf,
        /// Why.
        cause: sqlx::Error,
    },
    /// The way to the database is not safe, so nothing was sent on it.
    #[error("no safe connection to the database: {0}")]
    Unsafe(String),
    /// No database server listens where it should be.
    #[error("no PostgreSQL server listens at the host and port of database_url: the connection was refused")]
    Refused,
    /// The error of a statement that several callers waited for.
    #[error(transparent)]
    Shared(std::sync::Arc<StoreError>),
    /// The schema could not be brought up to date.
    #[error("migrations: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A newer program has been at this database.
    #[error(
        "the database has migration {found}, and this program knows {known} at most: a newer bmap has been at it, so use that one"
    )]
    Newer {
        /// Its last migration.
        found: i64,
        /// The last one that is known here.
        known: i64,
    },
    /// The database was made by other migrations than this program's.
    #[error(
        "migration {version} of the database is not this program's migration {version}: it was made by another build"
    )]
    Altered {
        /// Which one.
        version: i64,
    },
    /// The schema is behind, and only `bmap migrate` may bring it up.
    #[error(
        "the schema of the database is behind by {pending} migrations, and migrate_at_start is false: run `bmap migrate`"
    )]
    Behind {
        /// How many are missing.
        pending: usize,
    },
    /// A step-up was used, or its session has ended, before the act that it was shown for.
    #[error("the step-up was used, or its session has ended")]
    StepUp,
    /// The database could not be written when it was last tried, a moment ago.
    #[error("the database could not be written a moment ago")]
    Unwritable,
}

/// Result of storage.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Writes of many callers at once, with their entries of the audit log.
#[derive(Debug, Default)]
pub struct Batch {
    /// Tickets, each with its own entry in the audit log and the answer to its request.
    pub tickets: Vec<RecordedTicket>,
    /// Sessions that begin.
    pub sessions: Vec<Session>,
    /// Entries, behind those of the tickets.
    pub events: Vec<Event>,
}

impl Batch {
    /// Whether there is nothing to be written.
    pub fn is_empty(&self) -> bool {
        self.tickets.is_empty() && self.sessions.is_empty() && self.events.is_empty()
    }
}

/// The audit log. Everything else in this module that takes an [`Event`] appends it in the transaction of its change: both are
/// done, or neither.
pub trait AuditLog {
    /// Appends events, in this order and in one transaction.
    fn append(&self, events: &[Event]) -> impl Future<Output = Result<()>> + Send;
    /// Writes a batch: one transaction. For each ticket, whether it is there: where an answer to its request is kept already,
    /// nothing of it is.
    fn write(&self, batch: &Batch) -> impl Future<Output = Result<Vec<bool>>> + Send;
    /// The log's own record of its last entry; `None` where that can't be read.
    fn audit_head(&self) -> impl Future<Output = Result<Option<Head>>> + Send;
    /// Entries in their order, from the one after `after`; `None` for one that can't be read.
    fn audit_rows(&self, after: i64, limit: u32) -> impl Future<Output = Result<Vec<Option<Row>>>> + Send;
    /// Rows that are there, but for those after `to`.
    fn audit_count(&self, to: i64) -> impl Future<Output = Result<i64>> + Send;
    /// The number of the newest entry; 0 in an empty log.
    fn newest_audit_row(&self) -> impl Future<Output = Result<i64>> + Send;
    /// Entries from `floor` to before `before` that the filter lets through, newest first.
    fn audit_rows_before(
        &self,
        filter: &Filter,
        before: i64,
        floor: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Row>>> + Send;
    /// The sequence of that one of a user's own entries with `entries - 1` others between it and `before`; `None` where there are
    /// fewer.
    fn audit_floor_of(
        &self,
        user: &UserId,
        before: i64,
        entries: i64,
    ) -> impl Future<Output = Result<Option<i64>>> + Send;
    /// The chain's keys of older epochs, as they were kept.
    fn audit_keys(&self) -> impl Future<Output = Result<Vec<KeptKey>>> + Send;
    /// Keeps the chain's key of an older epoch, in the place of the one that was kept before.
    fn keep_audit_key(&self, kept: &KeptKey) -> impl Future<Output = Result<()>> + Send;
}

/// Users.
pub trait Users {
    /// Adds one; [`StoreError::Taken`] if the name is taken.
    fn add_user(&self, user: &User, event: &Event) -> impl Future<Output = Result<()>> + Send;
    /// Adds one with an API key: both are there, each with its entry, or neither.
    fn add_user_with_key(
        &self,
        user: &User,
        key: &SealedApiKey,
        scope: &KeyScope,
        events: [&Event; 2],
    ) -> impl Future<Output = Result<()>> + Send;
    /// The user with that id.
    fn user(&self, id: &UserId) -> impl Future<Output = Result<Option<User>>> + Send;
    /// The user with that name.
    fn user_by_name(&self, name: &UserName) -> impl Future<Output = Result<Option<User>>> + Send;
    /// All, oldest first.
    fn users(&self) -> impl Future<Output = Result<Vec<User>>> + Send;
    /// Up to `limit` users with their addresses, oldest first, beginning after that one.
    fn users_after(
        &self,
        after: Option<&UserId>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(User, Option<EmailAddress>)>>> + Send;
    /// Changes a user, whole or not at all. `keep` is shown the active users whose rows say that they are admins, before the change and
    /// after it, and says whether it holds; of several changes at once each is shown the state that the one before left.
    fn change_user(
        &self,
        id: &UserId,
        change: &UserChange,
        keep: &(dyn Fn(&[User], &[User]) -> bool + Sync),
        stepped_up: Option<&SteppedUp>,
        event: &Event,
    ) -> impl Future<Output = Result<UserChanged>> + Send;
    /// Deactivates at a time, which ends the user's sessions for good, or activates with `None`; whether there is such a user.
    fn set_deactivated(
        &self,
        id: &UserId,
        at: Option<UnixMillis>,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
}

/// A change of a user.
#[derive(Clone, Debug)]
pub enum UserChange {
    /// Deactivated, at a time; its sessions end for good.
    Deactivate(UnixMillis),
    /// Active again.
    Activate,
    /// Of another role.
    Role(UnverifiedRole),
}

impl UserChange {
    /// Its event for the audit log.
    pub fn event(&self, user: &UserId, source: &Source, now: UnixMillis) -> Event {
        let done = |action| Event::done(action, source, now).on(user);
        match self {
            UserChange::Deactivate(_) => done(Action::UserDeactivate),
            UserChange::Activate => done(Action::UserActivate),
            UserChange::Role(role) if role.role == Role::Admin.as_str() => {
                done(Action::UserRole).with("role", &Role::Admin)
            }
            UserChange::Role(_) => done(Action::UserRole).with("role", &Role::Member),
        }
    }
}

/// The outcome of a change of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserChanged {
    /// It is as asked for.
    Done,
    /// There is no such user.
    NoSuchUser,
    /// It was not to be: nothing changed.
    Refused,
}

/// API keys.
pub trait ApiKeys {
    /// Adds one; `scope` says which origins it registers.
    fn add_api_key(
        &self,
        key: &SealedApiKey,
        scope: &KeyScope,
        event: &Event,
    ) -> impl Future<Output = Result<()>> + Send;
    /// The row with that id.
    fn api_key(&self, id: &ApiKeyId) -> impl Future<Output = Result<Option<SealedApiKey>>> + Send;
    /// The key with that id; where there is none, another one, so that reading costs the same (R31). `None` without any row.
    fn api_key_or_another(&self, id: &ApiKeyId) -> impl Future<Output = Result<Option<OwnedKey>>> + Send;
    /// All rows, oldest first.
    fn api_keys(&self) -> impl Future<Output = Result<Vec<SealedApiKey>>> + Send;
    /// Revokes; whether there is such a key. A second time changes nothing.
    fn revoke_api_key(&self, id: &ApiKeyId, at: UnixMillis, event: &Event)
    -> impl Future<Output = Result<bool>> + Send;
    /// Whether a key that has not ended registered this origin. A key that was revoked, or whose user was deactivated, still counts:
    /// this decides who may read an answer, and a page must be able to read that answer's `key_revoked` or `user_inactive`.
    fn is_registered_origin(&self, origin: &Origin, now: UnixMillis) -> impl Future<Output = Result<bool>> + Send;
}

/// Tools.
pub trait Tools {
    /// Adds one; [`StoreError::Taken`] if the id is taken.
    fn add_tool(&self, tool: &Tool, event: &Event) -> impl Future<Output = Result<()>> + Send;
    /// The tool with that id.
    fn tool(&self, id: &ToolId) -> impl Future<Output = Result<Option<Tool>>> + Send;
    /// All, by id.
    fn tools(&self) -> impl Future<Output = Result<Vec<Tool>>> + Send;
    /// Gives a tool the seal of one that is otherwise the same; `false`, and nothing changes, where its row is another by now.
    fn confirm_tool(&self, tool: &Tool, event: &Event) -> impl Future<Output = Result<bool>> + Send;
    /// Puts a tool in the place of the row that was read; `false`, and nothing changes, where its row is another by
    /// now.
    fn change_tool(&self, before: &Tool, after: &Tool, event: &Event) -> impl Future<Output = Result<bool>> + Send;
    /// Removes, with its grants; whether there was one.
    fn remove_tool(&self, id: &ToolId, event: &Event) -> impl Future<Output = Result<bool>> + Send;
}

/// Tickets.
pub trait Tickets {
    /// How many of a key live at that time.
    fn live_tickets(&self, key: &ApiKeyId, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
    /// Takes it out: of any number of callers at once exactly one gets it.
    fn take_ticket(&self, hash: &TicketHash) -> impl Future<Output = Result<Option<Ticket>>> + Send;
    /// Deletes rows that have ended; how many.
    fn delete_ended_tickets(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}

/// Nonces of signed requests. Using one is [`bmap_verifier::ReplayStore::record`], which the database implements.
pub trait Nonces {
    /// Deletes those of requests that are over by the database's own clock; how many.
    fn delete_ended_nonces(&self) -> impl Future<Output = Result<u64>> + Send;
}

/// Sessions.
pub trait Sessions {
    /// The session with that id.
    fn session(&self, id: &SessionId) -> impl Future<Output = Result<Option<Session>>> + Send;
    /// The sessions that live, newest first: of one user or of all.
    fn live_sessions(
        &self,
        user: Option<&UserId>,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Vec<Session>>> + Send;
    /// Revokes; whether there is such a session. A second time changes nothing.
    fn revoke_session(
        &self,
        id: &SessionId,
        at: UnixMillis,
        event: &Event,
    ) -> impl Future<Output = Result<bool>> + Send;
    /// Deletes rows that have ended; how many.
    fn delete_ended_sessions(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}

/// The issuer's own keys.
pub trait IssuerKeys {
    /// Adds one.
    fn add_issuer_key(&self, key: &SealedIssuerKey) -> impl Future<Output = Result<()>> + Send;
    /// Those that are not retired, newest first.
    fn issuer_keys(&self) -> impl Future<Output = Result<Vec<SealedIssuerKey>>> + Send;
}

/// A database's report on itself.
pub trait Health {
    /// The damage, in the database's own words; empty where there is none.
    fn damage(&self) -> impl Future<Output = Result<Vec<String>>> + Send;
    /// The newest time in it: no clock of this installation was ever before it.
    fn newest_time(&self) -> impl Future<Output = Result<Option<UnixMillis>>> + Send;
}

/// Facts about this installation.
pub trait Settings {
    /// The value of a setting.
    fn setting(&self, name: &str) -> impl Future<Output = Result<Option<String>>> + Send;
    /// Sets it.
    fn set_setting(&self, name: &str, value: &str) -> impl Future<Output = Result<()>> + Send;
    /// Sets it where it is not set; its value then, which another process may have been first to set.
    fn setting_or(&self, name: &str, value: &str) -> impl Future<Output = Result<String>> + Send;
    /// Whether the database answers and takes writes. It is tried at most once a second, however many ask.
    fn ping(&self) -> impl Future<Output = Result<()>> + Send;
}
