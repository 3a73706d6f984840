//! A provider of our own that says what it is told to, and counts what it was asked. It has no pages: the test is the browser.

use super::{CHALLENGE, VERIFIER, challenge_of, provider, sign_in_fields, start, world_with};
use crate::http_client::{Answer, Call};
use crate::world::World;
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_issuer::openid::provider::Provider;
use bmap_listener::{ConnectionLimits, Listener};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http_body_util::BodyExt;
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use url::Url;

pub(super) const DISCOVERY: &str = "/.well-known/openid-configuration";
pub(super) const KEYS: &str = "/jwks";
pub(super) const TOKEN: &str = "/token";

/// Its answer on a path.
#[derive(Clone)]
pub(super) enum Say {
    Json(Value),
    Bytes(u16, Vec<u8>),
    /// A redirect.
    GoTo(String),
    /// Nothing, ever.
    Nothing,
    /// A head, and then one byte a second.
    Drip,
}

/// A request that it got: path, `Authorization`, body.
pub(super) type Asked = (String, Option<String>, String);

#[derive(Clone, Default)]
struct Script {
    says: Arc<Mutex<HashMap<String, Say>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A fake provider and a server that knows it as `fake`.
pub(super) struct Fake {
    pub(super) issuer: String,
    script: Script,
}

impl Fake {
    pub(super) async fn start() -> Self {
        Self::start_at(|address| async move { format!("http://{address}") }).await
    }

    /// It, where `front` says: the issuer URL that leads to this address.
    pub(super) async fn start_at<F: Future<Output = String>>(front: impl FnOnce(SocketAddr) -> F) -> Self {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), ConnectionLimits::total(4096)).await.unwrap();
        let issuer = front(listener.local_address().unwrap()).await;
        let fake = Self { issuer, script: Script::default() };
        fake.say(DISCOVERY, Say::Json(fake.discovery()));
        fake.say(KEYS, Say::Json(json!({ "keys": [jwk(9, "k1")] })));
        let script = fake.script.clone();
        let router = Router::new().fallback(move |request: Request| answer(script.clone(), request));
        tokio::spawn(listener.serve(router, std::future::pending()));
        fake
    }

    /// It, and a server that has it as its one provider.
    pub(super) async fn with_world() -> (Self, World) {
        Self::with_world_of(|provider| provider).await
    }

    pub(super) async fn with_world_of(change: impl FnOnce(Provider) -> Provider) -> (Self, World) {
        let fake = Self::start().await;
        let world = world_with(vec![change(provider("fake", &fake.issuer))]).await;
        (fake, world)
    }

    pub(super) fn say(&self, path: &str, what: Say) {
        self.script.says.lock().unwrap().insert(path.to_owned(), what);
    }

    pub(super) fn asked(&self, path: &str) -> Vec<Asked> {
        self.script.asked.lock().unwrap().iter().filter(|(asked, ..)| asked == path).cloned().collect()
    }

    pub(super) fn discovery(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer, "authorization_endpoint": at("/authorize?tenant=1"), "token_endpoint": at(TOKEN),
            "jwks_uri": at(KEYS),
        })
    }

    /// Claims that are good for a journey, now.
    pub(super) fn claims(&self, world: &World, journey: &Journey) -> Value {
        json!({
            "iss": self.issuer, "sub": "ana", "aud": "bmap-at-fake", "iat": world.now(), "exp": world.now() + 300,
            "nonce": journey.nonce, "email": "Ana@Mail.example", "email_verified": true,
        })
    }

    /// From now on codes are swapped for this ID token.
    pub(super) fn give(&self, id_token: &str) {
        let answer = json!({ "access_token": "at", "token_type": "Bearer", "expires_in": 60, "id_token": id_token });
        self.say(TOKEN, Say::Json(answer));
    }

    /// From now on codes are swapped for a token of these claims.
    pub(super) fn give_claims(&self, claims: &Value) {
        self.give(&id_token(&header(), claims, 9));
    }
}

async fn answer(script: Script, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let authorization = head.headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap().to_owned());
    let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    script.asked.lock().unwrap().push((path.clone(), authorization, body));
    let say = script.says.lock().unwrap().get(&path).cloned();
    match say {
        Some(Say::Json(value)) => axum::Json(value).into_response(),
        Some(Say::Bytes(status, bytes)) => {
            (StatusCode::from_u16(status).unwrap(), [(CONTENT_TYPE, "application/json")], bytes).into_response()
        }
        Some(Say::GoTo(to)) => (StatusCode::FOUND, [(LOCATION, to)]).into_response(),
        Some(Say::Nothing) => std::future::pending().await,
        Some(Say::Drip) => {
            let drops = futures_util::stream::unfold((), |()| async {
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                Some((Ok::<_, std::convert::Infallible>("{"), ()))
            });
            Response::new(Body::from_stream(drops))
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A browser that was sent to the fake provider.
pub(super) struct Journey {
    pub(super) cookie: String,
    pub(super) state: String,
    pub(super) nonce: String,
    pub(super) challenge: String,
}

impl Journey {
    pub(super) async fn begin(world: &World) -> Self {
        Self::of(&start("fake", &sign_in_fields()).send(world.address).await)
    }

    pub(super) fn of(answer: &Answer) -> Self {
        assert_eq!(answer.status, 303, "{}", String::from_utf8_lossy(&answer.body));
        let to = answer.header("location").unwrap();
        let cookie = answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
        let [state, nonce, challenge] = ["state", "nonce", "code_challenge"].map(|name| parameter(to, name));
        Self { cookie, state, nonce, challenge }
    }

    /// The browser's return with these parameters.
    pub(super) fn back_with(&self, parameters: &[(&str, &str)]) -> Call {
        let query = serde_urlencoded::to_string(parameters).unwrap();
        Call::new("GET", &format!("/auth/openid/fake/callback?{query}")).header("cookie", &self.cookie)
    }

    /// Its return with a code.
    pub(super) fn back(&self) -> Call {
        self.back_with(&[("state", &self.state), ("code", "the provider's code")])
    }
}

/// A parameter of a URL.
pub(super) fn parameter(url: &str, name: &str) -> String {
    let url = Url::parse(url).unwrap();
    let mut values = url.query_pairs().filter(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    let value = values.next().unwrap_or_else(|| panic!("no {name} in {url}"));
    assert_eq!(values.next(), None, "{name} stands twice in {url}");
    value
}

pub(super) fn header() -> Value {
    json!({ "alg": "EdDSA", "typ": "JWT", "kid": "k1" })
}

/// The Ed25519 key of a byte, and how a key set shows it.
pub(super) fn key(byte: u8) -> EncodingKey {
    let mut der = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
    der.extend_from_slice(&[byte; 32]);
    EncodingKey::from_ed_der(&der)
}

pub(super) fn public_key(byte: u8) -> [u8; 32] {
    ed25519_dalek::SigningKey::from_bytes(&[byte; 32]).verifying_key().to_bytes()
}

pub(super) fn jwk(byte: u8, kid: &str) -> Value {
    let x = Base64UrlUnpadded::encode_string(&public_key(byte));
    json!({ "kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig", "alg": "EdDSA" })
}

/// A token, signed as its header may or may not say, with the Ed25519 key of a byte.
pub(super) fn id_token(header: &Value, claims: &Value, byte: u8) -> String {
    let input = signing_input(header, &claims.to_string());
    let signature = jsonwebtoken::crypto::sign(input.as_bytes(), &key(byte), Algorithm::EdDSA).unwrap();
    format!("{input}.{signature}")
}

pub(super) fn signing_input(header: &Value, claims: &str) -> String {
    let encode = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
    format!("{}.{}", encode(&header.to_string()), encode(claims))
}

#[tokio::test]
async fn what_a_provider_is_asked_is_what_the_standards_say() {
    let (fake, world) = Fake::with_world().await;
    let answer = start("fake", &sign_in_fields()).send(world.address).await;
    let to = answer.header("location").unwrap();
    assert!(to.starts_with(&format!("{}/authorize?tenant=1&", fake.issuer)), "{to}");
    let redirect_uri = format!("{}/auth/openid/fake/callback", world.issuer.url);
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "bmap-at-fake"),
        ("redirect_uri", redirect_uri.as_str()),
        ("scope", "openid email"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(parameter(to, name), value);
    }
    let journey = Journey::of(&answer);
    assert!(journey.state.len() == 47 && journey.nonce.len() == 43 && journey.challenge != CHALLENGE);
    fake.give_claims(&fake.claims(&world, &journey));
    let back = journey.back().send(world.address).await;
    let code = super::code_in(back.header("location").unwrap());
    super::swap(&code, VERIFIER).send(world.address).await.granted();

    let asked = fake.asked(TOKEN);
    let [(_, Some(authorization), body)] = asked.as_slice() else { panic!("{asked:?}") };
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let expected = format!("{}:{}", encoded("bmap-at-fake"), encoded(&super::secret("fake")));
    let shown = base64ct::Base64::decode_vec(authorization.strip_prefix("Basic ").unwrap()).unwrap();
    assert_eq!(String::from_utf8(shown).unwrap(), expected);
    let form: HashMap<String, String> = serde_urlencoded::from_str(body).unwrap();
    assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", "the provider's code"));
    assert_eq!((challenge_of(&form["code_verifier"]), &form["redirect_uri"]), (journey.challenge, &redirect_uri));
}

#[tokio::test]
async fn u09_a_provider_sends_back_beneath_the_issuers_path() {
    let fake = Fake::start().await;
    let world = World::beneath_with_openid("/auth/eu", vec![provider("fake", &fake.issuer)]).await;
    let beneath = |mut call: Call| {
        call.path = format!("/auth/eu{}", call.path);
        call
    };
    start("fake", &sign_in_fields()).send_elsewhere(world.address).await.assert_refused("not_found");
    let answer = beneath(start("fake", &sign_in_fields())).send_elsewhere(world.address).await;
    let callback = format!("http://{}/auth/eu/auth/openid/fake/callback", world.address);
    assert_eq!(parameter(answer.header("location").unwrap(), "redirect_uri"), callback);
    let journey = Journey::of(&answer);
    fake.give_claims(&fake.claims(&world, &journey));
    let back = beneath(journey.back()).send_elsewhere(world.address).await;
    let code = super::code_in(back.header("location").unwrap());
    let (_, _, body) = fake.asked(TOKEN).remove(0);
    let form: HashMap<String, String> = serde_urlencoded::from_str(&body).unwrap();
    assert_eq!(form["redirect_uri"], callback);
    let pair = beneath(super::swap(&code, VERIFIER)).send_elsewhere(world.address).await.granted();
    let me = beneath(crate::person::me(pair["access_token"].as_str().unwrap())).send_elsewhere(world.address).await;
    assert_eq!(me.granted()["identities"][0]["provider"], "fake");
}

#[tokio::test]
async fn a_secret_goes_into_the_form_where_a_provider_takes_it_there_alone_and_nowhere_without_one() {
    let (fake, world) = Fake::with_world().await;
    let mut document = fake.discovery();
    document["token_endpoint_auth_methods_supported"] = json!(["client_secret_post"]);
    fake.say(DISCOVERY, Say::Json(document));
    let journey = Journey::begin(&world).await;
    journey.back().send(world.address).await;
    let (_, authorization, body) = fake.asked(TOKEN).remove(0);
    assert!(authorization.is_none() && body.contains("client_secret=") && body.contains("client_id="), "{body}");

    let (fake, world) = Fake::with_world_of(|provider| Provider { client_secret: None, ..provider }).await;
    let journey = Journey::begin(&world).await;
    journey.back().send(world.address).await;
    let (_, authorization, body) = fake.asked(TOKEN).remove(0);
    assert!(authorization.is_none() && !body.contains("client_secret") && body.contains("client_id="), "{body}");
}
