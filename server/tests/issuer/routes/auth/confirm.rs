use crate::http_client::Call;
use crate::person::{PASSWORD, confirm, login, register};
use crate::world::World;
use serde_json::json;

#[tokio::test]
async fn the_link_shows_a_page_and_its_button_confirms() {
    let world = World::start().await;
    register("ana@shop.example", PASSWORD).send(world.address).await;
    let token = world.links("ana@shop.example").pop().unwrap();
    // Whoever looks at the mail before its reader changes nothing.
    for _ in 0..3 {
        let page = Call::new("GET", &format!("/auth/confirm?token={token}")).send(world.address).await;
        let body = String::from_utf8(page.body.clone()).unwrap();
        assert!(page.status == 200 && body.contains(&format!("value=\"{token}\"")), "{body}");
        assert_eq!(page.header("referrer-policy"), Some("no-referrer"));
        assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'none'"));
    }
    login("ana@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    let form = Call::form("/auth/confirm", &[("token", &token)]);
    let confirmed = form.send(world.address).await;
    assert!(confirmed.status == 200 && String::from_utf8(confirmed.body).unwrap().contains("Confirmed"));
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
    form.send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn the_link_that_is_followed_makes_the_account_and_the_others_end() {
    let world = World::start().await;
    register("ana@shop.example", "somebody-elses-idea-3").send(world.address).await;
    register("ana@shop.example", PASSWORD).send(world.address).await;
    let links = world.links("ana@shop.example");
    confirm(&links[1]).send(world.address).await.granted();
    confirm(&links[0]).send(world.address).await.assert_refused("invalid_credentials");
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
    let other = login("ana@shop.example", "somebody-elses-idea-3").send(world.address).await;
    other.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn of_many_at_once_one_makes_the_account() {
    let world = World::start().await;
    register("ana@shop.example", PASSWORD).send(world.address).await;
    let token = world.links("ana@shop.example").pop().unwrap();
    let calls: Vec<Call> = (0..20).map(|_| confirm(&token)).collect();
    let answers = futures_util::future::join_all(calls.iter().map(|call| call.send(world.address))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 19);
}

#[tokio::test]
async fn a_link_ends_after_a_day() {
    let world = World::start().await;
    register("ana@shop.example", PASSWORD).send(world.address).await;
    let token = world.links("ana@shop.example").pop().unwrap();
    world.clock.advance_seconds(24 * 3600);
    confirm(&token).send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn other_forms_are_malformed_and_other_tokens_unknown() {
    let world = World::start().await;
    for query in ["", "?token=", "?token=bmc_x", "?token=%22%3E%3Cscript%3E", "?other=1"] {
        let page = Call::new("GET", &format!("/auth/confirm{query}")).send(world.address).await;
        page.assert_refused("malformed_request");
    }
    for token in ["", "bmc_x", &format!("bmc_{}", "A".repeat(43)), &format!("bmr_{}", "A".repeat(43))] {
        confirm(token).send(world.address).await.assert_refused("invalid_credentials");
    }
    for body in [json!({}), json!({ "token": 1 }), json!({ "token": "x", "y": 1 })] {
        Call::json("/auth/confirm", &body).send(world.address).await.assert_refused("malformed_request");
    }
    let text = Call::new("POST", "/auth/confirm").body("text/plain", "token=x");
    text.send(world.address).await.assert_refused("unsupported_media_type");
}
