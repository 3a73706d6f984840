//! Each case through the sending end and through the verifier itself.

use crate::body::Ready;
use crate::cases::{Case, Keys, unhex, unhex32};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::check::{self, Window};
use bmap_protocol::ids::{ApiKeyId, Issuer, ToolId, UserId};
use bmap_protocol::keys::{MacKey, ToolKey};
use bmap_protocol::origin::Origin;
use bmap_protocol::sign::{self, RequestKey, Stamp};
use bmap_protocol::token::{IssuerKey, UnverifiedToken};
use bmap_protocol::tool_policy::Proof;
use bmap_verifier::{
    ApiKeyGrant, ApiKeyProof, Clock, MemoryReplayStore, NoRevocations, Policy, Refusal, ReplayLimits, ToolKeys,
    UnixTime, Verifier,
};
use http::request::Parts;
use http::{Request, Uri};
use std::fmt::Display;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

pub(crate) fn text(error: impl Display) -> String {
    error.to_string()
}

/// Signs the case anew and compares base and headers byte for byte.
pub(crate) fn sign(keys: &Keys, case: &Case) -> Result<(), String> {
    let id = ApiKeyId::parse(&keys.api_key.key_id).map_err(text)?;
    let secret = ApiSecret::from_bytes(unhex32(&keys.api_key.secret_hex)?);
    let (key, key_id) = match (case.signer.as_str(), &case.signing_key_hex, &case.claims) {
        ("session", Some(key), Some(claims)) => {
            (RequestKey::Hmac(MacKey::from_key_bytes(&unhex32(key)?)), claims.jti.as_str())
        }
        ("api-hmac", ..) => (RequestKey::Hmac(MacKey::new(&secret.signing_key(&id))), id.as_str()),
        ("api-ed25519", ..) => (RequestKey::Ed25519(Box::new(secret.ed25519_seed(&id).signing_key())), id.as_str()),
        (other, ..) => return Err(format!("unknown signer {other}")),
    };
    let header = |name: &str| case.headers.get(name).map(String::as_str);
    let more: Vec<(&str, &str)> = case.extra.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut nonce = [0; 16];
    Base64UrlUnpadded::decode(&case.nonce, &mut nonce).map_err(text)?;
    let request = sign::Request {
        method: &case.method,
        authority: &case.authority,
        path: &case.path,
        query: case.query.strip_prefix('?').filter(|query| !query.is_empty()),
        authorization: header("authorization"),
        content_type: header("content-type"),
        content_encoding: header("content-encoding"),
        content_digest: header("content-digest"),
        more: &more,
    };
    let stamp = Stamp { created: case.created, nonce, key_id };
    let base = String::from_utf8(sign::base(&request, &stamp).map_err(text)?).map_err(text)?;
    if base != case.signature_base {
        return Err(format!("base {base:?}"));
    }
    let signed = sign::sign(&request, &stamp, &key).map_err(text)?;
    match (header("signature-input") == Some(&signed.signature_input), header("signature") == Some(&signed.signature)) {
        (true, true) => Ok(()),
        _ => Err(format!("{signed:?}")),
    }
}

/// Puts the case to a verifier; `code` is what it must refuse with.
pub(crate) fn expect(keys: &Keys, case: &Case, code: Option<&str>) -> Result<(), String> {
    let outcome = decide(keys, case)?;
    let actual = outcome.err().map(|refusal| refusal.code().as_str());
    if actual == code { Ok(()) } else { Err(format!("{actual:?} instead of {code:?}")) }
}

fn decide(keys: &Keys, case: &Case) -> Result<Result<(), Refusal>, String> {
    let verifier = verifier(keys, &case.signer)?;
    let Some((head, body)) = received(case)? else {
        // No HTTP library hands such a target on; the rule itself must refuse it all the same.
        let query = case.query.strip_prefix('?');
        return match check::request_target(&case.path, query) {
            Ok(()) => Err("a target that is no URI passes the target rules".to_owned()),
            refused => Ok(refused),
        };
    };
    let clock = At(UnixTime::from_seconds(case.now));
    now(verifier.verify(&head, body, None, &clock)).map(|outcome| outcome.map(|_| ()))
}

/// A decision that waits for nothing.
pub(crate) fn now<T>(decision: impl Future<Output = T>) -> Result<T, String> {
    match pin!(decision).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Ok(outcome),
        Poll::Pending => Err("nothing here waits, but the decision did".to_owned()),
    }
}

/// The time of a case. Nothing here waits.
pub(crate) struct At(pub(crate) UnixTime);

impl Clock for At {
    fn now(&self) -> UnixTime {
        self.0
    }

    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + Send {
        std::future::pending()
    }
}

pub(crate) fn verifier(keys: &Keys, signer: &str) -> Result<Verifier<KnownKeys>, String> {
    let tool = ToolId::parse(&keys.tool).map_err(text)?;
    let mut public_key = [0; 32];
    Base64UrlUnpadded::decode(&keys.issuer_jwk.x, &mut public_key).map_err(text)?;
    let id = ApiKeyId::parse(&keys.api_key.key_id).map_err(text)?;
    let proof = match signer {
        "api-ed25519" => ApiKeyProof::Ed25519(unhex32(&keys.api_key.ed25519_public_hex)?),
        _ => ApiKeyProof::HmacSha256(MacKey::from_key_bytes(&unhex32(&keys.api_key.signing_key_hex)?)),
    };
    let owner = UserId::parse(&keys.api_key.owner).map_err(text)?;
    let known = KnownKeys {
        tool: ToolKeys::new(tool, vec![(keys.epoch, ToolKey::from_bytes(unhex32(&keys.tool_key_hex)?))]),
        grant: ApiKeyGrant { id, owner, proof, former: None, allowed_ips: Vec::new() },
    };
    let own = ["https://geo.bmap.example", "https://geo.bmap.example:8443"].map(|own| Origin::parse(own).map_err(text));
    // No case of the other files has such a parameter.
    let mut policy = Policy::default();
    policy.proofs = Some(vec![Proof::Capability]);
    let limits = ReplayLimits { entries: 64, per_key: 64 };
    Ok(Verifier::new(
        Issuer::parse(&keys.issuer).map_err(text)?,
        vec![IssuerKey::new(&keys.issuer_jwk.kid, &public_key).map_err(text)?],
        own.into_iter().collect::<Result<_, _>>()?,
        policy,
        known,
        MemoryReplayStore::new(limits, Window::DEFAULT, 0),
        NoRevocations,
    ))
}

/// The request as a server hands it to a verifier; `None` where its target is no URI to the HTTP library.
fn received(case: &Case) -> Result<Option<(Parts, Ready)>, String> {
    let target = if case.query == "?" { case.path.clone() } else { format!("{}{}", case.path, case.query) };
    let Ok(target) = target.parse::<Uri>() else { return Ok(None) };
    let mut request = Request::builder().method(case.method.as_str()).uri(target).header("host", &case.authority);
    for (name, value) in &case.headers {
        request = request.header(name, value);
    }
    // The vectors are about the signature; a browser adds its page's origin by itself.
    if let Some(origin) = case.claims.as_ref().and_then(|claims| claims.origin.as_ref()) {
        request = request.header("origin", origin);
    }
    let (head, body) = request.body(Ready(unhex(&case.body_hex)?.into())).map_err(text)?.into_parts();
    Ok(Some((head, body)))
}

/// A tool's keys, and one API key beside them.
pub(crate) struct KnownKeys {
    tool: ToolKeys,
    grant: ApiKeyGrant,
}

impl bmap_verifier::Keys for KnownKeys {
    fn try_tool_keys(&self, token: &UnverifiedToken<'_>, try_key: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {
        self.tool.try_tool_keys(token, try_key);
    }

    fn each_tool_key(&self, try_key: &mut dyn FnMut(&ToolId, u32, &ToolKey) -> bool) {
        self.tool.each_tool_key(try_key);
    }

    async fn api_key(&self, id: &ApiKeyId) -> Result<Option<ApiKeyGrant>, Refusal> {
        Ok((*id == self.grant.id).then(|| self.grant.clone()))
    }
}
