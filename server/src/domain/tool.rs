//! Tools: the services that are protected.

use super::audit::{Action, Event, Source};
use super::roots::Roots;
use super::row_seal::{RowFault, RowSeal};
use super::scope::Scopes;
use crate::clock::UnixMillis;
use bmap_protocol::ids::ToolId;
use bmap_protocol::keys::EpochKeys;
use bmap_protocol::origin::Origin;
use bmap_protocol::token::Assurance;

/// A tool and its policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its id: the audience of its tokens.
    pub id: ToolId,
    /// Its public address, scheme and authority only: what `@authority` is compared with.
    pub base_url: Origin,
    /// Pages that may use it.
    pub origins: ToolOrigins,
    /// The lowest assurance that it accepts.
    pub min_assurance: Assurance,
    /// Scopes that tokens for it may have.
    pub scopes: Scopes,
    /// Scopes that every token for it must have.
    pub required_scopes: Scopes,
    /// When it was made.
    pub created_at: UnixMillis,
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

    /// What the audit log says of a tool that was added.
    pub fn added(&self, source: &Source) -> Event {
        let event = Event::done(Action::ToolCreate, source, self.created_at).on(&self.id);
        event.with("base_url", &self.base_url).with("origins", &self.origins)
    }
}

/// Which pages may use a tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolOrigins {
    /// Any page that an API key registered.
    AnyRegistered,
    /// These only.
    Only(Vec<Origin>),
}

impl ToolOrigins {
    /// Whether a page of `origin` may use the tool.
    pub fn allow(&self, origin: &Origin) -> bool {
        match self {
            ToolOrigins::AnyRegistered => true,
            ToolOrigins::Only(origins) => origins.iter().any(|listed| listed.covers(origin.as_str())),
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
