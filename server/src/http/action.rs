//! Acts as types: a handler's first argument names the one that its route asks for, and the audit log records refusals under it.

use bmap_model::audit::Action;

/// An act, as a type.
pub trait Does: Send + Sync + 'static {
    /// Its name in the audit log.
    const ACTION: Action;
}

macro_rules! actions {
    ($($name:ident),* $(,)?) => {$(
        #[doc = concat!("[`Action::", stringify!($name), "`], as a type.")]
        #[derive(Clone, Copy, Debug)]
        pub struct $name;

        impl Does for $name {
            const ACTION: Action = Action::$name;
        }
    )*};
}

actions!(
    ApiKeyCreate,
    ApiKeyRegenerate,
    ApiKeyRevoke,
    ApiKeyUpdate,
    EmailChange,
    EmailChangeAsk,
    OpenidLink,
    OpenidReturn,
    OpenidUnlink,
    PasswordChange,
    PasswordFirstAsk,
    PasswordReset,
    PasswordResetAsk,
    Request,
    SessionRefresh,
    SessionRevoke,
    TicketCreate,
    ToolCreate,
    ToolGrant,
    ToolRevokeGrant,
    ToolUpdate,
    UserActivate,
    UserConfirm,
    UserDeactivate,
    UserInvite,
    UserRegister,
    UserRole,
    UserSignIn,
    UserSignOut,
    UserStepUp,
);
