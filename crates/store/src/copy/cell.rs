//! One value of a row. The schema has texts and whole numbers of 64 bits, and nothing else.

use crate::{Result, StoreError};
use serde::{Deserialize, Serialize};
use sqlx::any::{Any, AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Row, ValueRef};

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `TEXT`.
    Text,
    /// `BIGINT`.
    Number,
}

/// A value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Cell {
    /// A text, or null.
    Text(Option<String>),
    /// A number, or null.
    Number(Option<i64>),
}

impl Cell {
    /// Reads a column by its place. A value of another type than the column's, which SQLite can hold, is refused and not converted.
    pub(crate) fn read(row: &AnyRow, at: usize, kind: Kind, table: &'static str, column: &'static str) -> Result<Self> {
        let corrupt = |_| StoreError::Corrupt { table, column };
        if row.try_get_raw(at).map_err(corrupt)?.is_null() {
            return Ok(match kind {
                Kind::Text => Cell::Text(None),
                Kind::Number => Cell::Number(None),
            });
        }
        match kind {
            Kind::Text => Ok(Cell::Text(Some(row.try_get(at).map_err(corrupt)?))),
            Kind::Number => Ok(Cell::Number(Some(row.try_get(at).map_err(corrupt)?))),
        }
    }

    /// Binds it, a null with its column's type.
    pub(crate) fn bind<'q>(&'q self, query: Query<'q, Any, AnyArguments>) -> Query<'q, Any, AnyArguments> {
        match self {
            Cell::Text(text) => query.bind(text.as_deref()),
            Cell::Number(number) => query.bind(*number),
        }
    }

    /// The text of a key's column, for names of rows.
    pub(crate) fn shown(&self) -> String {
        match self {
            Cell::Text(text) => text.clone().unwrap_or_default(),
            Cell::Number(number) => number.map(|number| number.to_string()).unwrap_or_default(),
        }
    }

    /// Whether it is a text with U+0000, which PostgreSQL can't hold.
    pub(crate) fn has_zero(&self) -> bool {
        matches!(self, Cell::Text(Some(text)) if text.contains('\0'))
    }
}
