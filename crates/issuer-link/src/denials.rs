//! Denials that are in force: bounded, looked up for each request, exchanged as a whole by a loaded state.
//!
//! An entry goes when its time is over by both clocks, this machine's and the issuer's as it was last heard of. A clock that is set forward and
//! back again ends none of them early. A set that is full forgets no live denial: it refuses every request until there is room again.

use bmap_protocol::link::{Change, ChangeKind};
use bmap_protocol::refusal::{Denial, Refusal};
use bmap_protocol::token::Claims;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Seconds for which a denial outlives its time: a verifier's clock may go back by as much and still be believed.
const GRACE: i64 = 5;
/// Seconds for which a lift is remembered, so that an older denial that comes late does not come into force.
const LIFT_SECONDS: i64 = 60;
/// Most entries that one call to [`Denials::purge`] takes out, so that requests do not wait for it.
const PURGE: usize = 4096;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum About {
    User,
    Key,
    Session,
    Token,
    Grant,
    Tool,
    /// A user's tokens up to a second of issue.
    Tokens,
}

impl About {
    fn of_change(change: &Change) -> Option<Self> {
        match (change.kind, change.issued_until) {
            (ChangeKind::User, Some(_)) => Some(Self::Tokens),
            (kind, _) => Self::of(kind),
        }
    }

    const fn of(kind: ChangeKind) -> Option<Self> {
        Some(match kind {
            ChangeKind::User => Self::User,
            ChangeKind::Key => Self::Key,
            ChangeKind::Session => Self::Session,
            ChangeKind::Token => Self::Token,
            ChangeKind::Grant => Self::Grant,
            ChangeKind::ToolEpoch => Self::Tool,
            ChangeKind::Policy | ChangeKind::Keys | ChangeKind::Allowlist | ChangeKind::Lift => return None,
        })
    }

    const fn denial(self) -> Denial {
        match self {
            Self::User => Denial::UserInactive,
            Self::Key => Denial::KeyRevoked,
            Self::Session | Self::Token | Self::Grant | Self::Tool | Self::Tokens => Denial::TokenRevoked,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Of its newest change.
    cursor: i64,
    /// Seconds since 1970.
    until: i64,
    /// Whether it denies; otherwise a lift is remembered.
    denies: bool,
    /// The second of issue up to which it denies tokens.
    issued_until: i64,
}

impl Entry {
    fn denies(&self, claims: &Claims) -> bool {
        self.denies && i64::try_from(claims.issued_at).is_ok_and(|issued| issued <= self.issued_until)
    }
}

/// One map for each kind.
#[derive(Debug, Default)]
struct Table {
    users: HashMap<Box<str>, Entry>,
    keys: HashMap<Box<str>, Entry>,
    sessions: HashMap<Box<str>, Entry>,
    tokens: HashMap<Box<str>, Entry>,
    grants: HashMap<Box<str>, Entry>,
    tools: HashMap<Box<str>, Entry>,
    /// By the user that they stand for.
    of_users: HashMap<Box<str>, Entry>,
    /// Each entry once, by a time at which it may be over.
    ends: BinaryHeap<Reverse<(i64, About, Box<str>)>>,
}

impl Table {
    const fn map(&mut self, about: About) -> &mut HashMap<Box<str>, Entry> {
        match about {
            About::User => &mut self.users,
            About::Key => &mut self.keys,
            About::Session => &mut self.sessions,
            About::Token => &mut self.tokens,
            About::Grant => &mut self.grants,
            About::Tool => &mut self.tools,
            About::Tokens => &mut self.of_users,
        }
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    /// Puts an entry in, or together with the one that is there. The newer change counts; of two denials the later end.
    fn put(&mut self, about: About, id: &str, new: Entry, capacity: usize) -> Result<(), Full> {
        let len = self.len();
        let map = self.map(about);
        if let Some(entry) = map.get_mut(id) {
            let both_deny = entry.denies && new.denies;
            let (until, issued_until) = (entry.until.max(new.until), entry.issued_until.max(new.issued_until));
            // Of one cursor the denial counts.
            if new.cursor > entry.cursor || new.cursor == entry.cursor && new.denies {
                *entry = new;
            }
            if both_deny {
                (entry.until, entry.issued_until) = (until, issued_until);
            }
            return Ok(());
        }
        if len >= capacity {
            return if new.denies { Err(Full) } else { Ok(()) };
        }
        map.insert(id.into(), new);
        self.ends.push(Reverse((new.until, about, id.into())));
        Ok(())
    }
}

/// There is no room for a denial.
#[derive(Debug)]
struct Full;

/// The denials of one verifier.
#[derive(Debug)]
pub(crate) struct Denials {
    /// Entries in the table, so that a look-up in an empty one takes no lock.
    entries: AtomicUsize,
    /// The second until which a denial counts that there was no room for; 0: there is none.
    refuses_until: AtomicI64,
    table: RwLock<Table>,
    capacity: usize,
    tool: Box<str>,
}

impl Denials {
    pub(crate) fn new(tool: &str, capacity: usize) -> Self {
        let (entries, refuses_until) = (AtomicUsize::new(0), AtomicI64::new(0));
        Self { entries, refuses_until, table: RwLock::default(), capacity, tool: tool.into() }
    }

    /// Refuses a token that is denied.
    pub(crate) fn check(&self, claims: &Claims) -> Result<(), Refusal> {
        let Some(table) = self.look()? else { return Ok(()) };
        let user = claims.subject.as_str();
        let denied = |map: &HashMap<Box<str>, Entry>, id: &str, about: About| match map.get(id) {
            Some(entry) if entry.denies(claims) => Err(Refusal::Denied(about.denial())),
            _ => Ok(()),
        };
        denied(&table.users, user, About::User)?;
        denied(&table.of_users, user, About::Tokens)?;
        denied(&table.keys, claims.client_id.as_str(), About::Key)?;
        denied(&table.tokens, &claims.id, About::Token)?;
        denied(&table.grants, user, About::Grant)?;
        denied(&table.tools, claims.audience.as_str(), About::Tool)?;
        claims.session.as_ref().map_or(Ok(()), |session| denied(&table.sessions, session, About::Session))
    }

    /// Refuses an API key that signs by itself, and is denied or its owner's.
    pub(crate) fn check_key(&self, key: &str, owner: &str) -> Result<(), Refusal> {
        let Some(table) = self.look()? else { return Ok(()) };
        // It has no time of issue: where many of its owner's keys were revoked, it may be one of them.
        let places =
            [(&table.users, owner, About::User), (&table.keys, key, About::Key), (&table.of_users, owner, About::Key)];
        for (map, id, about) in places {
            if map.get(id).is_some_and(|entry| entry.denies) {
                return Err(Refusal::Denied(about.denial()));
            }
        }
        Ok(())
    }

    fn look(&self) -> Result<Option<RwLockReadGuard<'_, Table>>, Refusal> {
        if self.refuses_until.load(Ordering::SeqCst) != 0 {
            return Err(Refusal::IssuerUnavailable);
        }
        match self.entries.load(Ordering::SeqCst) {
            0 => Ok(None),
            _ => Ok(Some(self.table.read().unwrap_or_else(PoisonError::into_inner))),
        }
    }

    /// Brings one change into force: every request that asks from now on sees it. One that came before, or is older, does no harm.
    pub(crate) fn apply(&self, change: &Change, now: i64) {
        let Some((about, entry)) = self.entry(change, now) else { return };
        let mut table = self.write();
        if table.put(about, &change.id, entry, self.capacity).is_err() {
            self.no_room(entry.until);
        }
        self.count(&table);
    }

    /// Exchanges all of them for those of a state at a cursor. With `keeps_newer` those stay that came behind that cursor. A denial that
    /// is in both is never absent.
    pub(crate) fn replace(&self, changes: &[Change], cursor: i64, keeps_newer: bool, now: i64) {
        let (mut table, mut refuses_until) = (Table::default(), 0);
        for change in changes {
            let Some((about, entry)) = self.entry(change, now) else { continue };
            if table.put(about, &change.id, entry, self.capacity).is_err() {
                refuses_until = entry.until.max(refuses_until);
            }
        }
        let mut current = self.write();
        if keeps_newer {
            for Reverse((_, about, id)) in std::mem::take(&mut current.ends) {
                let Some(entry) = current.map(about).get(&id).copied().filter(|entry| entry.cursor > cursor) else {
                    continue;
                };
                if table.put(about, &id, entry, self.capacity).is_err() {
                    refuses_until = entry.until.max(refuses_until);
                }
            }
        }
        let former = std::mem::replace(&mut *current, table);
        self.refuses_until.store(refuses_until, Ordering::SeqCst);
        self.count(&current);
        drop(current);
        // Freeing a large table takes its time, and no request waits for it.
        drop(former);
    }

    /// Takes out entries whose time is over; `now` is the earlier of the two clocks' seconds.
    pub(crate) fn purge(&self, now: i64) {
        let refuses_until = self.refuses_until.load(Ordering::SeqCst);
        let mut table = self.write();
        for _ in 0..PURGE {
            let is_over = |until: i64| until.saturating_add(GRACE) < now;
            if !table.ends.peek().is_some_and(|Reverse((until, ..))| is_over(*until)) {
                break;
            }
            let Some(Reverse((_, about, id))) = table.ends.pop() else { break };
            match table.map(about).get(&id).map(|entry| entry.until) {
                Some(until) if !is_over(until) => table.ends.push(Reverse((until, about, id))),
                _ => drop(table.map(about).remove(&id)),
            }
        }
        self.count(&table);
        // By then every token that the forgotten denials touch has ended.
        if refuses_until != 0 && refuses_until.saturating_add(GRACE) < now {
            self.refuses_until.store(0, Ordering::SeqCst);
        }
    }

    /// Entries, and whether requests are refused because there is no room.
    pub(crate) fn usage(&self) -> (usize, bool) {
        (self.entries.load(Ordering::SeqCst), self.refuses_until.load(Ordering::SeqCst) != 0)
    }

    /// The entry of a change; `None` where it denies and lifts nothing here, or is over.
    fn entry(&self, change: &Change, now: i64) -> Option<(About, Entry)> {
        if change.tool.as_deref().is_some_and(|tool| !tool.is_empty() && *tool != *self.tool) {
            return None;
        }
        let (cursor, until) = (change.cursor, change.until);
        if change.kind == ChangeKind::Lift {
            let entry =
                Entry { cursor, until: now.saturating_add(LIFT_SECONDS), denies: false, issued_until: i64::MIN };
            return change.of.and_then(About::of).map(|about| (about, entry));
        }
        let is_over = until.saturating_add(GRACE) < now;
        let issued_until = change.issued_until.unwrap_or(i64::MAX);
        About::of_change(change)
            .filter(|_| !is_over)
            .map(|about| (about, Entry { cursor, until, denies: true, issued_until }))
    }

    fn no_room(&self, until: i64) {
        let before = self.refuses_until.fetch_max(until, Ordering::SeqCst);
        if before == 0 {
            tracing::error!(
                capacity = self.capacity,
                "the live link has no room for another denial: every request is refused until there is room"
            );
        }
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.table.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self, table: &Table) {
        self.entries.store(table.len(), Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests;
