//! Rows that only half of something left.

use sqlx::{AnyConnection, Connection, Row};

/// Half-done rows, of which there must be none.
const HALVES: [(&str, &str); 10] = [
    (
        "a key without its origins",
        "SELECT COUNT(*) FROM api_keys k WHERE k.name LIKE 'key %' AND \
      2 <> (SELECT COUNT(*) FROM api_key_origins o WHERE o.key_id = k.id)",
    ),
    ("an origin without its key", "SELECT COUNT(*) FROM api_key_origins WHERE key_id NOT IN (SELECT id FROM api_keys)"),
    ("a key twice", "SELECT COUNT(*) FROM (SELECT name FROM api_keys GROUP BY name HAVING COUNT(*) > 1) twice"),
    (
        "a former secret without its key",
        "SELECT COUNT(*) FROM api_key_former WHERE key_id NOT IN (SELECT id FROM api_keys)",
    ),
    (
        "a refresh token without its session",
        "SELECT COUNT(*) FROM refresh_tokens \
      WHERE session_id NOT IN (SELECT id FROM user_sessions)",
    ),
    (
        "a session without a refresh token",
        "SELECT COUNT(*) FROM user_sessions \
      WHERE id NOT IN (SELECT session_id FROM refresh_tokens)",
    ),
    (
        "a used refresh token without its successor",
        "SELECT COUNT(*) FROM refresh_tokens r WHERE r.used_at IS NOT NULL \
      AND NOT EXISTS (SELECT 1 FROM refresh_tokens n WHERE n.predecessor = r.hash)",
    ),
    (
        "a refresh token whose predecessor was not used",
        "SELECT COUNT(*) FROM refresh_tokens n JOIN refresh_tokens r \
      ON r.hash = n.predecessor WHERE r.used_at IS NULL OR r.salt IS NULL",
    ),
    (
        "a first user without its key",
        "SELECT COUNT(*) FROM users WHERE name = 'admin' AND id NOT IN (SELECT user_id FROM api_keys)",
    ),
    ("an account without its user", "SELECT COUNT(*) FROM accounts WHERE user_id NOT IN (SELECT id FROM users)"),
];

/// Looks for them, and for damage.
pub(crate) async fn none(url: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(url).await.unwrap();
    for (what, sql) in HALVES {
        let count: i64 = sqlx::query(sql).fetch_one(&mut connection).await.unwrap().get(0);
        assert_eq!(count, 0, "{what}");
    }
    if url.starts_with("sqlite:") {
        let said: String = sqlx::query("PRAGMA integrity_check").fetch_one(&mut connection).await.unwrap().get(0);
        assert_eq!(said, "ok");
    }
    connection.close().await.unwrap();
}
