//! Every statement about accounts and their sessions, for `store.rs` to run on both engines, and the races on refresh tokens.

use crate::world::{event, source};
use bmap_issuer::account::service::{AccountService, LinkDelivery};
use bmap_issuer::error::IssuerError;
use bmap_issuer::issuer::{Issuer, Lives, new_user};
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::{Kind, OpaqueToken, TokenHash};
use bmap_model::account::password::{Hasher, Memory, PlainPassword, StoredPassword};
use bmap_model::account::refresh::{RefreshRow, Rotation, Salt, Used};
use bmap_model::account::{LiveSession, Registration, SessionProof, UserSession};
use bmap_model::clock::{ManualClock, UnixTime};
use bmap_model::mail::job::{MailJob, SealedMailJob, Why};
use bmap_model::rng::SystemRandom;
use bmap_model::session::{SessionId, SessionState};
use bmap_model::user::{UserName, UserState};
use bmap_protocol::ids::{Issuer as IssuerUrl, UserId};
use bmap_protocol::keys::{EpochKeys, RootSecret};
use bmap_store::{Database, NewPassword, StoreError};
use std::sync::Arc;

const NOW: UnixTime = UnixTime(1_795_000_000_000);

pub(crate) fn hash(kind: Kind, byte: u8) -> TokenHash {
    OpaqueToken::from_bytes(kind, [byte; 32]).hash()
}

/// A mail to an address of its own, so that no limit is met.
pub(crate) fn mail(to: &str) -> SealedMailJob {
    let why = Why::Registration(OpaqueToken::from_bytes(Kind::Confirmation, [1; 32]));
    let roots = RootSecret::from_bytes([7; 32]).epoch(1).into();
    let job = MailJob { to: EmailAddress::parse(to).unwrap(), why };
    job.seal(&roots, &SystemRandom, NOW, NOW.plus_seconds(60)).unwrap()
}

pub(crate) fn keys() -> EpochKeys {
    RootSecret::from_bytes([7; 32]).epoch(1)
}

/// The first refresh token of a session.
fn first_of(session: &UserSession, byte: u8) -> RefreshRow {
    RefreshRow::new(&keys(), hash(Kind::Refresh, byte), session.id.clone(), None)
}

/// A password that is set then, without word of it.
pub(crate) fn set<'a>(hash: &'a StoredPassword, seal: &'a str, at: UnixTime) -> NewPassword<'a> {
    NewPassword { hash, seal, at, word: None, review: None }
}

pub(crate) fn password(text: &str) -> StoredPassword {
    StoredPassword { phc: text.to_owned(), epoch: 1 }
}

pub(crate) async fn every_statement(store: &Database) {
    let email = EmailAddress::parse("ana@shop.example").unwrap();
    let registration = |expires_at| Registration { email: email.clone(), password: password("first"), expires_at };
    let token = |byte| hash(Kind::Confirmation, byte);
    for byte in [1, 2] {
        assert!(
            store
                .add_registration(&token(byte), &registration(NOW.plus_seconds(1)), &mail("a@shop.example"), &event())
                .await
                .unwrap()
        );
    }
    let again = store.add_registration(&token(1), &registration(NOW), &mail("b@shop.example"), &event()).await;
    assert!(matches!(again, Err(StoreError::Taken { what: "registration" })));
    store.add_registration(&token(3), &registration(NOW), &mail("c@shop.example"), &event()).await.unwrap();
    // Tries are counted until there are enough, and one that was none is taken back.
    let counted = async |byte| store.count_registration_try(&token(byte), NOW, 2).await.unwrap();
    assert!(counted(3).await.is_none() && counted(9).await.is_none(), "ended, and never made");
    assert_eq!(counted(2).await.unwrap().email, email);
    store.return_registration_try(&token(2)).await.unwrap();
    assert!(counted(2).await.is_some() && counted(2).await.is_some());
    assert!(counted(2).await.is_none());
    let user = new_user(UserName::parse("ana").unwrap(), NOW, &SystemRandom).unwrap();
    assert!(!store.confirm_registration(&token(3), &user, "seal", &event()).await.unwrap(), "ended");
    assert!(!store.confirm_registration(&token(9), &user, "seal", &event()).await.unwrap(), "never made");
    assert!(store.account_by_email(&email).await.unwrap().is_none());
    assert!(store.confirm_registration(&token(1), &user, "seal", &event()).await.unwrap());
    assert!(!store.confirm_registration(&token(2), &user, "seal", &event()).await.unwrap(), "dropped with the first");
    // A second account of the address is not made, and nothing of it stays.
    store
        .add_registration(&token(4), &registration(NOW.plus_seconds(1)), &mail("d@shop.example"), &event())
        .await
        .unwrap();
    let second = new_user(UserName::parse("second").unwrap(), NOW, &SystemRandom).unwrap();
    let taken = store.confirm_registration(&token(4), &second, "seal", &event()).await;
    assert!(matches!(taken, Err(StoreError::Taken { what: "account" })), "{taken:?}");
    assert!(store.user(&second.id).await.unwrap().is_none());
    assert_eq!(store.delete_ended_registrations(NOW.plus_seconds(1)).await.unwrap(), 0);
    assert_eq!(store.delete_ended_registrations(NOW.plus_seconds(2)).await.unwrap(), 1);

    let account = store.account(&user.id).await.unwrap().unwrap();
    assert_eq!((&account.email, &account.user, account.user_state), (&email, &user.id, UserState::Active));
    assert_eq!((account.password.phc.as_str(), account.password.epoch, account.created_at), ("first", 1, NOW));
    assert_eq!(account.seal, "seal");
    assert_eq!(store.account_by_email(&email).await.unwrap().unwrap().user, user.id);
    assert_eq!(store.accounts().await.unwrap().len(), 1);
    assert!(store.account(&UserId::from_uuid([0; 16])).await.unwrap().is_none());
    sessions(store, &user.id).await;
}

async fn sessions(store: &Database, user: &UserId) {
    let session = |byte: u8| UserSession {
        id: SessionId::from_uuid([byte; 16]),
        user: user.clone(),
        created_at: NOW,
        expires_at: NOW.plus_seconds(60),
        state: SessionState::Active,
        seal: None,
    };
    let session = |byte| session(byte).sealed(&keys());
    let first_token = |id, byte| first_of(&session(id), byte);
    let token = |byte| hash(Kind::Refresh, byte);
    let first = password("first");
    for byte in [1, 2, 3] {
        assert!(
            store
                .add_user_session(
                    &session(byte),
                    &first_token(byte, byte),
                    SessionProof::Password(&first),
                    None,
                    &event()
                )
                .await
                .unwrap()
        );
    }
    let again =
        store.add_user_session(&session(1), &first_token(1, 9), SessionProof::Password(&first), None, &event()).await;
    assert!(matches!(again, Err(StoreError::Taken { what: "session" })));
    let again =
        store.add_user_session(&session(9), &first_token(9, 1), SessionProof::Password(&first), None, &event()).await;
    assert!(matches!(again, Err(StoreError::Taken { what: "refresh token" })));
    assert_eq!(store.user_session(&session(9).id).await.unwrap(), None);
    assert_eq!(store.user_session(&session(1).id).await.unwrap(), Some(session(1)));
    // A password that is not the account's any more begins nothing, nor does a user that is not active.
    assert!(
        !store
            .add_user_session(
                &session(9),
                &first_token(9, 9),
                SessionProof::Password(&password("older")),
                None,
                &event()
            )
            .await
            .unwrap()
    );
    rotations(store, &session(1), &token(1)).await;

    for byte in [1, 11] {
        assert_eq!(store.user_of_refresh(&token(byte)).await.unwrap().as_ref(), Some(user), "used or not");
    }
    assert_eq!(store.user_of_refresh(&token(99)).await.unwrap(), None);
    let live = |byte, seconds| LiveSession { session: session(byte), last_used_at: NOW.plus_seconds(seconds) };
    let all = [live(3, 0), live(2, 0), live(1, 1)];
    let nobody = UserId::from_uuid([0; 16]);
    let of = async |user, before: Option<u8>, limit, now| {
        let before = before.map(|byte| session(byte).id);
        store.live_sessions_of(user, before.as_ref(), limit, now).await.unwrap()
    };
    assert_eq!(of(user, None, 9, NOW).await, all);
    assert_eq!(of(user, None, 2, NOW).await, all[..2]);
    assert_eq!(of(user, Some(3), 9, NOW).await, all[1..]);
    assert_eq!(store.live_user_sessions(NOW).await.unwrap(), all);
    assert!(of(user, None, 9, NOW.plus_seconds(60)).await.is_empty());
    assert!(store.live_user_sessions(NOW.plus_seconds(60)).await.unwrap().is_empty());
    assert!(of(&nobody, None, 9, NOW).await.is_empty());
    assert_eq!(store.end_excess_sessions(user, 3, NOW, &event()).await.unwrap(), 0);
    assert_eq!(
        store.revoke_other_user_sessions(&nobody, &session(1).id, NOW, &crate::world::event()).await.unwrap(),
        0
    );

    let account = store.account(user).await.unwrap().unwrap();
    let (but, account) = (session(1).id, &account);
    let change =
        async |new| store.change_password(account, &set(&password(new), "seal", NOW), &but, &event()).await.unwrap();
    assert_eq!(change("second").await, Some((2, false)));
    assert_eq!(change("third").await, None, "the account has another password by now");
    assert_eq!(store.user_session(&session(1).id).await.unwrap().unwrap().state, SessionState::Active);
    assert_eq!(store.user_session(&session(2).id).await.unwrap().unwrap().state, SessionState::Revoked { at: NOW });
    assert!(
        !store
            .add_user_session(&session(9), &first_token(9, 9), SessionProof::Password(&first), None, &event())
            .await
            .unwrap()
    );

    assert!(store.set_deactivated(user, Some(NOW.plus_seconds(3)), &event()).await.unwrap());
    let ended = SessionState::Revoked { at: NOW.plus_seconds(3) };
    assert_eq!(store.user_session(&session(1).id).await.unwrap().unwrap().state, ended);
    assert!(
        !store
            .add_user_session(
                &session(9),
                &first_token(9, 9),
                SessionProof::Password(&password("second")),
                None,
                &event()
            )
            .await
            .unwrap()
    );
    assert!(store.set_deactivated(user, None, &event()).await.unwrap());
    assert_eq!(store.user_session(&session(1).id).await.unwrap().unwrap().state, ended);
    assert!(
        store
            .add_user_session(
                &session(9),
                &first_token(9, 9),
                SessionProof::Password(&password("second")),
                None,
                &crate::world::event()
            )
            .await
            .unwrap()
    );
    assert_eq!(store.revoke_other_user_sessions(user, &session(9).id, NOW, &crate::world::event()).await.unwrap(), 0);
    assert_eq!(of(user, None, 9, NOW).await.len(), 1);
    assert!(store.revoke_session_of(&token(9), NOW, &crate::world::event()).await.unwrap());
    assert!(store.revoke_user_session(&session(9).id, NOW.plus_seconds(9), &crate::world::event()).await.unwrap());
    assert_eq!(store.user_session(&session(9).id).await.unwrap().unwrap().state, SessionState::Revoked { at: NOW });
    assert!(!store.revoke_session_of(&token(99), NOW, &event()).await.unwrap());
    assert!(!store.revoke_user_session(&session(99).id, NOW, &event()).await.unwrap());
    assert_eq!(store.delete_ended_user_sessions(NOW.plus_seconds(60)).await.unwrap(), 0);
    assert_eq!(store.delete_ended_user_sessions(NOW.plus_seconds(61)).await.unwrap(), 4);
    assert!(!store.revoke_session_of(&token(1), NOW, &event()).await.unwrap(), "its refresh tokens go with it");
}

async fn rotations(store: &Database, session: &UserSession, token: &TokenHash) {
    let found = async |token: &TokenHash| store.refresh_token(token).await.unwrap();
    let fresh = found(token).await.unwrap();
    assert_eq!((&fresh.session, fresh.user_state, &fresh.token), (session, UserState::Active, &first_of(session, 1)));
    assert_eq!(fresh.successor, None);
    let used = |seconds, salt| Used { at: NOW.plus_seconds(seconds), salt: Salt::from_bytes([salt; 32]) };
    let rotation = |byte, used: Used| Rotation {
        presented: fresh.token.clone(),
        used: fresh.token.used(&keys(), used),
        successor: RefreshRow::new(&keys(), hash(Kind::Refresh, byte), session.id.clone(), Some(token.clone())),
    };
    assert!(store.rotate(&fresh, &rotation(11, used(1, 1)), &event()).await.unwrap());
    let first = found(token).await.unwrap();
    assert_eq!((first.token, first.successor), (rotation(11, used(1, 1)).used, Some(hash(Kind::Refresh, 11))));
    // A second one, that found the token before the first used it.
    assert!(!store.rotate(&fresh, &rotation(12, used(2, 2)), &event()).await.unwrap());
    let second = found(token).await.unwrap();
    assert_eq!((second.token.used, second.successor), (Some(used(1, 1)), Some(hash(Kind::Refresh, 11))));
    assert!(found(&hash(Kind::Refresh, 12)).await.is_none(), "the loser's successor is not there");
    let next = found(&hash(Kind::Refresh, 11)).await.unwrap();
    assert_eq!((&next.token, &next.session), (&rotation(11, used(1, 1)).successor, session));
}

/// Fifty callers at once with one refresh token, twenty times over: one successor, one pair. Then the same with a token that
/// is used: within the grace still that pair, after it nothing, for any caller.
pub(crate) async fn r38_and_r39_at_once(store: Database) {
    bmap_server::install_crypto_providers();
    let epoch = RootSecret::from_bytes([7; 32]).epoch(1);
    let email = EmailAddress::parse("race@shop.example").unwrap();
    let plain = || PlainPassword::presented("violet-kettle-49-marsh".to_owned().into()).unwrap();
    let registration = Registration {
        email: email.clone(),
        password: Hasher::new(&epoch).hash(&plain(), &email, &[1; 16], &mut Memory::default()).unwrap(),
        expires_at: NOW.plus_seconds(60),
    };
    let token = registration.link(&(&epoch).into(), &SystemRandom).unwrap();
    store.add_registration(&token.hash(), &registration, &mail("race@shop.example"), &event()).await.unwrap();
    let clock = Arc::new(ManualClock::at(NOW));
    let url = IssuerUrl::parse("https://auth.example").unwrap();
    let issuer = Issuer::open(url, store, epoch, clock.clone(), Arc::new(SystemRandom), Lives::default()).await;
    let accounts = Arc::new(AccountService::new(Arc::new(issuer.unwrap()), LinkDelivery::None));
    accounts.confirm(&token.reveal(), plain(), &source()).await.unwrap();
    let signed_in = accounts.sign_in(&email, plain(), &source()).await.unwrap();
    let mut current = signed_in.pair.refresh.reveal().to_string();
    for round in 0..20 {
        let before = current.clone();
        let pairs = at_once(&accounts, &current).await;
        let pairs: Vec<(String, String)> = pairs.into_iter().map(Result::unwrap).collect();
        assert!(pairs.iter().all(|pair| *pair == pairs[0]), "round {round}");
        current.clone_from(&pairs[0].1);
        clock.advance_seconds(9);
        assert_eq!(at_once(&accounts, &before).await.remove(0).unwrap(), pairs[0], "within the grace");
    }
    let before = current.clone();
    let (_, next) = at_once(&accounts, &current).await.remove(0).unwrap();
    clock.advance_seconds(10);
    for refused in at_once(&accounts, &before).await {
        assert!(matches!(refused, Err(IssuerError::RefreshReused | IssuerError::UserSessionOver)), "{refused:?}");
    }
    assert!(matches!(accounts.refresh(&next, &source()).await, Err(IssuerError::UserSessionOver)));
}

async fn at_once(accounts: &Arc<AccountService>, token: &str) -> Vec<Result<(String, String), IssuerError>> {
    let calls = (0..50).map(|_| {
        let (accounts, token) = (Arc::clone(accounts), token.to_owned());
        tokio::spawn(async move {
            let pair = accounts.refresh(&token, &source()).await?;
            Ok((pair.access.to_string(), pair.refresh.reveal().to_string()))
        })
    });
    futures_util::future::join_all(calls).await.into_iter().map(Result::unwrap).collect()
}
