//! Every table of the schema: its columns, its key, how its seals are checked, and the statements that follow. A test holds this to the
//! migrations, so that a new table or column is decided here.

use super::cell::{Cell, Kind};
use super::seals::{self, Seal};
use crate::Result;
use crate::many::places;
use sqlx::any::AnyRow;
use std::sync::LazyLock;

/// A table, as it is copied.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its columns, those of the primary key first.
    pub(crate) columns: Vec<(&'static str, Kind)>,
    /// How its seals are checked.
    pub(crate) seal: Seal,
    /// How many columns are the primary key.
    key: usize,
    /// Columns and joined tables that the check of a seal reads beside them.
    beside: (&'static str, &'static str),
}

/// Settings that say something about one database and not about the installation: `moved_to`, `copy_unfinished` and `copied_from` are the
/// marks of moves; `nonces_server` is which server of PostgreSQL it is, and empty in a new one, so that the first issuer notes it and nothing
/// is forgotten; `readiness` is written to find out whether writing works.
const NOT_CARRIED: &str = "'moved_to', 'copy_unfinished', 'copied_from', 'nonces_server', 'readiness'";

/// Tables that are not copied, with the reason.
#[cfg(test)]
const NOT_COPIED: [(&str, &str); 1] = [("_sqlx_migrations", "the target's own schema says which migrations it has")];

/// Every table, in an order that foreign keys allow; a `#` is behind the name of a number. The audit log comes before the row of its last
/// entry.
///
/// Rows of the moment are carried too. Used nonces, with `nonces_forgotten_until` among the settings: a request that was accepted before the
/// move is refused after it. Denials with their cursors, which are numbers of the audit log: a verifier goes on at its cursor. Verifiers that
/// were seen: an act that waits for all of them must not call itself in force before they came back. Mails with their leases, counts of mails,
/// kept answers: a request that is sent again after the move finds what it would have found before.
pub(crate) static TABLES: LazyLock<Vec<Table>> = LazyLock::new(|| {
    vec![
        Table::new("settings", 1, "name value", Seal::None),
        Table::new("audit_log", 1, "sequence# epoch# at# action outcome actor actor_id actor_user target target_id target_user address request_id detail mac", Seal::Chain),
        Table::new("audit_head", 1, "id# sequence# mac", Seal::ChainHead),
        Table::new("audit_keys", 1, "epoch# sealed_epoch# sealed", Seal::Row(seals::audit_key)),
        Table::new("issuer_keys", 1, "kid epoch# public_key sealed created_at# retired_at#", Seal::Row(seals::issuer_key)),
        Table::new("users", 1, "id name created_at# deactivated_at# role role_epoch# role_mac", Seal::Row(seals::role)),
        Table::new("accounts", 1, "user_id email password pepper_epoch# created_at# password_changed_at# signed_in_at# seal reset_at#", Seal::Row(seals::account)).beside(", u.deactivated_at", " LEFT JOIN users u ON u.id = t.user_id"),
        Table::new("registrations", 1, "hash email password pepper_epoch# expires_at# tries#", Seal::InToken),
        Table::new("user_sessions", 1, "id user_id created_at# expires_at# revoked_at# epoch# seal", Seal::Row(seals::user_session)).beside(", t.id AS session_id", ""),
        Table::new("refresh_tokens", 1, "hash session_id predecessor used_at# salt epoch# seal", Seal::Row(seals::refresh_token)).beside(", t.epoch AS token_epoch, t.seal AS token_seal", ""),
        Table::new("api_keys", 1, "id user_id name signing epoch# scope stored_hash sealed created_at# revoked_at#", Seal::Row(seals::api_key)),
        Table::new("api_key_origins", 2, "origin key_id expires_at#", Seal::None),
        Table::new("api_key_former", 1, "key_id epoch# scope stored_hash sealed replaced_at#", Seal::Row(seals::api_key)).beside( ", k.id, k.user_id, k.name, k.signing, k.created_at, k.revoked_at", " LEFT JOIN api_keys k ON k.id = t.key_id", ),
        Table::new("api_key_uses", 1, "key_id used_at# address way", Seal::None),
        Table::new("secrets_given", 1, "key_id act given_at# address", Seal::None),
        Table::new("tools", 1, "id base_url origins min_assurance scopes required_scopes created_at# epoch# seal access callers open_scopes policy", Seal::Row(seals::tool)),
        Table::new("tool_grants", 2, "tool user_id scopes ends_at# given_by given_at# epoch# seal", Seal::Row(seals::tool_grant)).beside( ", t.tool AS grant_tool, t.user_id AS grant_user, t.scopes AS grant_scopes, t.epoch AS grant_epoch, t.seal AS grant_seal", "", ),
        Table::new("tickets", 1, "hash tool origin embed_origin end_user scope key_id user_id expires_at#", Seal::InToken),
        Table::new("sessions", 1, "id user_id key_id tool created_at# expires_at# revoked_at# user_session_id", Seal::None),
        Table::new("idempotent_answers", 2, "caller key_hash request_hash epoch# sealed expires_at#", Seal::Row(seals::answer)),
        Table::new("outbox", 1, "id epoch# sealed created_at# expires_at# due_at# attempts# claim", Seal::Row(seals::mail)),
        Table::new("mail_counts", 2, "recipient hour# mails#", Seal::None),
        Table::new("password_resets", 1, "hash user_id epoch# seal expires_at#", Seal::Row(seals::password_reset)),
        Table::new("email_changes", 1, "hash user_id email password pepper_epoch# seal tries# expires_at#", Seal::Row(seals::email_change)),
        Table::new("openid_identities", 2, "issuer subject user_id email created_at# signed_in_at# epoch# seal", Seal::Row(seals::identity)),
        Table::new("openid_flows", 1, "state browser provider epoch# sealed expires_at#", Seal::Row(seals::openid_flow)),
        Table::new("openid_codes", 1, "code epoch# sealed expires_at#", Seal::Row(seals::openid_code)),
        Table::new("step_ups", 1, "hash user_id session_id expires_at# epoch# seal", Seal::Row(seals::step_up)),
        Table::new("key_reviews", 1, "hash user_id since# until# expires_at# epoch# seal", Seal::Row(seals::key_review)),
        Table::new("invitations", 1, "hash email expires_at# epoch# seal", Seal::Row(seals::invitation)),
        Table::new("known_networks", 2, "user_id seal epoch# expires_at#", Seal::InToken),
        Table::new("ignored_proxies", 1, "peer seen_at#", Seal::None),
        Table::new("used_nonces", 1, "id until#", Seal::None),
        Table::new("link_changes", 4, "cursor# kind id tool of_kind until# owner issued_until#", Seal::None),
        Table::new("link_nodes", 2, "tool node applied# seen_at#", Seal::None),
    ]
});

impl Table {
    fn new(name: &'static str, key: usize, columns: &'static str, seal: Seal) -> Self {
        let column = |text: &'static str| match text.strip_suffix('#') {
            Some(name) => (name, Kind::Number),
            None => (text, Kind::Text),
        };
        Self { name, columns: columns.split(' ').map(column).collect(), seal, key, beside: ("", "") }
    }

    fn beside(self, columns: &'static str, joined: &'static str) -> Self {
        Self { beside: (columns, joined), ..self }
    }

    /// Its place among [`TABLES`], by name.
    pub(crate) fn place(name: &str) -> Option<usize> {
        TABLES.iter().position(|table| table.name == name)
    }

    fn names(&self, before: &str, columns: usize) -> String {
        let names = self.columns.iter().take(columns).map(|(name, _)| format!("{before}{name}"));
        names.collect::<Vec<_>>().join(", ")
    }

    /// Rows of one database that are not carried to another.
    fn only(&self) -> String {
        if self.name == "settings" { format!("t.name NOT IN ({NOT_CARRIED})") } else { "1 = 1".to_owned() }
    }

    /// A page of rows in the order of the key, behind `after`, whose values are bound first; the last one is the number of rows.
    pub(crate) fn page(&self, is_first: bool) -> String {
        let (key, (columns, joined)) = (self.names("t.", self.key), self.beside);
        let (behind, limit) = match is_first {
            true => (String::new(), 1),
            false => (format!(" AND ({key}) > {}", places(1, self.key)), self.key.saturating_add(1)),
        };
        format!(
            "SELECT {}{columns} FROM {} t{joined} WHERE {}{behind} ORDER BY {key} LIMIT ${limit}",
            self.names("t.", usize::MAX),
            self.name,
            self.only()
        )
    }

    /// So many rows by their keys.
    pub(crate) fn by_keys(&self, rows: usize) -> String {
        let wanted = if self.key == 1 { flat(rows) } else { format!("(VALUES {})", places(rows, self.key)) };
        let (columns, key) = (self.names("t.", usize::MAX), self.names("t.", self.key));
        format!("SELECT {columns} FROM {} t WHERE ({key}) IN {wanted}", self.name)
    }

    /// The number of rows that are carried.
    pub(crate) fn count(&self) -> String {
        format!("SELECT COUNT(*) AS counted FROM {} t WHERE {}", self.name, self.only())
    }

    /// So many new rows.
    pub(crate) fn insert(&self, rows: usize) -> String {
        let columns = self.names("", usize::MAX);
        format!("INSERT INTO {} ({columns}) VALUES {}", self.name, places(rows, self.columns.len()))
    }

    /// The values of a row.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`](crate::StoreError::Corrupt) for one that is not of its column's type.
    pub(crate) fn cells(&self, row: &AnyRow) -> Result<Vec<Cell>> {
        let columns = self.columns.iter().enumerate();
        columns.map(|(at, (column, kind))| Cell::read(row, at, *kind, self.name, column)).collect()
    }

    /// The key's values of a row.
    pub(crate) fn key<'r>(&self, cells: &'r [Cell]) -> &'r [Cell] {
        cells.get(..self.key).unwrap_or(cells)
    }

    /// The row's name: table and key.
    pub(crate) fn named(&self, key: &[Cell]) -> String {
        let key: Vec<String> = key.iter().map(Cell::shown).collect();
        format!("{} {}", self.name, key.join(" "))
    }
}

/// `($1, $2, $3)`: places of single values.
fn flat(rows: usize) -> String {
    let places: Vec<String> = (1..=rows).map(|place| format!("${place}")).collect();
    format!("({})", places.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Database;
    use sqlx::Row;
    use std::collections::BTreeMap;

    /// Every table of the schema with its columns: name, type, place in the primary key.
    async fn schema() -> BTreeMap<String, Vec<(String, String, i64)>> {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_sqlite(&folder.path().join("bmap.sqlite")).await.unwrap();
        let sql = "SELECT m.name AS name, c.name AS column_name, c.type AS kind, c.pk AS pk FROM sqlite_master m \
                   JOIN pragma_table_info(m.name) c WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY m.name, c.cid";
        let mut tables: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for row in sqlx::query(sql).fetch_all(&database.pool).await.unwrap() {
            tables.entry(row.get("name")).or_default().push((row.get("column_name"), row.get("kind"), row.get("pk")));
        }
        database.close().await;
        tables
    }

    #[tokio::test]
    async fn every_table_and_column_of_the_schema_is_copied_or_named_with_a_reason() {
        let mut schema = schema().await;
        for (name, reason) in NOT_COPIED {
            assert!(schema.remove(name).is_some() && !reason.is_empty(), "{name}");
        }
        for table in TABLES.iter() {
            let columns = schema.remove(table.name).unwrap_or_else(|| panic!("{}: no such table", table.name));
            let kind = |kind: &str| if kind == "BIGINT" { Kind::Number } else { Kind::Text };
            let mut there: Vec<(&str, Kind)> = columns.iter().map(|(name, of, _)| (name.as_str(), kind(of))).collect();
            let mut copied = table.columns.clone();
            there.sort_by_key(|(name, _)| *name);
            copied.sort_by_key(|(name, _)| *name);
            assert_eq!(copied, there, "{}", table.name);
            let mut key: Vec<_> = columns.iter().filter(|(_, _, place)| *place > 0).collect();
            key.sort_by_key(|(_, _, place)| *place);
            let key: Vec<&str> = key.iter().map(|(name, _, _)| name.as_str()).collect();
            assert_eq!(table.names("", table.key), key.join(", "), "{}", table.name);
        }
        assert!(schema.is_empty(), "a new table is copied, or named with a reason: {:?}", schema.keys());
    }

    #[test]
    fn statements_bind_as_many_values_as_they_are_given() {
        let table = &TABLES[Table::place("link_changes").unwrap()];
        assert!(table.page(true).ends_with("WHERE 1 = 1 ORDER BY t.cursor, t.kind, t.id, t.tool LIMIT $1"));
        let page = table.page(false);
        assert!(page.contains("(t.cursor, t.kind, t.id, t.tool) > ($1, $2, $3, $4) ORDER BY"), "{page}");
        assert!(page.ends_with("LIMIT $5"), "{page}");
        assert!(table.by_keys(2).ends_with("IN (VALUES ($1, $2, $3, $4), ($5, $6, $7, $8))"));
        assert!(TABLES[0].by_keys(2).ends_with("(t.name) IN ($1, $2)"));
        assert!(TABLES[0].count().contains("'nonces_server'"), "not every setting is the installation's");
    }
}
