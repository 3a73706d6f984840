//! An attacker who can write the database, but has no root secret, puts in, moves or turns back no session and no refresh
//! token.

use crate::person::{Pair, logout};
use crate::rows::sealed_rows::edit;
use crate::world::World;
use bmap_model::account::opaque::{Kind, OpaqueToken};

/// Two people, signed in: the one who is to be robbed, and the one who has the database.
async fn signed_in(world: &World) -> (Pair, Pair) {
    (world.person("ana@shop.example").await.sign_in().await, world.person("mallory@shop.example").await.sign_in().await)
}

fn hash(token: &str) -> String {
    OpaqueToken::parse(Kind::Refresh, token).unwrap().hash().as_str().to_owned()
}

fn session(pair: &Pair) -> String {
    pair.claims()["sid"].as_str().unwrap().to_owned()
}

fn alarms(what: &str) -> usize {
    let log = crate::log::text();
    log.lines().filter(|line| line.contains("ALARM: the row of ") && line.contains(what)).count()
}

#[tokio::test]
async fn t13_a_refresh_token_that_was_put_in_by_hand_opens_nothing() {
    let world = World::start().await;
    let (ana, mallory) = signed_in(&world).await;
    let own = OpaqueToken::from_bytes(Kind::Refresh, [66; 32]);
    let (token, of_own) = (own.reveal().to_string(), own.hash());
    let of_own = of_own.as_str();
    for (columns, values) in [
        ("hash, session_id", format!("'{of_own}', '{}'", session(&ana))),
        ("hash, session_id, epoch, seal", format!("'{of_own}', '{}', 1, '{}'", session(&ana), "A".repeat(43))),
        ("hash, session_id, epoch, seal", format!("'{of_own}', '{}', 7, '{}'", session(&ana), "A".repeat(43))),
        ("hash, session_id, epoch, seal", format!("'{of_own}', '{}', -1, ''", session(&ana))),
        // The seal of a row that is good.
        (
            "hash, session_id, epoch, seal",
            format!(
                "'{of_own}', '{}', 1, (SELECT seal FROM refresh_tokens WHERE hash = '{}')",
                session(&ana),
                hash(&mallory.refresh)
            ),
        ),
        // As the successor of a good one.
        ("hash, session_id, predecessor", format!("'{of_own}', '{}', '{}'", session(&ana), hash(&ana.refresh))),
        // As one that was used a moment ago.
        (
            "hash, session_id, used_at, salt",
            format!("'{of_own}', '{}', {}, '{}'", session(&ana), world.clock_millis(), "A".repeat(43)),
        ),
    ] {
        edit(&world, &format!("INSERT INTO refresh_tokens ({columns}) VALUES ({values})")).await;
        world.refresh(&token).await.assert_refused("invalid_token");
        edit(&world, &format!("DELETE FROM refresh_tokens WHERE hash = '{of_own}'")).await;
    }
    // With a session of her own making.
    let made = format!("ses_{}", "0".repeat(32));
    edit(
        &world,
        &format!(
            "INSERT INTO user_sessions (id, user_id, created_at, expires_at) VALUES ('{made}', '{}', 0, 9999999999999); \
             INSERT INTO refresh_tokens (hash, session_id) VALUES ('{of_own}', '{made}')",
            ana.user().as_str()
        ),
    )
    .await;
    world.refresh(&token).await.assert_refused("invalid_token");
    world.me(&ana.access).await.granted();
    Pair::of(&world.refresh(&ana.refresh).await);
    assert!(alarms("it has no seal") >= 1 && alarms("its seal does not hold") >= 1);
}

#[tokio::test]
async fn t13_a_session_or_a_token_that_was_moved_or_lengthened_opens_nothing() {
    for edited in [
        // Mallory's session becomes ana's; mallory's token goes to ana's session; the two sessions are exchanged.
        "UPDATE user_sessions SET user_id = {ana} WHERE id = {session}",
        "UPDATE refresh_tokens SET session_id = {session of ana} WHERE hash = {token}",
        "UPDATE user_sessions SET user_id = {ana}, epoch = (SELECT epoch FROM user_sessions WHERE id = {session of ana}), \
         seal = (SELECT seal FROM user_sessions WHERE id = {session of ana}) WHERE id = {session}",
        // A longer life, and another epoch.
        "UPDATE user_sessions SET expires_at = expires_at + 1 WHERE id = {session}",
        "UPDATE user_sessions SET created_at = created_at - 1 WHERE id = {session}",
        "UPDATE user_sessions SET epoch = 2 WHERE id = {session}",
        "UPDATE user_sessions SET seal = NULL WHERE id = {session}",
        "UPDATE refresh_tokens SET epoch = 2 WHERE hash = {token}",
        "UPDATE refresh_tokens SET seal = NULL WHERE hash = {token}",
    ] {
        let world = World::start().await;
        let (ana, mallory) = signed_in(&world).await;
        let quoted = |text: &str| format!("'{text}'");
        let sql = edited
            .replace("{ana}", &quoted(ana.user().as_str()))
            .replace("{session of ana}", &quoted(&session(&ana)))
            .replace("{session}", &quoted(&session(&mallory)))
            .replace("{token}", &quoted(&hash(&mallory.refresh)));
        edit(&world, &sql).await;
        world.refresh(&mallory.refresh).await.assert_refused("invalid_token");
        if edited.starts_with("UPDATE user_sessions") {
            world.me(&mallory.access).await.assert_refused("invalid_token");
        }
        // No user was signed out by it.
        world.me(&ana.access).await.granted();
        Pair::of(&world.refresh(&ana.refresh).await);
    }
}

#[tokio::test]
async fn t13_a_used_token_is_not_made_a_new_one() {
    let world = World::start().await;
    let (ana, _) = signed_in(&world).await;
    let next = Pair::of(&world.refresh(&ana.refresh).await);
    world.clock.advance_seconds(60);
    let of = |token: &str| format!("WHERE hash = '{}'", hash(token));
    for sql in [
        // Never used; used just now, so that it gives what it gave; both, without the successor.
        format!("UPDATE refresh_tokens SET used_at = NULL, salt = NULL {}", of(&ana.refresh)),
        format!("UPDATE refresh_tokens SET used_at = NULL {}", of(&ana.refresh)),
        format!("UPDATE refresh_tokens SET used_at = {} {}", world.clock_millis(), of(&ana.refresh)),
        format!("UPDATE refresh_tokens SET predecessor = NULL {}", of(&next.refresh)),
    ] {
        let copy = format!("CREATE TABLE copied AS SELECT * FROM refresh_tokens {}", of(&ana.refresh));
        world.database.run(&copy).await;
        edit(&world, &sql).await;
        if sql.contains("predecessor") {
            world.refresh(&next.refresh).await.assert_refused("invalid_token");
        } else {
            world.refresh(&ana.refresh).await.assert_refused("invalid_token");
            world.me(&next.access).await.granted();
            let back =
                "UPDATE refresh_tokens SET used_at = (SELECT used_at FROM copied), salt = (SELECT salt FROM copied) ";
            edit(&world, &format!("{back} {}", of(&ana.refresh))).await;
        }
        world.database.run("DROP TABLE copied").await;
    }
    // As it was, it is what it was: a used token, whose return ends the session.
    world.refresh(&ana.refresh).await.assert_refused("invalid_token");
    world.me(&next.access).await.assert_refused("invalid_token");
}

#[tokio::test]
async fn t13_a_session_that_has_ended_is_not_turned_back() {
    let world = World::start().await;
    let (ana, mallory) = signed_in(&world).await;
    assert_eq!(logout(&mallory.refresh).send(world.address).await.status, 204);
    edit(&world, "UPDATE user_sessions SET revoked_at = NULL WHERE revoked_at IS NOT NULL").await;
    world.refresh(&mallory.refresh).await.assert_refused("invalid_token");
    world.me(&mallory.access).await.assert_refused("invalid_token");
    // All of a user's at once, as a deactivation ends them.
    let user = ana.user();
    world.issuer.deactivate_user(&user, &crate::world::source()).await.unwrap();
    edit(&world, "UPDATE users SET deactivated_at = NULL WHERE deactivated_at IS NOT NULL").await;
    edit(&world, "UPDATE user_sessions SET revoked_at = NULL WHERE revoked_at IS NOT NULL").await;
    world.refresh(&ana.refresh).await.assert_refused("invalid_token");
    world.me(&ana.access).await.assert_refused("invalid_token");
}
