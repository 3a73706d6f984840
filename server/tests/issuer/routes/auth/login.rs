use crate::actors::PageToken;
use crate::http_client::Call;
use crate::person::{PASSWORD, Pair, login};
use crate::world::event;
use crate::world::{TOOL, World};
use bmap_issuer::account::limits::{SIGN_IN_PER_ACCOUNT, SIGN_IN_PER_ADDRESS};
use bmap_model::clock::UnixTime;
use serde_json::{Value, json};

#[tokio::test]
async fn a_sign_in_gives_a_token_for_the_issuer_and_a_refresh_token() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let answer = login("ANA@shop.example", PASSWORD).send(world.address).await;
    let (pair, body) = (Pair::of(&answer), answer.granted());
    assert_eq!(body["expires_in"], 600);
    assert_eq!((pair.refresh.len(), &pair.refresh[..4]), (47, "bmr_"));
    let claims = pair.claims();
    let issuer = format!("http://{}", world.address);
    assert_eq!((claims["iss"].as_str(), claims["aud"].as_str()), (Some(&*issuer), Some(&*issuer)));
    assert_eq!(claims["iat"].as_u64(), Some(world.now()));
    assert_eq!(claims["exp"].as_u64(), Some(world.now() + 600));
    let names: Vec<&String> = claims.as_object().unwrap().keys().collect();
    assert_eq!(names, ["aud", "exp", "iat", "iss", "jti", "sid", "sub"]);
    assert_ne!(ana.sign_in().await.claims()["sid"], claims["sid"]);
}

#[tokio::test]
async fn r31_unknown_inactive_unconfirmed_and_wrong_are_one_answer() {
    let world = World::start().await;
    for name in ["ana", "ben"] {
        world.person(&format!("{name}@shop.example")).await;
    }
    crate::person::register("new@shop.example", PASSWORD).send(world.address).await;
    let ben = Pair::of(&login("ben@shop.example", PASSWORD).send(world.address).await).user();
    world.issuer.store.set_deactivated(&ben, Some(UnixTime(1)), &event()).await.unwrap();
    let mut answers = Vec::new();
    for (email, password) in [
        ("ana@shop.example", "wrong"),
        ("ana@shop.example", ""),
        ("ben@shop.example", PASSWORD),
        ("ben@shop.example", "wrong"),
        ("new@shop.example", PASSWORD),
        ("unknown@shop.example", PASSWORD),
    ] {
        let answer = login(email, password).header("x-request-id", "same").send(world.address).await;
        answer.assert_refused("invalid_credentials");
        let mut headers: Vec<String> = answer.headers.iter().map(|header| format!("{header:?}")).collect();
        // The address's counter goes on with each of them.
        headers.retain(|header| !header.starts_with("(\"date\"") && !header.starts_with("(\"ratelimit\""));
        answers.push((answer.status, headers, String::from_utf8(answer.body).unwrap()));
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
}

#[tokio::test]
async fn r32_guesses_at_one_account_are_counted_together_whatever_the_spelling() {
    let world = World::start().await;
    let ana = world.person("ana@shop.example").await;
    let spellings = ["ana@shop.example", "Ana@Shop.Example", " ana@shop.example ", "ａｎａ@shop.example"];
    for attempt in 0..SIGN_IN_PER_ACCOUNT.burst {
        let spelling = spellings[usize::try_from(attempt).unwrap() % spellings.len()];
        login(spelling, "wrong").send(world.address).await.assert_refused("invalid_credentials");
    }
    // The right password is no way in either, and an account that is not there is limited alike.
    let limited = login("ana@shop.example", PASSWORD).send(world.address).await;
    limited.assert_refused("rate_limited");
    assert_eq!(limited.header("retry-after"), Some("30"));
    world.clock.advance_seconds(30);
    ana.sign_in().await;
    // A caller who knew the password was not guessing.
    login("ana@shop.example", "wrong").send(world.address).await.assert_refused("invalid_credentials");
    login("ana@shop.example", "wrong").send(world.address).await.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn t27_one_network_has_a_bounded_number_of_guesses() {
    let loopback = "127.0.0.1/32".parse().unwrap();
    let world = World::with(vec![loopback]).await;
    let from = |address: String, number: u32| {
        login(&format!("a{number}@shop.example"), "x").header("x-forwarded-for", &address)
    };
    let mut limited = 0;
    for number in 0..SIGN_IN_PER_ADDRESS.burst + 5 {
        let answer = from(format!("2001:db8:1:2:{number:x}::1"), number).send(world.address).await;
        limited += u32::from(answer.status == 429);
    }
    assert_eq!(limited, 5);
    let elsewhere = from("2001:db8:1:3::1".to_owned(), 1000).send(world.address).await;
    elsewhere.assert_refused("invalid_credentials");
}

#[tokio::test]
async fn other_forms_are_malformed() {
    let world = World::start().await;
    for body in [
        json!({}),
        json!({ "email": "ana@shop.example" }),
        json!({ "email": "ana@shop.example", "password": Value::Null }),
        json!({ "email": "ana@shop.example", "password": "x".repeat(257) }),
        json!({ "email": "' OR 1=1--", "password": PASSWORD }),
        json!({ "email": "ana@shop.example", "password": PASSWORD, "remember": true }),
    ] {
        Call::json("/auth/login", &body).send(world.address).await.assert_refused("malformed_request");
    }
    let twice = Call::new("POST", "/auth/login")
        .body("application/json", r#"{"email":"a@b.example","email":"c@d.example","password":"x"}"#);
    twice.send(world.address).await.assert_refused("malformed_request");
}

#[tokio::test]
async fn a_users_access_token_is_no_tool_token() {
    let world = World::start().await;
    let host = world.host().await;
    let page = host.page_token().await;
    let pair = world.person("ana@shop.example").await.sign_in().await;
    let signed = page.signed_as(PageToken::renewal_form(&pair.access, TOOL), &pair.access);
    signed.send(world.address).await.assert_refused("malformed_request");
    // And the other way round.
    world.me(page.token()).await.assert_refused("invalid_token");
}

#[tokio::test]
async fn t28_no_page_of_another_origin_gets_an_answer_or_has_one_made() {
    let world = World::start().await;
    // Registered for the token endpoint, which is another matter.
    world.host().await;
    world.person("ana@shop.example").await;
    for path in ["/auth/login", "/auth/refresh", "/auth/register", "/auth/password", "/auth/me"] {
        let preflight = Call::new("OPTIONS", path)
            .header("origin", crate::world::PAGE)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type");
        let answer = preflight.send(world.address).await;
        assert_eq!((answer.status, answer.header("access-control-allow-origin")), (405, None), "{path}");
    }
    let signed_in = login("ana@shop.example", PASSWORD).header("origin", crate::world::PAGE).send(world.address).await;
    signed_in.granted();
    assert_eq!(signed_in.header("access-control-allow-origin"), None);
    assert_eq!(signed_in.header("set-cookie"), None, "nothing that a browser sends by itself");
}
