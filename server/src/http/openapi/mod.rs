//! The OpenAPI document: [`doc`] is what a route says of itself, [`document`] puts it together.

pub mod doc;
pub mod document;
pub mod grammar;
mod problems;
mod security;
