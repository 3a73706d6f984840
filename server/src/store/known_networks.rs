//! The traits of remembered networks and proxies that requests come from.

use super::Result;
use crate::clock::UnixMillis;
use crate::domain::account::email::EmailAddress;
use crate::domain::account::known_network::KnownNetwork;
use bmap_protocol::ids::UserId;
use std::future::Future;
use std::net::IpAddr;

/// Networks that people signed in from.
pub trait KnownNetworks {
    /// Those of the account of an address; none where there is no such account.
    fn networks_of_address(
        &self,
        email: &EmailAddress,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Vec<KnownNetwork>>> + Send;
    /// Those of a user.
    fn networks_of_user(
        &self,
        user: &UserId,
        now: UnixMillis,
    ) -> impl Future<Output = Result<Vec<KnownNetwork>>> + Send;
    /// Adds one in the place of its former row, and deletes those that end first where the user has more than `most`.
    fn remember_network(
        &self,
        network: &KnownNetwork,
        former: Option<&KnownNetwork>,
        most: u32,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Deletes those that have ended; how many.
    fn delete_ended_networks(&self, now: UnixMillis) -> impl Future<Output = Result<u64>> + Send;
}

/// A peer that sent an `X-Forwarded-For` and is no trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IgnoredProxy {
    /// Its address.
    pub peer: IpAddr,
    /// When it was last noted.
    pub seen_at: UnixMillis,
}

/// Peers whose `X-Forwarded-For` was not believed.
pub trait IgnoredProxies {
    /// Notes one; of many the latest stay.
    fn note_ignored_proxy(&self, proxy: &IgnoredProxy) -> impl Future<Output = Result<()>> + Send;
    /// All that are noted, latest first.
    fn ignored_proxies(&self) -> impl Future<Output = Result<Vec<IgnoredProxy>>> + Send;
}
