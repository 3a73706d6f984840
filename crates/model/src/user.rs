//! Users: a person or a company with an account. Only an active user's keys and tokens work.

use super::role::{Role, UnverifiedRole};
use super::roots::Roots;
use crate::clock::UnixTime;
use bmap_protocol::ids::UserId;
use std::fmt;

/// A user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Its name, unique in this installation.
    pub name: UserName,
    /// Whether it may do anything.
    pub state: UserState,
    /// Its role as the row has it; [`role`](Self::role) is the proved one.
    pub unverified_role: UnverifiedRole,
    /// When it was made.
    pub created_at: UnixTime,
}

impl User {
    /// Its role. A row that does not prove its role is an alarm, and makes no admin (T13).
    pub fn role(&self, roots: &Roots) -> Role {
        self.unverified_role.open(roots, &self.id).unwrap_or_else(|broken| {
            tracing::error!(user = self.id.as_str(), "ALARM: the role of a user can't be believed: {broken}");
            Role::Member
        })
    }
}

/// Whether a user's keys and tokens work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserState {
    /// They work.
    Active,
    /// They do not, since then.
    Deactivated {
        /// When it was deactivated.
        at: UnixTime,
    },
}

/// A user's name: 1 to 64 characters without space around it, and without characters that a reader does not see and that change what is
/// seen beside them: control characters, line separators, and those that change the direction of writing (Unicode's `Bidi_Control`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName(String);

/// The name is not 1 to 64 printable characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to 64 characters, none of them a control character or one that changes the direction of writing, and no space around it"
)]
pub struct InvalidUserName;

impl UserName {
    /// Parses a name. API keys and users share this grammar.
    ///
    /// # Errors
    /// [`InvalidUserName`].
    pub fn parse(text: &str) -> Result<Self, InvalidUserName> {
        Self::stored(text).filter(|_| !text.chars().any(changes_its_surroundings)).ok_or(InvalidUserName)
    }

    /// A name of a row: one may be older than the rule about characters that change the direction of writing.
    pub fn stored(text: &str) -> Option<Self> {
        let fits = (1..=64).contains(&text.chars().count());
        (fits && text.trim() == text && !text.chars().any(char::is_control)).then(|| Self(text.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::str::FromStr for UserName {
    type Err = InvalidUserName;
    fn from_str(text: &str) -> Result<Self, InvalidUserName> {
        Self::parse(text)
    }
}

/// Whether a character is in Unicode's `Bidi_Control`, or ends a line or a paragraph.
const fn changes_its_surroundings(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_printable_and_short() {
        for good in ["admin", "Ana Ivanova", "Škoda a.s.", &"x".repeat(64)] {
            assert!(UserName::parse(good).is_ok(), "{good:?}");
        }
        for bad in ["", " a", "a ", "a\nb", "a\u{1b}[31m", "a\u{9b}31m", &"x".repeat(65)] {
            assert_eq!(UserName::parse(bad), Err(InvalidUserName), "{bad:?}");
            assert_eq!(UserName::stored(bad), None, "{bad:?}");
        }
        for turns in ["a\u{202e}b", "\u{200f}a", "a\u{2066}b\u{2069}c", "a\u{61c}b", "a\u{2028}b", "a\u{200e}b"] {
            assert_eq!(UserName::parse(turns), Err(InvalidUserName), "{turns:?}");
            assert!(UserName::stored(turns).is_some(), "rows that are there are read: {turns:?}");
        }
        for right_to_left in ["דנה", "متجر"] {
            assert!(UserName::parse(right_to_left).is_ok(), "{right_to_left}");
        }
    }
}
