//! Where a request came from, and which caller it was proved to be from.
//!
//! `http/layers/middleware.rs` makes one for each request and hands it on as an extension. Code that proves more about the caller
//! notes it here; so a refusal, which `http/layers/middleware.rs` records for every route alike, has the facts that were known
//! before it.

use super::{Action, Actor, Target};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

/// Where a request or a command came from. Copies are of one request: a note in one is seen in all.
#[derive(Clone, Debug)]
pub struct Source {
    /// The caller's address.
    pub address: Option<IpAddr>,
    /// The request's id, as in the log and in the answer.
    pub request_id: Option<Arc<str>>,
    found: Arc<Found>,
}

/// The notes so far. Each is set once, by the code that asked for the proof.
#[derive(Debug, Default)]
struct Found {
    action: OnceLock<Action>,
    actor: OnceLock<Actor>,
    target: OnceLock<Target>,
}

impl Source {
    /// A request.
    pub fn request(address: Option<IpAddr>, id: &str) -> Self {
        Self { address, request_id: Some(id.into()), found: Arc::default() }
    }

    /// Several requests, in one entry.
    pub fn several() -> Self {
        Self { address: None, request_id: None, found: Arc::default() }
    }

    /// A command of an operator with a shell on the issuer's machine.
    pub fn command_line() -> Self {
        Self::local(Actor::CommandLine)
    }

    /// The issuer by itself.
    pub fn system() -> Self {
        Self::local(Actor::System)
    }

    fn local(actor: Actor) -> Self {
        let source = Self::several();
        source.acts_as(actor);
        source
    }

    /// The caller's address; without one, an address that no list of networks allows.
    pub fn ip(&self) -> IpAddr {
        self.address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
    }

    /// Notes the act that the request asks for: a refusal of it is recorded under that name.
    pub fn does(&self, action: Action) {
        let _ = self.found.action.set(action);
    }

    /// Notes the proved caller.
    pub fn acts_as(&self, actor: Actor) {
        let _ = self.found.actor.set(actor);
    }

    /// Notes the target, proved or not: the account whose password was wrong, the key whose secret was.
    pub fn is_about(&self, target: impl Into<Target>) {
        let _ = self.found.target.set(target.into());
    }

    /// The act that it asks for.
    pub fn action(&self) -> Action {
        self.found.action.get().copied().unwrap_or(Action::Request)
    }

    /// The proved caller.
    pub fn actor(&self) -> Actor {
        self.found.actor.get().cloned().unwrap_or(Actor::Anonymous)
    }

    /// The target.
    pub fn target(&self) -> Option<Target> {
        self.found.target.get().cloned()
    }
}
