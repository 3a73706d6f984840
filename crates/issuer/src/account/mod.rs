//! Accounts: an email address with a password, and the sessions of the users who sign in with them.
//!
//! Modules in reading order: [`pool`] (where hashing happens), [`limits`] (how often), [`known_network`], [`access`] (the JWT), [`service`]
//! (every decision about sessions), [`renewal`] (with a refresh token), [`registration`], [`reset`] and [`change`] (those that send mail),
//! [`invitation`], [`step_up`] (what outlives a session), [`key_review`] (keys to look through), [`forget`] (passwords of a root that goes),
//! [`first_password`], [`notice`] (notices of changes), [`own`] (a user's own sessions and account).

pub mod pool;

pub mod known_network;
pub mod limits;

pub mod access;

pub mod renewal;
pub mod service;
pub mod step_up;

pub mod change;
pub mod first_password;
pub mod forget;
pub mod invitation;
pub mod key_review;
pub mod notice;
pub mod own;
pub mod registration;
pub mod registration_mode;
pub mod reset;
