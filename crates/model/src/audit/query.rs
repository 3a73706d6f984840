//! Looking into the log: newest first, a page at a time, filtered.

use super::Action;
use crate::problem_code::ProblemCode;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::UserId;

/// Most entries on a page.
pub const MAX_PAGE: u32 = 200;
/// Which entries. A field that is `None` leaves all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By an actor's kind or id, or the user behind it.
    pub actor: Option<String>,
    /// By the action.
    pub action: Option<Action>,
    /// By a target's kind or id, or the user behind it.
    pub target: Option<String>,
    /// By how it ended.
    pub outcome: Option<OutcomeFilter>,
    /// Not before that, unix milliseconds.
    pub from: Option<i64>,
    /// Before that, unix milliseconds.
    pub to: Option<i64>,
    /// Only those of which this user, or a key or session of theirs, is the actor or the target.
    pub of: Option<UserId>,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutcomeFilter {
    /// It was done.
    Done,
    /// It was refused, whatever the code.
    Refused,
    /// It was refused with this code.
    Code(ProblemCode),
}

impl OutcomeFilter {
    /// `done`, `refused` or a code.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "done" => Some(Self::Done),
            "refused" => Some(Self::Refused),
            code => ProblemCode::from_name(code).map(Self::Code),
        }
    }
}

/// Where the next page begins: entries older than this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor(pub i64);

impl Cursor {
    /// As it is given out.
    pub fn to_text(self) -> String {
        Base64UrlUnpadded::encode_string(&self.0.to_be_bytes())
    }

    /// Reads it back; `None` for a text that was not given out.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 8];
        let length = Base64UrlUnpadded::decode(text, &mut bytes).ok()?.len();
        let number = i64::from_be_bytes(bytes);
        (length == 8 && number > 0).then_some(Self(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_come_back_and_others_are_none() {
        assert_eq!(Cursor::parse(&Cursor(77).to_text()), Some(Cursor(77)));
        for bad in ["", "AAAAAAAAAAA", "x", "AAAAAAAAAAAAAAA", "77", &Cursor(-1).to_text()] {
            assert_eq!(Cursor::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn outcomes() {
        assert_eq!(OutcomeFilter::parse("done"), Some(OutcomeFilter::Done));
        assert_eq!(OutcomeFilter::parse("refused"), Some(OutcomeFilter::Refused));
        assert!(matches!(OutcomeFilter::parse("key_revoked"), Some(OutcomeFilter::Code(_))));
        assert_eq!(OutcomeFilter::parse("Done"), None);
    }
}
