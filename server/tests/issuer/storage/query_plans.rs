//! Every statement of the storage finds its rows by an index. One that reads a whole table is in the list below, with the reason
//! why that is no request's business.

use bmap_store::Database;
use sqlx::{AssertSqlSafe, Connection, Row, SqliteConnection};
use std::path::{Path, PathBuf};

/// Statements that read a table from one end to the other: a part of each, and the caller that waits for it.
const WHOLE: [(&str, &str); 19] = [
    ("FROM accounts a JOIN users u ON u.id = a.user_id ORDER BY a.user_id", "a command"),
    ("FROM api_keys ORDER BY id", "a command"),
    ("SELECT COUNT(*) - (SELECT COUNT(*) FROM audit_log", "bmap audit verify"),
    ("FROM audit_log l LEFT JOIN audit_log p", "once, at the upgrade to grants"),
    ("SELECT epoch, sealed_epoch, sealed FROM audit_keys", "a row for each epoch"),
    ("GROUP BY epoch", "bmap root status"),
    ("ignored_proxies ORDER BY seen_at DESC", "a few rows"),
    ("FROM issuer_keys WHERE retired_at IS NULL", "a few rows, once at the start"),
    ("FROM link_changes WHERE until > $1 ORDER BY", "rows of ten minutes, when a verifier starts"),
    ("MAX(cursor) AS newest FROM link_changes", "rows of ten minutes, for an act that is waited for"),
    ("FROM link_nodes WHERE seen_at", "a row for each verifier"),
    ("FROM openid_identities WHERE seal IS NULL", "a command"),
    ("SELECT COUNT(*) AS waiting FROM outbox", "the metrics' own listener"),
    ("SELECT name, value FROM settings", "a command"),
    ("FROM sessions WHERE ($1 = '' OR user_id = $1)", "a command"),
    ("FROM sqlite_master", "a command"),
    ("FROM tools ORDER BY id", "a few rows"),
    ("FROM users ORDER BY id", "a command"),
    ("FROM user_sessions s LEFT JOIN refresh_tokens r ON r.session_id = s.id WHERE s.revoked_at", "a command"),
];

/// Statements that would read a long part of a table by another index: a part of each, and the index that it is for.
const BY_INDEX: [(&str, &str); 8] = [
    ("mac FROM audit_log WHERE actor_user = ", "audit_by_actor"),
    ("mac FROM audit_log WHERE target_user = ", "audit_by_target"),
    ("(SELECT sequence FROM audit_log WHERE actor_user = ", "audit_by_actor"),
    ("(SELECT sequence FROM audit_log WHERE target_user = ", "audit_by_target"),
    ("WHERE s.user_id = $2 AND s.id < $3 AND s.revoked_at IS NULL", "user_sessions_live"),
    ("WHERE s.user_id = $2 AND s.revoked_at IS NULL", "user_sessions_live"),
    ("FROM user_sessions WHERE user_id = $1 AND revoked_at IS NULL", "user_sessions_live"),
    ("FROM user_sessions s WHERE s.revoked_at < $1", "user_sessions_by_revocation"),
];

/// The statements that stand in the sources of the storage.
fn statements() -> Vec<String> {
    let mut found = Vec::new();
    let files = files(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/store/src").as_ref());
    // A move to another database reads all of it, while nothing is served; each connection looks at its marks.
    let is_of_requests = |file: &&PathBuf| !file.parent().unwrap().ends_with("copy") || file.ends_with("mark.rs");
    for file in files.iter().filter(is_of_requests) {
        // A macro puts the beginning before each of several conditions.
        let mut beginning = String::new();
        for text in texts(&std::fs::read_to_string(file).unwrap()) {
            if text.ends_with("u.key_id = k.id ") {
                beginning = text;
            } else if !beginning.is_empty() && text.starts_with("WHERE k.") {
                found.push(format!("{beginning}{text}"));
            } else if ["SELECT ", "INSERT ", "UPDATE ", "DELETE "].iter().any(|verb| text.starts_with(verb)) {
                // Look-ups of several: for two of them.
                found.push(text.replace("{wanted}", "($1), ($2)").replace("{now}", "unixepoch()"));
            }
        }
    }
    // Places for rows are put into these; and PostgreSQL's own tables are not SQLite's.
    found.retain(|sql| !sql.contains("{}") && !sql.contains("pg_trigger") && !sql.contains("information_schema"));
    found
}

/// The files of a folder and of the folders in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The string literals of a source.
fn texts(source: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = source;
    while let Some(start) = rest.find(['"', '/']) {
        let (sign, after) = rest[start..].split_at(1);
        rest = after;
        if sign == "/" {
            if let Some(comment) = after.strip_prefix('/') {
                rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
            }
            continue;
        }
        let mut text = String::new();
        let mut signs = after.char_indices();
        while let Some((at, sign)) = signs.next() {
            match sign {
                '"' => {
                    rest = &after[at + 1..];
                    break;
                }
                '\\' => match signs.next().unwrap().1 {
                    '\n' => {
                        while signs.as_str().starts_with([' ', '\n']) {
                            signs.next();
                        }
                    }
                    escaped => text.push(escaped),
                },
                sign => text.push(sign),
            }
        }
        texts.push(text);
    }
    texts
}

#[tokio::test]
async fn a_request_reads_no_whole_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bmap.sqlite");
    Database::open_sqlite(&file).await.unwrap().close().await;
    let mut connection = SqliteConnection::connect(&format!("sqlite://{}", file.display())).await.unwrap();
    let statements = statements();
    assert!(statements.len() > 80, "{}", statements.len());
    let (mut allowed, mut by_index) = (Vec::new(), 0);
    for sql in &statements {
        let plan = sqlx::raw_sql(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
        let plan = plan.fetch_all(&mut connection).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let steps: Vec<String> = plan.iter().map(|row| row.get("detail")).collect();
        for (_, index) in BY_INDEX.iter().filter(|(part, _)| sql.contains(part)) {
            by_index += 1;
            assert!(steps.iter().any(|step| step.contains(index)), "{sql}\ndoes not use {index}: {steps:?}");
        }
        // What a part of the statement itself gives is no table.
        let is_part = |name: &str| {
            let is_constant = name.starts_with("CONSTANT") || name.ends_with(" VALUES CLAUSE");
            is_constant || steps.contains(&format!("CO-ROUTINE {name}"))
        };
        if steps.iter().filter_map(|step| step.strip_prefix("SCAN ")).all(is_part) {
            continue;
        }
        let known = WHOLE.iter().position(|(part, _)| sql.contains(part));
        allowed.push(known.unwrap_or_else(|| panic!("{sql}\nreads a whole table: {steps:?}")));
    }
    assert_eq!(by_index, BY_INDEX.len(), "a part of the list is in no statement, or in two");
    for (number, (part, _)) in WHOLE.iter().enumerate() {
        assert!(allowed.contains(&number), "{part}: reads no whole table any more, so it need not be in the list");
    }
}
