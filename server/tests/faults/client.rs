//! A client that manages keys and refreshes a session, and notes the acknowledged changes.

use crate::call::{Answer, Call, Line, Lost, PAGE, exchange, with_secret};
use crate::chance::Chance;
use crate::person;
use crate::server::{Installation, Server};
use serde_json::json;

/// More keys than this are not kept: the next thing is then to revoke one.
const MOST_KEYS: usize = 25;

/// A key as the issuer acknowledged it last.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) secret: String,
    /// The secret before, and whether it has a grace.
    pub(crate) former: Option<(String, bool)>,
    pub(crate) is_revoked: bool,
}

/// A request that was sent, and not acknowledged yet.
#[derive(Clone, Debug)]
pub(crate) enum Attempt {
    SignIn,
    Refresh,
    SignOut,
    Create { number: u64 },
    Regenerate { key: usize, number: u64, has_grace: bool },
    Revoke { key: usize },
    Ticket { key: usize },
    Exchange { ticket: String },
    StepUp,
}

pub(crate) struct Client {
    pub(crate) email: String,
    pub(crate) chance: Chance,
    pub(crate) access: String,
    pub(crate) refresh: String,
    /// The step-up for the next change of a key, and whether this server gives no more of them for now.
    step_up: Option<String>,
    is_limited: bool,
    pub(crate) keys: Vec<Key>,
    pub(crate) attempt: Option<Attempt>,
    /// Tickets that were acknowledged and not used.
    pub(crate) tickets: Vec<(usize, String)>,
    /// Tickets whose use was acknowledged, and refresh tokens of sessions whose end was: since the last look.
    pub(crate) used_tickets: Vec<String>,
    pub(crate) ended: Vec<String>,
    /// Keys that something was acknowledged about since the last look.
    pub(crate) touched: Vec<usize>,
    pub(crate) acknowledged: u64,
    next: u64,
}

pub(crate) fn refresh(token: &str) -> Call {
    Call::json("POST", "/auth/refresh", &json!({ "refresh_token": token }))
}

impl Client {
    /// Registers, follows the link in the development server's log, and signs in.
    pub(crate) async fn register(number: u64, server: &Server, installation: &Installation) -> Self {
        let mut client = Self {
            email: format!("client-{number}@shop.example"),
            chance: Chance(number),
            access: String::new(),
            refresh: String::new(),
            step_up: None,
            is_limited: false,
            keys: Vec::new(),
            attempt: None,
            tickets: Vec::new(),
            used_tickets: Vec::new(),
            ended: Vec::new(),
            touched: Vec::new(),
            acknowledged: 0,
            next: number << 32,
        };
        person::register(&client.email, server, installation).await;
        let mut line = Line::to(server.address);
        client.make(Attempt::SignIn, &mut line).await.unwrap();
        client
    }

    /// Does one thing after the other, until the server is gone.
    pub(crate) async fn work(&mut self, server: std::net::SocketAddr) {
        let mut line = Line::to(server);
        self.is_limited = false;
        loop {
            let attempt = self.choose();
            if self.make(attempt, &mut line).await.is_err() {
                return;
            }
        }
    }

    fn choose(&mut self) -> Attempt {
        if self.refresh.is_empty() {
            return Attempt::SignIn;
        }
        let live: Vec<usize> = (0..self.keys.len()).filter(|index| !self.keys[*index].is_revoked).collect();
        self.next += 1;
        let number = self.next;
        let mut some_key = || live[self.chance.below(live.len())];
        match if self.step_up.is_some() || live.is_empty() {
            0
        } else if live.len() > MOST_KEYS {
            3
        } else {
            some_key() % 2 + self.chance.below(9)
        } {
            // A change of a key is allowed by the password, and comes right after it.
            0..=2 if self.step_up.is_none() && !self.is_limited => Attempt::StepUp,
            0..=2 if self.step_up.is_none() => Attempt::Refresh,
            0..=2 if live.is_empty() || (live.len() <= MOST_KEYS && self.chance.below(3) > 0) => {
                Attempt::Create { number }
            }
            0..=2 => Attempt::Regenerate {
                key: live[self.chance.below(live.len())],
                number,
                has_grace: self.chance.below(2) == 0,
            },
            3 | 4 => Attempt::Revoke { key: live[self.chance.below(live.len())] },
            5 => Attempt::Ticket { key: live[self.chance.below(live.len())] },
            6 => match self.tickets.pop() {
                Some((_, ticket)) => Attempt::Exchange { ticket },
                None => Attempt::Ticket { key: live[self.chance.below(live.len())] },
            },
            // Signing in costs a password hash, so it is seldom.
            7 if self.chance.below(12) == 0 => Attempt::SignOut,
            _ => Attempt::Refresh,
        }
    }

    /// Sends what an attempt is, and notes what was acknowledged. `Err` where that is not known; the attempt then stays.
    pub(crate) async fn make(&mut self, attempt: Attempt, line: &mut Line) -> Result<Answer, Lost> {
        self.attempt = Some(attempt.clone());
        let answer = line.send(&self.call(&attempt)).await?;
        match answer.status {
            200 | 201 | 204 => {}
            // The database is gone, or the issuer's limit is met before anything was done.
            503 => return Err(Lost),
            429 if matches!(attempt, Attempt::StepUp) => {
                self.is_limited = true;
                self.attempt = None;
                return Ok(answer);
            }
            429 => {
                self.attempt = None;
                return Err(Lost);
            }
            _ => panic!("{}: {attempt:?}: {answer:?}", self.email),
        }
        self.note(&attempt, &answer);
        self.attempt = None;
        self.acknowledged += 1;
        Ok(answer)
    }

    fn call(&self, attempt: &Attempt) -> Call {
        let managed = |call: Call| call.header("authorization", format!("Bearer {}", self.access));
        let stepped_up = |call: Call| managed(call).header("bmap-step-up", self.step_up.clone().unwrap_or_default());
        match attempt {
            Attempt::SignIn => person::login(&self.email),
            Attempt::Refresh => refresh(&self.refresh),
            Attempt::SignOut => Call::json("POST", "/auth/logout", &json!({ "refresh_token": self.refresh })),
            Attempt::Create { number } => {
                let form = json!({ "name": format!("key {number}"), "tools": ["places"], "origins": [PAGE, "https://b.example"] });
                stepped_up(Call::json("POST", "/api-keys", &form)).header("idempotency-key", number.to_string())
            }
            Attempt::Regenerate { key, number, has_grace } => {
                // A secret before that still works may end.
                let form = json!({ "grace_seconds": if *has_grace { 3600 } else { 0 }, "end_former": true });
                let path = format!("/api-keys/{}/regenerate", self.keys[*key].id);
                stepped_up(Call::json("POST", path, &form)).header("idempotency-key", number.to_string())
            }
            Attempt::Revoke { key } => managed(Call::new("DELETE", format!("/api-keys/{}", self.keys[*key].id))),
            Attempt::Ticket { key } => {
                let key = &self.keys[*key];
                let form = json!({ "tool": "places", "origin": PAGE });
                with_secret(Call::json("POST", "/tickets", &form), &key.id, &key.secret)
            }
            Attempt::Exchange { ticket } => exchange(ticket),
            Attempt::StepUp => person::step_up(&self.access),
        }
    }

    fn note(&mut self, attempt: &Attempt, answer: &Answer) {
        match attempt {
            Attempt::SignIn | Attempt::Refresh => {
                self.access = answer.text("access_token");
                self.refresh = answer.text("refresh_token");
                if matches!(attempt, Attempt::SignIn) {
                    self.step_up = Some(answer.text("step_up"));
                }
            }
            Attempt::StepUp => self.step_up = Some(answer.text("step_up")),
            Attempt::SignOut => self.ended.push(std::mem::take(&mut self.refresh)),
            Attempt::Create { .. } => {
                self.step_up = None;
                self.touched.push(self.keys.len());
                let (id, secret) = (answer.text("id"), answer.text("secret"));
                self.keys.push(Key { id, secret, former: None, is_revoked: false });
            }
            Attempt::Regenerate { key, has_grace, .. } => {
                self.step_up = None;
                self.touched.push(*key);
                let key = &mut self.keys[*key];
                let former = std::mem::replace(&mut key.secret, answer.text("secret"));
                key.former = Some((former, *has_grace));
            }
            Attempt::Revoke { key } => {
                self.touched.push(*key);
                self.keys[*key].is_revoked = true;
                self.tickets.retain(|(of, _)| of != key);
            }
            Attempt::Ticket { key } => self.tickets.push((*key, answer.text("ticket"))),
            Attempt::Exchange { ticket } => self.used_tickets.push(ticket.clone()),
        }
    }
}
