//! The verifier from outside, as stories: an issuer that mints, a page that signs, a tool that verifies.

mod actors;
mod api_keys;
mod authors;
mod bodies;
mod capabilities;
mod credential;
mod environment;
mod exchange;
mod held;
mod late;
mod layer;
mod meanwhile;
mod nest;
mod properties;
mod rates;
mod replay;
mod sizes;
mod stacks;
mod state;
mod steps;
mod tokens;
mod world;
