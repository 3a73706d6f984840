//! The store over real servers, Redis and Valkey, as stories: tools with verifiers of their own, signed requests, and servers that go away, come
//! back, forget, and change places.

mod actors;
mod world;

mod clocks;
mod data;
mod down;
mod failover;
mod fallback;
mod measure;
mod races;
mod settings;
mod slow;
mod tls;
mod whole;
