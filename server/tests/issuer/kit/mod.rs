//! Actors, clients, servers and databases of the tests.

pub(crate) mod actors;
pub(crate) mod database;
pub(crate) mod documented;
pub(crate) mod http_client;
pub(crate) mod key_owner;
pub(crate) mod linked;
pub(crate) mod log;
pub(crate) mod mail_server;
pub(crate) mod operator;
pub(crate) mod person;
pub(crate) mod stalled;
pub(crate) mod world;

pub(crate) use bmap_test_kit::postgres;
