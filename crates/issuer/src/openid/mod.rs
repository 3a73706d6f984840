//! Signing in with an external OpenID provider: the authorization code flow with PKCE (OpenID Connect Core §3.1, RFC 7636,
//! RFC 9700).
//!
//! Two such flows lie in each other. Between a page and us, `code_challenge` and `code_verifier` make the code that comes
//! back in the page's fragment useless to a thief who reads it there. Between us and the provider, a second pair does the
//! same.
//!
//! Modules in reading order: [`provider`] (the configuration), [`discovery`] and [`key_set`] (the provider's documents),
//! [`cached`] (their cache lifetime), [`connection`] (a provider at work), [`id_token`] (its statement about a user),
//! [`fault`] (a provider's faults), [`return_to`] (the page to go to afterwards), [`service`] (every decision), [`confirmed`] (acts that a
//! fresh sign-in allows). The state until the browser is back is [`flow`](bmap_model::openid::flow).

pub mod fault;
pub mod provider;

pub mod cached;
pub mod connection;
pub mod discovery;
pub mod key_set;

pub mod id_token;

pub mod confirmed;
pub mod return_to;
pub mod service;
