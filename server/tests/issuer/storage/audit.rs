//! Every statement of the audit log, for `store.rs` to run on both engines.

use crate::world::{event, source};
use bmap_model::audit::chain::{ChainKeys, Head, Mac, Row};
use bmap_model::audit::{Action, Actor, Event, Target};
use bmap_model::clock::UnixTime;
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::keys::RootSecret;
use bmap_store::Database;

const NOW: UnixTime = UnixTime(1_795_000_000_000);

/// Follows the chain from its beginning to its end, and gives its rows.
pub(crate) async fn follow(store: &Database) -> Vec<Row> {
    let keys = ChainKeys::new(RootSecret::from_bytes([7; 32]).epoch(1).into());
    let mut head = Head { sequence: 0, mac: Mac::NONE };
    let rows: Vec<Row> = store.audit_rows(0, 100_000).await.unwrap().into_iter().map(Option::unwrap).collect();
    for row in &rows {
        head = keys.of(row.epoch).unwrap().follow(&head, row).unwrap_or_else(|| panic!("breaks at {row:?}"));
    }
    assert_eq!(Some(head), store.audit_head().await.unwrap());
    rows
}

pub(crate) async fn every_statement(store: &Database) {
    let before = follow(store).await.len();
    let (user, key) = (UserId::from_uuid([1; 16]), ApiKeyId::from_uuid([2; 16]));
    let full = Event::done(Action::ApiKeyCreate, &source(), NOW)
        .by(Actor::User(user.clone()))
        .on(Target::ApiKey { key: key.clone(), owner: user.clone() })
        .with("tools", "a b");
    // One more than the largest statement and one of each size take.
    let many: Vec<Event> = (0..64 + 16 + 4 + 2).map(|_| event()).collect();
    store.append(&[]).await.unwrap();
    store.append(std::slice::from_ref(&full)).await.unwrap();
    store.append(&many).await.unwrap();
    let rows = follow(store).await;
    assert_eq!(rows.len(), before + 1 + many.len());
    let content = &rows[before].content;
    assert_eq!((content.at, content.action.as_str(), content.outcome.as_str()), (NOW.0, "api_key.create", "done"));
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        (&*content.actor, &content.actor_id, &content.actor_user),
        ("user", &text(user.as_str()), &text(user.as_str()))
    );
    assert_eq!(
        (&content.target, &content.target_id, &content.target_user),
        (&text("api_key"), &text(key.as_str()), &text(user.as_str()))
    );
    assert_eq!((&content.address, &content.request_id), (&text("127.0.0.1"), &text("req_of_a_test")));
    assert_eq!(content.detail, "{\"tools\":\"a b\"}");
    let two = store.audit_rows(i64::try_from(before).unwrap(), 2).await.unwrap();
    assert_eq!(two, rows[before..before + 2].iter().cloned().map(Some).collect::<Vec<_>>());
    at_once(store).await;
}

/// Two hundred changes at once, each in a transaction of its own, and as many that change nothing.
async fn at_once(store: &Database) {
    let before = store.audit_head().await.unwrap().unwrap().sequence;
    let calls = (0..200).map(|number| {
        let store = store.clone();
        tokio::spawn(async move {
            match number % 2 {
                0 => store.append(&[event()]).await.unwrap(),
                _ => assert!(!store.remove_tool(&ToolId::parse("nothing").unwrap(), &event()).await.unwrap()),
            }
        })
    });
    futures_util::future::join_all(calls).await.into_iter().for_each(Result::unwrap);
    follow(store).await;
    assert_eq!(store.audit_head().await.unwrap().unwrap().sequence, before + 100);
}
