//! Every statement of the storage, on SQLite, and on PostgreSQL where it is installed: the SQL text is one, and only
//! running it on both shows that it is good on both.

use crate::database::TestDatabase;
use crate::postgres;
use crate::world::{event, stored};
use bmap_issuer::issuer::{NewApiKey, new_api_key, new_user};
use bmap_model::api_key::{KeyScope, KeyState};
use bmap_model::audit::chain::ChainKeys;
use bmap_model::clock::UnixTime;
use bmap_model::issuer_key;
use bmap_model::rng::SystemRandom;
use bmap_model::role::{Role, UnverifiedRole};
use bmap_model::roots::Roots;
use bmap_model::scope::Scopes;
use bmap_model::session::{Session, SessionId, SessionState};
use bmap_model::ticket::{EndUser, PlainTicket, RecordedTicket, Ticket, TicketHash};
use bmap_model::tool::{Access, CallerKinds, Tool, ToolOrigins};
use bmap_model::user::{User, UserName, UserState};
use bmap_protocol::ids::{ApiKeyId, ToolId, UserId};
use bmap_protocol::keys::RootSecret;
use bmap_protocol::origin::Origin;
use bmap_protocol::seal::SigningKind;
use bmap_protocol::token::Assurance;
use bmap_store::schema::Pending;
use bmap_store::{Batch, Database, StoreError, UserChange, UserChanged};

const NOW: UnixTime = UnixTime(1_795_000_000_000);

async fn accounts(store: &Database) -> (UserId, ApiKeyId) {
    let user = new_user(UserName::parse("Škoda a.s.").unwrap(), NOW, &SystemRandom).unwrap();
    store.add_user(&user, &event()).await.unwrap();
    assert!(matches!(store.add_user(&user, &event()).await, Err(StoreError::Taken { what: "user" })));
    assert_eq!(store.user(&user.id).await.unwrap().as_ref(), Some(&user));
    assert_eq!(store.user_by_name(&user.name).await.unwrap().as_ref(), Some(&user));
    assert_eq!(store.user(&UserId::from_uuid([0; 16])).await.unwrap(), None);
    assert!(store.set_deactivated(&user.id, Some(NOW), &event()).await.unwrap());
    assert_eq!(store.user(&user.id).await.unwrap().unwrap().state, UserState::Deactivated { at: NOW });
    assert!(store.users().await.unwrap().iter().any(|known| known.id == user.id));
    assert!(store.set_deactivated(&user.id, None, &event()).await.unwrap());
    roles(store, &user).await;
    assert!(!store.set_deactivated(&UserId::from_uuid([0; 16]), None, &event()).await.unwrap());

    assert!(store.api_key_or_another(&ApiKeyId::from_uuid([0; 16])).await.unwrap().is_none());
    let origin = Origin::parse("https://shop.example").unwrap();
    let ends = Some(NOW.seconds() + 60);
    let scope = KeyScope { origins: vec![origin.clone().into()], expires_at: ends, ..KeyScope::default() };
    let roots = Roots::from(RootSecret::from_bytes([7; 32]).epoch(1));
    let new = NewApiKey { owner: user.id.clone(), name: user.name, signing: SigningKind::Ed25519, scope: &scope };
    let (key, _) = new_api_key(&roots, NOW, &SystemRandom, new).unwrap();
    store.add_api_key(&key, &scope, &event()).await.unwrap();
    assert!(matches!(store.add_api_key(&key, &scope, &event()).await, Err(StoreError::Taken { what: "API key" })));
    let read = store.api_key(&key.id).await.unwrap().unwrap();
    assert_eq!(read.open(&roots).unwrap().scope, scope);
    assert!(store.api_key(&ApiKeyId::from_uuid([0; 16])).await.unwrap().is_none());
    // Several at once, which go in one statement with places to spare.
    let ids: Vec<ApiKeyId> = (0..7).map(|number| ApiKeyId::from_uuid([number; 16])).chain([key.id.clone()]).collect();
    for found in futures_util::future::join_all(ids.iter().map(|id| store.api_key_or_another(id))).await {
        let found = found.unwrap().unwrap();
        assert_eq!((found.rows.current.id, found.owner.unwrap().id), (key.id.clone(), user.id.clone()));
    }
    assert!(store.is_registered_origin(&origin, NOW).await.unwrap());
    assert!(!store.is_registered_origin(&origin, NOW.plus_seconds(60)).await.unwrap());
    assert!(!store.is_registered_origin(&Origin::parse("https://other.example").unwrap(), NOW).await.unwrap());
    assert!(store.revoke_api_key(&key.id, NOW, &event()).await.unwrap());
    assert!(store.revoke_api_key(&key.id, NOW.plus_seconds(1), &event()).await.unwrap());
    assert_eq!(store.api_keys().await.unwrap()[0].state, KeyState::Revoked { at: NOW });
    assert!(!store.revoke_api_key(&ApiKeyId::from_uuid([0; 16]), NOW, &event()).await.unwrap());
    (user.id, key.id)
}

/// Roles, and that of two changes at once the second is shown what the first left.
async fn roles(store: &Database, user: &User) {
    let roots = Roots::from(RootSecret::from_bytes([7; 32]).epoch(1));
    let nobody = UserId::from_uuid([0; 16]);
    let no_such = store.change_user(&nobody, &UserChange::Activate, &|_, _| true, None, &event()).await.unwrap();
    assert_eq!(no_such, UserChanged::NoSuchUser);
    let mut admins = Vec::new();
    for name in ["first admin", "second admin"] {
        let mut admin = new_user(UserName::parse(name).unwrap(), NOW, &SystemRandom).unwrap();
        admin.unverified_role = UnverifiedRole::seal(&roots, &admin.id, Role::Admin);
        store.add_user(&admin, &event()).await.unwrap();
        assert_eq!(store.user(&admin.id).await.unwrap().unwrap().role(&roots), Role::Admin);
        admins.push(admin.id);
    }
    let one_stays = |_: &[User], after: &[User]| after.iter().any(|user| user.role(&roots) == Role::Admin);
    // The users that it is shown of before are those who are admins by then.
    let counts = |before: usize, after: usize| move |b: &[User], a: &[User]| (b.len(), a.len()) == (before, after);
    let change = UserChange::Deactivate(NOW);
    let event_of_both = event();
    let both = admins.iter().map(|id| store.change_user(id, &change, &one_stays, None, &event_of_both));
    let mut both: Vec<UserChanged> =
        futures_util::future::join_all(both).await.into_iter().map(Result::unwrap).collect();
    both.sort_by_key(|changed| *changed != UserChanged::Done);
    assert_eq!(both, [UserChanged::Done, UserChanged::Refused]);
    for (id, role) in [(&user.id, Role::Admin), (&admins[0], Role::Member), (&admins[1], Role::Member)] {
        let change = UserChange::Role(UnverifiedRole::seal(&roots, id, role));
        assert_eq!(store.change_user(id, &change, &one_stays, None, &event()).await.unwrap(), UserChanged::Done);
        assert_eq!(store.user(id).await.unwrap().unwrap().role(&roots), role);
    }
    let again = UserChange::Role(UnverifiedRole::seal(&roots, &user.id, Role::Admin));
    let one = store.change_user(&user.id, &again, &counts(1, 1), None, &event()).await.unwrap();
    assert_eq!(one, UserChanged::Done, "one before, one after");
    let last = UserChange::Role(UnverifiedRole::seal(&roots, &user.id, Role::Member));
    assert_eq!(store.change_user(&user.id, &last, &counts(1, 1), None, &event()).await.unwrap(), UserChanged::Refused);
    let gone = store.change_user(&user.id, &last, &counts(1, 0), None, &event()).await.unwrap();
    assert_eq!(gone, UserChanged::Done, "one before, none after");
    let back = store.change_user(&user.id, &again, &counts(0, 1), None, &event()).await.unwrap();
    assert_eq!(back, UserChanged::Done, "none before, one after");
    assert_eq!(store.change_user(&user.id, &last, &one_stays, None, &event()).await.unwrap(), UserChanged::Refused);
    assert_eq!(store.user(&user.id).await.unwrap().unwrap().role(&roots), Role::Admin);
    for id in &admins {
        assert_eq!(
            store.change_user(id, &UserChange::Activate, &|_, _| true, None, &event()).await.unwrap(),
            UserChanged::Done
        );
    }

    let all = store.users_after(None, 100).await.unwrap();
    let ids: Vec<UserId> = all.iter().map(|(user, _)| user.id.clone()).collect();
    assert!(ids.is_sorted() && ids.len() >= 4);
    assert!(all.iter().any(|(_, email)| email.as_ref().is_some_and(|email| email.as_str() == "ana@shop.example")));
    let page = store.users_after(Some(&ids[0]), 2).await.unwrap();
    assert_eq!(page.iter().map(|(user, _)| &user.id).collect::<Vec<_>>(), ids[1..3].iter().collect::<Vec<_>>());
    assert!(store.users_after(ids.last(), 2).await.unwrap().is_empty());
}

async fn tools(store: &Database) -> ToolId {
    let id = ToolId::parse("places").unwrap();
    let only = ToolOrigins::Only(vec![stored("https://a.example"), stored("https://b.example")]);
    let tool = Tool {
        id: id.clone(),
        base_url: stored("https://places.example"),
        origins: only,
        min_assurance: Assurance::Server,
        scopes: Scopes::parse("a b").unwrap(),
        required_scopes: Scopes::default(),
        access: Access::Granted,
        callers: CallerKinds::default(),
        open_scopes: Scopes::default(),
        policy: Default::default(),
        created_at: NOW,
        seal: None,
    };
    let tool = tool.sealed(&crate::storage::accounts::keys());
    store.add_tool(&tool, &event()).await.unwrap();
    assert!(matches!(store.add_tool(&tool, &event()).await, Err(StoreError::Taken { what: "tool" })));
    assert_eq!(store.tool(&id).await.unwrap(), Some(tool.clone()));
    assert_eq!(store.tools().await.unwrap(), std::slice::from_ref(&tool));
    let other = Tool { base_url: stored("https://other.example"), ..tool.clone() };
    assert!(!store.confirm_tool(&other, &event()).await.unwrap(), "not what is there");
    assert!(store.confirm_tool(&Tool { seal: None, ..tool.clone() }, &event()).await.unwrap());
    assert_eq!(store.tools().await.unwrap(), [Tool { seal: None, ..tool.clone() }]);
    assert!(store.confirm_tool(&tool, &event()).await.unwrap());
    assert!(store.remove_tool(&id, &event()).await.unwrap() && !store.remove_tool(&id, &event()).await.unwrap());
    assert_eq!(store.tool(&id).await.unwrap(), None);
    id
}

async fn tickets(store: &Database, user: &UserId, key: &ApiKeyId, tool: &ToolId) {
    let full = Ticket {
        tool: tool.clone(),
        origin: "https://shop.example".parse().unwrap(),
        embed_origin: Some("https://frame.example".parse().unwrap()),
        end_user: EndUser::parse("клиент 7"),
        scope: Scopes::parse("a").unwrap(),
        key: key.clone(),
        user: user.clone(),
        expires_at: NOW,
    };
    let bare = Ticket { embed_origin: None, end_user: None, scope: Scopes::default(), ..full.clone() };
    for (number, ticket) in [full, bare].into_iter().enumerate() {
        let hash = |offset| {
            TicketHash::of(PlainTicket::from_bytes(&[u8::try_from(number + offset).unwrap(); 32]).reveal()).unwrap()
        };
        let recorded = |hash| RecordedTicket { hash, ticket: ticket.clone(), answer: None, event: event() };
        // More than the largest statement takes, so that every size of it runs.
        let many: Vec<RecordedTicket> = (0..87).map(|number| recorded(hash(number))).collect();
        assert_eq!(
            store.write(&Batch { tickets: many.clone(), events: vec![event()], ..Batch::default() }).await.unwrap(),
            vec![true; 87]
        );
        assert!(matches!(
            store.write(&Batch { tickets: many[..1].to_vec(), ..Batch::default() }).await,
            Err(StoreError::Taken { what: "ticket" })
        ));
        let live = async |whose, at| store.live_tickets(whose, at).await.unwrap();
        let before = UnixTime(NOW.0 - 1);
        assert_eq!((live(key, before).await, live(key, NOW).await), (87, 0), "at its end it lives no more");
        assert_eq!(live(&ApiKeyId::from_uuid([3; 16]), before).await, 0);
        // Of twenty takers at once one has it.
        let hash_taken = hash(0);
        let takers = (0..20).map(|_| store.take_ticket(&hash_taken));
        let taken = futures_util::future::join_all(takers).await;
        let taken: Vec<Ticket> = taken.into_iter().filter_map(Result::unwrap).collect();
        assert_eq!(taken, std::slice::from_ref(&ticket));
        assert_eq!(store.delete_ended_tickets(NOW).await.unwrap(), 0);
        assert_eq!(store.delete_ended_tickets(NOW.plus_seconds(1)).await.unwrap(), 86);
    }
}

async fn sessions(store: &Database, user: &UserId, key: &ApiKeyId, tool: &ToolId) {
    let id = SessionId::from_uuid([1; 16]);
    let session = Session {
        id: id.clone(),
        user: user.clone(),
        key: key.clone(),
        tool: tool.clone(),
        user_session: Some(SessionId::from_uuid([9; 16])),
        created_at: NOW,
        expires_at: NOW,
        state: SessionState::Active,
    };
    let batch = Batch { sessions: vec![session.clone()], events: vec![event()], ..Batch::default() };
    let last = store.newest_audit_row().await.unwrap();
    assert!(store.write(&batch).await.unwrap().is_empty());
    assert!(matches!(store.write(&batch).await, Err(StoreError::Taken { what: "session" })));
    assert_eq!(store.newest_audit_row().await.unwrap(), last + 1, "a session and its entry, or neither");
    assert_eq!(store.session(&id).await.unwrap().as_ref(), Some(&session));
    let before = UnixTime(NOW.0 - 1);
    for whose in [None, Some(user)] {
        assert_eq!(store.live_sessions(whose, before).await.unwrap(), std::slice::from_ref(&session));
    }
    assert!(store.live_sessions(Some(&UserId::from_uuid([0; 16])), before).await.unwrap().is_empty());
    assert!(store.live_sessions(None, NOW).await.unwrap().is_empty(), "over");
    assert!(store.revoke_session(&id, NOW, &crate::world::event()).await.unwrap());
    assert!(store.revoke_session(&id, NOW.plus_seconds(5), &crate::world::event()).await.unwrap());
    assert_eq!(store.session(&id).await.unwrap().unwrap().state, SessionState::Revoked { at: NOW });
    assert!(store.live_sessions(None, before).await.unwrap().is_empty(), "revoked");
    assert!(!store.revoke_session(&SessionId::from_uuid([2; 16]), NOW, &crate::world::event()).await.unwrap());
    assert_eq!(store.delete_ended_sessions(NOW).await.unwrap(), 0);
    assert_eq!(store.delete_ended_sessions(NOW.plus_seconds(1)).await.unwrap(), 1);
    assert_eq!(store.session(&id).await.unwrap(), None);
}

/// The database, which records with the keys of these tests' root secret.
pub(crate) fn recording(store: Database) -> Database {
    store.recording(ChainKeys::new(RootSecret::from_bytes([7; 32]).epoch(1).into()))
}

async fn every_statement(store: &Database) {
    store.ping().await.unwrap();
    assert_eq!(store.setting("issuer").await.unwrap(), None);
    store.set_setting("issuer", "a").await.unwrap();
    store.set_setting("issuer", "b").await.unwrap();
    assert_eq!(store.setting("issuer").await.unwrap().as_deref(), Some("b"));
    crate::storage::accounts::every_statement(store).await;
    crate::storage::audit::every_statement(store).await;
    crate::storage::mail::every_statement(store).await;
    crate::openid::every_statement(store).await;
    let (user, key) = accounts(store).await;
    let tool = tools(store).await;
    tickets(store, &user, &key, &tool).await;
    sessions(store, &user, &key, &tool).await;
    let epoch = RootSecret::from_bytes([7; 32]).epoch(1);
    for seconds in [0, 1] {
        let made = issuer_key::generate(&epoch, NOW.plus_seconds(seconds), &SystemRandom).unwrap();
        store.add_issuer_key(&made).await.unwrap();
        assert_eq!(store.issuer_keys().await.unwrap()[0].kid, made.kid, "the newest comes first");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_works_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    // A name that has to be escaped in the database's URL.
    let file = folder.path().join("a b%20?#ä.sqlite");
    let store = Database::open_sqlite(&file).await.unwrap();
    assert!(matches!(store.remove_tool(&ToolId::parse("places").unwrap(), &event()).await, Ok(false)));
    assert!(matches!(store.append(&[event()]).await, Err(StoreError::NotRecording)));
    every_statement(&recording(store)).await;
    assert!(file.exists());
    // Opened again: the migrations have run already, and what was written is there.
    let again = Database::open_sqlite(&file).await.unwrap();
    assert_eq!(again.setting("issuer").await.unwrap().as_deref(), Some("b"));
    crate::storage::accounts::r38_and_r39_at_once(recording(again)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_statement_works_on_postgresql() {
    if !postgres::is_installed() {
        println!("PostgreSQL is not installed: its half of this test was not run");
        return;
    }
    let database = TestDatabase::on_server("template1");
    let store = recording(Database::open(&database.address(), Pending::Apply).await.unwrap());
    // Several processes that start at once.
    let address = database.address();
    let others = (0..4).map(|_| Database::open(&address, Pending::Apply));
    let others: Vec<Database> = futures_util::future::join_all(others).await.into_iter().map(Result::unwrap).collect();
    for other in others {
        other.close().await;
    }
    every_statement(&store).await;
    crate::storage::accounts::r38_and_r39_at_once(store).await;
}
