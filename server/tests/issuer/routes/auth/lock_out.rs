//! Strangers guess, and the owner signs in (O13).

use crate::http_client::{Answer, Call};
use crate::person::{PASSWORD, Pair, STEP_UP, change_password, login, register, reset};
use crate::world::World;
use bmap_issuer::account::known_network::{KNOWN_DAYS, MOST_NETWORKS};
use bmap_issuer::account::limits::SIGN_IN_PER_ACCOUNT;
use serde_json::json;

const HOME: &str = "203.0.113.9";

/// A server behind a proxy, so that a test says where a caller is.
async fn world() -> World {
    World::with(vec!["127.0.0.1/32".parse().unwrap()]).await
}

async fn from(world: &World, address: &str, email: &str, password: &str) -> Answer {
    login(email, password).header("x-forwarded-for", address).send(world.address).await
}

/// Ten wrong passwords, each from another network.
async fn strangers_guess(world: &World, email: &str) {
    for number in 0..SIGN_IN_PER_ACCOUNT.burst {
        let address = format!("198.51.100.{number}");
        from(world, &address, email, "wrong").await.assert_refused("invalid_credentials");
    }
    from(world, "198.51.100.200", email, PASSWORD).await.assert_refused("rate_limited");
}

#[tokio::test]
async fn o13_wrong_passwords_from_elsewhere_do_not_lock_out_an_address_that_signed_in_before() {
    let world = world().await;
    let email = "ana@shop.example";
    world.person(email).await;
    let pair = Pair::of(&from(&world, HOME, email, PASSWORD).await);
    strangers_guess(&world, email).await;
    // Another spelling of the address is the same account, for strangers and for the owner.
    from(&world, "198.51.100.201", "ANA@shop.example", PASSWORD).await.assert_refused("rate_limited");
    from(&world, HOME, "Ana@Shop.example", PASSWORD).await.granted();
    // A sign-in gives strangers nothing back.
    from(&world, "198.51.100.202", email, PASSWORD).await.assert_refused("rate_limited");
    // Another process on the same database knows it too, and so does a session.
    let beside = world.serve(&world.app.clone().with_links(Default::default())).await;
    for number in 0..SIGN_IN_PER_ACCOUNT.burst {
        let guess = login(email, "wrong").header("x-forwarded-for", &format!("198.51.100.{number}"));
        guess.send(beside).await.assert_refused("invalid_credentials");
    }
    login(email, PASSWORD).header("x-forwarded-for", HOME).send(beside).await.granted();
    let changed = change_password(&pair.access, PASSWORD, "amber-lantern-83-orchid");
    let changed = changed.header("x-forwarded-for", "198.51.100.203").send(world.address).await;
    assert_eq!(changed.status, 200, "a session that signed in before is not locked out: {changed:?}");
}

#[tokio::test]
async fn o13_the_known_address_has_a_bounded_number_of_guesses_too() {
    let world = world().await;
    let email = "ana@shop.example";
    world.person(email).await;
    from(&world, HOME, email, PASSWORD).await.granted();
    strangers_guess(&world, email).await;
    for _ in 0..SIGN_IN_PER_ACCOUNT.burst {
        from(&world, HOME, email, "wrong").await.assert_refused("invalid_credentials");
    }
    let limited = from(&world, HOME, email, PASSWORD).await;
    limited.assert_refused("rate_limited");
    assert_eq!(limited.header("retry-after"), Some("30"));
    // From one network alone a known account, a strange one and one that is not there look alike.
    for (email, address) in [("ben@shop.example", HOME), ("ana@shop.example", "192.0.2.1")] {
        world.clock.advance_seconds(3600);
        if email.starts_with("ben") {
            world.person(email).await;
            from(&world, HOME, email, PASSWORD).await.granted();
        }
        let nobody = format!("nobody{address}@shop.example");
        for at in [email, &nobody] {
            for _ in 0..SIGN_IN_PER_ACCOUNT.burst {
                from(&world, address, at, "wrong").await.assert_refused("invalid_credentials");
            }
            from(&world, address, at, "wrong").await.assert_refused("rate_limited");
        }
    }
}

#[tokio::test]
async fn o13_a_few_networks_are_known_for_a_while_and_an_edited_row_is_none() {
    let world = world().await;
    let email = "ana@shop.example";
    world.person(email).await;
    let user = Pair::of(&from(&world, HOME, email, PASSWORD).await).user();
    from(&world, HOME, email, PASSWORD).await.granted();
    let known = || async { world.issuer.store.networks_of_user(&user, world.clock_now()).await.unwrap() };
    assert_eq!(known().await.len(), 2, "where the link was confirmed, and one row for the same network");
    world.clock.advance_seconds(30 * 86_400);
    from(&world, HOME, email, PASSWORD).await.granted();
    let again = known().await;
    let end = world.clock_now().plus_seconds(KNOWN_DAYS * 86_400);
    assert_eq!((again.len(), again.iter().filter(|one| one.expires_at == end).count()), (2, 1));
    for number in 0..MOST_NETWORKS {
        world.clock.advance_seconds(60);
        from(&world, &format!("192.0.2.{number}"), email, PASSWORD).await.granted();
    }
    assert_eq!(known().await.len(), usize::try_from(MOST_NETWORKS).unwrap());
    strangers_guess(&world, email).await;
    from(&world, HOME, email, PASSWORD).await.assert_refused("rate_limited");
    from(&world, "192.0.2.1", email, PASSWORD).await.granted();
    // A writer of the database gives a network a longer life, or to another user: it is none then (T13).
    world.database.edit("UPDATE known_networks SET expires_at = expires_at + 1").await;
    from(&world, "192.0.2.1", email, PASSWORD).await.assert_refused("rate_limited");
}

/// Strangers guess, then the owner signs in for the first time with the password: from where the link's form was sent, and from elsewhere.
async fn signs_in_from_home_alone(world: &World, email: &str, password: &str) {
    strangers_guess(world, email).await;
    // A program that only opens the link makes no network known.
    from(world, SCANNER, email, password).await.assert_refused("rate_limited");
    from(world, HOME, email, password).await.granted();
    from(world, SCANNER, email, password).await.assert_refused("rate_limited");
}

/// Opens a link as a mail scanner does, guesses as one who only has the link, and sends its form from home.
async fn follow(world: &World, page: &str, form: &str, token: &str, password: &str) {
    let opened = Call::new("GET", &format!("{page}?token={token}")).header("x-forwarded-for", SCANNER);
    assert_eq!(opened.send(world.address).await.status, 200);
    let sent = |password| Call::form(form, &[("token", token), ("password", password)]);
    let refused = sent("short").header("x-forwarded-for", SCANNER).send(world.address).await;
    assert!(refused.status == 401 || refused.status == 400, "{refused:?}");
    assert_eq!(sent(password).header("x-forwarded-for", HOME).send(world.address).await.status, 200);
}

const SCANNER: &str = "192.0.2.77";
const NEW: &str = "copper-lantern-12-frost";

#[tokio::test]
async fn o13_strangers_do_not_lock_out_the_first_sign_in_where_the_mailed_link_was_confirmed() {
    let world = world().await;
    let email = "ana@shop.example";
    assert_eq!(register(email, PASSWORD).send(world.address).await.status, 202);
    let link = world.links(email).await.pop().unwrap();
    follow(&world, "/auth/confirm", "/auth/confirm", &link, PASSWORD).await;
    signs_in_from_home_alone(&world, email, PASSWORD).await;

    let admin = world.admin("root@shop.example").await;
    let invite = Call::json("/invitations", &json!({ "email": "ben@shop.example" }));
    let invite = invite.header(STEP_UP, &world.step_up(&admin.access).await);
    assert_eq!(admin.send(&world, invite).await.status, 202);
    let link = world.links_to("/auth/invitation", "ben@shop.example").await.pop().unwrap();
    follow(&world, "/auth/invitation", "/auth/invitation", &link, NEW).await;
    signs_in_from_home_alone(&world, "ben@shop.example", NEW).await;
}

#[tokio::test]
async fn o13_strangers_do_not_lock_out_the_first_sign_in_after_a_reset_by_mail() {
    let world = world().await;
    let email = "ana@shop.example";
    world.person(email).await;
    assert_eq!(reset(email).send(world.address).await.status, 202);
    let link = world.links_to("/auth/password/reset", email).await.pop().unwrap();
    follow(&world, "/auth/password/reset", "/auth/password/reset/confirm", &link, NEW).await;
    signs_in_from_home_alone(&world, email, NEW).await;
}
