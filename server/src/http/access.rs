//! Who may call a route.

use http::Method;
use std::collections::HashMap;
use std::sync::Arc;

/// Who may call a route. It follows from the first argument of the route's handler ([`Authenticates`](super::caller::Authenticates)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Any caller: it tells nothing that is not public and changes nothing.
    Open,
    /// Only with an API key or a signature, which is asked for before anything else.
    Credential,
    /// Only with a user's access token, asked for in the same way.
    User,
    /// Only as an admin: with an admin's access token, or with an API key of an admin that administers, in any of its ways. It is asked for in
    /// the same way.
    Admin,
    /// Only a verifier of a tool, by a signature under its link key.
    Verifier,
    /// Any caller may send it, and its own fields decide: a password, a refresh token, a link's token. None of these answers
    /// whether an address has an account.
    OwnProof,
}

/// Who may call which route, for a layer that sees requests before their route does.
#[derive(Clone)]
pub struct AccessOfRoutes(Arc<HashMap<(&'static str, &'static str), Access>>);

impl AccessOfRoutes {
    /// Of routes by path and method.
    pub fn new(routes: impl IntoIterator<Item = ((&'static str, &'static str), Access)>) -> Self {
        Self(Arc::new(routes.into_iter().collect()))
    }

    /// Who may call it. A path without a route is open: its answer tells no more than that.
    pub fn of(&self, path: &str, method: &Method) -> Access {
        let listed = if method == Method::HEAD { "GET" } else { method.as_str() };
        self.0.get(&(path, listed)).copied().unwrap_or(Access::Open)
    }
}
