//! Where a request comes from: the client's address, and the source of the audit log.

use bmap_model::audit::{Action, Source};
use http::request::Parts;
use std::net::{IpAddr, Ipv4Addr};

/// The caller's address: the peer's, or what a trusted proxy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// The caller's address, which `layers/middleware.rs` put there; without it, one that no CIDR list allows.
pub fn address(head: &Parts) -> IpAddr {
    head.extensions.get::<ClientAddress>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |address| address.0)
}

/// Where the request comes from, which `layers/middleware.rs` put there: for the audit log, and for notes on the caller. `action` is
/// the route's act.
pub fn source(head: &Parts, action: Action) -> Source {
    let source = head.extensions.get::<Source>().cloned().unwrap_or_else(|| Source::request(None, ""));
    source.does(action);
    source
}
