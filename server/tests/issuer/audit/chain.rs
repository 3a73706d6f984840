//! An attacker who can write the database, but has no root secret, can't change what was recorded unseen.

use crate::database::{TestDatabase, is_postgres};
use crate::storage::store::recording;
use crate::world::{event, source};
use bmap_issuer::audit::verify::{Broken, Fault, verify};
use bmap_model::audit::chain::{ChainKeys, Head, Mac};
use bmap_model::audit::{Action, Actor, Event};
use bmap_model::roots::Roots;
use bmap_protocol::ids::UserId;
use bmap_protocol::keys::RootSecret;
use bmap_store::Database;

const COLUMNS: &str = "epoch, at, action, outcome, actor, actor_id, actor_user, target, target_id, target_user, address, \
                       request_id, detail, mac";

/// The first act of an intruder: the triggers go.
fn without_triggers(sql: &str) -> String {
    match is_postgres() {
        true => format!("DROP TRIGGER audit_log_no_change ON audit_log; {sql}"),
        false => format!("DROP TRIGGER audit_log_no_update; DROP TRIGGER audit_log_no_delete; {sql}"),
    }
}

fn keys(root: u8) -> ChainKeys {
    ChainKeys::new(RootSecret::from_bytes([root; 32]).epoch(1).into())
}

async fn check(store: &Database, expected: Option<&Head>) -> Result<Head, Broken> {
    verify(store, &keys(7), expected, |_| {}).await.unwrap()
}

/// A log of ten entries, of two users in turn.
async fn ten() -> (TestDatabase, Database, Head) {
    let (database, store) = TestDatabase::migrated().await;
    let store = recording(store);
    let entries: Vec<Event> = (1..=10).map(|number| of(number % 2).with("number", i64::from(number))).collect();
    store.append(&entries).await.unwrap();
    let head = check(&store, None).await.unwrap();
    assert_eq!(head.sequence, 10);
    (database, store, head)
}

fn of(user: u8) -> Event {
    Event::done(Action::UserSignIn, &source(), event().at).by(Actor::User(UserId::from_uuid([user; 16])))
}

#[tokio::test]
async fn t13_whatever_is_edited_the_first_bad_entry_is_named() {
    let (from, to) = (UserId::from_uuid([1; 16]), UserId::from_uuid([0; 16]));
    let again = format!("SELECT 11, {COLUMNS} FROM audit_log WHERE sequence = 10");
    for (sql, sequence, fault) in [
        // Edited: each column, also what is empty and what only moves from one column to the next.
        ("UPDATE audit_log SET at = at - 1 WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        ("UPDATE audit_log SET action = 'user.sign_out' WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        ("UPDATE audit_log SET outcome = 'invalid_credentials' WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        ("UPDATE audit_log SET actor = 'system' WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        (format!("UPDATE audit_log SET actor_id = '{to}' WHERE actor_id = '{from}'"), 1, Fault::Changed),
        ("UPDATE audit_log SET actor_user = NULL WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        ("UPDATE audit_log SET target = '' WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        ("UPDATE audit_log SET target_id = actor_id WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        ("UPDATE audit_log SET target_user = actor_user, actor_user = NULL WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        ("UPDATE audit_log SET address = '127.0.0.2' WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        ("UPDATE audit_log SET address = request_id, request_id = address WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        ("UPDATE audit_log SET request_id = 'another' WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        ("UPDATE audit_log SET detail = '{}' WHERE sequence = 10".to_owned(), 10, Fault::Changed),
        (format!("UPDATE audit_log SET mac = '{}' WHERE sequence = 10", Mac::NONE.to_text()), 10, Fault::Changed),
        ("UPDATE audit_log SET mac = 'x' WHERE sequence = 4".to_owned(), 4, Fault::Changed),
        ("UPDATE audit_log SET epoch = 2 WHERE sequence = 4".to_owned(), 4, Fault::NoKey),
        // Taken out: from the middle, at the beginning, at the end, all.
        ("DELETE FROM audit_log WHERE sequence = 4".to_owned(), 4, Fault::Missing),
        ("DELETE FROM audit_log WHERE sequence = 1".to_owned(), 1, Fault::Missing),
        ("DELETE FROM audit_log WHERE sequence > 8".to_owned(), 9, Fault::Missing),
        ("DELETE FROM audit_log".to_owned(), 1, Fault::Missing),
        // Taken out, and the rest moved up.
        ("DELETE FROM audit_log WHERE sequence = 10; UPDATE audit_head SET sequence = 9".to_owned(), 10, Fault::Head),
        ("DELETE FROM audit_log WHERE sequence = 9; UPDATE audit_log SET sequence = 9 WHERE sequence = 10; \
          UPDATE audit_head SET sequence = 9".to_owned(), 9, Fault::Changed),
        // In another order.
        ("UPDATE audit_log SET sequence = 100 WHERE sequence = 4; UPDATE audit_log SET sequence = 4 WHERE sequence = 5; \
          UPDATE audit_log SET sequence = 5 WHERE sequence = 100".to_owned(), 4, Fault::Changed),
        // Put in: at the end, before the beginning.
        (format!("INSERT INTO audit_log (sequence, {COLUMNS}) {again}"), 11, Fault::Changed),
        (format!("INSERT INTO audit_log (sequence, {COLUMNS}) {again}; UPDATE audit_head SET sequence = 11"), 11, Fault::Changed),
        (format!("INSERT INTO audit_log (sequence, {COLUMNS}) {}", again.replace("11", "0")), 11, Fault::Strays),
        (format!("INSERT INTO audit_log (sequence, {COLUMNS}) {}", again.replace("11", "-5")), 11, Fault::Strays),
        // The log's own record of its end.
        ("UPDATE audit_head SET sequence = 11".to_owned(), 11, Fault::Missing),
        ("UPDATE audit_head SET sequence = 3".to_owned(), 11, Fault::Head),
        (format!("UPDATE audit_head SET mac = '{}'", Mac::NONE.to_text()), 11, Fault::Head),
        ("UPDATE audit_head SET mac = 'x'".to_owned(), 11, Fault::Head),
        ("DELETE FROM audit_head".to_owned(), 11, Fault::Head),
    ] {
        let (database, store, _) = ten().await;
        database.edit(&without_triggers(&sql)).await;
        assert_eq!(check(&store, None).await, Err(Broken { sequence, fault }), "{sql}");
    }
}

#[tokio::test]
async fn t13_what_is_no_number_or_no_text_is_named_too() {
    if is_postgres() {
        return; // It has types.
    }
    for (sql, sequence) in [
        ("UPDATE audit_log SET sequence = 'x' WHERE sequence = 4", 4),
        ("UPDATE audit_log SET sequence = 'x' WHERE sequence = 10", 10),
        ("UPDATE audit_log SET at = 'x' WHERE sequence = 4", 4),
        ("UPDATE audit_log SET detail = x'ff00' WHERE sequence = 4", 4),
    ] {
        let (database, store, _) = ten().await;
        database.edit(&without_triggers(sql)).await;
        assert_eq!(check(&store, None).await.unwrap_err().sequence, sequence, "{sql}");
    }
}

#[tokio::test]
async fn t13_entries_of_another_installation_do_not_hold_here() {
    let (_database, store, head) = ten().await;
    let other = verify(&store, &keys(8), None, |_| {}).await.unwrap();
    assert_eq!(other, Err(Broken { sequence: 1, fault: Fault::Changed }));
    // Nor does what another root's holder appends.
    store.clone().recording(keys(8)).append(&[event()]).await.unwrap();
    assert_eq!(check(&store, None).await, Err(Broken { sequence: head.sequence + 1, fault: Fault::Changed }));
}

#[tokio::test]
async fn a_log_that_was_cut_off_is_shown_by_the_head_that_was_noted_and_by_nothing_else() {
    let (database, store, head) = ten().await;
    let at_8 = store.audit_rows(7, 1).await.unwrap().remove(0).unwrap();
    let cut =
        format!("DELETE FROM audit_log WHERE sequence > 8; UPDATE audit_head SET sequence = 8, mac = '{}'", at_8.mac);
    database.edit(&without_triggers(&cut)).await;
    assert_eq!(check(&store, None).await.unwrap().sequence, 8, "from inside it can't be seen");
    assert_eq!(check(&store, Some(&head)).await, Err(Broken { sequence: 9, fault: Fault::Missing }));
    // Grown again, it is as long as it was, and another one.
    store.append(&[event(), event(), event()]).await.unwrap();
    assert_eq!(check(&store, Some(&head)).await, Err(Broken { sequence: 10, fault: Fault::Unexpected }));
    let noted: Head = format!("8:{}", at_8.mac).parse().unwrap();
    assert_eq!(check(&store, Some(&noted)).await.unwrap().sequence, 11);
}

#[tokio::test]
async fn by_mistake_nothing_is_changed_or_deleted() {
    let (database, store, _) = ten().await;
    sqlx::any::install_default_drivers();
    let pool = sqlx::AnyPool::connect(&database.url()).await.unwrap();
    for sql in ["UPDATE audit_log SET at = 0", "DELETE FROM audit_log WHERE sequence = 10", "DELETE FROM audit_log"] {
        let refused = sqlx::raw_sql(sql).execute(&pool).await.unwrap_err().to_string();
        assert!(refused.contains("the audit log only grows"), "{refused}");
    }
    if is_postgres() {
        assert!(sqlx::raw_sql("TRUNCATE audit_log").execute(&pool).await.is_err());
    }
    pool.close().await;
    check(&store, None).await.unwrap();
}

#[tokio::test]
async fn a_change_that_is_rolled_back_leaves_no_entry_and_one_that_can_t_be_recorded_is_not_made() {
    let (database, store, head) = ten().await;
    let user = |byte| bmap_model::user::User {
        id: UserId::from_uuid([byte; 16]),
        ..bmap_issuer::issuer::new_user("ana".parse().unwrap(), event().at, &bmap_model::rng::SystemRandom).unwrap()
    };
    store.add_user(&user(1), &event()).await.unwrap();
    assert!(store.add_user(&user(2), &event()).await.is_err(), "the name is taken");
    assert!(!store.set_deactivated(&UserId::from_uuid([9; 16]), None, &event()).await.unwrap());
    assert_eq!(check(&store, None).await.unwrap().sequence, head.sequence + 1);
    // The log does not take the entry: the user stays active.
    database.edit(&without_triggers("DELETE FROM audit_head")).await;
    assert!(store.set_deactivated(&user(1).id, Some(event().at), &event()).await.is_err());
    assert_eq!(store.user(&user(1).id).await.unwrap().unwrap(), user(1));
}

#[tokio::test]
async fn what_was_written_under_an_older_root_is_checked_with_its_key_when_that_root_is_gone() {
    use bmap_issuer::audit::kept;
    let epoch = |number: u32| RootSecret::from_bytes([number.try_into().unwrap(); 32]).epoch(number);
    let (_database, store) = TestDatabase::migrated().await;
    let mut at_hand = vec![epoch(1)];
    for newest in 2..=3 {
        let store = store.clone().recording(ChainKeys::new(Roots::new(at_hand.clone()).unwrap()));
        store.append(&[event(), event()]).await.unwrap();
        at_hand.push(epoch(newest));
        let roots = Roots::new(at_hand.clone()).unwrap();
        kept::keep(&store, &roots, &bmap_model::rng::SystemRandom).await.unwrap();
        // The older one goes.
        at_hand.remove(0);
    }
    let roots = Roots::new(at_hand).unwrap();
    let store = store.recording(ChainKeys::new(roots.clone()));
    store.append(&[event()]).await.unwrap();
    assert_eq!(
        store.audit_rows(0, 10).await.unwrap().iter().flatten().map(|row| row.epoch).collect::<Vec<_>>(),
        [1, 1, 2, 2, 3]
    );
    let keys = kept::keys(&store, &roots).await.unwrap();
    assert_eq!(verify(&store, &keys, None, |_| {}).await.unwrap().unwrap().sequence, 5);
    let without = verify(&store, &ChainKeys::new(roots), None, |_| {}).await.unwrap();
    assert_eq!(without, Err(Broken { sequence: 1, fault: Fault::NoKey }));
}
