//! After a restart: what was cut off is settled, and what was acknowledged is there.

use crate::call::{Call, Line, exchange, token};
use crate::client::{Attempt, Client, Key, refresh};
use crate::server::Server;
use std::sync::atomic::{AtomicU32, Ordering};

static LOOKS: AtomicU32 = AtomicU32::new(0);

/// How many keys of former rounds are looked at again each time.
const SAMPLE: usize = 2;

impl Client {
    /// Repeats what was not acknowledged, and looks at everything that was since the last time.
    pub(crate) async fn settle(&mut self, server: &Server) {
        let mut line = Line::to(server.address);
        let cut_off = self.attempt.take();
        // First of all, within the grace: the token works whether or not the answer that was lost was made.
        if !self.refresh.is_empty() && !matches!(cut_off, Some(Attempt::SignOut)) {
            self.again(Attempt::Refresh, &mut line).await;
        }
        if self.refresh.is_empty() {
            self.again(Attempt::SignIn, &mut line).await;
        }
        match cut_off {
            None | Some(Attempt::Refresh | Attempt::SignIn | Attempt::Ticket { .. }) => {}
            Some(Attempt::SignOut) => {
                self.again(Attempt::SignOut, &mut line).await;
                self.again(Attempt::SignIn, &mut line).await;
            }
            // The ticket was used or was not, and after this one it was.
            Some(Attempt::Exchange { ticket }) => {
                let status = line.send(&exchange(&ticket)).await.unwrap().status;
                assert!([200, 400].contains(&status), "{}: {ticket}: {status}", self.email);
                self.used_tickets.push(ticket);
            }
            // With its idempotency key: done once, whichever of the two did it.
            Some(attempt) => self.again(attempt, &mut line).await,
        }
        for ticket in std::mem::take(&mut self.used_tickets) {
            assert_eq!(line.send(&exchange(&ticket)).await.unwrap().status, 400, "{}: {ticket}", self.email);
        }
        // One of those that wait: an acknowledged ticket of a key that lives is good.
        if let Some((_, ticket)) = self.tickets.pop() {
            assert_eq!(line.send(&exchange(&ticket)).await.unwrap().status, 200, "{}: {ticket}", self.email);
        }
        // The others would end before they are used.
        self.tickets.clear();
        for ended in std::mem::take(&mut self.ended) {
            assert_eq!(line.send(&refresh(&ended)).await.unwrap().status, 401, "{}: {ended}", self.email);
        }
        let mut keys = std::mem::take(&mut self.touched);
        if !self.keys.is_empty() {
            keys.extend((0..SAMPLE).map(|_| self.chance.below(self.keys.len())));
        }
        keys.sort_unstable();
        keys.dedup();
        for key in keys {
            look_at(&self.keys[key], &mut line).await;
        }
    }

    async fn again(&mut self, attempt: Attempt, line: &mut Line) {
        let made = self.make(attempt.clone(), line).await;
        assert!(made.is_ok(), "{}: {attempt:?} was not acknowledged by a server that runs", self.email);
    }

    /// Looks at every key, and that there is none that no request asked for.
    pub(crate) async fn look_at_everything(&mut self, server: &Server) {
        let mut line = Line::to(server.address);
        for key in &self.keys {
            look_at(key, &mut line).await;
        }
        let mut listed = Vec::new();
        let mut path = "/api-keys".to_owned();
        loop {
            let call = Call::new("GET", path).header("authorization", format!("Bearer {}", self.access));
            let page = line.send(&call).await.unwrap().json();
            listed
                .extend(page["api_keys"].as_array().unwrap().iter().map(|key| key["id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            path = format!("/api-keys?cursor={next}");
        }
        listed.sort_unstable();
        let mut known: Vec<String> = self.keys.iter().map(|key| key.id.clone()).collect();
        known.sort_unstable();
        assert_eq!(listed, known, "{}", self.email);
    }
}

/// Its secret works, or does not because it was revoked; the former one as its grace says.
async fn look_at(key: &Key, line: &mut Line) {
    let secrets = [Some((&key.secret, true)), key.former.as_ref().map(|(former, has_grace)| (former, *has_grace))];
    for (secret, is_good) in secrets.into_iter().flatten() {
        // From an address of its own: one from which thousands of dead keys come is limited.
        let [_, a, b, c] = LOOKS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let call = token(&key.id, secret).header("x-forwarded-for", format!("10.{a}.{b}.{c}"));
        let answer = line.send(&call).await.unwrap();
        let expected: &[u16] = match (key.is_revoked, is_good) {
            (false, true) => &[200],
            (false, false) => &[401],
            // Revoking ends the former secret too.
            (true, _) => &[403, 401],
        };
        assert!(expected.contains(&answer.status), "{key:?}: {answer:?}");
    }
}
