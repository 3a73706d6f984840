//! An installation with something of everything, and what is in a database.

use crate::call::{Answer, Call, PAGE, token, with_secret};
use crate::person;
use crate::server::{Installation, Server};
use serde_json::{Value, json};
use sqlx::{AnyPool, AssertSqlSafe, Row};
use std::collections::BTreeSet;
use std::process::Output;

/// A password in the target's URL, which is in no output. The tests' server asks for none.
pub(crate) const PASSWORD: &str = "kept-out-of-every-output";
pub(crate) const EMAIL: &str = "ana@shop.example";

/// Settings that are of one database, and not of the installation.
const OF_ONE_DATABASE: [&str; 5] = [
    "settings: moved_to",
    "settings: copy_unfinished",
    "settings: copied_from",
    "settings: nonces_server",
    "settings: readiness",
];

/// Before the move: a key, a session, a signed request that was accepted.
pub(crate) struct Before {
    pub(crate) id: String,
    pub(crate) secret: String,
    pub(crate) refresh: String,
    pub(crate) signed: Call,
}

/// A development server's installation on SQLite.
pub(crate) fn on_sqlite() -> Installation {
    Installation::new(None).with("BMAP_DEVELOPMENT", "true").with("BMAP_TRUSTED_PROXIES", "127.0.0.1/32")
}

/// Makes it and uses it; it is not served afterwards.
pub(crate) async fn used(installation: &Installation) -> Before {
    let mut server = installation.serve();
    installation.out(&["tool", "add", "places", "--url", "http://127.0.0.1:4001", "--open"]);
    let key = installation.out(&[
        "key",
        "add",
        "--user",
        "admin",
        "--name",
        "shop",
        "--origin",
        PAGE,
        "--tool=places",
        "--json",
    ]);
    let key: Value = serde_json::from_str(&key).unwrap();
    let (id, secret) = (key["id"].as_str().unwrap().to_owned(), key["secret"].as_str().unwrap().to_owned());
    person::register(EMAIL, &server, installation).await;
    let signed_in = server.ask(&person::login(EMAIL)).await;
    let refresh = signed_in.text("refresh_token");
    assert_eq!(server.ask(&token(&id, &secret)).await.status, 200);
    let ticket =
        with_secret(Call::json("POST", "/tickets", &json!({ "tool": "places", "origin": PAGE })), &id, &secret);
    assert_eq!(server.ask(&ticket).await.status, 201);
    installation.out(&["tool", "grant", EMAIL, "places"]);
    installation.out(&["user", "invite", "ben@shop.example"]);
    let signed = signed(installation, &id, &secret);
    assert_eq!(server.ask(&signed).await.status, 201);
    // Killed, not stopped: the move has to do with what is on the disk.
    server.kill();
    Before { id, secret, refresh, signed }
}

/// A signed request, with headers that can be sent again.
pub(crate) fn signed(installation: &Installation, id: &str, secret: &str) -> Call {
    let body = json!({ "tool": "places", "origin": PAGE }).to_string();
    let mut sign =
        installation.command(&["sign", "http://issuer.example/tickets", "--data", &body, "--key-id", id, "--json"]);
    let signed = sign.env("BMAP_KEY_SECRET", secret).output().unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
    let headers: Value = serde_json::from_slice(&signed.stdout).unwrap();
    let mut call = Call::new("POST", "/tickets").header("host", "issuer.example");
    call.body = body;
    for (name, value) in headers.as_object().unwrap() {
        let name: &'static str = name.to_ascii_lowercase().leak();
        call = call.header(name, value.as_str().unwrap());
    }
    call
}

/// What was there before goes on: the key, the session, the tool, the grant. And what was used is used.
pub(crate) async fn goes_on(server: &Server, before: &Before) -> Answer {
    let given = server.ask(&token(&before.id, &before.secret)).await;
    assert_eq!(given.status, 200, "{given:?}");
    let refreshed = server.ask(&crate::client::refresh(&before.refresh)).await;
    assert_eq!(refreshed.status, 200, "{refreshed:?}");
    assert_eq!(server.ask(&person::login(EMAIL)).await.status, 200);
    refreshed
}

/// The move, with further arguments.
pub(crate) fn migrate(installation: &Installation, to: &str, further: &[&str]) -> Output {
    installation.command(&[&["migrate", "--to", to], further].concat()).output().unwrap()
}

/// The error of a move that is refused.
#[track_caller]
pub(crate) fn is_refused(output: &Output, code: i32, says: &[&str]) -> String {
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{error}");
    assert!(output.stdout.is_empty() && !error.contains("panicked") && !error.contains(PASSWORD), "{error}");
    for part in says {
        assert!(error.contains(part), "{part}: {error}");
    }
    error
}

#[track_caller]
pub(crate) fn is_done(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    assert!(!said.contains(PASSWORD) && !error.contains(PASSWORD), "{said} {error}");
    said
}

/// Every row of every table that is carried: read without the copy's own statements.
pub(crate) async fn rows(url: &str) -> BTreeSet<String> {
    sqlx::any::install_default_drivers();
    let pool = AnyPool::connect(url).await.unwrap();
    let tables = if url.starts_with("postgres") {
        "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables WHERE table_schema = 'public'"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    };
    let tables = sqlx::query(tables).fetch_all(&pool).await.unwrap();
    let mut all = BTreeSet::new();
    for table in tables.iter().map(|table| table.get::<String, _>("name")).filter(|name| name != "_sqlx_migrations") {
        for row in sqlx::query(AssertSqlSafe(format!("SELECT * FROM {table}"))).fetch_all(&pool).await.unwrap() {
            let cell = |at| match row.try_get::<Option<String>, _>(at) {
                Ok(text) => format!("{text:?}"),
                Err(_) => format!("{:?}", row.get::<Option<i64>, _>(at)),
            };
            let cells: Vec<String> = (0..row.len()).map(cell).collect();
            all.insert(format!("{table}: {}", cells.join(" ").replace("Some(\"", "").replace("None", "null")));
        }
    }
    pool.close().await;
    all.retain(|row| !OF_ONE_DATABASE.iter().any(|setting| row.starts_with(setting)));
    all
}

/// Writes into a database by hand, past the issuer.
pub(crate) async fn edit(url: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let pool = AnyPool::connect(url).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&pool).await.unwrap();
    pool.close().await;
}
