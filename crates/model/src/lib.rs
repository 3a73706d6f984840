//! What the issuer knows, as types: users, API keys, tools, grants, tickets, sessions, events. A type that is stored knows its own form, its
//! seal and whether that holds. No statement of SQL, no HTTP and no use case stands in here.
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

pub mod clock;
pub mod network;
pub mod rng;
pub mod utc;

pub mod roots;
pub mod row_seal;

pub mod page_origin;
pub mod role;
pub mod scope;
pub mod stored_origin;
pub mod user;

pub mod api_key;
pub mod keys;
pub mod session;
pub mod ticket;
pub mod tool;
pub mod tool_grant;
pub mod tool_policy;

pub mod account;
pub mod mail;
pub mod openid;

pub mod audit;
pub mod grant_upgrade;
pub mod idempotency;
pub mod issuer_code;
pub mod issuer_key;
pub mod issuer_path;
pub mod link;
pub mod problem_code;
