//! Entries of the audit log: each change of a user, key, tool or session with its actor, and each refusal. The log only grows, and each
//! entry is chained to the one before (docs/audit.md).
//!
//! Modules in reading order: [`action`] and [`subject`] (the act, its actor and its target), [`detail`] (further facts,
//! never a secret), [`source`] (where a request came from, and its proved caller), [`chain`] (what makes an edited row
//! show), [`kept`] (its keys of older epochs), [`query`] (which entries are looked for).

pub mod action;
pub mod detail;
pub mod source;
pub mod subject;

pub mod chain;
pub mod kept;
pub mod query;

use crate::clock::UnixTime;
use crate::problem_code::ProblemCode;

pub use action::Action;
pub use detail::Detail;
pub use source::Source;
pub use subject::{Actor, Target};

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused, with the code that the caller was told.
    Refused(ProblemCode),
}

impl Outcome {
    /// `done`, or the code.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Done => "done",
            Outcome::Refused(code) => code.as_str(),
        }
    }
}

/// Something that happened, to be recorded.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub at: UnixTime,
    /// The action.
    pub action: Action,
    /// How it ended.
    pub outcome: Outcome,
    /// The actor.
    pub actor: Actor,
    /// To what.
    pub target: Option<Target>,
    /// From where, and in which request.
    pub source: Source,
    /// Further facts.
    pub detail: Detail,
}

impl Event {
    /// Something that `source` did. The actor is the caller that the source has proved to be by now.
    pub fn done(action: Action, source: &Source, at: UnixTime) -> Self {
        Self {
            at,
            action,
            outcome: Outcome::Done,
            actor: source.actor(),
            target: None,
            source: source.clone(),
            detail: Detail::default(),
        }
    }

    /// The same, done by `actor`.
    #[must_use]
    pub fn by(mut self, actor: Actor) -> Self {
        self.actor = actor;
        self
    }

    /// The same, done to `target`.
    #[must_use]
    pub fn on(mut self, target: impl Into<Target>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// The same, with one more fact. Only types that hold no secret can be one.
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: impl Into<detail::Fact>) -> Self {
        self.detail.add(name, fact.into());
        self
    }
}
