//! Storage in SQLite or PostgreSQL: [`Database`]. All SQL is in this folder.
//!
//! "Not found" is `None`, never an error. A row that can't be read back into its types is an error and not a default. A function that takes an
//! [`Event`](bmap_model::audit::Event) appends it to the audit log in the transaction of its change: both are done, or neither.
//!
//! Modules in reading order: [`address`], [`data_dir`], [`installation_file`] and [`root_file`] (where things are), [`schema`], `connect`
//! (opening), `bounded` (deadlines), `batch_loader` (look-ups of many requests in one statement), then a file for each kind of rows; [`copy`]
//! moves all of them to another database.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod error;

pub mod address;
pub mod copy;
pub mod data_dir;
pub mod installation_file;
pub mod root_file;

mod append_only;
mod primary;
mod reach;
pub mod schema;

mod batch_loader;
mod bounded;
mod connect;
mod database;
mod many;
mod portions;
mod row;

mod account;
mod audit;
mod epochs;
mod health;
mod keys;
mod link;
mod nonces;
mod openid_identities;
mod sealed_row;
mod settings;
mod tools;

pub use account::accounts::NewPassword;
pub use account::invitations::InvitedAccount;
pub use account::known_networks::IgnoredProxy;
pub use account::outbox::ClaimedMail;
pub use account::users::{UserChange, UserChanged};
pub use audit::log::Batch;
pub use database::Database;
pub use error::{Result, StoreError};
pub use keys::idempotent_answers::ANSWER;
pub use keys::managed_keys::Created;
pub use keys::sessions::TokenRevocation;
pub use link::waker::LinkWaker;
pub use link::{LinkNode, PAGE as LINK_PAGE};
pub use openid_identities::Unlinked;
pub use sealed_row::{EpochUse, Reseal, SealedRow};
pub use tools::grants::{Given, KeyNotAdded, Widen};
