//! Attacks on sign-in with several providers (RFC 9700, OpenID Connect Core §16), one attack each. Those on the browser are in
//! `callbacks.rs`, those on the token's signature in `id_tokens.rs`, and those that need a real browser or a real provider in
//! `tests/e2e/sign-in.test.mjs` and `sign_in.rs`.

use super::fake::{DISCOVERY, Fake, Journey, Say, TOKEN, header, id_token, parameter};
use super::{
    CHALLENGE, RETURN_TO, VERIFIER, assert_failed, code_in, link, provider, sign_in_fields, start, swap, world_with,
};
use crate::http_client::{Answer, Call};
use crate::person::Pair;
use crate::world::World;
use bmap_issuer::openid::service::OpenidService;
use bmap_outbound::Outbound;
use bmap_protocol::origin::Origin;
use serde_json::{Value, json};
use std::sync::Arc;

/// Two providers, `fake` and `other`, which sign with one key: nothing but what their tokens say tells them apart.
async fn two() -> (Fake, Fake, World) {
    let (fake, other) = (Fake::start().await, Fake::start().await);
    let world = world_with(vec![provider("fake", &fake.issuer), provider("other", &other.issuer)]).await;
    (fake, other, world)
}

/// A user signs in with `fake`, which says these claims, changed.
async fn signs_in(fake: &Fake, world: &World, change: impl FnOnce(&mut Value)) -> Pair {
    let journey = Journey::begin(world).await;
    let mut claims = fake.claims(world, &journey);
    change(&mut claims);
    fake.give_claims(&claims);
    let back = journey.back().send(world.address).await;
    Pair::of(&swap(&code_in(back.header("location").unwrap()), VERIFIER).send(world.address).await)
}

async fn shown_email(world: &World, pair: &Pair) -> Value {
    world.me(&pair.access).await.granted()["identities"][0]["email"].clone()
}

#[tokio::test]
async fn mix_up_a_token_of_one_provider_is_none_of_another_with_the_same_key() {
    let (fake, other, world) = two().await;
    let journey = Journey::begin(&world).await;
    let mut claims = fake.claims(&world, &journey);
    claims["iss"] = json!(other.issuer);
    fake.give_claims(&claims);
    assert_failed(&journey.back().send(world.address).await, "sign_in_failed");
    // Nor is one that was made for what the other provider calls us.
    let journey = Journey::begin(&world).await;
    let mut claims = fake.claims(&world, &journey);
    claims["aud"] = json!("bmap-at-other");
    fake.give_claims(&claims);
    assert_failed(&journey.back().send(world.address).await, "sign_in_failed");
}

#[tokio::test]
async fn mix_up_a_provider_that_names_anothers_endpoints_gets_nobody_in() {
    let (fake, other, world) = two().await;
    // RFC 9700 §4.4: `fake` is the attacker's, and sends browsers and codes on to the honest `other`.
    let document = Value::Object(
        [other.discovery(), json!({ "issuer": fake.issuer })]
            .into_iter()
            .flat_map(|part| part.as_object().unwrap().clone())
            .collect(),
    );
    fake.say(DISCOVERY, Say::Json(document));
    let answer = start("fake", &sign_in_fields()).send(world.address).await;
    let to = answer.header("location").unwrap();
    assert!(to.starts_with(&other.issuer), "{to}");
    // The honest one sees where it would have to send the browser, and knows us by neither that address nor that name.
    assert_eq!(parameter(to, "redirect_uri"), format!("{}/auth/openid/fake/callback", world.issuer.url));
    assert_eq!(parameter(to, "client_id"), "bmap-at-fake");
    // And where it vouches for a user all the same, that is a user of its own.
    let journey = Journey::of(&answer);
    other.give_claims(&other.claims(&world, &journey));
    assert_failed(&journey.back().send(world.address).await, "sign_in_failed");
    assert!(fake.asked(TOKEN).is_empty());
}

#[tokio::test]
async fn mix_up_a_return_says_once_whose_it_is() {
    let (fake, _other, world) = two().await;
    let mut document = fake.discovery();
    document["authorization_response_iss_parameter_supported"] = json!(true);
    fake.say(DISCOVERY, Say::Json(document));
    let back = async |said: &[&str]| {
        let journey = Journey::begin(&world).await;
        fake.give_claims(&fake.claims(&world, &journey));
        let mut all = vec![("state", journey.state.as_str()), ("code", "x")];
        all.extend(said.iter().map(|iss| ("iss", *iss)));
        journey.back_with(&all).send(world.address).await
    };
    assert_failed(&back(&[]).await, "sign_in_failed");
    for wrong in [format!("{}/", fake.issuer), fake.issuer.to_uppercase(), String::new()] {
        assert_failed(&back(&[&wrong]).await, "sign_in_failed");
    }
    back(&[&fake.issuer, &fake.issuer]).await.assert_refused("malformed_request");
    assert!(fake.asked(TOKEN).is_empty(), "no code was shown to a provider");
    code_in(back(&[&fake.issuer]).await.header("location").unwrap());
}

#[tokio::test]
async fn nonce_a_token_of_another_sign_in_is_none_of_this_one() {
    let (fake, world) = Fake::with_world().await;
    let (victims, attackers) = (Journey::begin(&world).await, Journey::begin(&world).await);
    // A good token that an attacker got hold of, as it is.
    let stolen = id_token(&header(), &fake.claims(&world, &victims), 9);
    fake.give(&stolen);
    assert_failed(&attackers.back().send(world.address).await, "sign_in_failed");
    code_in(victims.back().send(world.address).await.header("location").unwrap());
}

#[tokio::test]
async fn pkce_is_s256_and_nothing_less_at_either_end() {
    let (fake, world) = Fake::with_world().await;
    let with = |more: &[(&'static str, &'static str)]| [sign_in_fields(), more.to_vec()].concat();
    for method in ["plain", "S256"] {
        let fields = with(&[("code_challenge_method", method)]);
        start("fake", &fields).send(world.address).await.assert_refused("malformed_request");
    }
    // A challenge that is shown as its own verifier, as `plain` would have it, is none.
    let journey = Journey::begin(&world).await;
    fake.give_claims(&fake.claims(&world, &journey));
    let code = code_in(journey.back().send(world.address).await.header("location").unwrap());
    swap(&code, CHALLENGE).send(world.address).await.assert_refused("invalid_credentials");
    let to = start("fake", &sign_in_fields()).send(world.address).await;
    assert_eq!(parameter(to.header("location").unwrap(), "code_challenge_method"), "S256");
}

#[tokio::test]
async fn redirect_uri_is_the_configured_one_whatever_a_request_says_of_its_host() {
    let (fake, world) = Fake::with_world().await;
    let expected = format!("{}/auth/openid/fake/callback", world.issuer.url);
    let call = start("fake", &sign_in_fields())
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("x-forwarded-proto", "https")
        .header("forwarded", "host=evil.example;proto=https");
    let answer = call.send(world.address).await;
    assert_eq!(parameter(answer.header("location").unwrap(), "redirect_uri"), expected);
    let journey = Journey::of(&answer);
    fake.give_claims(&fake.claims(&world, &journey));
    journey.back().header("host", "evil.example").send(world.address).await;
    let (_, _, form) = fake.asked(TOKEN).remove(0);
    let form: std::collections::HashMap<String, String> = serde_urlencoded::from_str(&form).unwrap();
    assert_eq!(form["redirect_uri"], expected);
}

#[tokio::test]
async fn open_redirect_a_return_leads_to_its_own_page_and_only_while_that_is_listed() {
    let (fake, world) = Fake::with_world().await;
    let journey = Journey::begin(&world).await;
    fake.give_claims(&fake.claims(&world, &journey));
    let parameters = [
        ("state", journey.state.as_str()),
        ("code", "x"),
        ("return_to", "https://evil.example/"),
        ("redirect_uri", "//e"),
    ];
    let back = journey.back_with(&parameters).send(world.address).await;
    assert!(back.header("location").unwrap().starts_with(RETURN_TO));
    // A page that is taken off the list while a user is at the provider.
    let journey = Journey::begin(&world).await;
    let others = vec![Origin::parse("https://new.example").unwrap()];
    let providers = vec![provider("fake", &fake.issuer)];
    let openid = OpenidService::new(Arc::clone(&world.issuer), &Outbound::new().unwrap(), providers, others).unwrap();
    let after = world.serve(&world.app.clone().with_openid(openid)).await;
    let back = journey.back().send(after).await;
    back.assert_refused("malformed_request");
    assert_eq!(back.header("location"), None);
}

#[tokio::test]
async fn take_over_an_address_that_is_not_plainly_checked_is_shown_nowhere() {
    let (fake, world) = Fake::with_world().await;
    let ana = world.person("ana@mail.example").await.sign_in().await;
    let said = [json!(false), json!("true"), json!(1), json!("false"), json!([true]), Value::Null, json!({})];
    for (number, checked) in said.into_iter().enumerate() {
        let pair = signs_in(&fake, &world, |claims| {
            claims["sub"] = json!(format!("mallory {number}"));
            claims["email"] = json!("free@mail.example");
            claims["email_verified"] = checked.clone();
        });
        let pair = pair.await;
        assert_ne!(pair.user(), ana.user());
        assert_eq!(shown_email(&world, &pair).await, Value::Null, "{checked}");
    }
    let pair = signs_in(&fake, &world, |claims| drop(claims.as_object_mut().unwrap().remove("email_verified"))).await;
    assert_eq!(shown_email(&world, &pair).await, Value::Null);
    // Checked or not, and however it is spelled, the address of an account here makes no identity its owner.
    for spelled in ["ana@mail.example", "ANA@mail.example", " ana@mail.example"] {
        let pair = signs_in(&fake, &world, |claims| {
            claims["sub"] = json!("mallory");
            claims["email"] = json!(spelled);
        });
        let pair = pair.await;
        assert_ne!(pair.user(), ana.user());
        assert_eq!(shown_email(&world, &pair).await, Value::Null, "{spelled:?}");
    }
    assert!(world.me(&ana.access).await.granted()["identities"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn take_over_an_address_that_a_provider_gives_to_somebody_else_is_somebody_else() {
    let (fake, world) = Fake::with_world().await;
    let before = signs_in(&fake, &world, |_| {}).await;
    let after = signs_in(&fake, &world, |claims| claims["sub"] = json!("the next employee")).await;
    assert_ne!(before.user(), after.user());
    assert_eq!(shown_email(&world, &after).await, json!("ana@mail.example"));
    // A user who has another address there now is the same user.
    let moved = signs_in(&fake, &world, |claims| claims["email"] = json!("ana@new.example")).await;
    assert_eq!((moved.user(), shown_email(&world, &moved).await), (before.user(), json!("ana@new.example")));
}

#[tokio::test]
async fn take_over_somebody_is_issuer_and_subject_to_the_letter() {
    let (fake, other, world) = two().await;
    let ana = signs_in(&fake, &world, |_| {}).await;
    for subject in ["Ana", "ana ", " ana", "ana%", "an_", "ana' OR '1'='1", "ana\u{20}\u{20}"] {
        let pair = signs_in(&fake, &world, |claims| claims["sub"] = json!(subject)).await;
        assert_ne!(pair.user(), ana.user(), "{subject:?}");
    }
    // The same subject at another provider.
    let answer = start("other", &sign_in_fields()).send(world.address).await;
    let journey = Journey::of(&answer);
    let mut claims = other.claims(&world, &journey);
    claims["aud"] = json!("bmap-at-other");
    other.give_claims(&claims);
    let mut back = journey.back();
    back.path = back.path.replace("/fake/", "/other/");
    let code = code_in(back.send(world.address).await.header("location").unwrap());
    let pair = Pair::of(&swap(&code, VERIFIER).send(world.address).await);
    assert_ne!(pair.user(), ana.user());
}

async fn with_claims(fake: &Fake, world: &World, changes: &[(&str, Value)]) -> Answer {
    let journey = Journey::begin(world).await;
    let mut claims = fake.claims(world, &journey);
    for (name, value) in changes {
        claims[*name] = value.clone();
    }
    fake.give_claims(&claims);
    journey.back().send(world.address).await
}

#[tokio::test]
async fn audience_a_token_for_several_is_ours_where_we_asked_for_it() {
    let (fake, world) = Fake::with_world().await;
    let (we, they) = (json!("bmap-at-fake"), json!("a-widget-of-theirs"));
    let both = json!([they, we]);
    for (aud, azp, is_good) in [
        (json!([we]), None, true),
        (both.clone(), Some(&we), true),
        (both.clone(), None, false),
        (both.clone(), Some(&they), false),
        (we.clone(), Some(&they), false),
        (they.clone(), Some(&we), false),
        (json!([they]), Some(&we), false),
        (json!([we, we]), None, false),
        (json!(["bmap-at-fake-2"]), None, false),
        (json!([[we]]), None, false),
        (both, Some(&json!([we])), false),
    ] {
        let mut changes = vec![("aud", aud)];
        changes.extend(azp.map(|azp| ("azp", azp.clone())));
        let back = with_claims(&fake, &world, &changes).await;
        assert_eq!(back.header("location").unwrap().contains("#code="), is_good, "{changes:?}");
    }
}

#[tokio::test]
async fn clock_a_token_is_of_now_whichever_way_a_clock_is_wrong() {
    let (fake, world) = Fake::with_world().await;
    let now = i64::try_from(world.now()).unwrap();
    for (iat, exp, is_good) in [
        (now - 600, now - 59, true),
        (now + 60, now + 360, true),
        (now - 601, now + 300, false),
        (now + 61, now + 361, false),
        (now - 30, now - 60, false),
        (now, i64::MAX, true),
        (i64::MIN, now + 300, false),
        (i64::MAX, i64::MAX, false),
        (now, i64::MIN, false),
    ] {
        let back = with_claims(&fake, &world, &[("iat", json!(iat)), ("exp", json!(exp))]).await;
        assert_eq!(back.header("location").unwrap().contains("#code="), is_good, "{iat} {exp}");
    }
}

#[tokio::test]
async fn t6_a_session_that_was_stolen_later_makes_no_way_in_that_stays() {
    let (fake, world) = Fake::with_world().await;
    let ana = world.person("ana@shop.example").await;
    let code = async || {
        let fields = [sign_in_fields(), vec![("intent", "link")]].concat();
        let journey = Journey::of(&start("fake", &fields).send(world.address).await);
        fake.give_claims(&fake.claims(&world, &journey));
        code_in(journey.back().send(world.address).await.header("location").unwrap())
    };
    let pair = ana.sign_in().await;
    world.clock.advance_seconds(899);
    let fresh = Pair::of(&world.refresh(&pair.refresh).await);
    world.clock.advance_seconds(1);
    let refused: Call = link("fake", &fresh.access, &code().await);
    let answer = refused.send(world.address).await;
    answer.assert_refused("invalid_state");
    assert_eq!(answer.json()["hint"], "Sign in anew first: this session began too long ago.");
    assert!(world.me(&fresh.access).await.granted()["identities"].as_array().unwrap().is_empty());
    // A user who can sign in anew may, and up to the last second.
    let anew = ana.sign_in().await;
    world.clock.advance_seconds(590);
    link("fake", &anew.access, &code().await).send(world.address).await.granted();
}
