//! Reading columns back into their types.

use super::{Result, StoreError};
use crate::clock::UnixMillis;
use sqlx::Row;
use sqlx::any::AnyRow;

/// A row of a table, for reading.
pub(super) struct Columns<'r> {
    pub(super) table: &'static str,
    pub(super) row: &'r AnyRow,
}

impl Columns<'_> {
    /// A text column.
    pub(super) fn text(&self, column: &'static str) -> Result<String> {
        Ok(self.row.try_get::<String, _>(column)?)
    }

    /// A text column that may be null.
    pub(super) fn optional_text(&self, column: &'static str) -> Result<Option<String>> {
        Ok(self.row.try_get::<Option<String>, _>(column)?)
    }

    /// A text column, parsed.
    pub(super) fn parsed<T>(&self, column: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        parse(&self.text(column)?).ok_or(StoreError::Corrupt { table: self.table, column })
    }

    /// A text column that may be null, parsed.
    pub(super) fn optional<T>(&self, column: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        match self.optional_text(column)? {
            None => Ok(None),
            Some(text) => parse(&text).map(Some).ok_or(StoreError::Corrupt { table: self.table, column }),
        }
    }

    /// A number.
    pub(super) fn number(&self, column: &'static str) -> Result<i64> {
        Ok(self.row.try_get::<i64, _>(column)?)
    }

    /// A time.
    pub(super) fn time(&self, column: &'static str) -> Result<UnixMillis> {
        Ok(UnixMillis(self.row.try_get::<i64, _>(column)?))
    }

    /// A time that may be null.
    pub(super) fn optional_time(&self, column: &'static str) -> Result<Option<UnixMillis>> {
        Ok(self.row.try_get::<Option<i64>, _>(column)?.map(UnixMillis))
    }

    /// A number that may be null.
    pub(super) fn optional_number(&self, column: &'static str) -> Result<Option<i64>> {
        Ok(self.row.try_get::<Option<i64>, _>(column)?)
    }

    /// An epoch's number.
    pub(super) fn epoch(&self, column: &'static str) -> Result<u32> {
        let number = self.row.try_get::<i64, _>(column)?;
        u32::try_from(number).map_err(|_| StoreError::Corrupt { table: self.table, column })
    }
}
