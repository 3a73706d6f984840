use super::*;
use bmap_protocol::ids::{ApiKeyId, Issuer, ToolId, UserId};
use bmap_protocol::token::{Assurance, Confirmation, Subject};
use std::sync::atomic::AtomicBool;

const NOW: i64 = 1_764_000_000;

fn user(number: u8) -> UserId {
    UserId::from_uuid([number; 16])
}

fn claims(number: u8) -> Claims {
    let tool = ToolId::parse("geo").unwrap();
    Claims {
        issuer: Issuer::parse("https://auth.example").unwrap(),
        audience: tool.clone(),
        subject: Subject::User(user(number)),
        client_id: ApiKeyId::from_uuid([number; 16]),
        issued_at: 0,
        expires_at: 300,
        not_before: None,
        id: "AAAAAAAAAAAAAAAAAAAAAA".into(),
        scope: "".into(),
        origin: None,
        embed_origin: None,
        end_user: None,
        assurance: Assurance::Origin,
        confirmation: Confirmation::Session { tool, epoch: 1 },
        session: None,
        address: None,
    }
}

fn deny(cursor: i64, number: u8, until: i64) -> Change {
    Change {
        cursor,
        kind: ChangeKind::User,
        id: user(number).to_string(),
        until,
        tool: None,
        of: None,
        issued_until: None,
    }
}

fn lift(cursor: i64, number: u8) -> Change {
    Change { kind: ChangeKind::Lift, of: Some(ChangeKind::User), ..deny(cursor, number, 0) }
}

fn is_denied(denials: &Denials, number: u8) -> bool {
    denials.check(&claims(number)).is_err()
}

#[test]
fn a_state_keeps_what_came_behind_it() {
    let denials = Denials::new("geo", 100);
    for change in [deny(5, 1, NOW + 60), deny(8, 2, NOW + 60), deny(8, 3, NOW + 60), lift(9, 4)] {
        denials.apply(&change, NOW);
    }
    // A state of cursor 7, on its way while 8 and 9 came: the user of 5 was lifted at 6.
    let state = [deny(3, 4, NOW + 60), deny(7, 5, NOW + 60)];
    denials.replace(&state, 7, true, NOW);
    let denied = [1, 2, 3, 4, 5].map(|number| is_denied(&denials, number));
    assert_eq!(denied, [false, true, true, false, true]);
    // Behind a cursor that is gone the state alone counts.
    denials.replace(&state, 7, false, NOW);
    let denied = [1, 2, 3, 4, 5].map(|number| is_denied(&denials, number));
    assert_eq!(denied, [false, false, false, true, true]);
    // A state has the rows of a denial and of its lift, in their order.
    denials.replace(&[deny(3, 1, NOW + 60), lift(4, 1), lift(5, 2), deny(6, 2, NOW + 60)], 7, false, NOW);
    assert_eq!([1, 2].map(|number| is_denied(&denials, number)), [false, true]);
}

#[test]
fn of_two_denials_the_later_end_counts() {
    let denials = Denials::new("geo", 100);
    denials.apply(&deny(1, 1, NOW + 60), NOW);
    denials.apply(&deny(2, 1, NOW + 10), NOW);
    denials.apply(&deny(3, 2, NOW + 10), NOW);
    denials.apply(&deny(4, 2, NOW + 60), NOW);
    denials.purge(NOW + 20);
    assert!(is_denied(&denials, 1) && is_denied(&denials, 2));
    denials.purge(NOW + 65);
    assert!(is_denied(&denials, 1) && is_denied(&denials, 2), "5 s longer");
    denials.purge(NOW + 66);
    assert_eq!((denials.usage(), is_denied(&denials, 1)), ((0, false), false));
}

#[test]
fn t25_what_there_is_no_room_for_is_not_forgotten() {
    let denials = Denials::new("geo", 2);
    for (cursor, number) in [(1, 1), (2, 2), (3, 3)] {
        denials.apply(&deny(cursor, number, NOW + 10 * i64::from(number)), NOW);
    }
    assert_eq!(denials.check(&claims(9)), Err(Refusal::IssuerUnavailable));
    // The first has gone and there is room, and the third may still be meant.
    denials.purge(NOW + 16);
    assert_eq!((denials.usage(), denials.check(&claims(9))), ((1, true), Err(Refusal::IssuerUnavailable)));
    assert_eq!(denials.check_key("bmk", "usr"), Err(Refusal::IssuerUnavailable));
    denials.purge(NOW + 36);
    assert_eq!((denials.usage(), denials.check(&claims(9))), ((0, false), Ok(())));
    // A lift finds no room without harm.
    for change in [deny(4, 1, NOW + 60), deny(5, 2, NOW + 60), lift(6, 3)] {
        denials.apply(&change, NOW);
    }
    assert_eq!(denials.usage(), (2, false));
    denials.purge(i64::MAX);
    denials.apply(&deny(7, 1, i64::MAX), NOW);
    assert!(is_denied(&denials, 1));
}

#[test]
fn an_exchange_never_shows_a_moment_without_a_denial_that_is_in_both() {
    let (denials, stop) = (Denials::new("geo", 10_000), AtomicBool::new(false));
    let many: Vec<Change> = (2..200).map(|number| deny(1, number, NOW + 60)).chain([deny(1, 1, NOW + 60)]).collect();
    denials.replace(&many, 1, true, NOW);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::SeqCst) {
                    assert!(is_denied(&denials, 1));
                }
            });
        }
        for cursor in 2..2_000 {
            denials.replace(&many, cursor, cursor % 2 == 0, NOW);
            denials.apply(&deny(cursor + 1, 1, NOW + 60), NOW);
            denials.purge(NOW);
        }
        stop.store(true, Ordering::SeqCst);
    });
}

#[test]
fn t25_one_denial_of_a_user_up_to_a_second_of_issue_stands_for_many() {
    let denials = Denials::new("geo", 100);
    let token = |issued_at: i64| Claims { issued_at: issued_at.cast_unsigned(), ..claims(1) };
    let many = |cursor, issued_until| Change { issued_until: Some(issued_until), ..deny(cursor, 1, NOW + 600) };
    let is_denied = |issued_at| denials.check(&token(issued_at)) == Err(Refusal::Denied(Denial::TokenRevoked));
    denials.apply(&many(5, NOW), NOW);
    assert_eq!([NOW - 300, NOW, NOW + 1].map(is_denied), [true, true, false]);
    assert_eq!(denials.check(&claims(2)), Ok(()));
    // The later second counts, in whatever order they come.
    denials.apply(&many(7, NOW + 20), NOW);
    denials.apply(&many(6, NOW + 10), NOW);
    assert_eq!([NOW + 20, NOW + 21].map(is_denied), [true, false]);
    // A lift of the user ends what denies the user, and not this.
    denials.apply(&deny(8, 1, NOW + 600), NOW);
    assert_eq!(denials.check(&token(NOW + 21)), Err(Refusal::Denied(Denial::UserInactive)));
    denials.apply(&lift(9, 1), NOW);
    assert_eq!([NOW + 20, NOW + 21].map(is_denied), [true, false]);
    // A key that signs by itself has no time of issue.
    let key = |owner: u8| denials.check_key("bmk", user(owner).as_str());
    assert_eq!((key(1), key(2)), (Err(Refusal::Denied(Denial::KeyRevoked)), Ok(())));
    assert_eq!(denials.usage().0, 2);
    denials.purge(NOW + 700);
    assert_eq!((denials.usage().0, denials.check(&token(NOW))), (0, Ok(())));
}
