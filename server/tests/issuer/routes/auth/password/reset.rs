use super::super::confirm::assert_page;
use crate::http_client::Call;
use crate::person::{PASSWORD, change_password, login, register, reset, set_password};
use crate::rows::sealed_rows::edit;
use crate::world::World;
use serde_json::json;

const NEW: &str = "copper-lantern-12-frost";
const PAGE: &str = "/auth/password/reset";

async fn link(world: &World, email: &str) -> Option<String> {
    assert_eq!(reset(email).send(world.address).await.status, 202);
    world.links_to(PAGE, email).await.pop()
}

#[tokio::test]
async fn a_link_sets_a_password_once_and_ends_every_session() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let (one, two) = (ana.sign_in().await, ana.sign_in().await);
    let token = link(&world, "ana@shop.example").await.unwrap();
    let answer = set_password(&token, NEW).send(world.address).await;
    assert_eq!(
        (answer.granted()["ended_sessions"].as_u64(), answer.header("cache-control")),
        (Some(2), Some("no-store"))
    );
    for pair in [&one, &two] {
        world.me(&pair.access).await.assert_refused("invalid_token");
        world.refresh(&pair.refresh).await.assert_refused("invalid_token");
    }
    login("ana@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    login("ana@shop.example", NEW).send(world.address).await.granted();
    set_password(&token, "amber-harbour-77-mint").send(world.address).await.assert_refused("invalid_credentials");
    login("ana@shop.example", NEW).send(world.address).await.granted();
}

#[tokio::test]
async fn r31_an_address_without_an_account_is_answered_alike_and_sent_nothing() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    let known = reset("ANA@shop.example").send(world.address).await;
    let unknown = reset("ben@shop.example").send(world.address).await;
    assert_eq!((known.status, &known.body), (202, &unknown.body));
    assert_eq!((unknown.status, unknown.json()["status"].as_str()), (202, Some("link_sent")));
    assert_eq!(world.links_to(PAGE, "ana@shop.example").await.len(), 1);
    assert!(world.links_to(PAGE, "ben@shop.example").await.is_empty());
}

#[tokio::test]
async fn the_link_shows_a_page_and_its_form_sets_the_password() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    let token = link(&world, "ana@shop.example").await.unwrap();
    let page = |token: &str| Call::new("GET", &format!("{PAGE}?token={token}"));
    let good = assert_page(&page(&token).send(world.address).await, 200);
    assert!(good.contains("autocomplete=\"new-password\"") && good.contains("action=\"reset/confirm\""), "{good}");
    let never = format!("bmp_{}", "A".repeat(43));
    let other = assert_page(&page(&never).send(world.address).await, 200);
    assert_eq!(good.replace(&token, ""), other.replace(&never, ""), "a page tells nothing about its token");
    for query in ["", "?token=bmp_x", &format!("?token=bmc_{}", "A".repeat(43))] {
        let page = Call::new("GET", &format!("{PAGE}{query}")).send(world.address).await;
        assert!(assert_page(&page, 400).contains("This link is not whole"));
    }
    let form =
        |password| Call::form("/auth/password/reset/confirm", &[("token", token.as_str()), ("password", password)]);
    let weak = assert_page(&form("password1").send(world.address).await, 400);
    assert!(weak.contains("This is ") && weak.contains("action=\"confirm\"") && weak.contains(&token), "{weak}");
    assert!(assert_page(&form(NEW).send(world.address).await, 200).contains("Password set"));
    assert!(assert_page(&form(NEW).send(world.address).await, 401).contains("This link was used"));
    login("ana@shop.example", NEW).send(world.address).await.granted();
}

#[tokio::test]
async fn a_weak_password_is_refused_and_leaves_the_link_good() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    let token = link(&world, "ana@shop.example").await.unwrap();
    for weak in ["Xk3!pQz", "password1", "ana@shop.example"] {
        let answer = set_password(&token, weak).send(world.address).await;
        answer.assert_refused("malformed_request");
        assert!(answer.json()["hint"].is_string());
    }
    set_password(&token, NEW).send(world.address).await.granted();
}

#[tokio::test]
async fn a_link_ends_after_an_hour_and_with_the_password_that_it_was_for() {
    let world = World::start().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let first = link(&world, "ana@shop.example").await.unwrap();
    world.clock.advance_seconds(3599);
    let second = link(&world, "ana@shop.example").await.unwrap();
    world.clock.advance_seconds(1);
    set_password(&first, NEW).send(world.address).await.assert_refused("invalid_credentials");
    // Ana remembers it, signs in, and changes the password.
    let pair = world.refresh(&pair.refresh).await;
    let pair = crate::person::Pair::of(&pair);
    change_password(&pair.access, PASSWORD, NEW).send(world.address).await.granted();
    set_password(&second, "amber-harbour-77-mint").send(world.address).await.assert_refused("invalid_credentials");
    login("ana@shop.example", NEW).send(world.address).await.granted();
}

#[tokio::test]
async fn a_user_who_is_not_active_gets_no_link_and_sets_no_password() {
    let world = World::start().await;
    let user = world.person("ana@shop.example").await.sign_in().await.user();
    let token = link(&world, "ana@shop.example").await.unwrap();
    world.issuer.deactivate_user(&user, &crate::world::source()).await.unwrap();
    set_password(&token, NEW).send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(link(&world, "ana@shop.example").await, Some(token), "no other link than the first");
}

#[tokio::test]
async fn of_many_at_once_one_sets_the_password() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    let token = link(&world, "ana@shop.example").await.unwrap();
    let passwords: Vec<String> = (0..10).map(|number| format!("copper-lantern-{number}-frost")).collect();
    let calls: Vec<Call> = passwords.iter().map(|password| set_password(&token, password)).collect();
    let answers = futures_util::future::join_all(calls.iter().map(|call| call.send(world.address))).await;
    let winners: Vec<usize> = (0..10).filter(|at| answers[*at].status == 200).collect();
    assert_eq!(winners.len(), 1, "{winners:?}");
    login("ana@shop.example", &passwords[winners[0]]).send(world.address).await.granted();
}

#[tokio::test]
async fn t13_no_edited_row_gets_somebody_into_another_account() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    world.person("mallory@shop.example").await;
    // A link's row, moved to Ana's account.
    let token = link(&world, "mallory@shop.example").await.unwrap();
    let anas = "(SELECT user_id FROM accounts WHERE email = 'ana@shop.example')";
    edit(&world, &format!("UPDATE password_resets SET user_id = {anas}")).await;
    set_password(&token, NEW).send(world.address).await.assert_refused("invalid_credentials");
    // Mallory's address, and the password that Mallory knows, moved to Ana's account.
    edit(&world, "UPDATE accounts SET email = 'x@shop.example' WHERE email = 'mallory@shop.example'").await;
    edit(
        &world,
        "UPDATE accounts SET email = 'mallory@shop.example', \
         password = (SELECT password FROM accounts WHERE email = 'x@shop.example') WHERE email = 'ana@shop.example'",
    )
    .await;
    world.clock.advance_seconds(3600);
    login("mallory@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    assert_eq!(reset("mallory@shop.example").send(world.address).await.status, 202);
    assert_eq!(world.links_to(PAGE, "mallory@shop.example").await, [token], "no other link than the first");
    assert!(crate::log::text().contains("ALARM: the row of an account"));
}

#[tokio::test]
async fn t12_no_link_is_in_the_database() {
    let world = World::start().await;
    world.person("ana@shop.example").await;
    reset("ana@shop.example").send(world.address).await.granted();
    register("secret-address@shop.example", PASSWORD).send(world.address).await.granted();
    let waiting = world.database.dump();
    let token = world.links_to(PAGE, "ana@shop.example").await.pop().unwrap();
    let sent = world.database.dump();
    for (name, dump) in [("waiting", &waiting), ("sent", &sent)] {
        let holds = |text: &str| dump.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!holds(&token[4..]), "{name}");
        assert!(holds("ana@shop.example"), "the search finds what is there");
    }
}

#[tokio::test]
async fn other_forms_are_malformed_and_limits_hold() {
    let world = World::start().await;
    for body in [json!({}), json!({ "email": "ana" }), json!({ "email": "a@b.example", "x": 1 }), json!({ "email": 1 })]
    {
        Call::json(PAGE, &body).send(world.address).await.assert_refused("malformed_request");
    }
    for token in ["", "bmp_x", &format!("bmp_{}", "A".repeat(43)), &format!("bmc_{}", "A".repeat(43))] {
        set_password(token, NEW).send(world.address).await.assert_refused("invalid_credentials");
    }
    for _ in 0..3 {
        assert_eq!(reset("ana@shop.example").send(world.address).await.status, 202);
    }
    reset("ana@shop.example").send(world.address).await.assert_refused("rate_limited");
    let app = bmap_server::http::app::App::new(std::sync::Arc::clone(&world.issuer), Vec::new()).unwrap();
    reset("ben@shop.example").send(world.serve(&app).await).await.assert_refused("issuer_unavailable");
}
