//! `bmap root retire EPOCH --forget-passwords`: people who never came back since the change of the root don't keep the former one
//! for ever. They set a new password by a link, and no other person does.

use crate::operator::{Operator, Server};
use crate::person::{self, PASSWORD, Pair};
use crate::rows::root_rotation::{open, time_passes};
use crate::storage::accounts::{hash, mail};
use crate::world::event;
use bmap_issuer::issuer::new_user;
use bmap_model::account::email::EmailAddress;
use bmap_model::account::opaque::Kind;
use bmap_model::account::password::Hasher;
use bmap_model::account::{Registration, sealed};
use bmap_model::audit::chain::ChainKeys;
use bmap_model::clock::UnixTime;
use bmap_model::rng::SystemRandom;
use bmap_model::roots::Roots;
use bmap_model::user::UserName;
use bmap_store::{Database, root_file};
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

const NEW: &str = "copper-lantern-12-frost";
const NOW: UnixTime = UnixTime(1_795_000_000_000);

fn address(server: &Server) -> SocketAddr {
    server.address.parse().unwrap()
}

/// The token of the newest link to a page that the server's log has for an address.
async fn link(operator: &Operator, page: &str, email: &str) -> String {
    for _ in 0..150 {
        let log = std::fs::read_to_string(operator.path("log")).unwrap();
        let mut lines = log.lines().filter(|line| line.contains(&format!("email={email}")) && line.contains(page));
        if let Some(line) = lines.next_back() {
            return line.split_once("?token=").unwrap().1.split_whitespace().next().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no link to {page} for {email}");
}

async fn signed_up(operator: &Operator, server: &Server, email: &str) -> Pair {
    assert_eq!(person::register(email, PASSWORD).send(address(server)).await.status, 202);
    let token = link(operator, "/auth/confirm", email).await;
    person::confirm(&token, PASSWORD).send(address(server)).await.granted();
    Pair::of(&person::login(email, PASSWORD).send(address(server)).await)
}

/// To the next root, and far enough on that the former one may go.
async fn change_root(operator: &Operator) {
    operator.out(&["root", "rotate"]);
    operator.out(&["root", "activate"]);
    time_passes(operator).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_never_came_back_sets_a_new_password_by_a_link() {
    let operator = Operator::new();
    let server = operator.serve_with(&[("BMAP_DEVELOPMENT", "true")]);
    let ana = signed_up(&operator, &server, "ana@shop.example").await;
    let ben = signed_up(&operator, &server, "ben@shop.example").await;
    change_root(&operator).await;
    // Ben comes back once the server knows the new root, and has a password of the new epoch.
    for _ in 0..60 {
        person::login("ben@shop.example", PASSWORD).send(address(&server)).await.granted();
        if operator.json(&["root", "status"])[1]["rows"]["passwords"] == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let refused = operator.fails(&["root", "retire", "1"]).1;
    assert!(refused.contains("it is needed by 1 password") && refused.contains("--forget-passwords"), "{refused}");
    // Where no link would go out, nothing is forgotten.
    let refused = operator.fails(&["root", "retire", "1", "--forget-passwords"]).1;
    assert!(refused.contains("there is no mail server"), "{refused}");
    person::login("ana@shop.example", "wrong").send(address(&server)).await.assert_refused("invalid_credentials");
    let mut retire = operator.command(&["root", "retire", "1", "--forget-passwords"]);
    let retired = retire.env("BMAP_DEVELOPMENT", "true").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&retired.stdout), String::from_utf8_lossy(&retired.stderr));
    assert!(retired.status.success() && out.contains("1 passwords are forgotten"), "{out} {err}");
    assert!(!std::path::Path::new(&operator.path("data/root.secret")).exists());

    // Another server, that never knew the former root.
    drop(server);
    let server = operator.serve_with(&[("BMAP_DEVELOPMENT", "true")]);
    let to = address(&server);
    for old in [PASSWORD, ""] {
        person::login("ana@shop.example", old).send(to).await.assert_refused("invalid_credentials");
    }
    person::login("ben@shop.example", PASSWORD).send(to).await.granted();
    // A signed-in user stays signed in, and has no password to change anything with.
    let ana = Pair::of(&person::refresh(&ana.refresh).send(to).await);
    person::me(&ana.access).send(to).await.granted();
    person::change_password(&ana.access, PASSWORD, NEW).send(to).await.assert_refused("invalid_credentials");
    person::refresh(&ben.refresh).send(to).await.granted();

    assert_eq!(person::reset("ana@shop.example").send(to).await.status, 202);
    let token = link(&operator, "/auth/password/reset", "ana@shop.example").await;
    person::set_password(&token, NEW).send(to).await.granted();
    let back = Pair::of(&person::login("ana@shop.example", NEW).send(to).await);
    assert_eq!(back.user(), ana.user());
    person::me(&ana.access).send(to).await.assert_refused("invalid_token");
    let said = operator.out(&["audit", "list", "--action", "password.forget", "--json"]);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains(ana.user().as_str()) && said.contains("command_line"), "{said}");
    assert!(operator.out(&["audit", "verify"]).contains("hold"));
}

/// Accounts in the first epoch, without the work of hashing.
async fn accounts(operator: &Operator, number: u8) -> Roots {
    operator.out(&["user", "add", "ana"]);
    let secret = std::fs::read(operator.path("data/root.secret")).unwrap();
    let roots = Roots::from(root_file::parse(&secret).unwrap().epoch(1));
    let store = open(operator).await.recording(ChainKeys::new(roots.clone()));
    for byte in 0..number {
        let email = EmailAddress::parse(&format!("person{byte}@shop.example")).unwrap();
        let password = Hasher::new(roots.clone()).decoy(&email).unwrap();
        let user = new_user(UserName::parse(&format!("person {byte}")).unwrap(), NOW, &SystemRandom).unwrap();
        let seal = sealed::account(&roots, &SystemRandom, &user.id, &email, &password).unwrap();
        let registration = Registration { email: email.clone(), password, expires_at: NOW.plus_seconds(60) };
        let token = hash(Kind::Confirmation, byte);
        assert!(store.add_registration(&token, &registration, &mail(email.as_str()), &event()).await.unwrap());
        assert!(store.confirm_registration(&token, &user, &seal, &event()).await.unwrap());
    }
    store.close().await;
    // The test needs none of the mails.
    operator.edit("DELETE FROM outbox").await;
    roots
}

async fn forgotten(store: &Database, roots: &Roots) -> usize {
    let accounts = store.accounts().await.unwrap();
    assert!(accounts.iter().all(|account| account.check_seal(roots).is_ok()), "no half rows");
    accounts.iter().filter(|account| account.password.is_forgotten()).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn f01_killed_half_way_it_is_run_again() {
    const PEOPLE: u8 = 120;
    let operator = Operator::new();
    let first = accounts(&operator, PEOPLE).await;
    change_root(&operator).await;
    let secret = std::fs::read(operator.path("data/root.secret.2")).unwrap();
    let second = root_file::parse(&secret).unwrap().epoch(2);
    let roots = Roots::new([first.all(), vec![second]].concat()).unwrap();
    let store = open(&operator).await;
    let mut done_before = 0;
    let mut is_half_way = false;
    for round in 0..60 {
        let mut command = operator.command(&["root", "retire", "1", "--forget-passwords"]);
        let mut child =
            command.env("BMAP_DEVELOPMENT", "true").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(20 + 13 * round)).await;
        child.kill().unwrap();
        let is_retired = child.wait().unwrap().success();
        let done = forgotten(&store, &roots).await;
        assert!(done >= done_before);
        done_before = done;
        is_half_way |= done > 0 && done < usize::from(PEOPLE);
        let recorded = operator.out(&["audit", "list", "--action", "password.forget", "--limit", "500", "--json"]);
        assert_eq!(recorded.lines().count(), done, "an entry for each");
        if is_retired || done == usize::from(PEOPLE) {
            break;
        }
    }
    assert!(is_half_way, "it was never killed half-way");
    let mut command = operator.command(&["root", "retire", "1", "--forget-passwords"]);
    command.env("BMAP_DEVELOPMENT", "true").output().unwrap();
    assert!(!std::path::Path::new(&operator.path("data/root.secret")).exists());
    assert_eq!(forgotten(&store, &roots).await, usize::from(PEOPLE));
    store.close().await;
    // And the next change of the root takes them along: there is nothing in them that would need theirs.
    change_root(&operator).await;
    operator.out(&["root", "retire", "2"]);
    let status = operator.json(&["root", "status"]);
    assert_eq!(status[0]["rows"]["accounts without a password"], PEOPLE, "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t13_an_account_that_was_edited_is_named_and_nothing_is_forgotten() {
    let operator = Operator::new();
    let roots = accounts(&operator, 3).await;
    // Another person's address, and with it another person's link.
    operator.edit("UPDATE accounts SET email = 'mallory@shop.example' WHERE email = 'person1@shop.example'").await;
    change_root(&operator).await;
    let mut command = operator.command(&["root", "retire", "1", "--forget-passwords"]);
    let refused = command.env("BMAP_DEVELOPMENT", "true").output().unwrap();
    let error = String::from_utf8_lossy(&refused.stderr);
    let store = open(&operator).await;
    let accounts = store.accounts().await.unwrap();
    let edited = accounts.iter().find(|account| account.email.as_str() == "mallory@shop.example").unwrap();
    assert_eq!(refused.status.code(), Some(1), "{error}");
    assert!(error.contains(edited.user.as_str()) && error.contains("epoch 1 is kept"), "{error}");
    assert!(accounts.iter().all(|account| !account.password.is_forgotten() && account.password.epoch == 1));
    assert!(edited.check_seal(&roots).is_err());
    store.close().await;
    assert!(std::path::Path::new(&operator.path("data/root.secret")).exists());
}
