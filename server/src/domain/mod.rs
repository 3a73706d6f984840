//! The issuer's knowledge and decisions: accounts, API keys, tools, tickets, sessions, tokens. No HTTP and no SQL in
//! here.

pub mod api_key;
pub mod page_origin;
pub mod role;
pub mod scope;
pub mod session;
pub mod stored_origin;
pub mod ticket;
pub mod tool;
pub mod tool_grant;
pub mod tools;
pub mod user;

pub mod issuer;
pub mod issuer_key;
pub mod mint;
pub mod self_test;

pub mod authenticate;
mod entitled;
mod field_hint;
pub mod grant;
pub mod grant_for_user;
pub mod signed;
pub mod users;

pub mod account;
pub mod idempotency;
pub mod keys;
pub mod limits;
pub mod openid;
pub mod request_limits;

pub mod audit;
pub mod clean_up;
pub mod grant_upgrade;

pub mod issuer_code;
pub mod problem_code;
pub mod refusal;
mod refusal_hint;
#[cfg(test)]
mod refusal_tests;
pub mod reseal;
pub mod root_check;
pub mod roots;
pub mod row_seal;
