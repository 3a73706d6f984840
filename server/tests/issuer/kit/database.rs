//! A database of one's own, of the kind that this run is about: `TEST_DATABASE=postgresql` or, without it, SQLite.

use crate::postgres::{Cluster, HASTY};
use bmap_store::Database;
use bmap_store::address::Address;
use bmap_store::schema::Pending;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// A database, gone when the test is.
pub(crate) enum TestDatabase {
    /// A file in a folder of its own.
    File(TempDir),
    /// A database of the server that all tests of this process share.
    OnServer(String),
}

/// Whether this run is about PostgreSQL.
pub(crate) fn is_postgres() -> bool {
    match std::env::var("TEST_DATABASE").as_deref() {
        Err(_) | Ok("sqlite") => false,
        Ok("postgresql") => true,
        Ok(other) => panic!("TEST_DATABASE={other}: sqlite or postgresql"),
    }
}

/// The server of this process, with a database `migrated` to copy from.
pub(crate) fn server() -> &'static Cluster {
    static SERVER: OnceLock<Cluster> = OnceLock::new();
    SERVER.get_or_init(|| {
        let cluster = Cluster::new(HASTY);
        cluster.sql("postgres", "CREATE DATABASE migrated");
        let mut migrate = std::process::Command::new(crate::operator::BMAP);
        migrate.env_clear().env("BMAP_DATABASE_URL", cluster.url("migrated")).env("BMAP_DATA_DIR", "bmap-data");
        let folder = TempDir::new().unwrap();
        assert!(migrate.arg("migrate").current_dir(&folder).output().unwrap().status.success());
        cluster
    })
}

impl TestDatabase {
    /// Without a table.
    pub(crate) fn empty() -> Self {
        if is_postgres() { Self::on_server("template1") } else { Self::File(tempfile::tempdir().unwrap()) }
    }

    /// With this program's tables.
    pub(crate) async fn migrated() -> (Self, Database) {
        let database = if is_postgres() { Self::on_server("migrated") } else { Self::empty() };
        let store = Database::open(&database.address(), Pending::Apply).await.unwrap();
        (database, store)
    }

    /// One on the server, whatever this run is about.
    pub(crate) fn on_server(template: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", NUMBER.fetch_add(1, Ordering::SeqCst));
        server().sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        Self::OnServer(name)
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::File(folder) => format!("sqlite://{}", folder.path().join("bmap.sqlite").display()),
            Self::OnServer(name) => server().url(name),
        }
    }

    pub(crate) fn address(&self) -> Address {
        Address::parse(&self.url()).unwrap()
    }

    /// Everything that is stored.
    pub(crate) fn dump(&self) -> Vec<u8> {
        match self {
            Self::File(folder) => {
                let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap_or_default();
                [read("bmap.sqlite"), read("bmap.sqlite-wal")].concat()
            }
            Self::OnServer(name) => server().ask("pg_dump", name, &[]),
        }
    }

    /// Runs a statement that changes no row.
    pub(crate) async fn run(&self, sql: &str) {
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&self.url()).await.unwrap();
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        pool.close().await;
    }

    /// Writes into it by hand, past the issuer.
    pub(crate) async fn edit(&self, sql: &str) {
        sqlx::any::install_default_drivers();
        let pool = sqlx::AnyPool::connect(&self.url()).await.unwrap();
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&pool).await.unwrap();
        assert!(done.rows_affected() > 0, "{sql}");
        pool.close().await;
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        if let Self::OnServer(name) = self {
            let drop = format!("DROP DATABASE {name} WITH (FORCE)");
            // No test waits for it; and where the process ends before, the whole server goes.
            std::thread::spawn(move || server().sql("postgres", &drop));
        }
    }
}
