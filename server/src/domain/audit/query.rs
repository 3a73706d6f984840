//! Looking into the log: newest first, a page at a time, filtered.

use super::Action;
use super::chain::Row;
use crate::domain::problem_code::ProblemCode;
use crate::store::{AuditLog, StoreError};
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::ids::UserId;

/// Most entries on a page.
pub const MAX_PAGE: u32 = 200;
/// Entries that are looked at in one statement, and statements for one page: the bound on the cost of a filter that
/// finds little.
const WINDOW: i64 = 10_000;
const WINDOWS: usize = 10;
/// The same of one user's own, which an index finds one by one.
const OWN_WINDOW: i64 = 2_000;

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

/// A page, and where the next one begins; `None` on the last. A page of a filter that finds little may hold fewer than it could,
/// even none, and still have a next one.
///
/// # Errors
/// [`StoreError`].
pub async fn page(
    store: &impl AuditLog,
    filter: &Filter,
    cursor: Option<Cursor>,
    limit: u32,
) -> Result<(Vec<Row>, Option<Cursor>), StoreError> {
    let limit = usize::try_from(limit.clamp(1, MAX_PAGE)).unwrap_or(1);
    let mut before = match cursor {
        Some(Cursor(before)) => before,
        None => store.newest_audit_row().await?.saturating_add(1),
    };
    let mut found = Vec::new();
    for _ in 0..WINDOWS {
        let floor = match &filter.of {
            // Entries of other users are not read, however many there are.
            Some(user) => store.audit_floor_of(user, before, OWN_WINDOW).await?.unwrap_or(1),
            None => before.saturating_sub(WINDOW).max(1),
        };
        let left = limit.saturating_sub(found.len());
        found.extend(store.audit_rows_before(filter, before, floor, u32::try_from(left).unwrap_or(1)).await?);
        before = floor;
        if found.len() >= limit {
            before = found.last().map_or(floor, |row| row.sequence);
            break;
        }
        if before <= 1 {
            break;
        }
    }
    Ok((found, (before > 1).then_some(Cursor(before))))
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
