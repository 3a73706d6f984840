//! An installation moved from SQLite to PostgreSQL and back: `bmap migrate --from … --to …`, with real processes.

mod interrupted;
mod refused;
mod scene;
mod whole;
