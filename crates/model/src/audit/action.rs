//! The actions that can be recorded: a closed list, so that a filter that finds nothing is not a misspelled one.

macro_rules! actions {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// The action that was done or refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action {
            $($(#[$doc])* $name,)*
        }

        impl Action {
            /// Every action.
            pub const ALL: &[Action] = &[$(Action::$name),*];

            /// Its dotted name: in the log, in filters, in answers.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Action::$name => $text,)*
                }
            }
        }
    };
}

actions! {
    /// A user was made.
    UserCreate = "user.create",
    /// A user was activated again.
    UserActivate = "user.activate",
    /// A user was deactivated, and its sessions ended.
    UserDeactivate = "user.deactivate",
    /// A user was given a role.
    UserRole = "user.role",
    /// A caller registered an address, and waits for its link.
    UserRegister = "user.register",
    /// An address was confirmed, and its account made.
    UserConfirm = "user.confirm",
    /// A user signed in.
    UserSignIn = "user.sign_in",
    /// A user who is signed in entered the password once more, or signed in with a provider once more, for an act that needs it.
    UserStepUp = "user.step_up",
    /// An address was invited to have an account.
    UserInvite = "user.invite",
    /// A browser came back from an OpenID provider: recorded only where it is refused.
    OpenidReturn = "openid.return",
    /// An identity of an OpenID provider was linked to a user.
    OpenidLink = "openid.link",
    /// An operator looked at an identity's row, and it was sealed as it is.
    OpenidConfirm = "openid.confirm",
    /// A user was unlinked from an OpenID provider.
    OpenidUnlink = "openid.unlink",
    /// A user signed out.
    UserSignOut = "user.sign_out",
    /// A password was changed by its owner, and the other sessions ended.
    PasswordChange = "password.change",
    /// A user without a password asked for a first one, and waits for the link.
    PasswordFirstAsk = "password.first_ask",
    /// A user was given a first password, and an address.
    PasswordFirst = "password.first",
    /// A caller asked for a link to set a new password.
    PasswordResetAsk = "password.reset_ask",
    /// A link to set a new password was made, to be mailed to its account's address.
    PasswordResetLink = "password.reset_link",
    /// A new password was set by a link, and every session ended.
    PasswordReset = "password.reset",
    /// A password was hashed anew at a sign-in: the cost or the root secret had changed.
    PasswordRehash = "password.rehash",
    /// A password was forgotten, because the root secret that it needs was retired; its owner sets a new one by a link.
    PasswordForget = "password.forget",
    /// A user asked for another address for their account, and waits for its link.
    EmailChangeAsk = "email.change_ask",
    /// An account was given another address.
    EmailChange = "email.change",
    /// A session went on: a refresh token gave its successor.
    SessionRefresh = "session.refresh",
    /// A session was ended.
    SessionRevoke = "session.revoke",
    /// An API key was made.
    ApiKeyCreate = "api_key.create",
    /// The name or the rights of an API key were changed.
    ApiKeyUpdate = "api_key.update",
    /// An API key was given a new secret.
    ApiKeyRegenerate = "api_key.regenerate",
    /// An API key was revoked.
    ApiKeyRevoke = "api_key.revoke",
    /// A tool was added.
    ToolCreate = "tool.create",
    /// A tool's row was looked at by an operator, and sealed as it is.
    ToolConfirm = "tool.confirm",
    /// A tool's fields were changed.
    ToolUpdate = "tool.update",
    /// A user was given a grant of a tool, or another one.
    ToolGrant = "tool.grant",
    /// A user's grant of a tool was taken away.
    ToolRevokeGrant = "tool.revoke_grant",
    /// The program's upgrade sealed the tools anew and turned the tools of keys into grants.
    GrantsUpgrade = "grants.upgrade",
    /// A tool was removed, and its grants with it.
    ToolRemove = "tool.remove",
    /// A tool's credential was shown.
    ToolCredential = "tool.credential",
    /// The next root secret was put to use, or the change to it went on.
    RootRotate = "root.rotate",
    /// Tokens are minted in the newest epoch from now on.
    RootActivate = "root.activate",
    /// An old root secret was deleted.
    RootRetire = "root.retire",
    /// A capability was minted.
    CapabilityGrant = "capability.grant",
    /// A ticket was made.
    TicketCreate = "ticket.create",
    /// A ticket was revoked before it was used.
    TicketRevoke = "ticket.revoke",
    /// A tool token was granted.
    TokenGrant = "token.grant",
    /// A tool token was renewed.
    TokenRenew = "token.renew",
    /// A tool token was revoked by the client that it was granted to.
    TokenRevoke = "token.revoke",
    /// A request that has no action of its own: only ever refused.
    Request = "request",
    /// Refusals that were too many to be recorded.
    AuditDrop = "audit.drop",
}

impl Action {
    /// The action of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_are_plain() {
        for action in Action::ALL {
            assert_eq!(Action::from_name(action.as_str()), Some(*action));
            assert!(action.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'.' || b == b'_'));
        }
        assert_eq!(Action::from_name("user"), None);
    }
}
