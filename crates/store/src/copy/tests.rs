//! Whose database it is while it is copied, and afterwards.

use super::mark::Moved;
use super::{CopyError, IfBroken, Outcome, Source, Target, copy};
use crate::address::Address;
use crate::{Database, StoreError};
use bmap_model::roots::Roots;
use bmap_protocol::keys::RootSecret;
use std::path::Path;

fn roots() -> Roots {
    Roots::from(RootSecret::from_bytes([7; 32]).epoch(1))
}

/// A current, empty schema.
async fn made(file: &Path) -> Address {
    let database = Database::open_sqlite(file).await.unwrap();
    database.set_setting("grants_upgrade", "done").await.unwrap();
    database.close().await;
    Address::file(file)
}

async fn moved(from: &Address, to: &Address) -> Result<Outcome, CopyError> {
    let (mut source, mut target) = (Source::open(from).await.unwrap(), Target::open(to).await.unwrap());
    let done = copy(&mut source, &mut target, &roots(), IfBroken::Refuse, None, "1", |_| ()).await;
    source.close().await;
    target.close().await;
    done
}

#[tokio::test]
async fn of_a_source_and_a_process_that_works_with_it_one_has_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bmap.sqlite");
    let address = made(&file).await;
    let working = Database::open_sqlite(&file).await.unwrap();
    assert!(matches!(Source::open(&address).await, Err(StoreError::InUse)));
    working.set_setting("x", "1").await.unwrap();
    working.close().await;
    let mut source = Source::open(&address).await.unwrap();
    assert!(Database::open_sqlite(&file).await.is_err(), "a process that starts meanwhile");
    assert_eq!(source.setting("x").await.unwrap().as_deref(), Some("1"));
    drop(source);
    // Dropped, it is free again.
    for _ in 0..100 {
        match Database::open_sqlite(&file).await {
            Ok(database) => return database.close().await,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
        }
    }
    panic!("the source is still locked");
}

#[tokio::test]
async fn a_process_that_was_running_when_the_mark_came_gets_no_new_connection() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bmap.sqlite");
    made(&file).await;
    let running = Database::open_sqlite(&file).await.unwrap();
    let value = serde_json::to_string(&Moved { copy: "1".to_owned(), to: "postgres://x/y".to_owned() }).unwrap();
    running.set_setting("moved_to", &value).await.unwrap();
    // The one connection that it has goes back to the pool, and is busy then.
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let busy = running.pool.begin().await.unwrap();
    assert!(running.setting("x").await.is_err());
    drop(busy);
    running.close().await;
    let error = Database::open_sqlite(&file).await.unwrap_err();
    assert!(matches!(&error, StoreError::Moved { to } if to == "postgres://x/y"), "{error}");
}

#[tokio::test]
async fn one_database_at_most_is_served_at_each_step() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("1"), folder.path().join("2"));
    let from = made(&first).await;
    let to = Address::file(&second);
    assert!(matches!(moved(&from, &to).await.unwrap(), Outcome::Done { went_on: false, .. }));
    assert!(matches!(Database::open_sqlite(&first).await, Err(StoreError::Moved { .. })));
    assert!(matches!(moved(&from, &to).await.unwrap(), Outcome::WasDone));
    Database::open_sqlite(&second).await.unwrap().close().await;
    // Back into the file that it came from: that one says that it was moved, and is not empty.
    let back = moved(&to, &from).await.unwrap_err();
    assert!(matches!(back, CopyError::Occupied { .. }), "{back}");
    Database::open_sqlite(&second).await.unwrap().close().await;
    let mut source = Source::open(&from).await.unwrap();
    source.reopen().await.unwrap();
    source.close().await;
    let reopened = Database::open_sqlite(&first).await.unwrap();
    let forgotten: i64 = reopened.setting("nonces_forgotten_until").await.unwrap().unwrap().parse().unwrap();
    assert!(forgotten > 1_700_000_000, "every request that was signed until now is refused: {forgotten}");
    reopened.close().await;
}

#[tokio::test]
async fn a_target_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("1"), folder.path().join("2"));
    moved(&made(&first).await, &Address::file(&second)).await.unwrap();
    assert_eq!(std::fs::metadata(&second).unwrap().permissions().mode() & 0o777, 0o600);
}
