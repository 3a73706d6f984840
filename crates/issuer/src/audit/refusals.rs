//! Refusals, kept from filling the disk: a client must not be able to cause one row for each request that is refused.
//!
//! Of each minute the first refusal that names a known user or API key (as the actor, or as the account or key whose password
//! or secret was wrong) is recorded as it is, and of those that follow alike the number. Of unknown callers only the number
//! is recorded, for each action and code.

use bmap_model::audit::{Action, Event, Source};
use bmap_model::clock::UnixTime;
use std::collections::HashMap;

/// Most that are told apart in a minute; beyond, a known caller counts as an unknown one.
const MAX_APART: usize = 4096;

/// The refusals of one minute.
#[derive(Debug, Default)]
pub struct Refusals {
    minute: i64,
    alike: HashMap<Key, Alike>,
}

/// Refusals count as alike by action, code, and the ids of actor and target.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Key {
    action: Action,
    code: &'static str,
    known: Option<[Option<String>; 2]>,
}

#[derive(Debug)]
struct Alike {
    first: Event,
    /// Those that have no entry of their own.
    more: u64,
}

impl Refusals {
    /// Takes one, and gives it back if it is to be recorded as it is.
    pub fn take(&mut self, event: Event) -> Option<Event> {
        let known = known(&event);
        let full = self.alike.len() >= MAX_APART;
        let key = Key { action: event.action, code: event.outcome.as_str(), known };
        let key = match self.alike.contains_key(&key) || !full {
            true => key,
            false => Key { known: None, ..key },
        };
        if let Some(alike) = self.alike.get_mut(&key) {
            alike.more = alike.more.saturating_add(1);
            return None;
        }
        let as_it_is = key.known.is_some().then(|| event.clone());
        let more = u64::from(as_it_is.is_none());
        self.alike.insert(key, Alike { first: event, more });
        as_it_is
    }

    /// The numbers of the minute that is over, if it is.
    pub fn over(&mut self, now: UnixTime) -> Vec<Event> {
        let minute = now.0.div_euclid(60_000);
        if minute == self.minute {
            return Vec::new();
        }
        self.minute = minute;
        self.all(now)
    }

    /// The numbers so far.
    pub fn all(&mut self, now: UnixTime) -> Vec<Event> {
        let counted = self.alike.drain().filter(|(_, alike)| alike.more > 0);
        counted
            .map(|(key, Alike { first, more })| {
                let since = first.at.0;
                let number =
                    Event { at: now, source: Source::several(), detail: bmap_model::audit::Detail::default(), ..first };
                let number = number.with("count", more).with("since", since);
                match key.known {
                    Some(_) => number,
                    // The first may have named a known caller, beyond `MAX_APART`; the number is of all of them.
                    None => Event { actor: bmap_model::audit::Actor::Anonymous, target: None, ..number },
                }
            })
            .collect()
    }
}

/// The known actor and target of a refusal, if it has one of them.
fn known(event: &Event) -> Option<[Option<String>; 2]> {
    let (_, actor, _) = event.actor.recorded();
    let target = event.target.as_ref().and_then(|target| target.recorded().1);
    let is_known = actor.is_some() || target.is_some();
    is_known.then(|| [actor.map(str::to_owned), target.map(str::to_owned)])
}
