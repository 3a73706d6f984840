//! A copy from its first row to the mark in its source: every row with its seal checked, then every row compared.

use super::cell::Cell;
use super::mark::{Copied, Moved};
use super::seals::State;
use super::source::Source;
use super::tables::{TABLES, Table};
use super::target::{Holding, Progress, Target};
use crate::StoreError;
use bmap_model::audit::chain::{Head, Mac};
use bmap_model::roots::Roots;

/// Rows of a page: what is in memory at once, and what one transaction writes.
const PAGE: i64 = 500;
/// Broken rows that are named; the others are counted.
const NAMED: usize = 100;

/// What is done with a row whose seal does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfBroken {
    /// It is named, and the move is refused.
    Refuse,
    /// It is copied as it is: it opens nothing there either.
    Copy,
}

/// A table's part of the result.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Copy {
    /// The table.
    pub table: &'static str,
    /// Its rows, which were compared value by value.
    pub rows: u64,
    /// Those whose seal holds.
    pub hold: u64,
    /// Those without a seal.
    pub without: u64,
    /// Those whose seal can't be asked.
    pub unasked: u64,
    /// Those whose seal does not hold.
    pub broken: u64,
}

/// How far a copy is, to be shown.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Whether rows are being compared, and not copied.
    pub is_comparing: bool,
    /// The table.
    pub table: &'static str,
    /// Rows of all tables that are done in this pass.
    pub done: u64,
    /// Rows of all tables.
    pub all: u64,
}

/// The end of a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is there. The tables, and whether an earlier run had begun it.
    Done {
        /// Every table.
        tables: Vec<Copy>,
        /// Whether an earlier run had begun it.
        went_on: bool,
    },
    /// An earlier run had done everything.
    WasDone,
}

/// Why nothing was moved. The source is as it was; the target of [`CopyError::Occupied`] and [`CopyError::Moved`] too.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// A database did not do as told.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The source's side of it.
    #[error("the source: {0}")]
    Source(StoreError),
    /// The target's side of it.
    #[error("the target: {0}")]
    Target(StoreError),
    /// The target holds something.
    #[error("the target is not empty ({what}), and was left as it is: name a new, empty database")]
    Occupied {
        /// A table with rows, or of another program.
        what: String,
    },
    /// The target holds the copy of another source, or of an earlier state of this one.
    #[error("the target holds {of}: empty it (drop and make the database anew), and begin again")]
    OtherCopy {
        /// What it holds.
        of: String,
    },
    /// The source was moved before.
    #[error("the source was moved to {to} already")]
    Moved {
        /// Where to.
        to: String,
    },
    /// Rows whose seal does not hold.
    #[error(
        "{count} rows are not as the issuer wrote them, and nothing was moved: {}. Find out who edited them; --copy-broken-seals copies them \
         as they are, and they open nothing there either", names.join("; ")
    )]
    Broken {
        /// How many.
        count: u64,
        /// The first of them, with the reason.
        names: Vec<String>,
    },
    /// A row that is not the same in both.
    #[error(
        "{row} is not the same in source and target: the source was used since the copy began, or the target was edited. Empty the target \
         (drop and make the database anew), and begin again"
    )]
    Differs {
        /// The row, or the table where the number of rows differs.
        row: String,
    },
}

/// Copies what is missing, compares everything, and moves the mark that says where the installation is: first the source can't be served any
/// more, then the target can. Killed at any moment, another run goes on. `copy` is an id for a new copy.
///
/// # Errors
/// [`CopyError`].
pub async fn copy(
    source: &mut Source,
    target: &mut Target,
    roots: &Roots,
    if_broken: IfBroken,
    installation: Option<String>,
    copy: &str,
    progress: impl FnMut(Step) + Send,
) -> Result<Outcome, CopyError> {
    let newest = source.entry(None).await.map_err(CopyError::Source)?;
    let newest = newest.unwrap_or(Head { sequence: 0, mac: Mac::NONE });
    let moved = source.moved().await.map_err(CopyError::Source)?;
    let held = target.holding().await.map_err(CopyError::Target)?;
    let new = Progress {
        copy: copy.to_owned(),
        from: source.shown().to_owned(),
        installation,
        audit: newest.to_string(),
        table: TABLES.first().map(|table| table.name.to_owned()),
        after: Vec::new(),
    };
    let (begun, went_on) = match (held, &moved) {
        (Holding::Finished(copied), Some(moved)) if copied.copy == moved.copy => return Ok(Outcome::WasDone),
        (Holding::Unfinished(begun), Some(moved)) if begun.copy == moved.copy => (*begun, true),
        (_, Some(moved)) => return Err(CopyError::Moved { to: moved.to.clone() }),
        (Holding::Nothing, None) => (new, false),
        (Holding::Unfinished(begun), None) if begun.installation == new.installation && begun.audit == new.audit => {
            (*begun, true)
        }
        (Holding::Unfinished(begun), None) => {
            let of = format!("a half-finished copy of {} as it was before", begun.from);
            return Err(CopyError::OtherCopy { of });
        }
        (Holding::Finished(copied), None) => {
            return Err(CopyError::OtherCopy { of: format!("an installation that was copied from {}", copied.from) });
        }
        (Holding::Other(what), None) => return Err(CopyError::Occupied { what }),
    };
    let mut all = 0_u64;
    for table in TABLES.iter() {
        all = all.saturating_add(number(source.count(table).await.map_err(CopyError::Source)?));
    }
    let mut run = Run { source, target, if_broken, progress, all, done: 0, names: Vec::new(), broken: 0, at: begun };
    if !went_on {
        run.target.claim(&run.at).await.map_err(CopyError::Target)?;
    }
    run.rows(roots).await?;
    let tables = run.compare(roots).await?;
    let Run { source, target, at, .. } = run;
    if moved.is_none() {
        let moved = Moved { copy: at.copy.clone(), to: target.shown().to_owned() };
        source.mark_moved(&moved).await.map_err(CopyError::Source)?;
    }
    target.finish(&Copied { copy: at.copy, from: at.from }).await.map_err(CopyError::Target)?;
    Ok(Outcome::Done { tables, went_on })
}

struct Run<'a, P> {
    source: &'a mut Source,
    target: &'a mut Target,
    if_broken: IfBroken,
    progress: P,
    all: u64,
    done: u64,
    names: Vec<String>,
    broken: u64,
    at: Progress,
}

impl<P: FnMut(Step) + Send> Run<'_, P> {
    /// Copies what is not there. Behind a broken row nothing is written any more, and the others are only looked at, so that all are named.
    async fn rows(&mut self, roots: &Roots) -> Result<(), CopyError> {
        let Some(name) = self.at.table.clone() else { return Ok(()) };
        let first = Table::place(&name).ok_or(StoreError::Corrupt { table: "settings", column: "value" })?;
        let head = match (name.as_str(), self.at.after.first()) {
            ("audit_log", Some(Cell::Number(sequence))) => self.source.entry(*sequence).await,
            ("settings" | "audit_log", _) => Ok(None),
            _ => self.source.entry(None).await,
        };
        let head = head.map_err(CopyError::Source)?.unwrap_or(Head { sequence: 0, mac: Mac::NONE });
        self.source.check_with(roots, head).await.map_err(CopyError::Source)?;
        for (place, table) in TABLES.iter().enumerate().skip(first) {
            if self.at.table.as_deref() != Some(table.name) {
                (self.at.table, self.at.after) = (Some(table.name.to_owned()), Vec::new());
            }
            let mut after = self.at.after.clone();
            loop {
                let page = self.source.page(table, &after, PAGE).await.map_err(CopyError::Source)?;
                let Some((last, _)) = page.last() else { break };
                after = table.key(last).to_vec();
                self.look(table, &page, false);
                if self.broken > 0 && self.if_broken == IfBroken::Refuse {
                    continue;
                }
                let rows: Vec<Vec<Cell>> = page.into_iter().map(|(cells, _)| cells).collect();
                self.at.after.clone_from(&after);
                self.target.write(table, &rows, &self.at).await.map_err(CopyError::Target)?;
            }
            if place.saturating_add(1) == TABLES.len() && (self.broken == 0 || self.if_broken == IfBroken::Copy) {
                (self.at.table, self.at.after) = (None, Vec::new());
                self.target.write(table, &[], &self.at).await.map_err(CopyError::Target)?;
            }
        }
        self.refuse_broken()
    }

    /// Compares every row, and asks the seals of all of them: also of those that an earlier run copied.
    async fn compare(&mut self, roots: &Roots) -> Result<Vec<Copy>, CopyError> {
        (self.done, self.broken) = (0, 0);
        self.names.clear();
        self.source.check_with(roots, Head { sequence: 0, mac: Mac::NONE }).await.map_err(CopyError::Source)?;
        let mut copies = Vec::with_capacity(TABLES.len());
        for table in TABLES.iter() {
            let mut copy = Copy { table: table.name, ..Copy::default() };
            let mut after: Vec<Cell> = Vec::new();
            loop {
                let page = self.source.page(table, &after, PAGE).await.map_err(CopyError::Source)?;
                let Some((last, _)) = page.last() else { break };
                after = table.key(last).to_vec();
                for (_, state) in &page {
                    let counted = match state {
                        State::Holds => &mut copy.hold,
                        State::Without => &mut copy.without,
                        State::Unasked => &mut copy.unasked,
                        State::Broken(_) => &mut copy.broken,
                    };
                    *counted = counted.saturating_add(1);
                }
                copy.rows = copy.rows.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
                self.look(table, &page, true);
                let rows: Vec<Vec<Cell>> = page.into_iter().map(|(cells, _)| cells).collect();
                let lacking = self.target.lacking(table, &rows).await.map_err(CopyError::Target)?;
                if let Some(row) = lacking {
                    return Err(CopyError::Differs { row: table.named(table.key(row)) });
                }
            }
            let counts = [
                self.source.count(table).await.map_err(CopyError::Source)?,
                self.target.count(table).await.map_err(CopyError::Target)?,
            ];
            if counts.iter().any(|count| number(*count) != copy.rows) {
                let [source, target] = counts;
                let row = format!("the number of rows of {} ({source}, {target})", table.name);
                return Err(CopyError::Differs { row });
            }
            copies.push(copy);
        }
        self.refuse_broken()?;
        Ok(copies)
    }

    fn look(&mut self, table: &'static Table, page: &[(Vec<Cell>, State)], is_comparing: bool) {
        for (found, state) in page {
            if let State::Broken(reason) = state {
                self.broken = self.broken.saturating_add(1);
                if self.names.len() < NAMED {
                    self.names.push(format!("{} ({reason})", table.named(table.key(found))));
                }
            }
        }
        self.done = self.done.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
        (self.progress)(Step { is_comparing, table: table.name, done: self.done, all: self.all });
    }

    fn refuse_broken(&mut self) -> Result<(), CopyError> {
        if self.broken == 0 || self.if_broken == IfBroken::Copy {
            return Ok(());
        }
        Err(CopyError::Broken { count: self.broken, names: std::mem::take(&mut self.names) })
    }
}

fn number(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}
