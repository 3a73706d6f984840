//! The issuer from outside: a server in this process, on a port of its own, with a data folder of its own for each test.
//! Everything runs on SQLite, and on PostgreSQL with `TEST_DATABASE=postgresql`.
//!
//! Modules mirror the routes and layers that they test; `R…` and `T…` in a test's name is a row of the threat list.

mod kit;
use kit::{
    actors, database, documented, http_client, key_owner, linked, log, mail_server, operator, person, postgres,
    stalled, world,
};

mod audit;
mod cli;
mod cors;
mod docs;
mod listener;
mod mail;
mod malformed;
mod metrics;
mod openapi;
mod openid;
mod overload;
mod problems;
mod rate_limit;
mod router;
mod routes;
mod rows;
mod secrets;
mod storage;
mod timing;
mod who_may;
mod who_may_have_what;
