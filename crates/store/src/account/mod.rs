//! Rows of users and their accounts: sessions, links, mail that waits, known networks, step-ups.

pub(crate) mod accounts;
pub(crate) mod invitations;
pub(crate) mod known_networks;
pub(crate) mod links;
pub(crate) mod outbox;
pub(crate) mod step_ups;
mod tries;
pub(crate) mod user_sessions;
pub(crate) mod users;
