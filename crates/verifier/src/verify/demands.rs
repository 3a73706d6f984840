//! What a tool asks of a proven token (profile §5, step 9), and of one whose settings were exchanged meanwhile.

use crate::allowed_ips::ip_allowed;
use crate::allowed_origins::AllowedOrigins;
use crate::policy::Policy;
use crate::settings::SettingsRef;
use crate::verify::verified::Principal;
use bmap_protocol::check::{self, Received};
use bmap_protocol::origin::Origin;
use bmap_protocol::refusal::{Denial, Mismatch, Refusal};
use bmap_protocol::token::Claims;
use std::net::IpAddr;

/// Step 9: tool, origin, assurance and scope of a token, by the policy and by its rules for this request.
pub(super) fn demands(
    principal: &Principal,
    policy: &Policy,
    received: &Received<'_>,
    own: &Origin,
) -> Result<(), Refusal> {
    let Principal::Token(known) = principal else { return Ok(()) };
    let claims = &known.claims;
    if claims.audience != known.tool {
        return Err(Refusal::Denied(Denial::Tool));
    }
    check::origin(claims, received.fields, own)?;
    if let (AllowedOrigins::These(_), Some(origin)) = (&policy.origins, &claims.origin)
        && !policy.origins.allow(origin.as_str())
    {
        return Err(Refusal::Denied(Denial::Origin));
    }
    asked_of(claims, policy, received)
}

/// Assurance and scopes, by the policy and by its rules for this request.
pub(super) fn asked_of(claims: &Claims, policy: &Policy, received: &Received<'_>) -> Result<(), Refusal> {
    let rules = policy.rules.iter().filter(|rule| rule.applies(received.method, received.path));
    if claims.assurance < policy.min_assurance
        || rules.clone().any(|rule| rule.min_assurance.is_some_and(|least| claims.assurance < least))
    {
        return Err(Refusal::Denied(Denial::Assurance));
    }
    let of_rules = rules.flat_map(|rule| rule.scopes.iter().map(String::as_str));
    if !policy.scopes.iter().map(AsRef::as_ref).chain(of_rules).all(|scope| claims.has_scope(scope)) {
        return Err(Refusal::Denied(Denial::Scope));
    }
    Ok(())
}

/// Step 12: the network that a token is bound to, where the caller's address is known.
pub(super) fn from_its_network(claims: &Claims, peer: Option<IpAddr>) -> Result<(), Refusal> {
    match (claims.address, peer) {
        (Some(network), Some(peer)) if !network.admits(peer) => Err(Refusal::Denied(Denial::Ip)),
        _ => Ok(()),
    }
}

/// The address, the authority, the keys of a token and step 9, by settings that came while a body was waited for.
pub(super) fn still_holds(
    principal: &Principal,
    newest: &SettingsRef,
    received: &Received<'_>,
    own: &Origin,
    peer: Option<IpAddr>,
) -> Result<(), Refusal> {
    if !ip_allowed(&newest.policy.allowed_ips, peer) {
        return Err(Refusal::Denied(Denial::Ip));
    }
    if !newest.own.contains(own) {
        return Err(Refusal::InvalidSignature(Mismatch::Authority));
    }
    if let Principal::Token(known) = principal {
        known.holds_by(newest.numbered())?;
    }
    demands(principal, &newest.policy, received, own)
}
