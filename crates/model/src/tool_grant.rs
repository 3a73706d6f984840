//! Grants: which scopes of a tool a user may have, and until when (profile §7, "Who may have what").

use super::audit::{Action, Event, Source};
use super::roots::Roots;
use super::row_seal::{RowFault, RowSeal};
use super::scope::Scopes;
use super::tool::{Access, Tool};
use crate::clock::UnixTime;
use bmap_protocol::ids::{ToolId, UserId};
use bmap_protocol::keys::EpochKeys;
use std::fmt;

/// A grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolGrant {
    /// The tool.
    pub tool: ToolId,
    /// The user.
    pub user: UserId,
    /// Scopes that tokens may have by it.
    pub scopes: Scopes,
    /// Its end; `None` for none.
    pub ends_at: Option<UnixTime>,
    /// Its giver.
    pub given_by: Giver,
    /// When it was given.
    pub given_at: UnixTime,
    /// Binds all of these to the root secret: a grant that was put in or widened by hand gives nothing (T13).
    pub seal: Option<RowSeal>,
}

/// The giver of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Giver {
    /// A command on the issuer's machine.
    Operator,
    /// The program's upgrade, from a key that was there before there were grants.
    Upgrade,
    /// An admin.
    Admin(UserId),
}

impl Giver {
    /// The giver of that text; `None` for another one.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "operator" => Some(Giver::Operator),
            "upgrade" => Some(Giver::Upgrade),
            id => UserId::parse(id).ok().map(Giver::Admin),
        }
    }

    /// `operator`, `upgrade`, or the id of the admin.
    pub fn as_str(&self) -> &str {
        match self {
            Giver::Operator => "operator",
            Giver::Upgrade => "upgrade",
            Giver::Admin(id) => id.as_str(),
        }
    }
}

impl fmt::Display for Giver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl ToolGrant {
    /// The grant, sealed.
    #[must_use]
    pub fn sealed(self, keys: &EpochKeys) -> Self {
        Self { seal: self.with_fields(|fields| Some(RowSeal::make(keys, fields))), ..self }
    }

    /// Whether its row is as it was written.
    ///
    /// # Errors
    /// [`RowFault`], an alarm.
    pub fn check_seal(&self, roots: &Roots) -> Result<(), RowFault> {
        self.with_fields(|fields| RowSeal::check(self.seal.as_ref(), roots, fields))
    }

    fn with_fields<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        take(&[
            "tool grant",
            self.tool.as_str(),
            self.user.as_str(),
            &self.scopes.to_string(),
            &self.ends_at.map_or_else(String::new, |end| end.0.to_string()),
            self.given_by.as_str(),
            &self.given_at.0.to_string(),
        ])
    }

    /// Whether it gives anything at that time.
    pub fn is_in_force(&self, now: UnixTime) -> bool {
        self.ends_at.is_none_or(|end| now < end)
    }

    /// The audit log's event of a grant that was given.
    pub fn given(&self, source: &Source) -> Event {
        let event = Event::done(Action::ToolGrant, source, self.given_at).on(&self.user).with("tool", &self.tool);
        let event = event.with("scopes", &self.scopes);
        match self.ends_at {
            Some(end) => event.with("ends_at", end.0),
            None => event,
        }
    }
}

/// A user may not have a tool, or can't be given what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GrantError {
    /// No tool has that name.
    #[error("there is no such tool")]
    NoSuchTool,
    /// There is no grant in force of a tool that needs one.
    #[error("not for this tool")]
    Denied,
    /// The grant is not as it was written: an alarm.
    #[error("the row of a grant is not as it was written: {0}")]
    Edited(RowFault),
    /// The scopes would need two ends, and one grant has one.
    #[error("{hint}")]
    TwoEnds {
        /// What to do, for a person.
        hint: String,
    },
}

/// A tool, and the grant of it that one user has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolOfUser {
    /// The tool.
    pub tool: Tool,
    /// The grant, also one that has ended.
    pub grant: Option<ToolGrant>,
}

impl ToolOfUser {
    /// The scopes that the user may have: those of the grant in force, or for an open tool without one those that it gives to all.
    ///
    /// # Errors
    /// [`GrantError::Denied`] for a granted tool without a grant in force; [`GrantError::Edited`].
    pub fn scopes(&self, roots: &Roots, now: UnixTime) -> Result<&Scopes, GrantError> {
        if let Some(grant) = &self.grant {
            grant.check_seal(roots).map_err(GrantError::Edited)?;
            if grant.is_in_force(now) {
                return Ok(&grant.scopes);
            }
        }
        match self.tool.access {
            Access::Open => Ok(&self.tool.open_scopes),
            Access::Granted => Err(GrantError::Denied),
        }
    }

    /// The grant that gives what the user may have already, and `scopes` until `ends_at`: never less, never shorter, and no scope for longer
    /// than was said of it. `None` where that is the grant that is there.
    ///
    /// # Errors
    /// [`GrantError::Edited`]; [`GrantError::TwoEnds`] where one grant can't be both, since it has
    /// one end for all of its scopes.
    pub fn widened(
        &self,
        user: &UserId,
        scopes: &Scopes,
        ends_at: Option<UnixTime>,
        at: UnixTime,
        roots: &Roots,
    ) -> Result<Option<ToolGrant>, GrantError> {
        let before = match self.scopes(roots, at) {
            Ok(scopes) => scopes.clone(),
            Err(GrantError::Denied) => Scopes::default(),
            Err(error) => return Err(error),
        };
        let in_force = self.grant.as_ref().filter(|grant| grant.is_in_force(at));
        // One row has one end: scopes of the grant must not end later than granted, and new scopes not later than the key.
        if let Some(grant) = in_force
            && let (is_later, is_sooner) = (later(ends_at, grant.ends_at), later(grant.ends_at, ends_at))
            && ((is_later && !grant.scopes.is_within(scopes)) || (is_sooner && !scopes.is_within(&grant.scopes)))
        {
            return Err(GrantError::TwoEnds { hint: two_ends(grant, scopes) });
        }
        let ends_at = match in_force {
            Some(grant) => grant.ends_at.zip(ends_at).map(|(one, other)| one.max(other)),
            None => ends_at,
        };
        let scopes = before.union(scopes);
        if in_force.is_some_and(|grant| grant.scopes == scopes && grant.ends_at == ends_at) {
            return Ok(None);
        }
        let (tool, user) = (self.tool.id.clone(), user.clone());
        let grant = ToolGrant { tool, user, scopes, ends_at, given_by: Giver::Operator, given_at: at, seal: None };
        Ok(Some(grant.sealed(&roots.sealing())))
    }
}

/// Whether an end is later than another one; `None` is without end.
fn later(one: Option<UnixTime>, other: Option<UnixTime>) -> bool {
    match (one, other) {
        (None, other) => other.is_some(),
        (Some(one), Some(other)) => one > other,
        (Some(_), None) => false,
    }
}

/// What to do where a grant would need two ends.
fn two_ends(grant: &ToolGrant, added: &Scopes) -> String {
    let all = grant.scopes.union(added);
    format!(
        "{user} has a grant of {tool} for {has:?} with another end, and one grant has one end for all of its scopes: say both anew \
         (bmap tool grant {user} {tool} --scopes {all:?} --until WHEN), then add the key with an end no later than that",
        user = grant.user,
        tool = grant.tool,
        has = grant.scopes.to_string(),
        all = all.to_string(),
    )
}
