//! Rows that have ended are deleted, however many, and rows that live stay.

use crate::database::TestDatabase;
use bmap_issuer::clean_up::delete_ended;
use bmap_model::clock::UnixTime;
use sqlx::{AnyConnection, AssertSqlSafe, Connection, Row};

const NOW: UnixTime = UnixTime(1_795_000_000_000);
/// More than is deleted at once.
const ENDED: i64 = 5_002;

/// Tables with something that ends: their columns, and the values of the row of number `i`; `E` is its end.
const TABLES: [(&str, &str, &str); 18] = [
    ("tickets", "hash, tool, origin, scope, key_id, user_id, expires_at", "'h' || i, 't', 'o', '', 'k', 'u', E"),
    ("sessions", "id, user_id, key_id, tool, created_at, expires_at", "'s' || i, 'u', 'k', 't', 0, E"),
    ("registrations", "hash, email, password, pepper_epoch, expires_at", "'h' || i, 'a@b', 'p', 1, E"),
    ("password_resets", "hash, user_id, epoch, seal, expires_at", "'h' || i, 'u', 1, 's', E"),
    (
        "email_changes",
        "hash, user_id, email, password, pepper_epoch, seal, tries, expires_at",
        "'h' || i, 'u', 'a@b', 'p', 1, 's', 0, E",
    ),
    ("outbox", "id, epoch, sealed, created_at, expires_at, due_at, attempts", "'m' || i, 1, 's', 0, E, E, 0"),
    ("mail_counts", "recipient, hour, mails", "'r' || i, E / 3600000, 1"),
    ("step_ups", "hash, user_id, session_id, expires_at", "'h' || i, 'u', 's', E"),
    ("key_reviews", "hash, user_id, since, until, expires_at", "'h' || i, 'u', 0, 0, E"),
    ("invitations", "hash, email, expires_at", "'h' || i, 'a@b', E"),
    ("user_sessions", "id, user_id, created_at, expires_at", "'s' || i, 'u', 0, E"),
    ("refresh_tokens", "hash, session_id", "'h' || i, 's' || i"),
    ("api_key_former", "key_id, epoch, scope, stored_hash, sealed, replaced_at", "'k' || i, 1, '', 'h', 's', E"),
    (
        "idempotent_answers",
        "caller, key_hash, request_hash, epoch, sealed, expires_at",
        "'c', 'h' || i, 'r', 1, 's', E",
    ),
    ("link_changes", "cursor, kind, id, tool, of_kind, until", "i, 'user', 'u' || i, '', '', E / 1000"),
    ("known_networks", "user_id, epoch, seal, expires_at", "'u', 1, 's' || i, E"),
    ("openid_flows", "state, browser, provider, epoch, sealed, expires_at", "'s' || i, 'b', 'p', 1, 's', E"),
    ("openid_codes", "code, epoch, sealed, expires_at", "'c' || i, 1, 's', E"),
];

async fn execute(connection: &mut AnyConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

#[tokio::test]
async fn what_has_ended_is_deleted_in_portions_and_what_lives_stays() {
    let (database, store) = TestDatabase::migrated().await;
    let mut connection = AnyConnection::connect(&database.url()).await.unwrap();
    let numbers = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= {ENDED})");
    execute(&mut connection, "INSERT INTO users (id, name, created_at) VALUES ('u', 'u', 0)").await;
    let keys = "INSERT INTO api_keys (id, user_id, name, signing, epoch, scope, stored_hash, sealed, created_at) \
                SELECT 'k' || i, 'u', 'n', 's', 1, '', 'h', 's', 0 FROM n";
    execute(&mut connection, &format!("{numbers} {keys}")).await;
    let (ended, lives) = (NOW.plus_seconds(-30 * 86_400).0, NOW.plus_seconds(60).0);
    for (table, columns, values) in TABLES {
        // All but the last have ended.
        let values = values.replace('E', &format!("(CASE WHEN i > {ENDED} THEN {lives} ELSE {ended} END)"));
        execute(&mut connection, &format!("{numbers} INSERT INTO {table} ({columns}) SELECT {values} FROM n")).await;
    }
    for (what, deleted) in delete_ended(&store, NOW).await {
        let expected = match what {
            "links" | "sign-ins with providers" => 2 * ENDED,
            // The database's own clock decides about these: `used_nonces.rs` has their test.
            "used nonces" => 0,
            _ => ENDED,
        };
        assert_eq!(i64::try_from(deleted.unwrap()).unwrap(), expected, "{what}");
    }
    for (table, _, _) in TABLES {
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let left: i64 = sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0);
        assert_eq!(left, 1, "{table}");
    }
    assert!(delete_ended(&store, NOW).await.into_iter().all(|(_, deleted)| deleted.unwrap() == 0));
    connection.close().await.unwrap();
}

#[tokio::test]
async fn a_session_that_was_ended_is_deleted_after_a_day() {
    let (database, store) = TestDatabase::migrated().await;
    let mut connection = AnyConnection::connect(&database.url()).await.unwrap();
    execute(&mut connection, "INSERT INTO users (id, name, created_at) VALUES ('u', 'u', 0)").await;
    let lives = NOW.plus_seconds(60).0;
    let revoked =
        [("long ago", -86_401), ("just now", -86_399)].map(|(id, ago)| (id, NOW.plus_seconds(ago).0.to_string()));
    for (id, at) in revoked.into_iter().chain([("lives", "NULL".to_owned())]) {
        let session = format!(
            "INSERT INTO user_sessions (id, user_id, created_at, expires_at, revoked_at) VALUES ('{id}', 'u', 0, {lives}, {at})"
        );
        execute(&mut connection, &session).await;
        execute(&mut connection, &format!("INSERT INTO refresh_tokens (hash, session_id) VALUES ('{id}', '{id}')"))
            .await;
    }
    let deleted = delete_ended(&store, NOW).await;
    assert!(deleted.into_iter().all(|(what, deleted)| deleted.unwrap() == u64::from(what == "sessions of people")));
    let left = "SELECT s.id FROM user_sessions s JOIN refresh_tokens r ON r.session_id = s.id ORDER BY s.id";
    let left = sqlx::query(left).fetch_all(&mut connection).await.unwrap();
    assert_eq!(left.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>(), ["just now", "lives"]);
    let tokens: i64 =
        sqlx::query("SELECT COUNT(*) FROM refresh_tokens").fetch_one(&mut connection).await.unwrap().get(0);
    assert_eq!(tokens, 2);
    connection.close().await.unwrap();
}
