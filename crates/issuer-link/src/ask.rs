//! Signed requests to the issuer (profile §13).

use crate::lock::locked;
use crate::options::LinkError;
use crate::rng;
use crate::shared::Shared;
use crate::status::LinkFault;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_outbound::{LineBounds, Lines, Outbound};
use bmap_protocol::LINK_TAG;
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::ids::Issuer;
use bmap_protocol::keys::MacKey;
use bmap_protocol::link::{NODE_LEN, key_id};
use bmap_protocol::sign::{self, RequestKey, Stamp};
use bmap_verifier::ToolCredential;
use bmap_verifier::credential::base_origin;
use http::header::{CONTENT_TYPE, HOST, IF_NONE_MATCH};
use http::{HeaderValue, Request, Response, StatusCode};
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const JSON: &str = "application/json";

/// Signs and sends.
pub(crate) struct Asker {
    outbound: Outbound,
    shared: Arc<Shared>,
    scheme: String,
    authority: String,
    /// The path of the issuer's URL.
    base: String,
    node: String,
    /// `keyid` and `K_link` of each epoch of the credential.
    keys: Vec<(String, RequestKey)>,
    /// The one that is used.
    current: AtomicUsize,
}

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    /// Before `node`, with its `&`.
    pub(crate) query: &'a str,
    pub(crate) if_none_match: Option<&'a HeaderValue>,
    pub(crate) body: &'a [u8],
}

/// What a refusal says.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Problem {
    code: String,
    server_time: Option<i64>,
}

impl Asker {
    pub(crate) fn new(credential: &ToolCredential, outbound: Outbound, shared: Arc<Shared>) -> Result<Self, LinkError> {
        let (scheme, authority, base) = place(&credential.issuer)?;
        let node = rng::bytes::<NODE_LEN>().ok_or(LinkError::NoRandomness)?;
        let link_key = |(epoch, key): &(u32, bmap_protocol::keys::ToolKey)| {
            let key = MacKey::from_key_bytes(key.link_key().expose());
            (key_id(&credential.tool, *epoch), RequestKey::Hmac(key))
        };
        let keys = credential.epochs.iter().map(link_key).collect();
        let (node, current) = (Base64UrlUnpadded::encode_string(&node), AtomicUsize::new(0));
        Ok(Self { outbound, shared, scheme, authority, base, node, keys, current })
    }

    /// Sends a question, and reads the whole answer.
    pub(crate) async fn send(&self, question: Question<'_>, limit: usize) -> Result<Response<Vec<u8>>, LinkFault> {
        let mut tries = Tries::of(self);
        loop {
            let answer = self.outbound.send(self.sign(&question)?, limit).await.map_err(LinkFault::Outbound)?;
            if answer.status().is_success() || answer.status() == StatusCode::NOT_MODIFIED {
                return Ok(answer);
            }
            tries.refused(answer.status(), answer.body())?;
        }
    }

    /// Sends a question whose answer does not end.
    pub(crate) async fn open(&self, question: Question<'_>, bounds: LineBounds) -> Result<Lines, LinkFault> {
        let mut tries = Tries::of(self);
        loop {
            let answer = self.outbound.open(self.sign(&question)?, bounds).await.map_err(LinkFault::Outbound)?;
            if answer.status() == StatusCode::OK {
                return Ok(answer.into_body());
            }
            let status = answer.status();
            tries.refused(status, &answer.into_body().short().await)?;
        }
    }

    fn sign(&self, question: &Question<'_>) -> Result<Request<Vec<u8>>, LinkFault> {
        let (key_id, key) = self.key().ok_or(LinkFault::Unsigned)?;
        let path = format!("{}{}", self.base, question.path);
        let query = format!("{}node={}", question.query, self.node);
        let has_body = !question.body.is_empty();
        let digest = has_body.then(|| BodyDigest::of(question.body).header_value());
        let request = sign::Request {
            method: question.method,
            authority: &self.authority,
            path: &path,
            query: Some(&query),
            content_type: has_body.then_some(JSON),
            content_digest: digest.as_deref(),
            ..sign::Request::default()
        };
        let nonce = rng::bytes().ok_or(LinkFault::Unsigned)?;
        let stamp = Stamp { created: self.created(), nonce, key_id };
        let signed = sign::sign_tagged(&request, &stamp, key, LINK_TAG).map_err(|_| LinkFault::Unsigned)?;
        let mut builder = Request::builder()
            .method(question.method)
            .uri(format!("{}://{}{path}?{query}", self.scheme, self.authority))
            .header(HOST, &self.authority)
            .header("signature-input", signed.signature_input)
            .header("signature", signed.signature);
        if let Some(digest) = digest {
            builder = builder.header(CONTENT_TYPE, JSON).header("content-digest", digest);
        }
        if let Some(tag) = question.if_none_match {
            builder = builder.header(IF_NONE_MATCH, tag);
        }
        builder.body(question.body.to_vec()).map_err(|_| LinkFault::Unsigned)
    }

    /// The issuer's time where it was heard of, else this machine's; seconds.
    fn created(&self) -> u64 {
        let clock = &self.shared.clock;
        let issuers = locked(&self.shared.time).now(clock.elapsed());
        let millis = issuers.unwrap_or(clock.now().millis());
        u64::try_from(millis.div_euclid(1000)).unwrap_or_default()
    }

    fn key(&self) -> Option<(&str, &RequestKey)> {
        let index = self.current.load(Ordering::Relaxed).checked_rem(self.keys.len())?;
        self.keys.get(index).map(|(id, key)| (id.as_str(), key))
    }
}

/// Refusals after which a question may be asked again at once: a wrong clock once, and another epoch's key for each that there is.
struct Tries<'a> {
    asker: &'a Asker,
    other_keys: usize,
    set_clock: bool,
}

impl<'a> Tries<'a> {
    fn of(asker: &'a Asker) -> Self {
        Self { asker, other_keys: asker.keys.len().saturating_sub(1), set_clock: false }
    }

    /// Takes note of a refusal; an error where asking again does not help.
    fn refused(&mut self, status: StatusCode, body: &[u8]) -> Result<(), LinkFault> {
        // An answer of another server than the issuer has no code.
        let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
        if let ("clock_skew", Some(server_time), false) = (problem.code.as_str(), problem.server_time, self.set_clock) {
            self.set_clock = true;
            locked(&self.asker.shared.time).heard_anew(server_time, self.asker.shared.clock.elapsed());
            return Ok(());
        }
        if status == StatusCode::UNAUTHORIZED && self.other_keys > 0 {
            self.other_keys = self.other_keys.saturating_sub(1);
            self.asker.current.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        let plain = |code: &str| code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let code = if plain(&problem.code) { problem.code } else { String::new() };
        Err(LinkFault::Refused { status: status.as_u16(), code })
    }
}

/// Scheme, authority and base path of an issuer that a link may go to.
fn place(issuer: &Issuer) -> Result<(String, String, String), LinkError> {
    let wrong = || LinkError::Url { issuer: issuer.to_string() };
    let origin = base_origin(issuer.as_str()).ok_or_else(wrong)?;
    if origin.scheme() != "https" && !origin.is_loopback() {
        return Err(wrong());
    }
    let base = issuer.as_str().strip_prefix(origin.as_str()).ok_or_else(wrong)?;
    Ok((origin.scheme().to_owned(), origin.authority().to_owned(), base.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t14_a_link_goes_over_https_or_stays_on_this_machine() {
        let of = |url: &str| place(&Issuer::parse(url).unwrap()).map(|(_, authority, base)| (authority, base));
        assert_eq!(of("https://auth.example/tenant"), Ok(("auth.example".to_owned(), "/tenant".to_owned())));
        assert_eq!(of("http://127.0.0.1:4000"), Ok(("127.0.0.1:4000".to_owned(), String::new())));
        assert_eq!(of("http://[::1]:4000").map(|(authority, _)| authority), Ok("[::1]:4000".to_owned()));
        for url in ["http://auth.example", "http://127.0.0.1.example", "http://10.0.0.1", "https://auth.example:443"] {
            assert_eq!(of(url), Err(LinkError::Url { issuer: url.to_owned() }));
        }
    }
}
