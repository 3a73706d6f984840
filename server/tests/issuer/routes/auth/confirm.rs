use crate::http_client::{Answer, Call};
use crate::person::{PASSWORD, confirm, login, register};
use crate::world::World;
use serde_json::json;

const STRANGERS: &str = "another-persons-idea-3";

pub(crate) fn assert_page(answer: &Answer, status: u16) -> String {
    let body = String::from_utf8(answer.body.clone()).unwrap();
    assert_eq!(answer.status, status, "{body}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    let policy = answer.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script"), "{policy}");
    assert!(!body.contains("<script") && !body.contains("http"), "{body}");
    body
}

#[tokio::test]
async fn the_link_shows_a_page_and_its_form_confirms() {
    let world = World::start().await;
    register("ana@shop.example", PASSWORD).send(world.address).await;
    let token = world.links("ana@shop.example").await.pop().unwrap();
    // A program that looks at the mail before its reader changes nothing.
    for _ in 0..3 {
        let page = Call::new("GET", &format!("/auth/confirm?token={token}")).send(world.address).await;
        let body = assert_page(&page, 200);
        assert!(body.contains(&format!("value=\"{token}\"")) && body.contains("type=\"password\""), "{body}");
    }
    login("ana@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    let form = |password| Call::form("/auth/confirm", &[("token", token.as_str()), ("password", password)]);
    let again = assert_page(&form(STRANGERS).send(world.address).await, 401);
    assert!(again.contains("not the right password") && again.contains(&token), "{again}");
    let confirmed = form(PASSWORD).send(world.address).await;
    assert!(assert_page(&confirmed, 200).contains("Confirmed"));
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
    let over = assert_page(&form(PASSWORD).send(world.address).await, 401);
    assert!(over.contains("This link was used") && !over.contains(&token), "{over}");
}

#[tokio::test]
async fn t23_a_page_tells_nothing_about_its_token() {
    let world = World::start().await;
    register("ana@shop.example", PASSWORD).send(world.address).await;
    let good = world.links("ana@shop.example").await.pop().unwrap();
    let never = format!("bmc_{}", "A".repeat(43));
    let mut pages = Vec::new();
    for token in [&good, &never] {
        let page = Call::new("GET", &format!("/auth/confirm?token={token}")).send(world.address).await;
        pages.push(assert_page(&page, 200).replace(token.as_str(), ""));
    }
    assert_eq!(pages[0], pages[1]);
}

#[tokio::test]
async fn a_link_that_a_stranger_caused_makes_no_account_with_the_strangers_password() {
    let world = World::start().await;
    register("ana@shop.example", STRANGERS).send(world.address).await;
    let link = world.links("ana@shop.example").await.pop().unwrap();
    // Ana follows the link in the belief that it is hers, with the password that she chose somewhere else.
    confirm(&link, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    login("ana@shop.example", STRANGERS).send(world.address).await.assert_refused("invalid_credentials");
    // She registers herself, and that one is hers.
    register("ana@shop.example", PASSWORD).send(world.address).await;
    let links = world.links("ana@shop.example").await;
    confirm(&links[1], PASSWORD).send(world.address).await.granted();
    confirm(&links[0], STRANGERS).send(world.address).await.assert_refused("invalid_credentials");
    login("ana@shop.example", PASSWORD).send(world.address).await.granted();
    login("ana@shop.example", STRANGERS).send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn r32_a_link_has_five_tries_also_for_many_at_once() {
    let world = World::start().await;
    register("ana@shop.example", PASSWORD).send(world.address).await;
    register("ben@shop.example", PASSWORD).send(world.address).await;
    let (anas, bens) =
        (world.links("ana@shop.example").await[0].clone(), world.links("ben@shop.example").await[0].clone());
    for _ in 0..4 {
        confirm(&anas, "a guess").send(world.address).await.assert_refused("invalid_credentials");
    }
    confirm(&anas, PASSWORD).send(world.address).await.granted();
    let guesses: Vec<Call> = (0..20).map(|_| confirm(&bens, "a guess")).collect();
    let answers = futures_util::future::join_all(guesses.iter().map(|call| call.send(world.address))).await;
    assert!(answers.iter().all(|answer| answer.status == 401));
    confirm(&bens, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    login("ben@shop.example", PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn of_many_at_once_one_makes_the_account() {
    let world = World::start().await;
    register("ana@shop.example", PASSWORD).send(world.address).await;
    let token = world.links("ana@shop.example").await.pop().unwrap();
    let calls: Vec<Call> = (0..20).map(|_| confirm(&token, PASSWORD)).collect();
    let answers = futures_util::future::join_all(calls.iter().map(|call| call.send(world.address))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 200).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.status == 401).count(), 19);
}

#[tokio::test]
async fn a_link_ends_after_a_day() {
    let world = World::start().await;
    register("ana@shop.example", PASSWORD).send(world.address).await;
    let token = world.links("ana@shop.example").await.pop().unwrap();
    world.clock.advance_seconds(24 * 3600);
    confirm(&token, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn other_forms_are_malformed_and_other_tokens_unknown() {
    let world = World::start().await;
    for query in ["", "?token=", "?token=bmc_x", "?token=%22%3E%3Cscript%3E", "?other=1"] {
        let page = Call::new("GET", &format!("/auth/confirm{query}")).send(world.address).await;
        let page = assert_page(&page, 400);
        assert!(
            page.contains("This link is not whole") && !page.contains("<form") && !page.contains("bmc_x"),
            "{page}"
        );
    }
    // A form that a program in between changed is answered with a page too, and the log says why.
    for fields in [vec![("token", "x")], vec![("token", "x"), ("password", "x"), ("y", "1")], vec![]] {
        let page = assert_page(&Call::form("/auth/confirm", &fields).send(world.address).await, 400);
        assert!(page.contains("did not arrive as it was sent"), "{page}");
    }
    assert!(world.log().contains("malformed_request"));
    for token in ["", "bmc_x", &format!("bmc_{}", "A".repeat(43)), &format!("bmr_{}", "A".repeat(43))] {
        confirm(token, PASSWORD).send(world.address).await.assert_refused("invalid_credentials");
    }
    for body in [
        json!({}),
        json!({ "token": "x" }),
        json!({ "token": 1, "password": "x" }),
        json!({ "token": "x", "password": "x", "y": 1 }),
        json!({ "token": "x", "password": "x".repeat(257) }),
    ] {
        Call::json("/auth/confirm", &body).send(world.address).await.assert_refused("malformed_request");
    }
    let text = Call::new("POST", "/auth/confirm").body("text/plain", "token=x&password=y");
    text.send(world.address).await.assert_refused("unsupported_media_type");
    let nothing = Call::form("/auth/confirm", &[("token", "\"><script>"), ("password", "x")]).send(world.address).await;
    assert_page(&nothing, 401);
}
