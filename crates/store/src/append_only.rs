//! Triggers that refuse to change or delete entries of the audit log: against a mistake, not against an intruder, who can drop
//! them, and whom the chain shows. The one thing that each engine must be told in its own words.

use super::Result;
use super::address::Engine;
use sqlx::{AnyConnection, Connection};

const SQLITE: &str = "\
    CREATE TRIGGER IF NOT EXISTS audit_log_no_update BEFORE UPDATE ON audit_log \
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END; \
    CREATE TRIGGER IF NOT EXISTS audit_log_no_delete BEFORE DELETE ON audit_log \
    BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;";

const POSTGRESQL: &str = "\
    CREATE OR REPLACE FUNCTION audit_log_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$ \
    BEGIN RAISE EXCEPTION 'the audit log only grows'; END $$; \
    CREATE OR REPLACE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log \
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_only_grows();";

/// Makes them where they are not there.
pub(crate) async fn guard(connection: &mut AnyConnection, engine: Engine) -> Result<()> {
    if engine == Engine::Sqlite {
        sqlx::raw_sql(SQLITE).execute(connection).await?;
        return Ok(());
    }
    let there = sqlx::query("SELECT 1 AS there FROM pg_trigger WHERE tgname = 'audit_log_no_change'");
    if there.fetch_optional(&mut *connection).await?.is_some() {
        return Ok(());
    }
    // Of several processes that start at once, one makes them and the others wait for it.
    let mut transaction = connection.begin().await?;
    sqlx::raw_sql("LOCK TABLE audit_log IN SHARE ROW EXCLUSIVE MODE").execute(&mut *transaction).await?;
    sqlx::raw_sql(POSTGRESQL).execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}
