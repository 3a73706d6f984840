//! Signing in with OpenID providers: a real one (npm `oidc-provider`, in a process of its own) and a fake one that misbehaves.

mod browser;
mod fake;
mod real;

mod attacks;
mod audited;
mod callbacks;
mod confirmed;
mod documented;
mod edited;
mod id_tokens;
mod linking;
mod pages;
mod provider_faults;
mod sign_in;
mod step_up;
mod store;
mod tls;

pub(crate) use store::every_statement;

use crate::http_client::{Answer, Call};
use crate::world::{PAGE, World};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_issuer::openid::provider::{ALGORITHMS, ClientSecret, Provider, ProviderIssuer};
use bmap_model::openid::provider_name::ProviderName;
use bmap_protocol::origin::Origin;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Where the page wants its visitors back.
const RETURN_TO: &str = "https://shop.example/signed-in?next=1";
/// The page's PKCE pair, RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A provider as the configuration would name it.
fn provider(name: &str, issuer: &str) -> Provider {
    Provider {
        name: ProviderName::parse(name).unwrap(),
        label: name.to_uppercase(),
        issuer: ProviderIssuer::parse(issuer).unwrap(),
        client_id: format!("bmap-at-{name}"),
        client_secret: Some(ClientSecret::new(secret(name).into())),
        scopes: vec!["openid".to_owned(), "email".to_owned()],
        algorithms: ALGORITHMS.map(|(_, algorithm)| algorithm).to_vec(),
        sign_up: true,
        authorities: None,
    }
}

/// Our secret there; with characters that have to be encoded in `Authorization` (RFC 6749 §2.3.1).
fn secret(name: &str) -> String {
    format!("{name}: 50%+ {}", "s".repeat(32))
}

async fn world_with(providers: Vec<Provider>) -> World {
    World::with_openid(Vec::new(), providers, vec![Origin::parse(PAGE).unwrap()]).await
}

fn challenge_of(verifier: &str) -> String {
    Base64UrlUnpadded::encode_string(&Sha256::digest(verifier.as_bytes()))
}

/// The address that a page sends the browser to.
fn start(provider: &str, fields: &[(&str, &str)]) -> Call {
    let query = serde_urlencoded::to_string(fields).unwrap();
    Call::new("GET", &format!("/auth/openid/{provider}?{query}"))
}

fn sign_in_fields() -> Vec<(&'static str, &'static str)> {
    vec![("return_to", RETURN_TO), ("code_challenge", CHALLENGE)]
}

fn swap(code: &str, verifier: &str) -> Call {
    Call::json("/auth/openid/token", &json!({ "code": code, "code_verifier": verifier }))
}

fn link(provider: &str, access: &str, code: &str) -> Call {
    let body = json!({ "code": code, "code_verifier": VERIFIER });
    Call::json(&format!("/auth/openid/{provider}/link"), &body).header("authorization", &format!("Bearer {access}"))
}

fn unlink(provider: &str, access: &str) -> Call {
    Call::new("DELETE", &format!("/auth/openid/{provider}")).header("authorization", &format!("Bearer {access}"))
}

/// Asserts that a browser is back at its page with a code, and gives the code.
#[track_caller]
fn code_in(location: &str) -> String {
    let code = location.strip_prefix(&format!("{RETURN_TO}#code=")).unwrap_or_else(|| panic!("{location}"));
    assert!(code.starts_with("bmi_") && code.len() == 47, "{location}");
    code.to_owned()
}

/// Asserts that a browser is back at its page with a failure.
#[track_caller]
fn assert_failed(answer: &Answer, error: &str) {
    assert_eq!((answer.status, answer.header("location")), (303, Some(format!("{RETURN_TO}#error={error}").as_str())));
}
