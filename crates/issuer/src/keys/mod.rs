//! API keys as people manage them: make, look at, change, give a new secret, revoke.
//!
//! Modules in reading order: [`form`] (the fields of a key and their faults), [`manager`] (which users' keys a caller may
//! manage), [`service`] (every change), [`last_use`] (a key's last use).

pub mod form;
pub mod last_use;
pub mod manager;
pub mod service;
