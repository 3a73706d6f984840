//! What every route needs, and no route: state, callers, bodies, refusals, layers and the document's parts.
//!
//! In reading order: [`route`] (a handler's arguments say what the route demands), [`caller`] (who is calling), [`body`] and its
//! neighbours (what a caller sends), [`problem`] (how a caller is refused), [`layers`] (around every route), [`openapi`].

pub mod access;
pub mod app;
pub mod argument;
pub mod route;

pub mod action;
pub mod authenticate;
pub mod caller;
pub mod challenge;
pub mod client;
pub mod credentials;

pub mod body;
pub mod once;
pub mod patched;
pub mod path;
pub mod query;
pub mod step_up;

pub mod layers;
pub mod openapi;
pub mod problem;
