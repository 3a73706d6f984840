//! Whether a row's seal holds, asked while the row is copied. A row knows its seal; this says which rows have one, and what its answer means for
//! a move: a row that no root at hand can be asked about works in no database, so it may be carried, and an edited one is named.

use crate::account::accounts::read as read_account;
use crate::account::invitations::read_invitation;
use crate::account::links::{read_change, read_reset};
use crate::account::step_ups::{read_review, read_step_up};
use crate::account::user_sessions::{read as read_session, read_token};
use crate::account::users::read as read_user;
use crate::audit::log::{read as read_entry, read_head, read_kept};
use crate::keys::idempotent_answers::read as read_answer;
use crate::keys::issuer_keys::read as read_issuer_key;
use crate::keys::key_row::read as read_key;
use crate::openid_identities::{read_code, read_flow, read_identity};
use crate::row::Columns;
use crate::tools::grants::read as read_grant;
use crate::tools::tool::read as read_tool;
use crate::{Result, StoreError};
use bmap_model::audit::chain::{ChainKey, ChainKeys, Head, Mac};
use bmap_model::mail::job::{MailId, MailJob};
use bmap_model::role::Role;
use bmap_model::roots::Roots;
use bmap_model::row_seal::RowFault;
use sqlx::any::AnyRow;

/// How the seals of a table are checked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Seal {
    /// Its rows have none.
    None,
    /// What binds the row is in a token or an address that is not in the database.
    InToken,
    /// Each row by itself.
    Row(fn(&AnyRow, &Roots) -> Result<State>),
    /// Each row after the one before.
    Chain,
    /// The chain's own record of its last row.
    ChainHead,
}

/// The answer for a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Its seal holds.
    Holds,
    /// It has none.
    Without,
    /// It can't be asked: its root was retired, or what binds it is not in the database.
    Unasked,
    /// It is not as it was written, or the root secret of its epoch is missing; the reason.
    Broken(String),
}

/// The checks of one copy.
#[derive(Debug)]
pub(crate) struct Seals {
    roots: Roots,
    chain: ChainKeys,
    /// The key of the last entry's epoch.
    key: Option<ChainKey>,
    /// The last entry that was seen.
    head: Head,
}

impl Seals {
    /// With the chain's keys, beginning after an entry.
    pub(crate) fn new(roots: Roots, chain: ChainKeys, head: Head) -> Self {
        Self { roots, chain, key: None, head }
    }

    /// The answer for a row of a table with such seals. One that can't be read is a broken one.
    ///
    /// # Errors
    /// [`StoreError`] other than [`StoreError::Corrupt`].
    pub(crate) fn ask(&mut self, seal: Seal, row: &AnyRow) -> Result<State> {
        let asked = match seal {
            Seal::None => Ok(State::Without),
            Seal::InToken => Ok(State::Unasked),
            Seal::Row(ask) => ask(row, &self.roots),
            Seal::Chain => self.entry(row),
            Seal::ChainHead => read_head(row).map(|head| match head == self.head {
                true => State::Holds,
                false => State::Broken("it is not the last entry of the audit log".to_owned()),
            }),
        };
        match asked {
            Err(StoreError::Corrupt { column, .. }) => Ok(State::Broken(format!("its column {column} can't be read"))),
            asked => asked,
        }
    }

    fn entry(&mut self, row: &AnyRow) -> Result<State> {
        let entry = read_entry(row)?;
        if self.key.as_ref().is_none_or(|key| key.epoch() != entry.epoch) {
            self.key = self.chain.of(entry.epoch);
        }
        let Some(key) = &self.key else {
            return Ok(State::Broken(
                "the root secret of its epoch is not at hand, nor the key that was kept".to_owned(),
            ));
        };
        let followed = key.follow(&self.head, &entry);
        // Of a broken chain the first entry behind the break is named, and not all of them.
        self.head = Head { sequence: entry.sequence, mac: Mac::parse(&entry.mac).unwrap_or(Mac::NONE) };
        Ok(match followed {
            Some(_) => State::Holds,
            None => State::Broken("it is not as it was written, or the one before it is another".to_owned()),
        })
    }
}

/// What a row's own check says.
fn of_fault(asked: std::result::Result<(), RowFault>) -> State {
    match asked {
        Ok(()) => State::Holds,
        Err(RowFault::NoSeal) => State::Without,
        Err(RowFault::Retired { .. }) => State::Unasked,
        Err(fault) => State::Broken(fault.to_string()),
    }
}

/// The same of a check whose error does not say that the row's root was retired.
fn of_epoch<T, E>(epoch: u32, roots: &Roots, open: impl FnOnce() -> std::result::Result<T, E>) -> State {
    if roots.of(epoch).is_some() {
        return match open() {
            Ok(_) => State::Holds,
            Err(_) => State::Broken(RowFault::Edited.to_string()),
        };
    }
    if roots.all().iter().all(|known| known.epoch() > epoch) {
        return State::Unasked;
    }
    State::Broken(RowFault::Epoch { epoch }.to_string())
}

pub(crate) fn audit_key(row: &AnyRow, roots: &Roots) -> Result<State> {
    let kept = read_kept(row)?;
    Ok(of_epoch(kept.sealed_epoch, roots, || kept.open(roots).ok_or(())))
}

pub(crate) fn issuer_key(row: &AnyRow, roots: &Roots) -> Result<State> {
    let key = read_issuer_key(row)?;
    Ok(of_epoch(key.epoch, roots, || key.open(roots)))
}

pub(crate) fn role(row: &AnyRow, roots: &Roots) -> Result<State> {
    let user = read_user(row)?;
    if user.unverified_role.role == Role::Member.as_str() {
        return Ok(State::Without);
    }
    let epoch = user.unverified_role.epoch.and_then(|epoch| u32::try_from(epoch).ok()).unwrap_or(u32::MAX);
    Ok(of_epoch(epoch, roots, || user.unverified_role.open(roots, &user.id)))
}

pub(crate) fn account(row: &AnyRow, roots: &Roots) -> Result<State> {
    let account = read_account(row)?;
    if account.seal.is_empty() {
        return Ok(State::Without);
    }
    Ok(of_epoch(account.password.epoch, roots, || account.check_seal(roots)))
}

pub(crate) fn user_session(row: &AnyRow, roots: &Roots) -> Result<State> {
    Ok(of_fault(read_session(row)?.check_seal(roots)))
}

pub(crate) fn refresh_token(row: &AnyRow, roots: &Roots) -> Result<State> {
    Ok(of_fault(read_token(row)?.check_seal(roots)))
}

/// Also the former secret of one, beside the row of its key.
pub(crate) fn api_key(row: &AnyRow, roots: &Roots) -> Result<State> {
    let key = read_key(row)?;
    Ok(of_epoch(key.epoch, roots, || key.open(roots)))
}

pub(crate) fn tool(row: &AnyRow, roots: &Roots) -> Result<State> {
    Ok(of_fault(read_tool(row)?.check_seal(roots)))
}

pub(crate) fn tool_grant(row: &AnyRow, roots: &Roots) -> Result<State> {
    Ok(of_fault(read_grant(row)?.check_seal(roots)))
}

pub(crate) fn answer(row: &AnyRow, roots: &Roots) -> Result<State> {
    let answer = read_answer(row)?;
    Ok(of_epoch(answer.epoch, roots, || answer.open(&answer.attempt, roots)))
}

pub(crate) fn mail(row: &AnyRow, roots: &Roots) -> Result<State> {
    let columns = Columns { table: "outbox", row };
    let (id, epoch) = (columns.parsed("id", MailId::parse)?, columns.epoch("epoch")?);
    let sealed = columns.text("sealed")?;
    Ok(of_epoch(epoch, roots, || MailJob::open(roots, &id, epoch, &sealed)))
}

pub(crate) fn password_reset(row: &AnyRow, roots: &Roots) -> Result<State> {
    let columns = Columns { table: "password_resets", row };
    let token = columns.parsed("hash", bmap_model::account::opaque::TokenHash::from_stored)?;
    let reset = read_reset(row)?;
    Ok(of_epoch(reset.epoch, roots, || reset.check_seal(roots, &token)))
}

pub(crate) fn email_change(row: &AnyRow, roots: &Roots) -> Result<State> {
    let change = read_change(row)?;
    Ok(of_epoch(change.password.epoch, roots, || change.check_seal(roots)))
}

pub(crate) fn identity(row: &AnyRow, roots: &Roots) -> Result<State> {
    Ok(of_fault(read_identity(row)?.check_seal(roots)))
}

pub(crate) fn openid_flow(row: &AnyRow, roots: &Roots) -> Result<State> {
    let flow = read_flow(row)?;
    Ok(of_epoch(flow.epoch, roots, || flow.open(roots)))
}

pub(crate) fn openid_code(row: &AnyRow, roots: &Roots) -> Result<State> {
    let code = read_code(row)?;
    Ok(of_epoch(code.epoch, roots, || code.open(roots)))
}

pub(crate) fn step_up(row: &AnyRow, roots: &Roots) -> Result<State> {
    Ok(of_fault(read_step_up(row)?.check_seal(roots)))
}

pub(crate) fn key_review(row: &AnyRow, roots: &Roots) -> Result<State> {
    Ok(of_fault(read_review(row)?.check_seal(roots)))
}

pub(crate) fn invitation(row: &AnyRow, roots: &Roots) -> Result<State> {
    Ok(of_fault(read_invitation(row)?.check_seal(roots)))
}
