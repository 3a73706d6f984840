//! The layers around the routes. [`middleware`] puts them around, and says in which order.

pub mod at_once;
pub mod beneath;
pub mod bodies;
pub mod cors;
pub mod host;
pub mod middleware;
pub mod rate_limit;

mod trace_id;
pub mod unbelieved;
pub mod wait;
