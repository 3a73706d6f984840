//! The same request with the crates of today: `httpsig-hyper` with its digest check, and `jsonwebtoken` for the token.
//!
//! They are given their key ready and check neither origin nor replay. The token is checked each time, as these crates
//! do; HS256 is the cheaper of the two rows.

use crate::inputs::{NOW, Signed, Token, World};
use base64ct::{Base64, Encoding};
use bytes::Bytes;
use http_body_util::Full;
use httpsig_hyper::prelude::{AlgorithmName, SharedKey};
use httpsig_hyper::{MessageSignatureReq, RequestContentDigest};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde_json::{Value, json};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

pub(crate) struct Today {
    key: SharedKey,
    hs256: (String, DecodingKey, Validation),
    eddsa: (String, DecodingKey, Validation),
}

impl Today {
    pub(crate) fn new(world: &World, token: &Token) -> Self {
        let _ = jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER.install_default();
        let validation = |algorithm| {
            let mut validation = Validation::new(algorithm);
            validation.set_audience(&["geo"]);
            validation.set_issuer(&["https://auth.example"]);
            validation.validate_exp = false; // The inputs live at a fixed time.
            validation
        };
        let claims = json!({
            "iss": "https://auth.example", "sub": "usr_0192f0c1a7e27c3c9f60b2b4b1c7a001", "aud": "geo",
            "client_id": "bmk_0192f0c1a7e27c3c9f60b2b4b1c7a0ff", "iat": NOW - 10, "exp": NOW + 290, "jti": token.jti,
            "scope": "search route", "origin": "https://shop.example", "asr": "server", "cnf": {"kid": "bt1.geo.1"},
        });
        let hs256 =
            jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&[5; 32])).unwrap();
        let public_key = world.issuer_key.verifying_key().to_bytes();
        Self {
            key: SharedKey::from_base64(&AlgorithmName::HmacSha256, &Base64::encode_string(token.key.expose()))
                .unwrap(),
            hs256: (hs256, DecodingKey::from_secret(&[5; 32]), validation(Algorithm::HS256)),
            eddsa: (token.text.clone(), DecodingKey::from_ed_der(&public_key), validation(Algorithm::EdDSA)),
        }
    }

    /// Its `@authority` comes from the target alone, so the target is given in absolute form.
    pub(crate) fn prepare(&self, request: &Signed) -> http::Request<Full<Bytes>> {
        let mut head = request.head.clone();
        head.uri = format!("https://{}{}", crate::inputs::HOST, head.uri).parse().unwrap();
        http::Request::from_parts(head, Full::new(Bytes::from_static(request.body)))
    }

    pub(crate) fn verify(&self, request: http::Request<Full<Bytes>>, eddsa: bool) -> bool {
        let (token, key, validation) = if eddsa { &self.eddsa } else { &self.hs256 };
        let claims = jsonwebtoken::decode::<Value>(token, key, validation);
        let checked = pin!(async {
            request.verify_message_signature(&self.key, None).await.is_ok()
                && (!request.headers().contains_key("content-digest") || request.verify_content_digest().await.is_ok())
        });
        let signed = matches!(checked.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(true));
        claims.is_ok() && signed
    }
}
