//! The upgrade of a database from before there were grants: rows as the program before wrote them, by SQL of its schema.

use crate::database::TestDatabase;
use crate::operator::Operator;
use crate::stalled::{refuse_inserts, take_inserts};
use bmap_issuer::grant_upgrade::{UpgradeError, upgrade};
use bmap_issuer::issuer::{NewApiKey, key_created, new_api_key, new_user, user_created};
use bmap_model::api_key::{KeyScope, SealedApiKey, ToolSet};
use bmap_model::audit::chain::{ChainKeys, Content, Head, Mac};
use bmap_model::audit::{Action, Event, Source};
use bmap_model::clock::UnixTime;
use bmap_model::issuer_key;
use bmap_model::rng::SystemRandom;
use bmap_model::role::{Role, UnverifiedRole};
use bmap_model::roots::Roots;
use bmap_model::row_seal::RowSeal;
use bmap_model::scope::Scopes;
use bmap_model::tool::Access;
use bmap_model::tool_grant::{Giver, ToolGrant};
use bmap_model::user::{User, UserName};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::keys::{EpochKeys, RootSecret};
use bmap_protocol::seal::SigningKind;
use bmap_store::Database;
use bmap_store::schema::Pending;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use std::os::unix::fs::DirBuilderExt;

const THEN: UnixTime = UnixTime(1_795_000_000_000);
/// The root secret of these tests: 32 bytes of 7.
const ROOT: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

fn keys() -> EpochKeys {
    RootSecret::from_bytes([7; 32]).epoch(1)
}

/// The rows before the upgrade.
struct Before {
    admin: UserId,
    first_key: ApiKeyId,
    ana: UserId,
    ana_key: SealedApiKey,
}

/// A database of the former schema, with two tools, an admin with the key of the first start, a user with a key for one tool, and keys that
/// make no grants.
struct Writer {
    sql: AnyConnection,
    head: Head,
}

impl Writer {
    async fn of(url: &str) -> Self {
        sqlx::any::install_default_drivers();
        let mut sql = AnyConnection::connect(url).await.unwrap();
        let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../crates/store/migrations"));
        sqlx::migrate::Migrator::new(folder).await.unwrap().run_to(13, &mut sql).await.unwrap();
        Self { sql, head: Head { sequence: 0, mac: Mac::NONE } }
    }

    async fn run(&mut self, sql: String) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut self.sql).await.unwrap();
    }

    async fn user(&mut self, name: &str, role: Role) -> User {
        let mut user = new_user(UserName::parse(name).unwrap(), THEN, &SystemRandom).unwrap();
        user.unverified_role = UnverifiedRole::seal(&keys().into(), &user.id, role);
        let UnverifiedRole { role, epoch, mac } = &user.unverified_role;
        let (epoch, mac) =
            (epoch.map_or("NULL".to_owned(), |epoch| epoch.to_string()), mac.as_deref().unwrap_or_default());
        self.run(format!(
            "INSERT INTO users (id, name, created_at, role, role_epoch, role_mac) VALUES ('{}', '{name}', {}, '{role}', {epoch}, '{mac}')",
            user.id, THEN.0
        ))
        .await;
        user
    }

    async fn key(&mut self, owner: &User, tools: &[&str], expires_at: Option<i64>) -> SealedApiKey {
        let tools = match tools {
            ["*"] => ToolSet::Any,
            tools => ToolSet::Only(tools.iter().map(|id| ToolId::parse(id).unwrap()).collect()),
        };
        let scope = KeyScope { tools, expires_at, ..KeyScope::default() };
        let new = NewApiKey {
            owner: owner.id.clone(),
            name: owner.name.clone(),
            signing: SigningKind::HmacSha256,
            scope: &scope,
        };
        let (key, secret) = new_api_key(&keys().into(), THEN, &SystemRandom, new).unwrap();
        let hash = {
            use base64ct::{Base64UrlUnpadded, Encoding};
            Base64UrlUnpadded::encode_string(&secret.stored_hash(&key.id).0)
        };
        self.run(format!(
            "INSERT INTO api_keys (id, user_id, name, signing, epoch, scope, stored_hash, sealed, created_at) \
             VALUES ('{}', '{}', '{}', 'hmac-sha256', 1, '{}', '{hash}', '{}', {})",
            key.id,
            key.owner,
            key.name.as_str(),
            key.scope,
            key.sealed,
            THEN.0
        ))
        .await;
        key
    }

    async fn tool(&mut self, id: &str) {
        let fields =
            ["tool", id, "https://tools.example", "*", "origin", "route search", "search", &THEN.0.to_string()];
        let mac = RowSeal::make(&keys(), &fields).mac;
        self.run(format!(
            "INSERT INTO tools (id, base_url, origins, min_assurance, scopes, required_scopes, created_at, epoch, seal) \
             VALUES ('{id}', 'https://tools.example', '*', 'origin', 'route search', 'search', {}, 1, '{mac}')",
            THEN.0
        ))
        .await;
    }

    async fn entry(&mut self, event: Event) {
        let (row, head) = ChainKeys::new(keys().into()).newest().next(&self.head, Content::from(&event));
        self.head = head;
        let texts = row.content.texts().map(|text| text.map_or("NULL".to_owned(), |text| format!("'{text}'")));
        self.run(format!(
            "INSERT INTO audit_log (sequence, epoch, at, action, outcome, actor, actor_id, actor_user, target, target_id, target_user, \
             address, request_id, detail, mac) VALUES ({}, 1, {}, {}, '{}'); UPDATE audit_head SET sequence = {}, mac = '{}'",
            row.sequence,
            row.content.at,
            texts.join(", "),
            row.mac,
            row.sequence,
            row.mac
        ))
        .await;
    }

    /// All of it.
    async fn fill(url: &str) -> Before {
        let mut write = Self::of(url).await;
        let issuer_key = issuer_key::generate(&keys(), THEN, &SystemRandom).unwrap();
        write
            .run(format!(
                "INSERT INTO issuer_keys (kid, epoch, public_key, sealed, created_at) VALUES ('{}', 1, '{}', '{}', {})",
                issuer_key.kid, issuer_key.public_key, issuer_key.sealed, THEN.0
            ))
            .await;
        let admin = write.user("admin", Role::Admin).await;
        let first_key = write.key(&admin, &["*"], None).await;
        write.entry(user_created(&admin, &Source::system()).with("role", &Role::Admin)).await;
        let scope = KeyScope { tools: ToolSet::Any, ..KeyScope::default() };
        write.entry(key_created(&first_key, &scope, &Source::system())).await;
        write.tool("places").await;
        write.tool("postcards").await;
        let ana = write.user("ana", Role::Member).await;
        let ana_key = write.key(&ana, &["places", "nothing"], None).await;
        write.entry(key_created(&ana_key, &KeyScope::default(), &Source::command_line())).await;
        // Another admin's key is not the first one; a second key of ana's makes no second grant; these here make none.
        let ben = write.user("ben", Role::Admin).await;
        write.key(&ben, &["postcards"], Some(THEN.seconds() - 1)).await;
        write.key(&ana, &["places"], None).await;
        let revoked = write.key(&ben, &["places"], None).await;
        write.run(format!("UPDATE api_keys SET revoked_at = {} WHERE id = '{}'", THEN.0, revoked.id)).await;
        write.sql.close().await.unwrap();
        Before { admin: admin.id, first_key: first_key.id, ana: ana.id, ana_key }
    }
}

async fn open(database: &TestDatabase) -> Database {
    let store = Database::open(&database.address(), Pending::Apply).await.unwrap();
    store.recording(ChainKeys::new(keys().into()))
}

async fn upgraded(store: &Database) -> Result<Vec<String>, UpgradeError> {
    upgrade(store, &keys().into(), THEN, &SystemRandom).await
}

async fn grants(store: &Database) -> Vec<(String, UserId, String)> {
    let grants = store.grants(None, None, 100).await.unwrap();
    let told = |grant: ToolGrant| {
        assert_eq!(grant.check_seal(&keys().into()), Ok(()));
        assert_eq!((grant.ends_at, &grant.given_by, grant.given_at), (None, &Giver::Upgrade, THEN));
        (grant.tool.to_string(), grant.user, grant.scopes.to_string())
    };
    grants.into_iter().map(told).collect()
}

fn administers(key: &SealedApiKey) -> bool {
    key.open(&keys().into()).unwrap().scope.administer
}

async fn is_upgraded(store: &Database, before: &Before) {
    let roots: Roots = keys().into();
    for tool in store.tools().await.unwrap() {
        assert_eq!(tool.check_seal(&roots), Ok(()), "{}", tool.id);
        assert_eq!((tool.access, tool.callers.to_string().as_str()), (Access::Granted, "page direct user"));
        assert_eq!(tool.open_scopes, Scopes::default());
    }
    let all = || "route search".to_owned();
    let mut expected = vec![
        ("places".to_owned(), before.admin.clone(), all()),
        ("places".to_owned(), before.ana.clone(), all()),
        ("postcards".to_owned(), before.admin.clone(), all()),
    ];
    expected.sort_by_key(|(tool, user, _)| (tool.clone(), user.to_string()));
    assert_eq!(grants(store).await, expected);
    // The keys can what they could; of them the first one administers, and no other.
    for key in store.api_keys().await.unwrap() {
        assert_eq!(administers(&key), key.id == before.first_key, "{}", key.id);
    }
    let ana_key = store.api_key(&before.ana_key.id).await.unwrap().unwrap();
    assert_eq!((ana_key.scope, ana_key.sealed), (before.ana_key.scope.clone(), before.ana_key.sealed.clone()));
    let entries = store.audit_rows(0, 100).await.unwrap();
    let actions: Vec<String> = entries.into_iter().map(|row| row.unwrap().content.action).collect();
    let done = ["tool.grant", "tool.grant", "tool.grant", "api_key.update", "grants.upgrade"];
    assert_eq!(actions[3..], done.map(str::to_owned));
}

#[tokio::test]
async fn tools_of_keys_become_grants_and_the_first_key_administers() {
    let database = TestDatabase::empty();
    let before = Writer::fill(&creating(&database.url())).await;
    let store = open(&database).await;
    assert!(grants(&store).await.is_empty());
    let notes = upgraded(&store).await.unwrap();
    is_upgraded(&store, &before).await;
    let told = notes.join("\n");
    assert!(told.contains(&format!("API key {} is for every tool", before.first_key)), "{told}");
    assert!(told.contains("(places, postcards)"), "{told}");
    assert!(told.contains("that of the first start: it administers"), "{told}");
    assert_eq!(notes.len(), 2, "{told}");
    // Once: what is taken away later stays away.
    assert!(
        store.revoke_grant(&ToolId::parse("places").unwrap(), &before.ana, None, &crate::world::event()).await.unwrap()
    );
    assert!(upgraded(&store).await.unwrap().is_empty());
    assert_eq!(grants(&store).await.len(), 2);
}

#[tokio::test]
async fn a_new_installation_has_nothing_to_upgrade() {
    let database = TestDatabase::empty();
    let store = open(&database).await;
    assert!(upgraded(&store).await.unwrap().is_empty() && grants(&store).await.is_empty());
    assert_eq!(store.newest_audit_row().await.unwrap(), 0);
}

#[tokio::test]
async fn cut_off_in_the_middle_nothing_of_it_is_there_and_the_next_start_does_it() {
    for table in ["tool_grants", "audit_log"] {
        let database = TestDatabase::empty();
        let before = Writer::fill(&creating(&database.url())).await;
        let store = open(&database).await;
        refuse_inserts(&database.url(), table).await;
        assert!(matches!(upgraded(&store).await, Err(UpgradeError::Store(_))));
        take_inserts(&database.url(), table).await;
        assert!(grants(&store).await.is_empty());
        for tool in store.tools().await.unwrap() {
            assert!(tool.check_seal(&keys().into()).is_err(), "as it was");
        }
        assert!(!administers(&store.api_key(&before.first_key).await.unwrap().unwrap()));
        assert!(!upgraded(&store).await.unwrap().is_empty());
        is_upgraded(&store, &before).await;
    }
}

#[tokio::test]
async fn with_another_root_secret_nothing_is_upgraded() {
    let database = TestDatabase::empty();
    let before = Writer::fill(&creating(&database.url())).await;
    let store = open(&database).await;
    let other = RootSecret::from_bytes([8; 32]).epoch(1).into();
    assert!(matches!(upgrade(&store, &other, THEN, &SystemRandom).await, Err(UpgradeError::OtherRoot)));
    assert!(!upgraded(&store).await.unwrap().is_empty());
    is_upgraded(&store, &before).await;
}

#[tokio::test]
async fn t13_rows_edited_by_hand_make_no_grants_and_no_first_key() {
    let cases = [
        // A tool that was edited, a tool without a seal; a key that was widened.
        ("UPDATE tools SET base_url = 'https://evil.example' WHERE id = 'places'", "the row of tool places", 1),
        ("UPDATE tools SET epoch = NULL, seal = NULL WHERE id = 'places'", "the row of tool places", 1),
        ("UPDATE api_keys SET scope = replace(scope, 'nothing', 'postcards')", "does not open", 3),
        // The columns that no seal covered until now count for nothing.
        (
            "UPDATE tools SET access = 'open', callers = 'page direct user public', open_scopes = 'search'",
            "administers",
            3,
        ),
        // The key of the first start is whose entry holds, and whose user is an admin.
        (
            "UPDATE users SET role = 'member', role_epoch = NULL, role_mac = NULL WHERE name = 'admin'",
            "no API key administers",
            3,
        ),
        ("UPDATE users SET deactivated_at = 1 WHERE name = 'admin'", "no API key administers", 3),
        ("UPDATE api_keys SET revoked_at = 1 WHERE name = 'admin'", "no API key administers", 1),
    ];
    for (sql, part, number) in cases {
        let database = TestDatabase::empty();
        Writer::fill(&creating(&database.url())).await;
        let store = open(&database).await;
        database.edit(sql).await;
        let notes = upgraded(&store).await.unwrap().join("\n");
        assert!(notes.contains(part), "{sql}: {notes}");
        assert_eq!(grants(&store).await.len(), number, "{sql}");
        assert!(store.tools().await.unwrap().iter().all(|tool| {
            tool.check_seal(&keys().into()).is_err()
                || (tool.access == Access::Granted && tool.open_scopes == Scopes::default())
        }));
    }
    // An entry that was put in or edited by hand names no key.
    for edit in
        ["actor = 'system' WHERE sequence = 3", "target_id = 'bmk_00000000000000000000000000000000' WHERE sequence = 2"]
    {
        let database = TestDatabase::empty();
        let before = Writer::fill(&creating(&database.url())).await;
        let store = open(&database).await;
        let guards = match crate::database::is_postgres() {
            true => "DROP TRIGGER audit_log_no_change ON audit_log",
            false => "DROP TRIGGER audit_log_no_update; DROP TRIGGER audit_log_no_delete",
        };
        database.run(guards).await;
        database.edit(&format!("UPDATE audit_log SET {edit}")).await;
        upgraded(&store).await.unwrap();
        let keys = store.api_keys().await.unwrap();
        let administer: Vec<&ApiKeyId> = keys.iter().filter(|key| administers(key)).map(|key| &key.id).collect();
        let expected = if edit.starts_with("actor") { vec![&before.first_key] } else { vec![] };
        assert_eq!(administer, expected, "{edit}");
    }
}

#[tokio::test]
async fn t13_a_mark_that_was_put_back_by_hand_gives_no_grant_again() {
    let database = TestDatabase::empty();
    let before = Writer::fill(&creating(&database.url())).await;
    let store = open(&database).await;
    upgraded(&store).await.unwrap();
    let places = ToolId::parse("places").unwrap();
    assert!(store.revoke_grant(&places, &before.ana, None, &crate::world::event()).await.unwrap());
    // With the tool's former row out of a backup, too.
    let fields =
        ["tool", "places", "https://tools.example", "*", "origin", "route search", "search", &THEN.0.to_string()];
    let mac = RowSeal::make(&keys(), &fields).mac;
    database.edit(&format!("UPDATE tools SET seal = '{mac}' WHERE id = 'places'")).await;
    database.edit("UPDATE settings SET value = 'pending' WHERE name = 'grants_upgrade'").await;
    assert!(upgraded(&store).await.unwrap().is_empty());
    assert_eq!(grants(&store).await.len(), 2);
    assert!(store.tool(&places).await.unwrap().unwrap().check_seal(&keys().into()).is_err());
}

#[tokio::test]
async fn several_processes_at_once_upgrade_once() {
    for _ in 0..3 {
        let operator = Operator::new();
        std::fs::DirBuilder::new().mode(0o700).create(operator.path("data")).unwrap();
        let before = Writer::fill(&creating(&operator.database_url())).await;
        let command = |arguments: &[&str]| {
            let mut command = operator.command(arguments);
            command.env("BMAP_ROOT_SECRET", ROOT).stderr(std::process::Stdio::piped()).spawn().unwrap()
        };
        assert!(command(&["migrate"]).wait().unwrap().success());
        // Another writer: all of them find the upgrade to be done, and wait.
        let pool = sqlx::AnyPool::connect(&operator.database_url()).await.unwrap();
        let writer = match crate::database::is_postgres() {
            true => "BEGIN; UPDATE settings SET value = value WHERE name = 'grants_upgrade'",
            false => "BEGIN IMMEDIATE",
        };
        let writer = pool.begin_with(writer).await.unwrap();
        let programs: Vec<_> = (0..4).map(|_| command(&["tool", "list"])).collect();
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        writer.rollback().await.unwrap();
        let mut told = 0;
        for program in programs {
            let output = program.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            told += usize::from(String::from_utf8_lossy(&output.stderr).contains("upgrade: API key"));
        }
        assert_eq!(told, 1, "one of them did it, and said so");
        let address = bmap_store::address::Address::parse(&operator.database_url()).unwrap();
        let store = Database::open(&address, Pending::Refuse).await.unwrap();
        let grants = store.grants(None, None, 100).await.unwrap();
        assert_eq!(grants.len(), 3);
        assert!(grants.iter().any(|grant| grant.user == before.ana));
        let entries = store.audit_rows(0, 100).await.unwrap();
        let done =
            entries.into_iter().filter(|row| row.as_ref().unwrap().content.action == Action::GrantsUpgrade.as_str());
        assert_eq!(done.count(), 1);
    }
}

/// A file that is not there yet is made.
fn creating(url: &str) -> String {
    if url.starts_with("sqlite:") { format!("{url}?mode=rwc") } else { url.to_owned() }
}
