//! A user who manages API keys over HTTP, and the keys that they made.

use crate::actors::Host;
use crate::http_client::{Answer, Call};
use crate::person::{PASSWORD, Pair, STEP_UP, login};
use crate::world::{PAGE, TOOL, World};
use base64ct::{Base64, Encoding};
use bmap_model::role::Role;
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::UserId;
use bmap_protocol::seal::SigningKind;
use serde_json::{Value, json};

/// A user who is signed in.
pub(crate) struct KeyOwner<'w> {
    pub(crate) world: &'w World,
    pub(crate) access: String,
    pub(crate) user: UserId,
    pub(crate) email: String,
}

impl World {
    /// A user who is signed in, and was granted both tools.
    pub(crate) async fn key_owner(&self, email: &str) -> KeyOwner<'_> {
        let pair = self.guest(email).await;
        KeyOwner::of(self, &pair, email)
    }
}

/// A good form: a key for one tool and one page.
pub(crate) fn form() -> Value {
    json!({ "name": "website", "tools": [TOOL], "origins": [PAGE] })
}

impl<'w> KeyOwner<'w> {
    pub(crate) fn of(world: &'w World, pair: &Pair, email: &str) -> Self {
        Self { world, user: pair.user(), access: pair.access.clone(), email: email.to_owned() }
    }

    /// The same person as an admin.
    pub(crate) async fn become_admin(&self) {
        self.world.issuer.set_role(&self.user, Role::Admin, None, &crate::world::source()).await.unwrap();
    }

    /// The same person, after another sign-in: access tokens are short-lived.
    pub(crate) async fn again(&self) -> Self {
        let pair = Pair::of(&login(&self.email, PASSWORD).send(self.world.address).await);
        Self { world: self.world, user: self.user.clone(), access: pair.access, email: self.email.clone() }
    }

    pub(crate) fn call(&self, method: &'static str, path: &str) -> Call {
        Call::new(method, path).header("authorization", &format!("Bearer {}", self.access))
    }

    /// The call with a body, and with a step-up: what changes a key needs one.
    pub(crate) async fn send(&self, method: &'static str, path: &str, body: &Value) -> Answer {
        self.stepped_up(self.call(method, path).body("application/json", body.to_string())).await
    }

    /// The call with a step-up.
    pub(crate) async fn stepped_up(&self, call: Call) -> Answer {
        call.header(STEP_UP, &self.world.step_up(&self.access).await).send(self.world.address).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.call("GET", path).send(self.world.address).await
    }

    pub(crate) async fn make(&self) -> Host<'w> {
        self.make_with(form()).await
    }

    /// Makes a key; the actor that holds it.
    pub(crate) async fn make_with(&self, form: Value) -> Host<'w> {
        let answer = self.send("POST", "/api-keys", &form).await;
        assert_eq!(answer.status, 201, "{}", answer.json());
        self.holder(&answer)
    }

    /// The holder of the secret of an answer.
    #[track_caller]
    pub(crate) fn holder(&self, answer: &Answer) -> Host<'w> {
        let body = answer.json();
        let text = |name: &str| body[name].as_str().unwrap_or_else(|| panic!("{name}: {body}")).to_owned();
        Host {
            world: self.world,
            user: self.user.clone(),
            id: text("id").parse().unwrap(),
            secret: ApiSecret::parse(&text("secret")).unwrap(),
            signing: if text("signing") == "ed25519" { SigningKind::Ed25519 } else { SigningKind::HmacSha256 },
        }
    }

    pub(crate) async fn regenerate(&self, key: &Host<'_>, grace_seconds: i64) -> Answer {
        let path = format!("/api-keys/{}/regenerate", key.id);
        self.send("POST", &path, &json!({ "grace_seconds": grace_seconds })).await
    }

    /// The same, where a former secret that still works is to end.
    pub(crate) async fn regenerate_and_end_former(&self, key: &Host<'_>, grace_seconds: i64) -> Answer {
        let path = format!("/api-keys/{}/regenerate", key.id);
        self.send("POST", &path, &json!({ "grace_seconds": grace_seconds, "end_former": true })).await
    }

    /// Changes a key, which must be granted.
    pub(crate) async fn change(&self, key: &Host<'_>, change: Value) -> Value {
        self.send("PATCH", &format!("/api-keys/{}", key.id), &change).await.granted()
    }

    pub(crate) async fn show(&self, key: &Host<'_>) -> Value {
        self.get(&format!("/api-keys/{}", key.id)).await.granted()
    }

    pub(crate) async fn revoke(&self, key: &Host<'_>) -> Answer {
        self.call("DELETE", &format!("/api-keys/{}", key.id)).send(self.world.address).await
    }
}

impl Host<'_> {
    /// The same call in each of the four ways (profile §4, §7).
    pub(crate) fn four_ways(&self, call: &Call) -> [(&'static str, Call); 4] {
        let encoded = |text: &str| Base64::encode_string(text.as_bytes());
        let secret = self.secret.reveal();
        let pair = encoded(&format!("{}:{}", self.id, *secret));
        [
            ("basic", call.clone().header("authorization", &format!("Basic {pair}"))),
            ("apikey", call.clone().header("authorization", &format!("ApiKey {pair}"))),
            (
                "headers",
                call.clone().header("x-api-key", &encoded(self.id.as_str())).header("x-api-secret", &encoded(&secret)),
            ),
            ("signature", self.signed(call.clone())),
        ]
    }

    /// All four work.
    pub(crate) async fn works(&self) {
        for (way, call) in self.four_ways(&self.direct_call()) {
            let answer = call.send(self.world.address).await;
            assert_eq!(answer.status, 200, "{way}: {}", answer.json());
        }
    }

    /// None of the four does: with that code for a presented secret, and that one for a signature.
    pub(crate) async fn is_refused(&self, presented: &str, signed: &str) {
        for (way, call) in self.four_ways(&self.direct_call()) {
            let code = if way == "signature" { signed } else { presented };
            call.send(self.world.address).await.assert_refused(code);
        }
    }
}
