//! The task that writes the audit log for tokens, tickets and refusals: what it promises where the database makes it wait, and
//! where it does not take what is to be written.

use crate::actors::exchange;
use crate::audit::recorded::entries;
use crate::http_client::Call;
use crate::stalled::{Stall, refuse_inserts, take_inserts};
use crate::storage::audit::follow;
use crate::world::{World, event, source};
use bmap_issuer::error::IssuerError;
use bmap_model::audit::chain::Row;
use bmap_model::clock::WallClock;
use bmap_model::idempotency::{Attempt, SealedAnswer};
use bmap_model::ticket::{PlainTicket, RecordedTicket, TicketHash};
use bmap_protocol::ids::ApiKeyId;
use bmap_store::Batch;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// More callers than wait at once: 4096 in the queue, and what the task has in hand.
const CALLERS: usize = 5_000;

fn details(rows: &[Row], action: &str) -> Vec<Value> {
    let those = rows.iter().filter(|row| row.content.action == action && row.content.outcome == "done");
    those.map(|row| serde_json::from_str(&row.content.detail).unwrap()).collect()
}

/// How many refusals these entries stand for.
fn refused(rows: &[Row]) -> u64 {
    let those = rows.iter().filter(|row| row.content.outcome == "invalid_credentials");
    those.map(|row| count(&serde_json::from_str::<Value>(&row.content.detail).unwrap()["count"])).sum()
}

/// How many were lost, as they say.
fn dropped(rows: &[Row]) -> u64 {
    details(rows, "audit.drop").iter().map(|detail| count(&detail["count"])).sum()
}

/// A fact that is a number; 1 where there is none.
fn count(fact: &Value) -> u64 {
    fact.as_str().map_or(1, |text| text.parse().unwrap())
}

async fn live_tickets(world: &World, key: &ApiKeyId) -> u64 {
    world.issuer.store.live_tickets(key, world.clock.now()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_is_recorded_by_then() {
    let world = World::start().await;
    let host = world.host().await;
    let token = host.send(host.direct_call()).await.granted();
    // Read at once, and not after waiting for the writer.
    let granted = details(&follow(&world.issuer.store).await, "token.grant");
    assert_eq!(granted.last().unwrap()["token"], token["key_id"]);
    let ticket = host.ticket().await;
    assert_eq!(details(&follow(&world.issuer.store).await, "ticket.create").len(), 1);
    let page =
        crate::actors::PageToken { world: &world, answer: exchange(&ticket).send(world.address).await.granted() };
    let granted = details(&follow(&world.issuer.store).await, "token.grant");
    assert_eq!(granted.last().unwrap()["token"], page.answer["key_id"]);
    let renewed = page.renew().await.granted();
    let renewals = details(&follow(&world.issuer.store).await, "token.renew");
    assert_eq!(renewals.last().unwrap()["token"], renewed["key_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_and_its_entry_are_both_there_or_neither() {
    let world = World::start().await;
    let host = world.host().await;
    let before = entries(&world).await.len();
    for table in ["tickets", "audit_log"] {
        refuse_inserts(&world.database.url(), table).await;
        host.send(host.ticket_call()).await.assert_refused("issuer_unavailable");
        assert_eq!((live_tickets(&world, &host.id).await, entries(&world).await.len()), (0, before), "{table}");
        take_inserts(&world.database.url(), table).await;
    }
    refuse_inserts(&world.database.url(), "audit_log").await;
    host.send(host.direct_call()).await.assert_refused("issuer_unavailable");
    take_inserts(&world.database.url(), "audit_log").await;
    // With its answer, too.
    let named = || host.ticket_call().header("idempotency-key", "order-7");
    refuse_inserts(&world.database.url(), "idempotent_answers").await;
    host.send(named()).await.assert_refused("issuer_unavailable");
    take_inserts(&world.database.url(), "idempotent_answers").await;
    assert_eq!(live_tickets(&world, &host.id).await, 0);
    let first = host.send(named()).await;
    assert_eq!((first.status, &first.body), (201, &host.send(named()).await.body));
    assert_eq!((live_tickets(&world, &host.id).await, entries(&world).await.len()), (1, before + 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_request_to_two_processes_one_ticket_and_entry_are_made_and_the_others_of_the_batch_are_not_lost() {
    let world = World::start().await;
    let host = world.host().await;
    let now = world.clock.now();
    let ticket = |number: u8, request: Option<&str>| {
        let hash = TicketHash::of(PlainTicket::from_bytes(&[number; 32]).reveal()).unwrap();
        let answer = request.map(|request| SealedAnswer {
            attempt: Attempt {
                caller: host.id.to_string(),
                key: request.to_owned(),
                request: "hash".to_owned(),
                session: None,
            },
            epoch: 1,
            sealed: format!("answer {number}"),
            created_at: now,
            expires_at: now.plus_seconds(60),
        });
        let ticket = bmap_model::ticket::Ticket {
            tool: crate::world::TOOL.parse().unwrap(),
            origin: crate::world::PAGE.parse().unwrap(),
            embed_origin: None,
            end_user: None,
            scope: bmap_model::scope::Scopes::default(),
            key: host.id.clone(),
            user: host.user.clone(),
            expires_at: now.plus_seconds(60),
        };
        RecordedTicket { hash, ticket, answer, event: event() }
    };
    let of = |tickets: &[RecordedTicket]| Batch { tickets: tickets.to_vec(), ..Batch::default() };
    let before = entries(&world).await.len();
    let store = &world.issuer.store;
    assert_eq!(store.write(&of(&[ticket(1, Some("b"))])).await.unwrap(), [true]);
    let batch = [ticket(2, None), ticket(3, Some("b")), ticket(4, Some("a")), ticket(5, None)];
    assert_eq!(store.write(&Batch { events: vec![event()], ..of(&batch) }).await.unwrap(), [true, false, true, true]);
    assert_eq!((live_tickets(&world, &host.id).await, entries(&world).await.len()), (4, before + 5));
    assert!(store.take_ticket(&batch[1].hash).await.unwrap().is_none());
    let kept = store.kept_answer(&batch[1].answer.as_ref().unwrap().attempt, now).await.unwrap().unwrap();
    assert_eq!(kept.sealed, "answer 1");
    // An answer that has ended is in the way of no request.
    let mut later = ticket(6, Some("b"));
    later.answer.as_mut().unwrap().created_at = now.plus_seconds(60);
    assert_eq!(store.write(&of(&[later])).await.unwrap(), [true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_callers_than_may_wait_are_told_so_and_nothing_of_theirs_is_done() {
    let world = World::start().await;
    let host = world.host().await;
    let before = entries(&world).await.len();
    let stall = Stall::of(&world.database.url()).await;
    let calls: Vec<_> = (0..CALLERS)
        .map(|_| {
            let issuer = Arc::clone(&world.issuer);
            tokio::spawn(async move { issuer.audit.record(event()).await })
        })
        .collect();
    // Those that find no place are told at once; then there is none for any caller.
    let mut looks = 0;
    while calls.iter().filter(|call| call.is_finished()).count() < CALLERS - 4096 - 256 {
        looks += 1;
        assert!(looks < 2_000, "no caller is told that it is too much");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    host.send(host.ticket_call()).await.assert_refused("overloaded");
    host.send(host.direct_call()).await.assert_refused("overloaded");
    stall.end().await;
    let (mut written, mut full, mut unwritten) = (0, 0, 0);
    for call in calls {
        match call.await.unwrap() {
            Ok(()) => written += 1,
            Err(IssuerError::AuditFull) => full += 1,
            // A batch that waited longer than the database lets it, on a machine that is busy.
            Err(IssuerError::AuditUnwritten) => unwritten += 1,
            Err(other) => panic!("{other}"),
        }
    }
    println!("{written} written, {full} told that it is too much, {unwritten} not written");
    assert!(full >= CALLERS - 4096 - 256 && written > 3_000, "{written} {full} {unwritten}");
    // The entries that were acknowledged are there, and the others are not.
    assert_eq!(entries(&world).await.len(), before + written);
    assert_eq!(live_tickets(&world, &host.id).await, 0);
    // And all goes on.
    host.ticket().await;
    host.send(host.direct_call()).await.granted();
    assert_eq!(entries(&world).await.len(), before + written + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_written_was_not_done_and_refusals_that_were_lost_are_counted() {
    const FLOOD: u64 = 10_000;
    let world = World::start().await;
    let host = world.host().await;
    let before = entries(&world).await.len();
    let stall = Stall::of(&world.database.url()).await;
    let (ticket, token) = (host.ticket_call(), host.direct_call());
    let (ticket, token) = tokio::join!(host.send(ticket), async {
        // Beside one that waits: refusals wait for nothing, however many there are.
        let refused = world.issuer.clock.now();
        for number in 0..FLOOD {
            let about = source();
            if number % 2 == 0 {
                about.is_about(&host.user);
            }
            world.issuer.audit.refused(&about, &IssuerError::WrongSecret, refused);
        }
        host.send(token).await
    });
    // The database gave up waiting, after its time.
    ticket.assert_refused("issuer_unavailable");
    token.assert_refused("issuer_unavailable");
    stall.end().await;
    assert_eq!(live_tickets(&world, &host.id).await, 0);
    world.clock.advance_seconds(61);
    let rows = entries(&world).await;
    let rows = &rows[before..];
    assert!(rows.iter().all(|row| !["ticket.create", "token.grant"].contains(&row.content.action.as_str())));
    let (refused, dropped) = (refused(rows), dropped(rows));
    println!("{refused} counted, {dropped} dropped");
    assert!(dropped >= FLOOD - 4096 - 256, "{dropped}");
    assert_eq!(refused + dropped, FLOOD, "each is counted once, as itself or as lost");
    // And all goes on.
    host.ticket().await;
    host.send(host.direct_call()).await.granted();
    Call::new("GET", "/livez").send(world.address).await.granted();
    let rows = entries(&world).await;
    assert_eq!((details(&rows, "ticket.create").len(), details(&rows, "token.grant").len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_dropped_is_written_before_the_end() {
    let world = World::start().await;
    let host = world.host().await;
    let before = entries(&world).await.len();
    let refuse = |number: usize| {
        for _ in 0..number {
            let about = source();
            about.is_about(&host.user);
            world.issuer.audit.refused(&about, &IssuerError::WrongSecret, world.clock.now());
        }
    };
    // Lost because it could not be written, and nothing else to write since.
    refuse_inserts(&world.database.url(), "audit_log").await;
    refuse(1);
    world.issuer.audit.settle().await;
    take_inserts(&world.database.url(), "audit_log").await;
    let rows = entries(&world).await;
    assert_eq!(details(&rows[before..], "audit.drop"), [serde_json::json!({ "count": "1" })]);
    // The number of many alike is as many that are lost.
    refuse(100);
    refuse_inserts(&world.database.url(), "audit_log").await;
    world.issuer.audit.settle().await;
    take_inserts(&world.database.url(), "audit_log").await;
    // Too many at once: the task has no time to take them.
    refuse(20_000);
    let rows = entries(&world).await;
    let rows = &rows[before..];
    assert_eq!(refused(rows) + dropped(rows), 20_101, "each is counted once, as itself or as lost");
}
