//! An attacker who can write the database, but has no root secret, signs in as no user; and one who can read it finds no
//! secret.

use crate::database::is_postgres;
use crate::person::{PASSWORD, Pair, change_password, login, register};
use crate::rows::sealed_rows::edit;
use crate::world::World;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn t13_a_copied_password_opens_no_other_account() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    register("mallory@shop.example", "mallory-owns-this-81").send(world.address).await;
    let link = world.links("mallory@shop.example").await.pop().unwrap();
    crate::person::confirm(&link, "mallory-owns-this-81").send(world.address).await.granted();
    edit(
        &world,
        "UPDATE accounts SET password = (SELECT password FROM accounts WHERE email = 'mallory@shop.example') \
         WHERE email = 'ana@shop.example'",
    )
    .await;
    let stolen = login("ana@shop.example", "mallory-owns-this-81").send(world.address).await;
    stolen.assert_refused("invalid_credentials");
    login("mallory@shop.example", "mallory-owns-this-81").send(world.address).await.granted();
    // And the address itself, moved to the row whose password is known.
    edit(&world, "UPDATE accounts SET email = 'x@shop.example' WHERE email = 'ana@shop.example'").await;
    edit(&world, "UPDATE accounts SET email = 'ana@shop.example' WHERE email = 'mallory@shop.example'").await;
    let moved = login("ana@shop.example", "mallory-owns-this-81").send(world.address).await;
    moved.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn t13_a_link_of_ones_own_confirms_nobodys_address() {
    use bmap_model::account::opaque::{Kind, OpaqueToken};
    let own = |kind| {
        let token = OpaqueToken::from_bytes(kind, [66; 32]);
        (token.reveal().to_string(), token.hash().as_str().to_owned())
    };
    let world = World::start().await;
    // Mallory registers an address whose mail another person reads, and writes a link into the row.
    register("ana@shop.example", "mallory-owns-this-81").send(world.address).await;
    let (token, hash) = own(Kind::Confirmation);
    edit(&world, &format!("UPDATE registrations SET hash = '{hash}'")).await;
    let confirmed = crate::person::confirm(&token, "mallory-owns-this-81").send(world.address).await;
    confirmed.assert_refused("invalid_credentials");
    login("ana@shop.example", "mallory-owns-this-81").send(world.address).await.assert_refused("invalid_credentials");
    // A link that mallory was mailed, moved to that row.
    register("mallory@shop.example", "mallory-owns-this-81").send(world.address).await;
    let link = world.links("mallory@shop.example").await.pop().unwrap();
    let of_link = OpaqueToken::parse(Kind::Confirmation, &link).unwrap().hash();
    edit(&world, "DELETE FROM registrations WHERE email = 'mallory@shop.example'").await;
    edit(&world, &format!("UPDATE registrations SET hash = '{}'", of_link.as_str())).await;
    let confirmed = crate::person::confirm(&link, "mallory-owns-this-81").send(world.address).await;
    confirmed.assert_refused("invalid_credentials");
    // The same for the address of an account that there is.
    let mallory = world.person("mallory@shop.example").await.sign_in().await;
    let asked = crate::person::change_address(&mallory.access, "ana@shop.example", PASSWORD).send(world.address).await;
    assert_eq!(asked.status, 202);
    let (token, hash) = own(Kind::EmailChange);
    edit(&world, &format!("UPDATE email_changes SET hash = '{hash}'")).await;
    let confirmed = crate::person::confirm_address(&token, PASSWORD).send(world.address).await;
    confirmed.assert_refused("invalid_credentials");
    assert_eq!(world.me(&mallory.access).await.granted()["email"], "mallory@shop.example");
    assert!(crate::log::text().contains("ALARM: the row of a change of address is not as it was written"));
}

#[tokio::test]
async fn r41_a_row_that_asks_for_the_impossible_is_refused_at_once_and_said_aloud() {
    for sql in [
        "UPDATE accounts SET password = replace(password, 'm=64,', 'm=4194304,')",
        "UPDATE accounts SET password = replace(password, 't=2', 't=4294967295')",
        "UPDATE accounts SET password = 'plaintext'",
        "UPDATE accounts SET pepper_epoch = 2",
    ] {
        let world = World::start().await;
        world.person("ana@shop.example").await;
        edit(&world, sql).await;
        let mut fastest = Duration::MAX;
        // A busy machine may take its time with some of them.
        for _ in 0..200 {
            // Far enough on that no limit is met.
            world.clock.advance_seconds(60);
            let began = now();
            let refused = login("ana@shop.example", PASSWORD).header("x-request-id", "r41").send(world.address).await;
            fastest = fastest.min(began.elapsed());
            refused.assert_refused("invalid_credentials");
            if fastest < Duration::from_millis(5) {
                break;
            }
        }
        assert!(fastest < Duration::from_millis(5), "{sql}: {fastest:?}");
        let alarms = crate::log::text();
        assert!(alarms.lines().any(|line| line.contains("r41") && line.contains("ALARM")), "{sql}");
    }
}

#[tokio::test]
async fn t27_unknown_tokens_and_passwords_need_no_turn_at_writing() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    // Another transaction writes, for as long as it takes.
    let pool = sqlx::AnyPool::connect(&world.database.url()).await.unwrap();
    let begin = if is_postgres() {
        "BEGIN; LOCK TABLE users, accounts, registrations, user_sessions, refresh_tokens IN EXCLUSIVE MODE"
    } else {
        "BEGIN IMMEDIATE"
    };
    let writer = pool.begin_with(begin).await.unwrap();
    let noise = async {
        let of_kind = |prefix: &str| format!("{prefix}{}", "A".repeat(43));
        world.refresh(&of_kind("bmr_")).await.assert_refused("invalid_token");
        let left = crate::person::logout(&of_kind("bmr_")).send(world.address).await;
        assert_eq!(left.status, 204);
        let confirmed = crate::person::confirm(&of_kind("bmc_"), PASSWORD).send(world.address).await;
        confirmed.assert_refused("invalid_credentials");
        login("ana@shop.example", "wrong").send(world.address).await.assert_refused("invalid_credentials");
        login("unknown@shop.example", "wrong").send(world.address).await.assert_refused("invalid_credentials");
    };
    tokio::time::timeout(Duration::from_secs(4), noise).await.expect("nothing of this waits for the writer");
    writer.rollback().await.unwrap();
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
}

#[tokio::test]
async fn t12_t33_no_password_or_token_is_in_the_database_or_the_log() {
    let world = World::start().await;
    let canary = "canary-password-73-quartz";
    let newer = "canary-newer-password-19-basalt";
    register("ana@shop.example", canary).send(world.address).await;
    let link = world.links("ana@shop.example").await.pop().unwrap();
    crate::person::confirm(&link, canary).send(world.address).await.granted();
    login("ana@shop.example", "canary-wrong-password").send(world.address).await.assert_refused("invalid_credentials");
    let pair = Pair::of(&login("ana@shop.example", canary).send(world.address).await);
    let next = Pair::of(&world.refresh(&pair.refresh).await);
    world.refresh("bmr_canary").await.assert_refused("invalid_token");
    change_password(&next.access, canary, newer).send(world.address).await.granted();
    let database = world.database.dump();
    let log = crate::log::text();
    let holds = |text: &str| {
        let needle = text.as_bytes();
        (database.windows(needle.len()).any(|window| window == needle), log.contains(text))
    };
    let signature = |pair: &Pair| pair.access.rsplit_once('.').unwrap().1.to_owned();
    for secret in
        [canary, newer, "canary", &pair.refresh[4..], &next.refresh[4..], &signature(&pair), &signature(&next)]
    {
        assert_eq!(holds(secret), (false, false), "{secret}");
    }
    // The link is in the log of a development server, and nowhere else; and the search finds what is there.
    assert_eq!(holds(&link[4..]), (false, true));
    assert_eq!(holds("ana@shop.example"), (true, true));
}
