//! People with an account.

use crate::http_client::{Answer, Call};
use crate::rows::sealed_rows::edit;
use crate::world::{OTHER_TOOL, TOOL, World};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_issuer::account::step_up::STEP_UP_SECONDS;
use bmap_model::account::opaque::{Kind, OpaqueToken};
use bmap_model::account::step_up::StepUpRow;
use bmap_model::clock::UnixTime;
use bmap_model::rng::{SystemRandom, bytes};
use bmap_model::role::Role;
use bmap_model::session::SessionId;
use bmap_protocol::ids::UserId;
use serde_json::{Value, json};

/// The header of a step-up.
pub(crate) const STEP_UP: &str = "bmap-step-up";
pub(crate) const PASSWORD: &str = "violet-kettle-49-marsh";

/// A person, with an address of their own in every world.
pub(crate) struct Person<'w> {
    pub(crate) world: &'w World,
    pub(crate) email: String,
}

/// The tokens of a sign-in or a refresh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl Pair {
    #[track_caller]
    pub(crate) fn of(answer: &Answer) -> Self {
        let body = answer.granted();
        assert_eq!((body["token_type"].as_str(), answer.header("cache-control")), (Some("Bearer"), Some("no-store")));
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }

    pub(crate) fn claims(&self) -> Value {
        let payload = self.access.split('.').nth(1).unwrap();
        serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).unwrap()).unwrap()
    }

    pub(crate) fn user(&self) -> UserId {
        UserId::parse(self.claims()["sub"].as_str().unwrap()).unwrap()
    }
}

impl World {
    /// A person who has registered and followed the link.
    pub(crate) async fn person(&self, email: &str) -> Person<'_> {
        let person = Person { world: self, email: email.to_owned() };
        assert_eq!(register(email, PASSWORD).send(self.address).await.status, 202);
        let confirmed = confirm(&self.links(email).await.pop().unwrap(), PASSWORD).send(self.address).await;
        assert_eq!(confirmed.granted()["status"], "confirmed");
        person
    }

    /// A person who has registered, signed in, and was granted both tools.
    pub(crate) async fn guest(&self, email: &str) -> Pair {
        let pair = self.person(email).await.sign_in().await;
        for tool in [TOOL, OTHER_TOOL] {
            self.grant(&pair.user(), tool).await;
        }
        pair
    }

    /// The tokens of every link that confirms a registration and was sent to an address, oldest first.
    pub(crate) async fn links(&self, email: &str) -> Vec<String> {
        self.links_to("/auth/confirm", email).await
    }

    /// The tokens of every link to a page that was sent to an address, oldest first.
    pub(crate) async fn links_to(&self, page: &str, email: &str) -> Vec<String> {
        self.worker.deliver_due().await;
        let start = format!("http://{}{page}?token=", self.address);
        let to = format!("email={email}");
        let log = self.log();
        let lines = log.lines().filter(|line| line.contains(&to));
        let tokens = lines.filter_map(|line| line.split_once(&start)?.1.split_whitespace().next());
        tokens.map(str::to_owned).collect()
    }

    pub(crate) async fn refresh(&self, token: &str) -> Answer {
        refresh(token).send(self.address).await
    }

    pub(crate) async fn me(&self, access: &str) -> Answer {
        me(access).send(self.address).await
    }
}

impl World {
    /// An admin, signed in.
    pub(crate) async fn admin(&self, email: &str) -> Pair {
        let pair = self.person(email).await.sign_in().await;
        self.issuer.set_role(&pair.user(), Role::Admin, None, &crate::world::source()).await.unwrap();
        pair
    }
}

impl Pair {
    /// The call with this access token.
    pub(crate) async fn send(&self, world: &World, call: Call) -> Answer {
        call.header("authorization", &format!("Bearer {}", self.access)).send(world.address).await
    }
}

impl Person<'_> {
    pub(crate) async fn sign_in(&self) -> Pair {
        Pair::of(&login(&self.email, PASSWORD).send(self.world.address).await)
    }
}

impl World {
    /// A step-up for the session of an access token, as if the password had just been entered: no guess is counted, nothing is recorded.
    pub(crate) async fn step_up(&self, access: &str) -> String {
        let claims = Pair { access: access.to_owned(), refresh: String::new() }.claims();
        let token = OpaqueToken::from_bytes(Kind::StepUp, bytes(&SystemRandom).unwrap());
        let row = StepUpRow {
            hash: token.hash(),
            user: UserId::parse(claims["sub"].as_str().unwrap()).unwrap(),
            session: SessionId::parse(claims["sid"].as_str().unwrap()).unwrap(),
            expires_at: UnixTime(self.clock_millis()).plus_seconds(STEP_UP_SECONDS),
            seal: None,
        };
        let row = row.sealed(&self.issuer.roots.sealing());
        let seal = row.seal.unwrap();
        let (hash, user, session) = (row.hash.as_str(), row.user.as_str(), row.session.as_str());
        let (ends, epoch, mac) = (row.expires_at.0, seal.epoch, seal.mac);
        edit(self, &format!("INSERT INTO step_ups VALUES ('{hash}', '{user}', '{session}', {ends}, {epoch}, '{mac}')"))
            .await;
        token.reveal().to_string()
    }
}

impl Pair {
    /// The call with this access token and a step-up.
    pub(crate) async fn send_stepped_up(&self, world: &World, call: Call) -> Answer {
        self.send(world, call.header(STEP_UP, &world.step_up(&self.access).await)).await
    }
}

pub(crate) fn step_up(access: &str, password: &str) -> Call {
    Call::json("/auth/step-up", &json!({ "password": password })).header("authorization", &format!("Bearer {access}"))
}

pub(crate) fn register(email: &str, password: &str) -> Call {
    Call::json("/auth/register", &json!({ "email": email, "password": password }))
}

pub(crate) fn confirm(token: &str, password: &str) -> Call {
    Call::json("/auth/confirm", &json!({ "token": token, "password": password }))
}

pub(crate) fn reset(email: &str) -> Call {
    Call::json("/auth/password/reset", &json!({ "email": email }))
}

pub(crate) fn set_password(token: &str, password: &str) -> Call {
    Call::json("/auth/password/reset/confirm", &json!({ "token": token, "password": password }))
}

pub(crate) fn change_address(access: &str, email: &str, password: &str) -> Call {
    Call::json("/auth/email", &json!({ "email": email, "password": password }))
        .header("authorization", &format!("Bearer {access}"))
}

pub(crate) fn confirm_address(token: &str, password: &str) -> Call {
    Call::json("/auth/email/confirm", &json!({ "token": token, "password": password }))
}

pub(crate) fn login(email: &str, password: &str) -> Call {
    Call::json("/auth/login", &json!({ "email": email, "password": password }))
}

pub(crate) fn refresh(token: &str) -> Call {
    Call::json("/auth/refresh", &json!({ "refresh_token": token }))
}

pub(crate) fn logout(token: &str) -> Call {
    Call::json("/auth/logout", &json!({ "refresh_token": token }))
}

pub(crate) fn me(access: &str) -> Call {
    Call::new("GET", "/auth/me").header("authorization", &format!("Bearer {access}"))
}

pub(crate) fn change_password(access: &str, current: &str, new: &str) -> Call {
    Call::json("/auth/password", &json!({ "current_password": current, "new_password": new }))
        .header("authorization", &format!("Bearer {access}"))
}
