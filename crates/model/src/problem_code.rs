//! The code of a problem: one of the profile, or one of the issuer's own.

use super::issuer_code::IssuerCode;
use bmap_protocol::code::Code;

/// A problem's `code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProblemCode {
    /// A code of the profile (§6).
    Profile(Code),
    /// One of the issuer's own.
    Issuer(IssuerCode),
}

impl ProblemCode {
    /// Every code, the profile's first.
    pub fn all() -> impl Iterator<Item = ProblemCode> {
        Code::ALL.into_iter().map(ProblemCode::Profile).chain(IssuerCode::ALL.into_iter().map(ProblemCode::Issuer))
    }

    /// The code on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            ProblemCode::Profile(code) => code.as_str(),
            ProblemCode::Issuer(code) => code.as_str(),
        }
    }

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            ProblemCode::Profile(code) => code.status(),
            ProblemCode::Issuer(code) => code.status(),
        }
    }

    /// A short title for people (RFC 9457 §3.1.3).
    pub const fn title(self) -> &'static str {
        match self {
            ProblemCode::Profile(code) => code.title(),
            ProblemCode::Issuer(code) => code.title(),
        }
    }

    /// Whether the same call may succeed later with nothing changed.
    pub const fn retryable(self) -> bool {
        match self {
            ProblemCode::Profile(code) => code.retryable(),
            ProblemCode::Issuer(code) => code.retryable(),
        }
    }

    /// The code for its name on the wire.
    pub fn from_name(name: &str) -> Option<ProblemCode> {
        ProblemCode::all().find(|code| code.as_str() == name)
    }
}

impl From<Code> for ProblemCode {
    fn from(code: Code) -> Self {
        ProblemCode::Profile(code)
    }
}

impl From<IssuerCode> for ProblemCode {
    fn from(code: IssuerCode) -> Self {
        ProblemCode::Issuer(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_come_back() {
        for code in ProblemCode::all() {
            assert_eq!(ProblemCode::from_name(code.as_str()), Some(code), "{code:?}");
        }
    }
}
