//! Every statement about mail that waits and the links in it, for `store.rs` to run on both engines.

use crate::storage::accounts::{hash, keys, mail, password, set};
use crate::world::event;
use bmap_issuer::issuer::new_user;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::Kind;
use bmap_model::account::refresh::RefreshRow;
use bmap_model::account::{Account, EmailChange, PasswordReset, Registration, SessionProof, UserSession};
use bmap_model::clock::UnixTime;
use bmap_model::mail::budget::Budget;
use bmap_model::mail::job::MailId;
use bmap_model::rng::SystemRandom;
use bmap_model::session::{SessionId, SessionState};
use bmap_model::user::UserName;
use bmap_protocol::ids::UserId;
use bmap_store::{Database, StoreError};

const NOW: UnixTime = UnixTime(1_795_000_000_000);

pub(crate) async fn every_statement(store: &Database) {
    set_aside(store).await;
    outbox(store).await;
    let ana = account(store, "mail-ana@shop.example", 101).await;
    let ben = account(store, "mail-ben@shop.example", 102).await;
    resets(store, &ana).await;
    changes(store, &ana, &ben).await;
    rehash(store, &ben).await;
}

/// Sets the mails that wait aside.
async fn set_aside(store: &Database) {
    for mail in store.claim_mail("aside", NOW, NOW.plus_seconds(3600), 100).await.unwrap() {
        assert!(store.finish_mail(&mail.id, "aside").await.unwrap());
    }
    assert_eq!(store.mail_waiting().await.unwrap(), 0);
}

async fn outbox(store: &Database) {
    assert_eq!(store.oldest_mail().await.unwrap(), None);
    for number in 0..Budget::Registration.per_hour() + 3 {
        let is_queued = store.queue_mail(&mail("flooded@shop.example"), &event()).await.unwrap();
        assert_eq!(is_queued, number < Budget::Registration.per_hour(), "{number}");
    }
    assert_eq!(store.mail_waiting().await.unwrap(), Budget::Registration.per_hour());
    let mut older = mail("older@shop.example");
    older.created_at = UnixTime(NOW.0 - 7);
    assert!(store.queue_mail(&older, &event()).await.unwrap());
    assert_eq!(store.oldest_mail().await.unwrap(), Some(older.created_at));
    let twice = mail("twice@shop.example");
    assert!(store.queue_mail(&twice, &event()).await.unwrap());
    assert!(matches!(store.queue_mail(&twice, &event()).await, Err(StoreError::Taken { what: "mail" })));
    set_aside(store).await;

    let sent = mail("once@shop.example");
    store.queue_mail(&sent, &event()).await.unwrap();
    assert!(store.claim_mail("early", UnixTime(NOW.0 - 1), NOW, 10).await.unwrap().is_empty());
    // Of twenty hands at once one has it.
    let claims: Vec<String> = (0..20).map(|number| format!("hand {number}")).collect();
    let hands = claims.iter().map(|claim| store.claim_mail(claim, NOW, NOW.plus_seconds(60), 10));
    let hands = futures_util::future::join_all(hands).await;
    let held: Vec<_> = claims
        .iter()
        .zip(hands)
        .flat_map(|(claim, mails)| mails.unwrap().into_iter().map(move |mail| (claim, mail)))
        .collect();
    assert_eq!(held.len(), 1);
    let (claim, in_hand) = &held[0];
    assert_eq!((&in_hand.id, in_hand.attempts, &in_hand.sealed), (&sent.id, 1, &sent.sealed));
    assert_eq!((in_hand.epoch, in_hand.expires_at), (1, NOW.plus_seconds(60)));
    assert!(!store.finish_mail(&sent.id, "another").await.unwrap());
    assert!(!store.put_mail_back(&sent.id, "another", NOW).await.unwrap());
    assert!(store.put_mail_back(&sent.id, claim, NOW.plus_seconds(5)).await.unwrap());
    assert!(!store.finish_mail(&sent.id, claim).await.unwrap(), "it is claimed by no worker");
    assert!(store.claim_mail("x", NOW.plus_seconds(4), NOW.plus_seconds(64), 10).await.unwrap().is_empty());
    let again = store.claim_mail("x", NOW.plus_seconds(5), NOW.plus_seconds(65), 10).await.unwrap();
    assert_eq!((again.len(), again[0].attempts), (1, 2));
    // The lease ends, and with it the right to say what became of it.
    let after = store.claim_mail("y", NOW.plus_seconds(65), NOW.plus_seconds(125), 10).await.unwrap();
    assert_eq!((after.len(), after[0].attempts), (1, 3));
    assert!(!store.finish_mail(&sent.id, "x").await.unwrap());
    assert!(store.finish_mail(&sent.id, "y").await.unwrap());
    assert!(!store.finish_mail(&MailId::from_uuid([0; 16]), "y").await.unwrap());
    assert_eq!(store.mail_waiting().await.unwrap(), 0);
    // The longest due comes first.
    for address in ["first@shop.example", "second@shop.example", "third@shop.example"] {
        store.queue_mail(&mail(address), &event()).await.unwrap();
    }
    assert_eq!(store.claim_mail("two", NOW, NOW.plus_seconds(60), 2).await.unwrap().len(), 2);
    assert_eq!(store.claim_mail("rest", NOW, NOW.plus_seconds(61), 9).await.unwrap().len(), 1);
    let due = store.claim_mail("z", NOW.plus_seconds(61), NOW.plus_seconds(200), 2).await.unwrap();
    assert_eq!(due.len(), 2);
    for mail in due {
        assert!(store.finish_mail(&mail.id, "z").await.unwrap());
    }
    let last = store.claim_mail("last", NOW.plus_seconds(61), NOW.plus_seconds(200), 9).await.unwrap();
    assert!(store.finish_mail(&last[0].id, "last").await.unwrap());
    assert_eq!(store.delete_old_mail_counts(NOW).await.unwrap(), 0);
    assert!(store.delete_old_mail_counts(NOW.plus_seconds(3600)).await.unwrap() >= 5);
}

async fn account(store: &Database, email: &str, byte: u8) -> Account {
    let email = EmailAddress::parse(email).unwrap();
    let user = new_user(UserName::parse(&format!("user {byte}")).unwrap(), NOW, &SystemRandom).unwrap();
    let registration =
        Registration { email: email.clone(), password: password("first"), expires_at: NOW.plus_seconds(9) };
    let token = hash(Kind::Confirmation, byte);
    assert!(store.add_registration(&token, &registration, &mail(email.as_str()), &event()).await.unwrap());
    assert!(store.confirm_registration(&token, &user, "seal", &event()).await.unwrap());
    store.account_by_email(&email).await.unwrap().unwrap()
}

async fn session(store: &Database, account: &Account, byte: u8) -> SessionId {
    let session = UserSession {
        id: SessionId::from_uuid([byte; 16]),
        user: account.user.clone(),
        created_at: NOW,
        expires_at: NOW.plus_seconds(60),
        state: SessionState::Active,
        seal: None,
    };
    let refresh = RefreshRow::new(&keys(), hash(Kind::Refresh, byte), session.id.clone(), None);
    assert!(
        store
            .add_user_session(&session, &refresh, SessionProof::Password(&account.password), None, &event())
            .await
            .unwrap()
    );
    session.id
}

fn reset(user: &UserId) -> PasswordReset {
    PasswordReset { user: user.clone(), epoch: 1, seal: "sealed".to_owned(), expires_at: NOW.plus_seconds(60) }
}

async fn resets(store: &Database, ana: &Account) {
    let token = |byte| hash(Kind::PasswordReset, byte);
    for byte in [1, 2, 1] {
        store.add_password_reset(&token(byte), &reset(&ana.user), &event()).await.unwrap();
    }
    let known = store.password_reset(&token(1), NOW).await.unwrap().unwrap();
    assert_eq!((known.user, known.epoch, known.seal.as_str()), (ana.user.clone(), 1, "sealed"));
    assert_eq!(known.expires_at, NOW.plus_seconds(60));
    assert!(store.password_reset(&token(1), NOW.plus_seconds(60)).await.unwrap().is_none());
    assert!(store.password_reset(&token(9), NOW).await.unwrap().is_none());
    let open = session(store, ana, 101).await;
    let use_it = async |byte, account: &Account, at| {
        store
            .use_password_reset(&token(byte), account, &set(&password("second"), "seal 2", at), &event())
            .await
            .unwrap()
    };
    assert_eq!(use_it(9, ana, NOW).await, None);
    assert_eq!(use_it(1, ana, NOW.plus_seconds(60)).await, None, "ended");
    let stale = Account { password: password("older"), ..ana.clone() };
    assert_eq!(use_it(1, &stale, NOW).await, None);
    assert!(store.password_reset(&token(1), NOW).await.unwrap().is_some(), "nothing of that stays");
    assert_eq!(use_it(1, ana, NOW).await, Some((1, false)));
    assert_eq!(store.user_session(&open).await.unwrap().unwrap().state, SessionState::Revoked { at: NOW });
    let ana = store.account(&ana.user).await.unwrap().unwrap();
    assert_eq!((ana.password.phc.as_str(), ana.seal.as_str()), ("second", "seal 2"));
    assert_eq!(use_it(1, &ana, NOW).await, None, "once");
    assert_eq!(use_it(2, &ana, NOW).await, None, "the others end with it");
    // A change of password ends them too.
    store.add_password_reset(&token(3), &reset(&ana.user), &event()).await.unwrap();
    let changed = store.change_password(&ana, &set(&password("first"), "seal", NOW), &open, &event()).await.unwrap();
    assert_eq!(changed, Some((0, false)));
    assert!(store.password_reset(&token(3), NOW).await.unwrap().is_none());
    store.add_password_reset(&token(4), &reset(&ana.user), &event()).await.unwrap();
    assert_eq!(store.delete_ended_links(NOW.plus_seconds(60)).await.unwrap(), 0);
    assert_eq!(store.delete_ended_links(NOW.plus_seconds(61)).await.unwrap(), 1);
}

async fn changes(store: &Database, ana: &Account, ben: &Account) {
    let token = |byte| hash(Kind::EmailChange, byte);
    let change = |to: &str| EmailChange {
        user: ana.user.clone(),
        email: EmailAddress::parse(to).unwrap(),
        password: password("for the new address"),
        seal: "seal 3".to_owned(),
        expires_at: NOW.plus_seconds(60),
    };
    let (one, two) = (mail("new@shop.example"), mail("old@shop.example"));
    let add = async |byte, change: &EmailChange, account: &Account| {
        let mails = [&mail("new@shop.example"), &mail("old@shop.example")];
        store.add_email_change(&token(byte), change, account, mails, &event()).await.unwrap()
    };
    assert!(store.queue_mail(&one, &event()).await.unwrap() && store.queue_mail(&two, &event()).await.unwrap());
    let stale = Account { password: password("older"), ..ana.clone() };
    assert_eq!(add(1, &change("new@shop.example"), &stale).await, None);
    assert_eq!(add(1, &change("new@shop.example"), ana).await, Some([true, true]));
    assert_eq!(add(2, &change("mail-ben@shop.example"), ana).await, Some([true, true]));
    let count = async |byte, at| store.count_email_change_try(&token(byte), at, 2).await.unwrap();
    assert!(count(9, NOW).await.is_none() && count(1, NOW.plus_seconds(60)).await.is_none());
    let known = count(1, NOW).await.unwrap();
    assert_eq!((&known.user, known.email.as_str(), known.seal.as_str()), (&ana.user, "new@shop.example", "seal 3"));
    store.return_email_change_try(&token(1)).await.unwrap();
    assert!(count(1, NOW).await.is_some() && count(1, NOW).await.is_some() && count(1, NOW).await.is_none());
    let taken = store.confirm_email_change(&token(2), &change("mail-ben@shop.example"), NOW, None, &event()).await;
    assert!(matches!(taken, Err(StoreError::Taken { what: "account" })), "{taken:?}");
    let word = mail("told@shop.example");
    let confirm =
        async |byte, at| store.confirm_email_change(&token(byte), &known, at, Some(&word), &event()).await.unwrap();
    assert_eq!((confirm(9, NOW).await, confirm(1, NOW.plus_seconds(60)).await), (None, None));
    store.set_deactivated(&ana.user, Some(NOW), &event()).await.unwrap();
    assert_eq!(confirm(1, NOW).await, None);
    let waiting = store.mail_waiting().await.unwrap();
    store.set_deactivated(&ana.user, None, &event()).await.unwrap();
    assert_eq!(store.account(&ana.user).await.unwrap().unwrap().email, ana.email, "nothing of that stays");
    assert_eq!(confirm(1, NOW).await, Some(true));
    assert_eq!(store.mail_waiting().await.unwrap(), waiting + 1, "word of it, with it");
    let moved = store.account(&ana.user).await.unwrap().unwrap();
    assert_eq!((moved.email.as_str(), moved.password.phc.as_str()), ("new@shop.example", "for the new address"));
    assert!(confirm(1, NOW).await.is_none() && count(2, NOW).await.is_none(), "once, and the others end with it");
    // A change of password ends one, and an account that has moved on begins none.
    assert_eq!(add(3, &change("newer@shop.example"), ana).await, None);
    assert!(add(3, &change("newer@shop.example"), &moved).await.is_some());
    let but = SessionId::from_uuid([0; 16]);
    store.change_password(&moved, &set(&password("third"), "seal", NOW), &but, &event()).await.unwrap().unwrap();
    assert!(count(3, NOW).await.is_none());
    assert_eq!(store.account(&ben.user).await.unwrap().unwrap().email, ben.email);
}

async fn rehash(store: &Database, ben: &Account) {
    store.add_password_reset(&hash(Kind::PasswordReset, 50), &reset(&ben.user), &event()).await.unwrap();
    assert!(store.replace_hash(ben, &password("anew"), "seal 4", &event()).await.unwrap());
    assert!(
        !store.replace_hash(ben, &password("again"), "seal 5", &event()).await.unwrap(),
        "it has another one by now"
    );
    let ben = store.account(&ben.user).await.unwrap().unwrap();
    assert_eq!((ben.password.phc.as_str(), ben.seal.as_str()), ("anew", "seal 4"));
    assert!(
        store.password_reset(&hash(Kind::PasswordReset, 50), NOW).await.unwrap().is_some(),
        "the password is the same"
    );
}
