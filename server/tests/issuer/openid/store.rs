//! Every statement about sign-ins with OpenID providers, for `store.rs` to run on both engines.

use crate::world::event;
use bmap_issuer::issuer::new_user;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::{Kind, OpaqueToken, TokenHash};
use bmap_model::account::refresh::RefreshRow;
use bmap_model::account::{SessionProof, UserSession};
use bmap_model::clock::UnixTime;
use bmap_model::openid::flow::{Flow, FlowKey, Intent, SealedCode, SealedFlow, Vouched};
use bmap_model::openid::pkce::Challenge;
use bmap_model::openid::provider_name::ProviderName;
use bmap_model::openid::{Identity, IdentityKey};
use bmap_model::rng::SystemRandom;
use bmap_model::session::{SessionId, SessionState};
use bmap_model::user::{User, UserName, UserState};
use bmap_protocol::ids::UserId;
use bmap_protocol::keys::{EpochKeys, RootSecret};
use bmap_store::{Database, StoreError, Unlinked};

const NOW: UnixTime = UnixTime(1_795_000_000_000);

fn hash(kind: Kind, byte: u8) -> TokenHash {
    OpaqueToken::from_bytes(kind, [byte; 32]).hash()
}

fn keys() -> EpochKeys {
    RootSecret::from_bytes([7; 32]).epoch(1)
}

fn key(provider: &str, subject: &str) -> IdentityKey {
    IdentityKey { issuer: format!("https://{provider}.example"), subject: subject.to_owned() }
}

fn user(name: &str) -> User {
    new_user(UserName::parse(name).unwrap(), NOW, &SystemRandom).unwrap()
}

fn identity(user: &User, provider: &str, subject: &str) -> Identity {
    let email = EmailAddress::parse("ana@mail.example").ok();
    let (key, user) = (key(provider, subject), user.id.clone());
    Identity { key, user, email, created_at: NOW, signed_in_at: None, seal: None }.sealed(&keys())
}

pub(crate) async fn every_statement(store: &Database) {
    flows(store).await;
    codes(store).await;
    identities(store).await;
}

async fn flows(store: &Database) {
    let keys = RootSecret::from_bytes([7; 32]).epoch(1);
    let flow = Flow {
        intent: Intent::SignIn,
        nonce: "n".to_owned().into(),
        verifier: "v".to_owned().into(),
        return_to: "https://shop.example/".to_owned(),
        challenge: "c".to_owned(),
    };
    let flow_key =
        FlowKey { state: hash(Kind::SignInState, 1), browser: hash(Kind::Browser, 1), provider: "a".to_owned() };
    let row = SealedFlow::seal(&keys, [1; 12], flow_key.clone(), NOW.plus_seconds(1), &flow).unwrap();
    store.add_openid_flow(&row).await.unwrap();
    assert!(matches!(store.add_openid_flow(&row).await, Err(StoreError::Taken { what: "sign-in" })));
    for other in [
        FlowKey { state: hash(Kind::SignInState, 2), ..flow_key.clone() },
        FlowKey { browser: hash(Kind::Browser, 2), ..flow_key.clone() },
        FlowKey { provider: "b".to_owned(), ..flow_key.clone() },
    ] {
        assert!(store.take_openid_flow(&other, NOW).await.unwrap().is_none());
    }
    assert!(store.take_openid_flow(&flow_key, NOW.plus_seconds(1)).await.unwrap().is_none(), "ended");
    let takers = (0..20).map(|_| store.take_openid_flow(&flow_key, NOW));
    let taken: Vec<SealedFlow> =
        futures_util::future::join_all(takers).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].open(&keys.into()).unwrap().return_to, flow.return_to);
    store.add_openid_flow(&row).await.unwrap();
}

async fn codes(store: &Database) {
    let keys = RootSecret::from_bytes([7; 32]).epoch(1);
    let vouched = Vouched {
        key: key("acme", "ana"),
        email: None,
        intent: Intent::SignIn,
        challenge: Challenge::parse(super::CHALLENGE).unwrap(),
    };
    let code = hash(Kind::SignInCode, 1);
    let row = SealedCode::seal(&keys, [1; 12], code.clone(), NOW.plus_seconds(1), &vouched).unwrap();
    store.add_openid_code(&row).await.unwrap();
    assert!(matches!(store.add_openid_code(&row).await, Err(StoreError::Taken { what: "sign-in code" })));
    assert!(store.take_openid_code(&hash(Kind::SignInCode, 2), NOW).await.unwrap().is_none());
    assert!(store.take_openid_code(&code, NOW.plus_seconds(1)).await.unwrap().is_none(), "ended");
    let takers = (0..20).map(|_| store.take_openid_code(&code, NOW));
    let taken: Vec<SealedCode> =
        futures_util::future::join_all(takers).await.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].open(&keys.into()).unwrap(), vouched);
    store.add_openid_code(&row).await.unwrap();
    assert_eq!(store.delete_ended_openid(NOW.plus_seconds(1)).await.unwrap(), 0);
    assert_eq!(store.delete_ended_openid(NOW.plus_seconds(2)).await.unwrap(), 2, "a sign-in and a code");
}

async fn identities(store: &Database) {
    let ana = user("ana at acme");
    let at_acme = identity(&ana, "acme", "ana");
    store.add_openid_user(&ana, &at_acme, &event()).await.unwrap();
    assert_eq!(store.user(&ana.id).await.unwrap().unwrap().name, ana.name);
    // The identity is hers and no other user's, and no half of another user is left.
    let bob = user("bob");
    let taken = store.add_openid_user(&bob, &identity(&bob, "acme", "ana"), &event()).await;
    assert!(matches!(taken, Err(StoreError::Taken { what: "identity" })), "{taken:?}");
    assert!(store.user(&bob.id).await.unwrap().is_none());
    let second = store.add_openid_identity(&identity(&ana, "acme", "another"), None, &event()).await;
    assert!(matches!(second, Err(StoreError::Taken { what: "identity" })), "one of a provider");
    let at_beta = Identity { email: None, ..identity(&ana, "beta", "ana") };
    store.add_openid_identity(&at_beta, None, &event()).await.unwrap();
    let found = store.openid_identity(&at_acme.key).await.unwrap().unwrap();
    assert_eq!(found, (at_acme.clone(), UserState::Active));
    assert!(store.openid_identity(&key("acme", "another")).await.unwrap().is_none());
    assert!(store.openid_identity(&key("other", "ana")).await.unwrap().is_none());
    assert_eq!(store.openid_identities(&ana.id).await.unwrap(), [at_acme.clone(), at_beta.clone()]);
    assert!(store.openid_identities(&bob.id).await.unwrap().is_empty());

    sessions(store, &ana, &at_acme).await;
    without_a_seal(store).await;

    let ways = [at_acme.key.issuer.as_str(), at_beta.key.issuer.as_str()];
    let remove = async |issuer: &str, ways: &[&str]| {
        store.remove_openid_identity(&ana.id, issuer, ways, &event()).await.unwrap()
    };
    assert_eq!(remove("https://other.example", &ways).await, Unlinked::NotThere);
    assert_eq!(remove(ways[0], &ways[..1]).await, Unlinked::LastWay, "the other one's provider is not configured");
    // Both at once, each of which would leave the other: one goes, one stays.
    let both = futures_util::future::join(remove(ways[0], &ways), remove(ways[1], &ways)).await;
    assert!(matches!(both, (Unlinked::Done, Unlinked::LastWay) | (Unlinked::LastWay, Unlinked::Done)), "{both:?}");
    assert_eq!(store.openid_identities(&ana.id).await.unwrap().len(), 1);
}

async fn sessions(store: &Database, ana: &User, at_acme: &Identity) {
    let begin = async |byte: u8, user: &UserId, key: &IdentityKey, email: Option<&EmailAddress>| {
        let session = UserSession {
            id: SessionId::from_uuid([byte; 16]),
            user: user.clone(),
            created_at: NOW.plus_seconds(5),
            expires_at: NOW.plus_seconds(60),
            state: SessionState::Active,
            seal: None,
        };
        let provider = &ProviderName::parse("acme").unwrap();
        let proof = SessionProof::Openid { provider, key, email };
        let refresh = RefreshRow::new(&keys(), hash(Kind::Refresh, byte), session.id.clone(), None);
        store.add_user_session(&session.sealed(&keys()), &refresh, proof, None, &event()).await.unwrap()
    };
    let email = EmailAddress::parse("new@mail.example").unwrap();
    assert!(begin(201, &ana.id, &at_acme.key, Some(&email)).await);
    let (now_known, _) = store.openid_identity(&at_acme.key).await.unwrap().unwrap();
    assert_eq!((now_known.signed_in_at, now_known.email), (Some(NOW.plus_seconds(5)), Some(email)));
    // Another user's identity, an unknown one, and a user who is not active begin nothing.
    assert!(!begin(202, &UserId::from_uuid([0; 16]), &at_acme.key, None).await);
    assert!(!begin(202, &ana.id, &key("acme", "another"), None).await);
    store.set_deactivated(&ana.id, Some(NOW), &event()).await.unwrap();
    assert!(!begin(202, &ana.id, &at_acme.key, None).await);
    assert_eq!(store.openid_identity(&at_acme.key).await.unwrap().unwrap().1, UserState::Deactivated { at: NOW });
    store.set_deactivated(&ana.id, None, &event()).await.unwrap();
    assert_eq!(store.user_session(&SessionId::from_uuid([202; 16])).await.unwrap(), None);
}

/// An identity without a seal is there: no caller becomes another user by it. A user who proves to be it takes its
/// place.
async fn without_a_seal(store: &Database) {
    let (old, ben) = (user("old at acme"), user("ben"));
    let unsealed = Identity { seal: None, ..identity(&old, "acme", "old") };
    store.add_openid_user(&old, &unsealed, &event()).await.unwrap();
    assert_eq!(store.openid_identity(&unsealed.key).await.unwrap().unwrap().0, unsealed);
    let taken = store.add_openid_user(&ben, &identity(&ben, "acme", "old"), &event()).await;
    assert!(matches!(taken, Err(StoreError::Taken { what: "identity" })), "{taken:?}");
    let sealed = identity(&old, "acme", "old");
    store.add_openid_identity(&sealed, None, &event()).await.unwrap();
    assert_eq!(store.openid_identity(&unsealed.key).await.unwrap().unwrap().0, sealed);
    let again = store.add_openid_identity(&sealed, None, &event()).await;
    assert!(matches!(again, Err(StoreError::Taken { what: "identity" })), "{again:?}");
}
