//! Bytes of bodies that are held while their requests wait, bounded for each caller, for each address prefix and in all (T24).
//!
//! A request that is decided without waiting is not counted: that is one body for each thread. One that waits is counted at every
//! wait, before it waits. The lock is held for a few look-ups, and for a pass over all waiting bodies only when the total is full.

use crate::policy::{BodyLimits, Policy};
use bmap_protocol::refusal::Refusal;
use ipnet::IpNet;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// The payer of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Payer {
    /// A token, by its `jti`: the tokens of one API key do not share a budget (O18).
    Token([u8; 16]),
    /// An API key that signed by itself.
    ApiKey([u8; 16]),
}

/// The budgets of one verifier.
#[derive(Debug)]
pub(crate) struct BodyBudget {
    limits: BodyLimits,
    waiting: Mutex<Waiting>,
}

/// Numbers the bodies that wait. 64 bits do not come round.
type Id = NonZeroU64;

/// Bodies whose requests wait.
#[derive(Debug, Default)]
struct Waiting {
    total: usize,
    ids: u64,
    bodies: HashMap<Id, Held>,
    payers: HashMap<Payer, usize>,
    prefixes: HashMap<IpNet, usize>,
}

#[derive(Debug)]
struct Held {
    bytes: usize,
    payer: Payer,
    prefix: Option<IpNet>,
    speed: Speed,
    /// Wakes the request when it is ended to make room; `None` once its body is complete, and it is not ended any more.
    waker: Option<Waker>,
}

/// How fast a body comes: its bytes, where each second halves those of the seconds before. A burst followed by silence
/// is slow.
#[derive(Clone, Copy, Debug)]
struct Speed {
    /// When the body was waited for first, milliseconds since 1970.
    began: u64,
    recent: u64,
    /// When the last bytes came, milliseconds since 1970.
    last: u64,
}

/// One body's share. Dropping it gives back all of it.
#[derive(Debug)]
pub(crate) struct Hold<'a> {
    budget: &'a BodyBudget,
    payer: Payer,
    peer: Option<IpAddr>,
    /// Its entry, from the first wait on.
    id: Option<Id>,
}

/// Seconds after which a caller over its own budget may try again.
const RETRY_AFTER: u32 = 1;

impl BodyBudget {
    pub(crate) fn new(policy: &Policy) -> Self {
        let mut limits = policy.bodies;
        for budget in [&mut limits.per_token, &mut limits.per_api_key, &mut limits.per_prefix, &mut limits.total] {
            *budget = policy.max_body.max(*budget);
        }
        Self { limits, waiting: Mutex::default() }
    }

    /// The share of one request, empty at first.
    pub(crate) const fn hold(&self, payer: Payer, peer: Option<IpAddr>) -> Hold<'_> {
        Hold { budget: self, payer, peer, id: None }
    }

    /// Bytes that are counted now.
    pub(crate) fn held(&self) -> usize {
        self.lock().total
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hold<'_> {
    /// Counts all `bytes` of a body that is not complete, before its request waits for more at `now`, milliseconds since 1970.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] for a caller or prefix over its budget, [`Refusal::BodyTimeout`] for a body that was ended to make
    /// room or would have to be, [`Refusal::Overloaded`] where no room can be made.
    pub(crate) fn wait_for_more(&mut self, bytes: usize, now: u64, waker: &Waker) -> Result<(), Refusal> {
        self.count(bytes, now, Some(waker))
    }

    /// Counts all `bytes` of a complete body, before its request waits for something else.
    ///
    /// # Errors
    /// As [`Hold::wait_for_more`].
    pub(crate) fn wait_complete(&mut self, bytes: usize, now: u64) -> Result<(), Refusal> {
        self.count(bytes, now, None)
    }

    fn count(&mut self, bytes: usize, now: u64, waker: Option<&Waker>) -> Result<(), Refusal> {
        let (budget, payer) = (self.budget, self.payer);
        let limits = &budget.limits;
        let mut ended = Vec::new();
        let mut waiting = budget.lock();
        let id = *self.id.get_or_insert_with(|| waiting.enter(payer, prefix(self.peer), now));
        // An entry that is not there any more was ended.
        let held = waiting.bodies.get_mut(&id).ok_or(Refusal::BodyTimeout)?;
        if held.waker.as_ref().is_none_or(|known| waker.is_none_or(|waker| !known.will_wake(waker))) {
            held.waker = waker.cloned();
        }
        let (more, prefix, is_new) = (bytes.saturating_sub(held.bytes), held.prefix, held.bytes == 0);
        if more == 0 {
            return Ok(());
        }
        let per_payer = match payer {
            Payer::Token(_) => limits.per_token,
            Payer::ApiKey(_) => limits.per_api_key,
        };
        let after = |held: Option<&usize>| held.copied().unwrap_or(0).saturating_add(more);
        let over_prefix = |prefix| after(waiting.prefixes.get(&prefix)) > limits.per_prefix;
        if after(waiting.payers.get(&payer)) > per_payer || prefix.is_some_and(over_prefix) {
            return Err(Refusal::RateLimited { retry_after: RETRY_AFTER });
        }
        waiting.grow(id, more, now);
        let spared = is_new.then_some(id);
        let outcome = if waiting.total > limits.total {
            waiting.make_room(limits.total, spared, now, &mut ended);
            match waiting.bodies.contains_key(&id) {
                true if waiting.total <= limits.total => Ok(()),
                true => Err(Refusal::Overloaded),
                false => Err(Refusal::BodyTimeout),
            }
        } else {
            Ok(())
        };
        // A waker may drop a request, which comes back here.
        drop(waiting);
        ended.into_iter().for_each(Waker::wake);
        outcome
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            drop(self.budget.lock().leave(id));
        }
    }
}

impl Waiting {
    fn enter(&mut self, payer: Payer, prefix: Option<IpNet>, now: u64) -> Id {
        self.ids = self.ids.wrapping_add(1);
        let id = NonZeroU64::new(self.ids).unwrap_or(NonZeroU64::MAX);
        let speed = Speed { began: now, recent: 0, last: now };
        self.bodies.insert(id, Held { bytes: 0, payer, prefix, speed, waker: None });
        id
    }

    fn grow(&mut self, id: Id, more: usize, now: u64) {
        if let Some(held) = self.bodies.get_mut(&id) {
            held.bytes = held.bytes.saturating_add(more);
            held.speed = held.speed.at(now);
            held.speed.recent = held.speed.recent.saturating_add(u64::try_from(more).unwrap_or(u64::MAX));
            self.total = self.total.saturating_add(more);
            add(&mut self.payers, held.payer, more);
            if let Some(prefix) = held.prefix {
                add(&mut self.prefixes, prefix, more);
            }
        }
    }

    /// Takes an entry out, with what wakes its request.
    fn leave(&mut self, id: Id) -> Option<Waker> {
        let held = self.bodies.remove(&id)?;
        self.total = self.total.saturating_sub(held.bytes);
        subtract(&mut self.payers, held.payer, held.bytes);
        if let Some(prefix) = held.prefix {
            subtract(&mut self.prefixes, prefix, held.bytes);
        }
        held.waker
    }

    /// Ends the slowest incomplete bodies until no more than `limit` is taken. A body whose first bytes these are is spared.
    fn make_room(&mut self, limit: usize, spared: Option<Id>, now: u64, ended: &mut Vec<Waker>) {
        // A body that holds next to nothing makes no room: ending thousands of them would help no caller.
        let least = limit / 65_536;
        let may_end = |(id, held): &(&Id, &Held)| held.waker.is_some() && held.bytes > least && Some(**id) != spared;
        let mut slowest: Vec<_> =
            self.bodies.iter().filter(may_end).map(|(id, held)| (held.speed.per_second(now), *id)).collect();
        slowest.sort_unstable();
        for (_, id) in slowest {
            if self.total <= limit {
                break;
            }
            ended.extend(self.leave(id));
        }
    }
}

impl Speed {
    fn at(self, now: u64) -> Self {
        let halvings = u32::try_from(now.saturating_sub(self.last) / 1000).unwrap_or(u32::MAX);
        Self { recent: self.recent.checked_shr(halvings).unwrap_or(0), last: now.max(self.last), ..self }
    }

    /// Bytes for each second. A sum that is halved each second comes to two seconds' worth, and a young body has had less
    /// time.
    fn per_second(self, now: u64) -> u64 {
        let millis = now.saturating_sub(self.began).clamp(1, 2000);
        self.at(now).recent.saturating_mul(1000).checked_div(millis).unwrap_or(0)
    }
}

/// The network that an address counts to: IPv4 /24, IPv6 /48; an IPv4-mapped address counts as IPv4.
fn prefix(peer: Option<IpAddr>) -> Option<IpNet> {
    let address = peer?.to_canonical();
    let length = if address.is_ipv4() { 24 } else { 48 };
    IpNet::new(address, length).ok().map(|net| net.trunc())
}

fn add<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K, bytes: usize) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(bytes);
}

fn subtract<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K, bytes: usize) {
    use std::collections::hash_map::Entry;
    if let Entry::Occupied(mut count) = counts.entry(key) {
        let left = count.get().saturating_sub(bytes);
        if left == 0 {
            count.remove();
        } else {
            count.insert(left);
        }
    }
}

#[cfg(test)]
#[path = "body_budget/tests.rs"]
mod tests;
