//! Why storage did not answer.

/// Why storage did not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A name or id is taken.
    #[error("there is already a {what} of that name")]
    Taken {
        /// The kind of thing.
        what: &'static str,
    },
    /// A row can't be read back into its types.
    #[error("a row of {table} has a bad value in column {column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A change can't be recorded: the database was opened without the keys of its audit log.
    #[error("the database was opened without the keys of its audit log, so nothing that is recorded can be changed")]
    NotRecording,
    /// The database can't be reached or did not do as told.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The file can't be opened as a database.
    #[error("database {}: {cause}", file.display())]
    File {
        /// The file.
        file: std::path::PathBuf,
        /// Why.
        cause: sqlx::Error,
    },
    /// The way to the database is not safe, so nothing was sent on it.
    #[error("no safe connection to the database: {0}")]
    Unsafe(String),
    /// No database server listens where it should be.
    #[error("no PostgreSQL server listens at the host and port of database_url: the connection was refused")]
    Refused,
    /// The error of a statement that several callers waited for.
    #[error(transparent)]
    Shared(std::sync::Arc<StoreError>),
    /// The schema could not be brought up to date.
    #[error("migrations: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A newer program has been at this database.
    #[error(
        "the database has migration {found}, and this program knows {known} at most: a newer bmap has been at it, so use that one"
    )]
    Newer {
        /// Its last migration.
        found: i64,
        /// The last one that is known here.
        known: i64,
    },
    /// The database was made by other migrations than this program's.
    #[error(
        "migration {version} of the database is not this program's migration {version}: it was made by another build"
    )]
    Altered {
        /// Which one.
        version: i64,
    },
    /// The schema is behind, and only `bmap migrate` may bring it up.
    #[error(
        "the schema of the database is behind by {pending} migrations, and migrate_at_start is false: run `bmap migrate`"
    )]
    Behind {
        /// How many are missing.
        pending: usize,
    },
    /// The installation is in another database.
    #[error(
        "this installation was moved to {to}: name that database (BMAP_DATABASE_URL); docs/operations.md has the way back"
    )]
    Moved {
        /// The other database, without user and password.
        to: String,
    },
    /// A copy into this database is not finished.
    #[error("this database holds a half-finished copy: finish it with the same bmap migrate --from … --to …")]
    CopyUnfinished,
    /// Another program works with a database that is to be copied.
    #[error("another program has this database open: stop every bmap (and every other program) that works with it")]
    InUse,
    /// A row that is copied holds what is no text.
    #[error("a row of {table} can't be read: {cause}")]
    Unreadable {
        /// The table.
        table: &'static str,
        /// Why.
        cause: sqlx::Error,
    },
    /// PostgreSQL can't hold a text of SQLite's.
    #[error("{row} has a text with U+0000, which PostgreSQL can't hold")]
    ZeroInText {
        /// The row.
        row: String,
    },
    /// A step-up was used, or its session has ended, before the act that it was shown for.
    #[error("the step-up was used, or its session has ended")]
    StepUp,
    /// The database could not be written when it was last tried, a moment ago.
    #[error("the database could not be written a moment ago")]
    Unwritable,
}

/// Result of storage.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Turns a broken uniqueness rule into [`StoreError::Taken`].
pub(crate) fn taken(what: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |error| match &error {
        sqlx::Error::Database(cause) if cause.is_unique_violation() => StoreError::Taken { what },
        _ => StoreError::Database(error),
    }
}
