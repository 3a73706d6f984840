//! Reading columns back into their types.

use super::{Result, StoreError};
use bmap_model::clock::UnixTime;
use bmap_model::row_seal::RowSeal;
use sqlx::Row;
use sqlx::any::AnyRow;

/// A row of a table, for reading.
pub(crate) struct Columns<'r> {
    pub(crate) table: &'static str,
    pub(crate) row: &'r AnyRow,
}

impl Columns<'_> {
    /// A text column.
    pub(crate) fn text(&self, column: &'static str) -> Result<String> {
        Ok(self.row.try_get::<String, _>(column)?)
    }

    /// A text column that may be null.
    pub(crate) fn optional_text(&self, column: &'static str) -> Result<Option<String>> {
        Ok(self.row.try_get::<Option<String>, _>(column)?)
    }

    /// A text column, parsed.
    pub(crate) fn parsed<T>(&self, column: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<T> {
        parse(&self.text(column)?).ok_or(StoreError::Corrupt { table: self.table, column })
    }

    /// A text column that may be null, parsed.
    pub(crate) fn optional<T>(&self, column: &'static str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>> {
        match self.optional_text(column)? {
            None => Ok(None),
            Some(text) => parse(&text).map(Some).ok_or(StoreError::Corrupt { table: self.table, column }),
        }
    }

    /// A number.
    pub(crate) fn number(&self, column: &'static str) -> Result<i64> {
        Ok(self.row.try_get::<i64, _>(column)?)
    }

    /// A time.
    pub(crate) fn time(&self, column: &'static str) -> Result<UnixTime> {
        Ok(UnixTime(self.row.try_get::<i64, _>(column)?))
    }

    /// A time that may be null.
    pub(crate) fn optional_time(&self, column: &'static str) -> Result<Option<UnixTime>> {
        Ok(self.row.try_get::<Option<i64>, _>(column)?.map(UnixTime))
    }

    /// A number that may be null.
    pub(crate) fn optional_number(&self, column: &'static str) -> Result<Option<i64>> {
        Ok(self.row.try_get::<Option<i64>, _>(column)?)
    }

    /// A row's seal; `None` where one of its two columns is null.
    pub(crate) fn seal(&self, epoch: &'static str, mac: &'static str) -> Result<Option<RowSeal>> {
        let Some(number) = self.optional_number(epoch)? else { return Ok(None) };
        // A number that is no epoch is one whose root secret is not at hand.
        let epoch = u32::try_from(number).unwrap_or(u32::MAX);
        Ok(self.optional_text(mac)?.map(|mac| RowSeal { epoch, mac }))
    }

    /// An epoch's number.
    pub(crate) fn epoch(&self, column: &'static str) -> Result<u32> {
        let number = self.row.try_get::<i64, _>(column)?;
        u32::try_from(number).map_err(|_| StoreError::Corrupt { table: self.table, column })
    }
}

/// A seal's epoch, to be bound.
pub(crate) fn epoch_of(seal: &Option<RowSeal>) -> Option<i64> {
    seal.as_ref().map(|seal| i64::from(seal.epoch))
}

/// A seal's MAC, to be bound.
pub(crate) fn mac_of(seal: &Option<RowSeal>) -> Option<&str> {
    seal.as_ref().map(|seal| seal.mac.as_str())
}
