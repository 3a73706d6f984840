//! What an act means to the verifiers of tools (profile §13): which tokens it denies, and what has to be loaded anew.
//!
//! It follows from the act's entry in the audit log, so that no change that is recorded can be forgotten here: a new [`Action`] does not
//! compile until [`Effect::of`] says what it means.

use crate::audit::{Action, Event, Outcome, Target};
use bmap_protocol::ids::UserId;
use bmap_protocol::link::ChangeKind;
use bmap_protocol::token::MAX_LIFE;

/// Seconds by which a verifier's clock may be behind, and an issuer's ahead: a token that has ended so lately may still be taken somewhere.
pub const CLOCK_SECONDS: i64 = 10;
/// Seconds after which every token that was minted before an act has ended, by every clock that a verifier may have.
const LONGEST: i64 = MAX_LIFE as i64 + CLOCK_SECONDS;

/// What verifiers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// One change. `tool` limits it to one tool; empty: all. `of` is the kind of the denial that a [`ChangeKind::Lift`] ends.
    Change {
        /// What it is about.
        kind: ChangeKind,
        /// Its id.
        id: String,
        /// The tool.
        tool: String,
        /// The kind of the denial that ends.
        of: Option<ChangeKind>,
        /// The user whose tokens a denial of a key or a token is about.
        owner: Option<UserId>,
    },
    /// The sessions at tools of this user that have ended with the act are denied, each by its id.
    EndedSessions(UserId),
}

impl Effect {
    /// The effect of an event; `None` for most.
    pub fn of(event: &Event) -> Option<Self> {
        if event.outcome != Outcome::Done {
            return None;
        }
        let owned = |kind, id: &str, tool: &str, of, owner: Option<&UserId>| {
            Some(Effect::Change { kind, id: id.into(), tool: tool.into(), of, owner: owner.cloned() })
        };
        let change = |kind, id: &str, tool: &str, of| owned(kind, id, tool, of, None);
        let reload = |kind| change(kind, "", "", None);
        let on_tool = |kind| match &event.target {
            Some(Target::Tool(tool)) => change(kind, tool.as_str(), tool.as_str(), None),
            // A tool that is not named: all of them are loaded anew.
            _ => reload(ChangeKind::Keys),
        };
        let on_user = |kind, of| match &event.target {
            Some(Target::User(user)) => change(kind, user.as_str(), "", of),
            _ => None,
        };
        let on_grant = |kind, of| match &event.target {
            Some(Target::User(user)) => change(kind, user.as_str(), event.detail.fact("tool")?, of),
            _ => None,
        };
        let sessions = || match &event.target {
            Some(Target::User(user) | Target::Session { user, .. }) => Some(Effect::EndedSessions(user.clone())),
            _ => None,
        };
        match event.action {
            Action::UserDeactivate => on_user(ChangeKind::User, None),
            Action::UserActivate => on_user(ChangeKind::Lift, Some(ChangeKind::User)),
            Action::ApiKeyRevoke => match &event.target {
                Some(Target::ApiKey { key, owner }) => owned(ChangeKind::Key, key.as_str(), "", None, Some(owner)),
                _ => None,
            },
            // The id is the target's, which is written as it is: a fact that looks like a secret by chance would be withheld.
            Action::TokenRevoke => match &event.target {
                Some(Target::Token { id, user }) => {
                    owned(ChangeKind::Token, id.as_str(), event.detail.fact("tool")?, None, Some(user))
                }
                _ => None,
            },
            Action::UserSignOut
            | Action::SessionRevoke
            | Action::PasswordChange
            | Action::PasswordReset
            | Action::PasswordForget
            | Action::OpenidUnlink => sessions(),
            Action::ToolRevokeGrant => on_grant(ChangeKind::Grant, None),
            Action::ToolGrant => on_grant(ChangeKind::Lift, Some(ChangeKind::Grant)),
            Action::ToolCreate | Action::ToolUpdate | Action::ToolConfirm => on_tool(ChangeKind::Policy),
            Action::ToolRemove => on_tool(ChangeKind::ToolEpoch),
            Action::GrantsUpgrade | Action::RootRotate | Action::RootActivate | Action::RootRetire => {
                reload(ChangeKind::Keys)
            }
            // A new secret denies no token: its client is the same key. What a key may have is asked at the next renewal.
            Action::ApiKeyCreate | Action::ApiKeyUpdate | Action::ApiKeyRegenerate => None,
            Action::UserCreate
            | Action::UserRole
            | Action::UserRegister
            | Action::UserConfirm
            | Action::UserSignIn
            | Action::UserStepUp
            | Action::UserInvite
            | Action::OpenidReturn
            | Action::OpenidLink
            | Action::OpenidConfirm
            | Action::PasswordFirstAsk
            | Action::PasswordFirst
            | Action::PasswordResetAsk
            | Action::PasswordResetLink
            | Action::PasswordRehash
            | Action::EmailChangeAsk
            | Action::EmailChange
            | Action::SessionRefresh
            | Action::ToolCredential
            | Action::TicketCreate
            | Action::TicketRevoke
            | Action::TokenGrant
            | Action::TokenRenew
            | Action::CapabilityGrant
            | Action::Request
            | Action::AuditDrop => None,
        }
    }

    /// The second up to which tokens are denied that were issued before an act: by the clock of any issuer.
    pub const fn issued_until(at_seconds: i64) -> i64 {
        at_seconds.saturating_add(CLOCK_SECONDS)
    }

    /// Until when a change of an act at that time is kept, seconds since 1970: the last token that it touches has ended by then.
    pub const fn until(at_seconds: i64) -> i64 {
        at_seconds.saturating_add(LONGEST)
    }
}

/// Whether a change of this kind denies tokens.
pub const fn denies(kind: ChangeKind) -> bool {
    matches!(
        kind,
        ChangeKind::User
            | ChangeKind::Key
            | ChangeKind::Session
            | ChangeKind::Token
            | ChangeKind::Grant
            | ChangeKind::ToolEpoch
    )
}

/// The word of a kind, as it is stored and sent.
pub const fn word(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::User => "user",
        ChangeKind::Key => "key",
        ChangeKind::Session => "session",
        ChangeKind::Token => "token",
        ChangeKind::Grant => "grant",
        ChangeKind::ToolEpoch => "tool-epoch",
        ChangeKind::Policy => "policy",
        ChangeKind::Keys => "keys",
        ChangeKind::Allowlist => "allowlist",
        ChangeKind::Lift => "lift",
    }
}

/// The kind of a word.
pub fn kind_of(text: &str) -> Option<ChangeKind> {
    ALL.into_iter().find(|kind| word(*kind) == text)
}

const ALL: [ChangeKind; 10] = [
    ChangeKind::User,
    ChangeKind::Key,
    ChangeKind::Session,
    ChangeKind::Token,
    ChangeKind::Grant,
    ChangeKind::ToolEpoch,
    ChangeKind::Policy,
    ChangeKind::Keys,
    ChangeKind::Allowlist,
    ChangeKind::Lift,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Source;
    use crate::clock::UnixTime;
    use crate::session::{SessionId, TokenId};
    use bmap_protocol::ids::{ApiKeyId, ToolId};

    fn event(action: Action) -> Event {
        Event::done(action, &Source::command_line(), UnixTime(1_000))
    }

    fn said(event: &Event) -> String {
        match Effect::of(event) {
            None => "nothing".to_owned(),
            Some(Effect::EndedSessions(user)) => format!("sessions of {user}"),
            Some(Effect::Change { kind, id, tool, of, .. }) => {
                format!("{} {id} {tool} {}", word(kind), of.map_or("", word)).trim_end().to_owned()
            }
        }
    }

    #[test]
    fn an_act_denies_what_it_ends() {
        let (user, key, tool) =
            (UserId::from_uuid([1; 16]), ApiKeyId::from_uuid([2; 16]), ToolId::parse("geo").unwrap());
        let session = Target::Session { id: SessionId::from_uuid([3; 16]), user: user.clone() };
        assert_eq!(said(&event(Action::UserDeactivate).on(&user)), format!("user {user}"));
        assert_eq!(said(&event(Action::UserActivate).on(&user)), format!("lift {user}  user"));
        let revoked = event(Action::ApiKeyRevoke).on(Target::ApiKey { key: key.clone(), owner: user.clone() });
        assert_eq!(said(&revoked), format!("key {key}"));
        assert_eq!(said(&event(Action::SessionRevoke).on(session)), format!("sessions of {user}"));
        assert_eq!(said(&event(Action::PasswordReset).on(&user)), format!("sessions of {user}"));
        let grant = |action| event(action).on(&user).with("tool", &tool);
        assert_eq!(said(&grant(Action::ToolRevokeGrant)), format!("grant {user} geo"));
        assert_eq!(said(&grant(Action::ToolGrant)), format!("lift {user} geo grant"));
        assert_eq!(said(&event(Action::ToolUpdate).on(&tool)), "policy geo geo");
        assert_eq!(said(&event(Action::ToolRemove).on(&tool)), "tool-epoch geo geo");
        assert_eq!(said(&event(Action::RootRetire)), "keys");
        // An id that looks like the beginning of a JWT.
        let token = Target::Token { id: TokenId::parse("eyJhAAAAAAAAAAAAAAAAAA").unwrap(), user: user.clone() };
        assert_eq!(said(&event(Action::TokenRevoke).on(token).with("tool", &tool)), "token eyJhAAAAAAAAAAAAAAAAAA geo");
        assert_eq!(said(&event(Action::TicketRevoke).on(&tool)), "nothing");
        assert_eq!(said(&event(Action::TokenGrant).on(&user)), "nothing");
    }

    #[test]
    fn a_refusal_changes_nothing() {
        use crate::problem_code::ProblemCode;
        use bmap_protocol::code::Code;
        let mut refused = event(Action::UserDeactivate).on(&UserId::from_uuid([1; 16]));
        refused.outcome = Outcome::Refused(ProblemCode::Profile(Code::InvalidGrant));
        assert_eq!(said(&refused), "nothing");
    }

    #[test]
    fn words_come_back() {
        for kind in ALL {
            assert_eq!(kind_of(word(kind)), Some(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", word(kind)));
        }
        assert_eq!(kind_of("usr"), None);
    }
}
