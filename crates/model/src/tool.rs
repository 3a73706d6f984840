//! Tools: the services that are protected.

use super::audit::detail::Fact;
use super::audit::{Action, Event, Source};
use super::roots::Roots;
use super::row_seal::{RowFault, RowSeal};
use super::scope::Scopes;
use super::stored_origin::StoredOrigin;
use super::tool_policy;
use crate::clock::UnixTime;
use bmap_protocol::ids::ToolId;
use bmap_protocol::keys::EpochKeys;
use bmap_protocol::origin::Origin;
use bmap_protocol::token::Assurance;
use bmap_protocol::tool_policy::ToolPolicy;
use std::collections::BTreeSet;
use std::fmt;

/// A tool and its policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its id: the audience of its tokens.
    pub id: ToolId,
    /// Its public address, scheme and authority only: `@authority` is compared with it.
    pub base_url: StoredOrigin,
    /// Pages that may use it.
    pub origins: ToolOrigins,
    /// The lowest assurance that it accepts.
    pub min_assurance: Assurance,
    /// Scopes that tokens for it may have.
    pub scopes: Scopes,
    /// Scopes that every token for it must have.
    pub required_scopes: Scopes,
    /// Which users may have it.
    pub access: Access,
    /// The kinds of callers that it takes.
    pub callers: CallerKinds,
    /// While it is open: the scopes that a user without a grant may have.
    pub open_scopes: Scopes,
    /// What is asked of its requests beside.
    pub policy: ToolPolicy,
    /// When it was made.
    pub created_at: UnixTime,
    /// Binds all of these to the root secret: a tool that was put in, or pointed to another address, by hand gets no tokens (T13).
    pub seal: Option<RowSeal>,
}

impl Tool {
    /// The tool, sealed.
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
        self.with_former_fields(|former| {
            let (callers, open_scopes) = (self.callers.to_string(), self.open_scopes.to_string());
            let policy = tool_policy::text(&self.policy);
            // Another label than before tools had an access: a former seal does not hold for a row of today. And another one with a policy: a policy
            // that is put in or taken out by hand is seen.
            let label = if policy.is_empty() { "tool-2" } else { "tool-3" };
            let of_then = former.iter().copied().skip(1);
            let of_now = [self.access.as_str(), &callers, &open_scopes, &policy];
            let of_now = of_now.into_iter().take(if policy.is_empty() { 3 } else { 4 });
            take(&std::iter::once(label).chain(of_then).chain(of_now).collect::<Vec<_>>())
        })
    }

    /// Whether its row is as it was written before tools had an access. Only the upgrade asks this.
    ///
    /// # Errors
    /// [`RowFault`].
    pub fn check_former_seal(&self, roots: &Roots) -> Result<(), RowFault> {
        self.with_former_fields(|fields| RowSeal::check(self.seal.as_ref(), roots, fields))
    }

    fn with_former_fields<T>(&self, take: impl FnOnce(&[&str]) -> T) -> T {
        take(&[
            "tool",
            self.id.as_str(),
            self.base_url.as_str(),
            &self.origins.to_list().join(" "),
            self.min_assurance.as_str(),
            &self.scopes.to_string(),
            &self.required_scopes.to_string(),
            &self.created_at.0.to_string(),
        ])
    }

    /// Every scope that a token for it may have.
    pub fn all_scopes(&self) -> Scopes {
        self.scopes.union(&self.required_scopes)
    }

    /// Whether every user can have a token of it, if it is open: the scopes that it requires are among those that it gives to all.
    ///
    /// # Errors
    /// [`OpenToolFault`].
    pub fn check_open_scopes(&self) -> Result<(), OpenToolFault> {
        if self.access == Access::Open && !self.required_scopes.is_within(&self.open_scopes) {
            return Err(OpenToolFault::Required);
        }
        if !self.open_scopes.is_within(&self.all_scopes()) {
            return Err(OpenToolFault::Unknown);
        }
        Ok(())
    }

    /// The audit log's event of a tool that was added.
    pub fn added(&self, source: &Source) -> Event {
        self.told(Event::done(Action::ToolCreate, source, self.created_at).on(&self.id))
    }

    /// The event, with the tool's fields.
    pub fn told(&self, event: Event) -> Event {
        let event = event.with("base_url", &self.base_url).with("origins", &self.origins);
        let event = event.with("min_assurance", self.min_assurance.as_str()).with("access", self.access.as_str());
        let event = event.with("callers", &self.callers).with("open_scopes", &self.open_scopes);
        let event = event.with("policy", &self.policy);
        event.with("scopes", &self.scopes).with("required_scopes", &self.required_scopes)
    }
}

/// Why an open tool can't be as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenToolFault {
    /// It asks every token for a scope that it does not give to all.
    #[error("an open tool gives the scopes that it requires to all: put them into the open scopes too")]
    Required,
    /// It gives a scope to all that it does not have.
    #[error("the open scopes are among the tool's scopes")]
    Unknown,
}

/// Which users may have a tool (profile §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every user.
    Open,
    /// Users with a grant.
    Granted,
}

impl Access {
    /// Its word: `open` or `granted`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Access::Open => "open",
            Access::Granted => "granted",
        }
    }

    /// The access of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        [Access::Open, Access::Granted].into_iter().find(|access| access.as_str() == word)
    }
}

/// A kind of caller (profile §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallerKind {
    /// A page, by a ticket of its backend.
    Page,
    /// A backend, by its own API key.
    Direct,
    /// A signed-in user, on a page.
    User,
    /// A page whose visitor proved nothing.
    Public,
}

impl CallerKind {
    /// Every kind, in the order in which they are written.
    pub const ALL: [CallerKind; 4] = [CallerKind::Page, CallerKind::Direct, CallerKind::User, CallerKind::Public];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            CallerKind::Page => "page",
            CallerKind::Direct => "direct",
            CallerKind::User => "user",
            CallerKind::Public => "public",
        }
    }
}

/// The kinds of callers that a tool takes; the default is `page direct`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerKinds(BTreeSet<CallerKind>);

/// Not a list of kinds of callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("callers are one or more of page, direct, user, public")]
pub struct InvalidCallers;

impl CallerKinds {
    /// Reads a space-separated list; a tool takes at least one kind.
    ///
    /// # Errors
    /// [`InvalidCallers`].
    pub fn parse(text: &str) -> Result<Self, InvalidCallers> {
        let words = text.split(' ').filter(|word| !word.is_empty());
        let kind = |word: &str| CallerKind::ALL.into_iter().find(|kind| kind.as_str() == word).ok_or(InvalidCallers);
        Self::of(words.map(kind).collect::<Result<Vec<_>, _>>()?)
    }

    /// Those kinds; a tool takes at least one.
    ///
    /// # Errors
    /// [`InvalidCallers`] for none.
    pub fn of(kinds: impl IntoIterator<Item = CallerKind>) -> Result<Self, InvalidCallers> {
        let kinds: BTreeSet<CallerKind> = kinds.into_iter().collect();
        if kinds.is_empty() { Err(InvalidCallers) } else { Ok(Self(kinds)) }
    }

    /// Whether it is one of them.
    pub fn contains(&self, kind: CallerKind) -> bool {
        self.0.contains(&kind)
    }

    /// The words, in their order.
    pub fn words(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|kind| kind.as_str())
    }
}

impl Default for CallerKinds {
    fn default() -> Self {
        Self(BTreeSet::from([CallerKind::Page, CallerKind::Direct]))
    }
}

impl From<&CallerKinds> for Fact {
    fn from(callers: &CallerKinds) -> Self {
        Self::of_text(&callers.to_string())
    }
}

impl fmt::Display for CallerKinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words().collect::<Vec<_>>().join(" "))
    }
}

/// Which pages may use a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolOrigins {
    /// Any page that an API key registered.
    AnyRegistered,
    /// These only.
    Only(Vec<StoredOrigin>),
}

impl From<&ToolOrigins> for Fact {
    fn from(origins: &ToolOrigins) -> Self {
        Self::of_text(&origins.to_list().join(" "))
    }
}

impl ToolOrigins {
    /// Whether a page of `origin` may use the tool.
    pub fn allow(&self, origin: &Origin) -> bool {
        match self {
            ToolOrigins::AnyRegistered => true,
            ToolOrigins::Only(origins) => origins.iter().any(|listed| listed.covers(origin)),
        }
    }

    /// The list as it stands in the tool's credential: `["*"]` or the origins.
    pub fn to_list(&self) -> Vec<String> {
        match self {
            ToolOrigins::AnyRegistered => vec!["*".to_owned()],
            ToolOrigins::Only(origins) => origins.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The assurance for its word in claims and credentials.
pub fn assurance(word: &str) -> Option<Assurance> {
    [Assurance::Origin, Assurance::User, Assurance::Server].into_iter().find(|assurance| assurance.as_str() == word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_of_callers_have_one_spelling() {
        assert_eq!(CallerKinds::parse("user  direct page user").unwrap().to_string(), "page direct user");
        assert_eq!(CallerKinds::default().to_string(), "page direct");
        for bad in ["", " ", "Page", "page,direct", "server", "page\tdirect"] {
            assert_eq!(CallerKinds::parse(bad), Err(InvalidCallers), "{bad:?}");
        }
        assert_eq!((Access::from_word("open"), Access::from_word("Open")), (Some(Access::Open), None));
    }
}
