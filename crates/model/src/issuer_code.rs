//! Codes of the routes that manage things: the profile's table (§6) has only what a verifier says about a request.
//!
//! They travel in the same problem body. docs/problems.md explains each.

/// One code of a managing route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssuerCode {
    /// 403: only an admin may.
    AdminRequired,
    /// 403: the password, or a sign-in with a provider, is to be entered once more; `Bmap-Step-Up` shows that it was.
    StepUpRequired,
    /// 403: only the owner of the key may, or the operator on the issuer's machine.
    OwnerRequired,
    /// 403: this issuer takes no registrations, or invited addresses only.
    RegistrationClosed,
    /// 400: the token is of a kind that is not revoked by itself.
    UnsupportedTokenType,
    /// 404: no such resource, or another user's: not told apart.
    NotFound,
    /// 405: the path has other methods, which `Allow` names.
    MethodNotAllowed,
    /// 410: changes behind this cursor are not kept any more: load the state.
    CursorGone,
    /// 409: another request changed it meanwhile. Read it, and ask again.
    Conflict,
    /// 409: its state does not allow this.
    InvalidState,
    /// 409: there are as many as there may be.
    LimitReached,
    /// 409: the first request with this `Idempotency-Key` is not answered yet.
    RequestInProgress,
    /// 422: this `Idempotency-Key` was used for another request.
    IdempotencyKeyReused,
    /// 415: the body is of another media type than the route reads, or says none.
    UnsupportedMediaType,
    /// 431: more header lines than the limit.
    HeadersTooLarge,
}

impl IssuerCode {
    /// Every code, for tables and tests.
    pub const ALL: [IssuerCode; 15] = [
        IssuerCode::AdminRequired,
        IssuerCode::StepUpRequired,
        IssuerCode::OwnerRequired,
        IssuerCode::RegistrationClosed,
        IssuerCode::UnsupportedTokenType,
        IssuerCode::NotFound,
        IssuerCode::MethodNotAllowed,
        IssuerCode::CursorGone,
        IssuerCode::Conflict,
        IssuerCode::InvalidState,
        IssuerCode::LimitReached,
        IssuerCode::RequestInProgress,
        IssuerCode::IdempotencyKeyReused,
        IssuerCode::UnsupportedMediaType,
        IssuerCode::HeadersTooLarge,
    ];

    const fn row(self) -> (&'static str, u16, &'static str) {
        match self {
            IssuerCode::AdminRequired => ("admin_required", 403, "Only for an admin"),
            IssuerCode::StepUpRequired => ("step_up_required", 403, "Enter the password again"),
            IssuerCode::OwnerRequired => ("owner_required", 403, "Only for the owner of the key"),
            IssuerCode::RegistrationClosed => ("registration_closed", 403, "No registrations are taken"),
            IssuerCode::UnsupportedTokenType => ("unsupported_token_type", 400, "Unsupported token type"),
            IssuerCode::NotFound => ("not_found", 404, "Not found"),
            IssuerCode::MethodNotAllowed => ("method_not_allowed", 405, "Method not allowed"),
            IssuerCode::CursorGone => ("cursor_gone", 410, "The cursor is gone"),
            IssuerCode::Conflict => ("conflict", 409, "Changed meanwhile"),
            IssuerCode::InvalidState => ("invalid_state", 409, "Not in this state"),
            IssuerCode::LimitReached => ("limit_reached", 409, "Limit reached"),
            IssuerCode::RequestInProgress => ("request_in_progress", 409, "The first request is in progress"),
            IssuerCode::IdempotencyKeyReused => {
                ("idempotency_key_reused", 422, "Idempotency key used for another request")
            }
            IssuerCode::UnsupportedMediaType => ("unsupported_media_type", 415, "Unsupported media type"),
            IssuerCode::HeadersTooLarge => ("headers_too_large", 431, "Too many headers"),
        }
    }

    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        self.row().1
    }

    /// A short title for people (RFC 9457 §3.1.3).
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// Whether the same call may succeed later with nothing changed.
    pub const fn retryable(self) -> bool {
        matches!(self, IssuerCode::Conflict | IssuerCode::RequestInProgress)
    }

    /// The code for its name on the wire.
    pub fn from_name(name: &str) -> Option<IssuerCode> {
        IssuerCode::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bmap_protocol::code::Code;

    #[test]
    fn names_are_unique_documented_and_none_of_the_profile() {
        let page = include_str!("../../../docs/problems.md");
        for code in IssuerCode::ALL {
            assert_eq!(IssuerCode::from_name(code.as_str()), Some(code));
            assert_eq!(Code::from_name(code.as_str()), None);
            let row = format!("| {} | `{}` |", code.status(), code.as_str());
            assert!(page.contains(&row), "docs/problems.md has no row {row}");
        }
        for code in Code::ALL {
            let row = format!("| {} | `{}` |", code.status(), code.as_str());
            assert!(page.contains(&row), "docs/problems.md has no row {row}");
        }
    }
}
