//! The use cases of the issuer: sign-in, API keys, tools, tickets, tokens, the audit log, mail, and sign-in with OpenID providers. Every
//! decision is here; SQL is in [`store`](crate::store), types are in [`model`](crate::model).

pub mod body_limit;
#[expect(clippy::module_inception, reason = "the issuer at work is the first noun of its room")]
pub mod issuer;
pub mod mint;
pub mod self_test;
pub mod token_signer;

pub mod authenticate;
mod entitled;
mod field_hint;
pub mod grant;
pub mod grant_for_user;
pub mod own_tools;
pub mod signed;
pub mod tools;
pub mod users;

pub mod account;
pub mod keys;
pub mod limits;
pub mod mail;
pub mod metrics;
pub mod openid;
pub mod request_limits;

pub mod audit;
pub mod clean_up;
pub mod grant_upgrade;

pub mod refusal;
pub mod reseal;
pub mod root_check;
