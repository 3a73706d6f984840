//! The callers: a host's backend with its API key, and a page with a token.

use crate::http_client::{Answer, Call};
use crate::world::{PAGE, TOOL, World};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use bmap_model::rng::{SystemRandom, bytes};
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::ids::{ApiKeyId, UserId};
use bmap_protocol::keys::{MacKey, SigningKey};
use bmap_protocol::seal::SigningKind;
use bmap_protocol::sign::{Request, RequestKey, Stamp, authorization, sign};
use serde_json::{Value, json};

pub(crate) const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
pub(crate) const TICKET: &str = "urn:bmap:token-type:ticket";
pub(crate) const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A host's backend.
pub(crate) struct Host<'w> {
    pub(crate) world: &'w World,
    pub(crate) user: UserId,
    pub(crate) id: ApiKeyId,
    pub(crate) secret: ApiSecret,
    pub(crate) signing: SigningKind,
}

impl Host<'_> {
    pub(crate) fn basic(&self) -> String {
        format!("Basic {}", Base64::encode_string(format!("{}:{}", self.id, *self.secret.reveal()).as_bytes()))
    }

    pub(crate) fn direct_call(&self) -> Call {
        Call::form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", TOOL)])
    }

    pub(crate) fn ticket_call(&self) -> Call {
        Call::json("/tickets", &json!({ "tool": TOOL, "origin": PAGE, "end_user": "customer 7" }))
    }

    /// The call with the key's secret.
    pub(crate) async fn send(&self, call: Call) -> Answer {
        call.header("authorization", &self.basic()).send(self.world.address).await
    }

    pub(crate) async fn ticket(&self) -> String {
        self.send(self.ticket_call()).await.granted()["ticket"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn page_token(&self) -> PageToken<'_> {
        let ticket = self.ticket().await;
        PageToken { world: self.world, answer: exchange(&ticket).send(self.world.address).await.granted() }
    }

    /// The call signed with the key, RFC 9421.
    pub(crate) fn signed(&self, call: Call) -> Call {
        let key = match self.signing {
            SigningKind::HmacSha256 => RequestKey::Hmac(MacKey::new(&self.secret.signing_key(&self.id))),
            SigningKind::Ed25519 => RequestKey::Ed25519(Box::new(self.secret.ed25519_seed(&self.id).signing_key())),
        };
        sign_call(self.world, call, &key, self.id.as_str(), None)
    }
}

/// The exchange of a ticket by the registered page.
pub(crate) fn exchange(ticket: &str) -> Call {
    let fields =
        [("grant_type", EXCHANGE), ("subject_token", ticket), ("subject_token_type", TICKET), ("audience", TOOL)];
    Call::form("/oauth/token", &fields).header("origin", PAGE)
}

/// A page with its token, as the token endpoint gave it.
pub(crate) struct PageToken<'w> {
    pub(crate) world: &'w World,
    pub(crate) answer: Value,
}

impl PageToken<'_> {
    pub(crate) fn token(&self) -> &str {
        self.answer["access_token"].as_str().unwrap()
    }

    pub(crate) fn claims(&self) -> Value {
        let payload = self.token().split('.').nth(1).unwrap();
        serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).unwrap()).unwrap()
    }

    pub(crate) fn renewal_form(token: &str, tool: &str) -> Call {
        let fields = [
            ("grant_type", EXCHANGE),
            ("subject_token", token),
            ("subject_token_type", ACCESS_TOKEN),
            ("audience", tool),
        ];
        Call::form("/oauth/token", &fields).header("origin", PAGE)
    }

    /// The renewal, signed as the SDK does.
    pub(crate) fn renewal(&self) -> Call {
        self.signed(Self::renewal_form(self.token(), TOOL))
    }

    pub(crate) fn signed(&self, call: Call) -> Call {
        self.signed_as(call, self.token())
    }

    /// The call signed with this token's key, but sent with another token.
    pub(crate) fn signed_as(&self, call: Call, token: &str) -> Call {
        let mut key = [0; 32];
        Base64UrlUnpadded::decode(self.answer["signing_key"].as_str().unwrap(), &mut key).unwrap();
        let key = RequestKey::Hmac(MacKey::new(&SigningKey::from_bytes(key)));
        sign_call(self.world, call, &key, self.answer["key_id"].as_str().unwrap(), Some(&authorization(token)))
    }

    pub(crate) async fn renew(&self) -> Answer {
        self.renewal().send(self.world.address).await
    }
}

/// Signs a call as the server's clock has it.
pub(crate) fn sign_call(
    world: &World,
    call: Call,
    key: &RequestKey,
    key_id: &str,
    authorization: Option<&str>,
) -> Call {
    let (path, query) = match call.path.split_once('?') {
        Some((path, query)) => (path.to_owned(), Some(query.to_owned())),
        None => (call.path.clone(), None),
    };
    let digest = (!call.body.is_empty()).then(|| BodyDigest::of(&call.body).header_value());
    let content_type = call.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.clone());
    let request = Request {
        method: call.method,
        authority: &world.address.to_string(),
        path: &path,
        query: query.as_deref(),
        authorization,
        content_type: content_type.as_deref(),
        content_encoding: None,
        content_digest: digest.as_deref(),
        more: &[],
    };
    let stamp = Stamp { created: world.now(), nonce: bytes(&SystemRandom).unwrap(), key_id };
    let signature = sign(&request, &stamp, key).unwrap();
    let mut call = call;
    for (name, value) in [("authorization", authorization), ("content-digest", digest.as_deref())] {
        if let Some(value) = value {
            call = call.header(name, value);
        }
    }
    call.header("signature-input", &signature.signature_input).header("signature", &signature.signature)
}
