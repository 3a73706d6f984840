//! Tool tokens before and after they are granted.
//!
//! Modules in reading order: [`requested_tool`] (which tool a token is asked for), `issued` (a text that comes back: is it a token of this issuer),
//! `standing` (whether what it rests on holds now), [`introspect`] and [`revoke`].

pub mod capability;
pub mod introspect;
mod issued;
pub mod requested_tool;
pub mod revoke;
mod standing;
