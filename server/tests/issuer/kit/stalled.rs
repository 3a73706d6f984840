//! A database that is made to wait, or to refuse one table: by another connection that holds a lock, and by a trigger.

use sqlx::{AnyConnection, AssertSqlSafe, Connection};

/// No other connection writes an audit entry while this is held. Reading goes on.
pub(crate) struct Stall(AnyConnection);

impl Stall {
    pub(crate) async fn of(url: &str) -> Self {
        let mut connection = connect(url).await;
        let lock = match is_file(url) {
            true => "BEGIN IMMEDIATE",
            false => "BEGIN; LOCK TABLE audit_head IN EXCLUSIVE MODE",
        };
        sqlx::raw_sql(lock).execute(&mut connection).await.unwrap();
        Self(connection)
    }

    pub(crate) async fn end(mut self) {
        sqlx::raw_sql("ROLLBACK").execute(&mut self.0).await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// From now on nothing can be inserted into a table.
pub(crate) async fn refuse_inserts(url: &str, table: &str) {
    let trigger = match is_file(url) {
        true => format!(
            "CREATE TRIGGER refusing BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'refused by a test'); END"
        ),
        false => format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ \
             BEGIN RAISE EXCEPTION 'refused by a test'; END $$; \
             CREATE TRIGGER refusing BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION refuse()"
        ),
    };
    execute(url, &trigger).await;
}

/// From now on the row of that id can't be updated.
pub(crate) async fn refuse_update_of(url: &str, table: &str, id: &str) {
    let trigger = match is_file(url) {
        true => format!(
            "CREATE TRIGGER refusing BEFORE UPDATE ON {table} WHEN OLD.id = '{id}' \
             BEGIN SELECT RAISE(ABORT, 'refused by a test'); END"
        ),
        false => format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ \
             BEGIN RAISE EXCEPTION 'refused by a test'; END $$; \
             CREATE TRIGGER refusing BEFORE UPDATE ON {table} FOR EACH ROW WHEN (OLD.id = '{id}') EXECUTE FUNCTION refuse()"
        ),
    };
    execute(url, &trigger).await;
}

/// And again it can.
pub(crate) async fn take_inserts(url: &str, table: &str) {
    let drop = match is_file(url) {
        true => "DROP TRIGGER refusing".to_owned(),
        false => format!("DROP TRIGGER refusing ON {table}; DROP FUNCTION refuse"),
    };
    execute(url, &drop).await;
}

fn is_file(url: &str) -> bool {
    url.starts_with("sqlite:")
}

pub(crate) async fn execute(url: &str, sql: &str) {
    let mut connection = connect(url).await;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn connect(url: &str) -> AnyConnection {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(url).await.unwrap()
}
