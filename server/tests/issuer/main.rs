//! The issuer from outside: a server in this process, on a port of its own, with a data folder of its own for each test.
//! Everything runs on SQLite, and on PostgreSQL with `TEST_DATABASE=postgresql`.
//!
//! Modules mirror the routes and layers that they test; `R…` and `T…` in a test's name is a row of the threat list.

mod actors;
mod database;
mod documented;
mod http_client;
mod key_owner;
mod log;
mod mail_server;
mod operator;
mod person;
mod postgres;
mod stalled;
mod world;
mod wrong_root;

mod audit;
mod audit_chain;
mod audit_writer;
mod clean_up;
mod cli;
mod cli_grants;
mod cors;
mod docs;
mod doctor;
mod dump;
mod edited_accounts;
mod edited_sessions;
mod first_start;
mod forgotten_passwords;
mod former_origins;
mod grant_upgrade;
mod listener;
mod mail;
mod malformed;
mod metrics;
mod migrate;
mod no_installation;
mod openapi;
mod openid;
mod overload;
mod problems;
mod query_plans;
mod rate_limit;
mod reseal;
mod root_rotation;
mod router;
mod routes;
mod sealed_rows;
mod secrets;
mod store;
mod store_accounts;
mod store_audit;
mod store_mail;
mod timing;
mod used_nonces;
mod who_may;
mod who_may_have_what;
