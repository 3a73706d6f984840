//! Which PostgreSQL server this is. A standby that took over, or a restored copy, may lack the last commits: nonces too.

use crate::nonces::LONGEST;
use sqlx::{AnyConnection, AssertSqlSafe};

/// The cluster, and the timeline of its log: another after each takeover and each recovery to a point in time.
const SERVER: &str = "(SELECT system_identifier || '/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) FROM pg_control_system())";

/// Notes which server it is. Where it is another than before, a request that was signed until now, or ahead of its time, is refused
/// from then on (profile §5, after a restart): the requests that it may have forgotten are among these.
pub(crate) async fn note(connection: &mut AnyConnection) {
    let now = "CAST(floor(extract(epoch FROM clock_timestamp())) AS BIGINT)";
    let sql = format!(
        "WITH changed AS (UPDATE settings SET value = {SERVER} \
         WHERE name = 'nonces_server' AND value <> '' AND value <> {SERVER} RETURNING name), \
         raised AS (UPDATE settings SET value = CAST(GREATEST(CAST(value AS BIGINT), {now} + {LONGEST}) AS TEXT) \
         WHERE name = 'nonces_forgotten_until' AND EXISTS (SELECT 1 FROM changed)) SELECT COUNT(*) FROM changed; \
         UPDATE settings SET value = {SERVER} WHERE name = 'nonces_server' AND value = ''"
    );
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await {
        // Without the right to ask there is no way to know; a connection that is broken says so at its next statement.
        tracing::warn!("a change of the database's server would not be noticed: {error}");
    }
}
