mod capability;
mod client_in_form;
mod refresh_grant;
mod renewal;
mod resource;
mod tokens_of_others;
mod user_grant;

use crate::actors::{ACCESS_TOKEN, EXCHANGE, TICKET, exchange};
use crate::http_client::Call;
use crate::person::logout;
use crate::world::event;
use crate::world::{OTHER_TOOL, PAGE, TOOL, World, stored};
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use bmap_model::api_key::KeyScope;
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::ApiKeyId;
use bmap_protocol::keys::TokenDigest;
use bmap_protocol::seal::SigningKind;
use serde_json::Value;
use std::collections::BTreeSet;

#[tokio::test]
async fn a_backend_gets_a_direct_token_in_any_of_four_ways() {
    let world = World::start().await;
    let host = world.host().await;
    let encoded = |text: &str| Base64::encode_string(text.as_bytes());
    let pair = format!("{}:{}", host.id, *host.secret.reveal());
    for call in [
        host.direct_call().header("authorization", &host.basic()),
        host.direct_call().header("authorization", &format!("ApiKey {}", encoded(&pair))),
        host.direct_call()
            .header("x-api-key", &encoded(host.id.as_str()))
            .header("x-api-secret", &encoded(&host.secret.reveal())),
        host.signed(host.direct_call()),
    ] {
        let answer = call.send(world.address).await;
        let body = answer.granted();
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!((body["token_type"].as_str(), body["expires_in"].as_i64()), (Some("HTTPSig"), Some(300)));
        assert_eq!(body["issued_token_type"], ACCESS_TOKEN);
        assert_eq!(body["tool"], serde_json::json!({ "id": TOOL, "base_url": "https://tools.example" }));
        assert!(body.get("encryption_key").is_none());
        // The key is the one that the tool's verifier will derive.
        let token = body["access_token"].as_str().unwrap();
        let tool = bmap_protocol::ids::ToolId::parse(TOOL).unwrap();
        let key = world
            .issuer
            .roots
            .minting()
            .tool_key(&world.issuer.url, &tool)
            .signing_key(&TokenDigest::of(token.as_bytes()));
        assert_eq!(body["signing_key"], Base64UrlUnpadded::encode_string(key.expose()));
    }
}

#[tokio::test]
async fn a_token_says_what_the_profile_says_and_no_more() {
    let world = World::start().await;
    let host = world.host().await;
    let part = |token: &str, index: usize| -> Value {
        serde_json::from_slice(&Base64UrlUnpadded::decode_vec(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
    };
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let names = |text: &str| text.split(' ').map(str::to_owned).collect::<BTreeSet<_>>();

    let direct = host.send(host.direct_call()).await.granted();
    let token = direct["access_token"].as_str().unwrap();
    assert_eq!(members(&part(token, 0)), names("alg typ kid"));
    assert_eq!((part(token, 0)["alg"].as_str(), part(token, 0)["typ"].as_str()), (Some("EdDSA"), Some("at+jwt")));
    let claims = part(token, 1);
    assert_eq!(members(&claims), names("iss sub aud client_id iat exp jti scope asr cnf"));
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
    assert_eq!(claims["cnf"], serde_json::json!({ "kid": "bt1.places.1" }));
    assert_eq!((claims["sub"].as_str(), claims["asr"].as_str()), (Some(host.user.as_str()), Some("server")));
    assert_eq!(claims["jti"], direct["key_id"]);

    let page = host.page_token().await.claims();
    assert_eq!(members(&page), names("iss sub aud client_id iat exp jti scope asr cnf origin end_user sid"));
    assert_eq!((page["origin"].as_str(), page["end_user"].as_str()), (Some(PAGE), Some("customer 7")));
}

#[tokio::test]
async fn a_payload_key_is_given_when_asked_for() {
    let world = World::start().await;
    let host = world.host().await;
    let call =
        Call::form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", TOOL), ("encrypt", "1")]);
    let body = host.send(call).await.granted();
    assert_eq!(body["encryption_key"].as_str().unwrap().len(), 43);
    assert_ne!(body["encryption_key"], body["signing_key"]);
}

#[tokio::test]
async fn scopes_are_granted_as_far_as_the_tool_knows_them() {
    let world = World::start().await;
    let host = world.host().await;
    let ask = |scope: &'static str| {
        Call::form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", TOOL), ("scope", scope)])
    };
    assert_eq!(host.send(ask("search")).await.granted()["scope"], "search");
    let refused = host.send(ask("search admin")).await;
    refused.assert_refused("scope_denied");
    assert_eq!(refused.json()["error"], "invalid_scope");
}

#[tokio::test]
async fn a_page_has_the_scopes_of_its_ticket_or_fewer() {
    let world = World::start().await;
    let host = world.host().await;
    let ticket = || async {
        let body = serde_json::json!({ "tool": TOOL, "origin": PAGE, "scope": "search route" });
        host.send(Call::json("/tickets", &body)).await.granted()["ticket"].as_str().unwrap().to_owned()
    };
    let swap = |ticket: String, scope: &'static str| {
        let fields = [
            ("grant_type", EXCHANGE),
            ("subject_token", ticket.as_str()),
            ("subject_token_type", TICKET),
            ("audience", TOOL),
            ("scope", scope),
        ];
        Call::form("/oauth/token", &fields).header("origin", PAGE)
    };
    for (asked, given) in [("", "route search"), ("search route", "route search"), ("search", "search")] {
        let answer = swap(ticket().await, asked).send(world.address).await.granted();
        assert_eq!(answer["scope"], given, "{asked}");
    }
    for asked in ["zz", "search zz"] {
        let refused = swap(ticket().await, asked).send(world.address).await;
        refused.assert_refused("scope_denied");
        assert_eq!(refused.json()["error"], "invalid_scope");
    }
}

#[tokio::test]
async fn a_ticket_is_swapped_by_its_page_for_its_tool() {
    let world = World::start().await;
    let host = world.host().await;
    let with_origin = |ticket: &str, origin: &str| exchange(ticket).without("origin").header("origin", origin);
    let for_tool = |ticket: &str, tool: &str| {
        let fields =
            [("grant_type", EXCHANGE), ("subject_token", ticket), ("subject_token_type", TICKET), ("audience", tool)];
        Call::form("/oauth/token", &fields).header("origin", PAGE)
    };
    exchange(&host.ticket().await).send(world.address).await.granted();
    for_tool(&host.ticket().await, OTHER_TOOL).send(world.address).await.assert_refused("tool_denied");
    exchange(&host.ticket().await).without("origin").send(world.address).await.assert_refused("origin_denied");
    let elsewhere = KeyScope { origins: vec![stored("https://other.example")], ..World::scope() };
    world.host_with(SigningKind::HmacSha256, elsewhere).await;
    let ticket = host.ticket().await;
    with_origin(&ticket, "https://other.example").send(world.address).await.assert_refused("origin_denied");
    // Nor by another page of the same key.
    let both = ["https://other.example", PAGE].map(stored).to_vec();
    let both = world.host_with(SigningKind::HmacSha256, KeyScope { origins: both, ..World::scope() }).await;
    let of_both = both.ticket().await;
    with_origin(&of_both, "https://other.example").send(world.address).await.assert_refused("origin_denied");
    // It was used up, though another page showed it.
    exchange(&ticket).send(world.address).await.assert_refused("invalid_grant");
    for text in ["bmt_", "x", &format!("bmt_{}", "A".repeat(43)), &"x".repeat(5000)] {
        exchange(text).send(world.address).await.assert_refused("invalid_grant");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_fifty_exchanges_at_once_one_is_granted() {
    let world = World::start().await;
    let host = world.host().await;
    let call = exchange(&host.ticket().await);
    let address = world.address;
    let calls: Vec<_> = (0..50)
        .map(|_| {
            let call = call.clone();
            tokio::spawn(async move { call.send(address).await.status })
        })
        .collect();
    let mut granted = 0;
    for call in calls {
        match call.await.unwrap() {
            200 => granted += 1,
            status => assert_eq!(status, 400),
        }
    }
    assert_eq!(granted, 1);
}

#[tokio::test]
async fn what_changed_counts_at_once() {
    let world = World::start().await;
    let host = world.host().await;
    let store = &world.issuer.store;
    let ticket = host.ticket().await;
    store.set_deactivated(&host.user, Some(bmap_model::clock::UnixTime(1)), &event()).await.unwrap();
    host.send(host.direct_call()).await.assert_refused("user_inactive");
    host.signed(host.direct_call()).send(world.address).await.assert_refused("user_inactive");
    exchange(&ticket).send(world.address).await.assert_refused("user_inactive");
    store.set_deactivated(&host.user, None, &event()).await.unwrap();
    host.send(host.direct_call()).await.granted();

    store.revoke_api_key(&host.id, bmap_model::clock::UnixTime(1), &event()).await.unwrap();
    host.send(host.direct_call()).await.assert_refused("key_revoked");
    host.signed(host.direct_call()).send(world.address).await.assert_refused("key_revoked");

    let host = world.host().await;
    let ticket = host.ticket().await;
    store.remove_tool(&TOOL.parse().unwrap(), &event()).await.unwrap();
    host.send(host.direct_call()).await.assert_refused("tool_denied");
    exchange(&ticket).send(world.address).await.assert_refused("tool_denied");
}

#[tokio::test]
async fn a_key_ends_and_is_bound_to_its_networks() {
    let world = World::start().await;
    let ends = i64::try_from(world.now()).unwrap() + 60;
    let host = world.host_with(SigningKind::HmacSha256, KeyScope { expires_at: Some(ends), ..World::scope() }).await;
    host.send(host.direct_call()).await.granted();
    world.clock.advance_seconds(60);
    host.send(host.direct_call()).await.assert_refused("invalid_credentials");
    host.signed(host.direct_call()).send(world.address).await.assert_refused("invalid_credentials");

    let elsewhere = KeyScope { cidrs: vec!["10.0.0.0/8".parse().unwrap()], ..World::scope() };
    for signing in [SigningKind::HmacSha256, SigningKind::Ed25519] {
        let host = world.host_with(signing, elsewhere.clone()).await;
        host.send(host.direct_call()).await.assert_refused("ip_denied");
        host.signed(host.direct_call()).send(world.address).await.assert_refused("ip_denied");
        // R08: no header moves the caller into the network.
        for name in ["x-forwarded-for", "forwarded", "x-real-ip", "x-client-ip", "cf-connecting-ip"] {
            let value = if name == "forwarded" { "for=10.0.0.1" } else { "10.0.0.1" };
            host.send(host.direct_call().header(name, value)).await.assert_refused("ip_denied");
        }
    }
}

#[tokio::test]
async fn r31_an_unknown_key_and_a_wrong_secret_get_the_same_answer() {
    let world = World::start().await;
    let host = world.host().await;
    let other = ApiSecret::from_bytes([9; 32]).reveal();
    let with = |id: &str| {
        let pair = Base64::encode_string(format!("{id}:{}", *other).as_bytes());
        host.direct_call().header("authorization", &format!("Basic {pair}"))
    };
    let mut answers = Vec::new();
    for id in [host.id.as_str(), ApiKeyId::from_uuid([9; 16]).as_str(), "bmk_x", "", "' OR 1=1--", "../../dev/null"] {
        let answer = with(id).send(world.address).await;
        answer.assert_refused("invalid_credentials");
        let mut body = answer.json();
        body["request_id"] = Value::Null;
        let mut headers: Vec<String> = answer.headers.keys().map(ToString::to_string).collect();
        headers.sort();
        answers.push((answer.status, body, headers, answer.header("content-length").map(str::len)));
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");

    // The same for signatures: an unknown key id and a wrong key.
    let known = host.signed(host.direct_call());
    let swapped = |from: &str, to: &str| {
        let mut call = known.clone();
        call.headers.iter_mut().for_each(|(_, value)| *value = value.replace(from, to));
        call
    };
    let unknown = swapped(host.id.as_str(), ApiKeyId::from_uuid([9; 16]).as_str()).send(world.address).await;
    unknown.assert_refused("invalid_signature");
    let wrong = swapped("keyid", "keyid").header("x", "y");
    let wrong = Call { path: "/oauth/token?x".to_owned(), ..wrong }.send(world.address).await;
    wrong.assert_refused("invalid_signature");
}

#[tokio::test]
async fn r30_times_that_cannot_be_are_refused_without_a_panic() {
    let world = World::start().await;
    let host = world.host().await;
    let good = host.signed(host.direct_call());
    let created = format!("created={}", world.now());
    for (to, code) in [
        ("created=-1", "clock_skew"),
        ("created=0", "clock_skew"),
        ("created=999999999999999", "clock_skew"),
        ("created=9223372036854775807", "malformed_signature"),
        ("created=1.5", "malformed_signature"),
        ("created=\"1\"", "malformed_signature"),
    ] {
        let mut call = good.clone();
        call.headers.iter_mut().for_each(|(_, value)| *value = value.replace(&created, to));
        call.send(world.address).await.assert_refused(code);
    }
    good.clone().header("host", "evil.example").send(world.address).await.assert_refused("invalid_signature");
    let absolute = Call { path: "http://evil.example/oauth/token".to_owned(), ..good };
    absolute.send(world.address).await.assert_refused("malformed_request");
}

#[tokio::test]
async fn other_forms_are_malformed_and_the_field_is_named() {
    let world = World::start().await;
    let host = world.host().await;
    let form = |body: &str| Call::new("POST", "/oauth/token").body("application/x-www-form-urlencoded", body);
    for (body, error, field) in [
        ("", "invalid_request", "grant_type"),
        ("grant_type=", "invalid_request", "grant_type"),
        ("grant_type=password&audience=places", "unsupported_grant_type", "grant_type"),
        ("grant_type=client_credentials", "invalid_request", "audience"),
        ("grant_type=client_credentials&audience=../x", "invalid_request", "audience"),
        ("grant_type=client_credentials&audience=places&audience=postcards", "invalid_request", "audience"),
        ("grant_type=client_credentials&audience=places&x=1&x=2", "invalid_request", "body"),
        ("grant_type=client_credentials&audience=places&encrypt=yes", "invalid_request", "encrypt"),
        ("grant_type=client_credentials&audience=places&scope=%22", "invalid_request", "scope"),
        ("grant_type=client_credentials&audience=%ff", "invalid_request", "audience"),
        (&format!("grant_type={EXCHANGE}&subject_token=x&audience=places"), "invalid_request", "subject_token_type"),
    ] {
        let answer = host.send(form(body)).await;
        answer.assert_refused("malformed_request");
        let problem = answer.json();
        assert_eq!((&problem["error"], &problem["field"]), (&error.into(), &field.into()), "{body}: {problem}");
        assert!(problem["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{body}: {problem}");
    }
    let json = Call::json("/oauth/token", &serde_json::json!({ "grant_type": "client_credentials" }));
    host.send(json).await.assert_refused("unsupported_media_type");
    let two = host.direct_call().header("x-api-key", "eA==");
    host.send(two).await.assert_refused("malformed_request");
}

#[tokio::test]
async fn u03_form_encoded_client_credentials_and_several_spaces_are_taken() {
    let world = World::start().await;
    let host = world.host().await;
    let secret = host.secret.reveal();
    let underscores = |text: &str| text.replace('_', "%5F").replace('-', "%2d");
    let all = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let plain = |text: &str| text.to_owned();
    for (scheme, encode) in [
        ("Basic ", &underscores as &dyn Fn(&str) -> String),
        ("Basic ", &all),
        ("Basic ", &plain),
        ("basic   ", &plain),
        ("ApiKey  ", &plain),
    ] {
        let pair = Base64::encode_string(format!("{}:{}", encode(host.id.as_str()), encode(&secret)).as_bytes());
        host.direct_call().header("authorization", &format!("{scheme}{pair}")).send(world.address).await.granted();
    }
    // One encoding is undone, not two; and only where OAuth has it.
    let twice = |text: &str| text.replace('_', "%255F");
    for (scheme, encode) in [("Basic", &twice as &dyn Fn(&str) -> String), ("ApiKey", &underscores)] {
        let pair = Base64::encode_string(format!("{}:{}", encode(host.id.as_str()), encode(&secret)).as_bytes());
        let call = host.direct_call().header("authorization", &format!("{scheme} {pair}"));
        call.send(world.address).await.assert_refused("invalid_credentials");
    }
    let ana = world.person("ana@shop.example").await.sign_in().await;
    let me = Call::new("GET", "/auth/me").header("authorization", &format!("Bearer   {}", ana.access));
    me.send(world.address).await.granted();
}

#[tokio::test]
async fn u06_a_grant_that_does_not_hold_is_no_failed_client() {
    let world = World::start().await;
    let host = world.host().await;
    let (ana, ben) = (world.person("ana@shop.example").await, world.person("ben@shop.example").await);
    let (ana, ben) = (ana.sign_in().await, ben.sign_in().await);
    for pair in [&ana, &ben] {
        world.grant(&pair.user(), TOOL).await;
    }
    let of_user = |access: &str| {
        let fields = [
            ("grant_type", EXCHANGE),
            ("subject_token", access),
            ("subject_token_type", ACCESS_TOKEN),
            ("client_id", host.id.as_str()),
            ("audience", TOOL),
        ];
        Call::form("/oauth/token", &fields).header("origin", PAGE)
    };
    let refresh =
        |token: &str| Call::form("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]);
    let used = host.ticket().await;
    exchange(&used).send(world.address).await.granted();
    of_user(&ben.access).send(world.address).await.granted();
    logout(&ben.refresh).send(world.address).await;
    let late = host.ticket().await;
    let dead = [exchange(&used), exchange("bmt_x"), of_user(&ben.access), refresh(&ben.refresh), refresh("bmr_x")];
    let later = [exchange(&late), of_user(&ana.access)];
    for (at, call) in dead.iter().map(|call| (0, call)).chain(later.iter().map(|call| (601, call))) {
        world.clock.advance_seconds(at);
        let answer = call.send(world.address).await;
        answer.assert_refused("invalid_grant");
        assert_eq!(answer.status, 400);
        assert_eq!((answer.json()["error"].as_str(), answer.header("www-authenticate")), (Some("invalid_grant"), None));
    }
}

#[tokio::test]
async fn u06_failed_client_authentication_is_answered_with_the_scheme_that_was_tried() {
    let world = World::start().await;
    let host = world.host().await;
    let wrong = Base64::encode_string(format!("{}:{}", host.id, *ApiSecret::from_bytes([9; 32]).reveal()).as_bytes());
    let tried = |value: &str| host.direct_call().header("authorization", value);
    for call in [tried(&format!("Basic {wrong}")), tried(&format!("ApiKey {wrong}")), tried("Basic"), tried("Digest x")]
    {
        let answer = call.send(world.address).await;
        answer.assert_refused("invalid_credentials");
        assert_eq!(answer.json()["error"], "invalid_client");
        assert_eq!(answer.header("www-authenticate"), Some("Basic realm=\"bmap\", error=\"invalid_credentials\""));
    }
    let signed = host.signed(host.direct_call()).header("host", "evil.example").send(world.address).await;
    signed.assert_refused("invalid_signature");
    assert_eq!(signed.header("www-authenticate"), Some("HTTPSig error=\"invalid_signature\""));
    assert_eq!(signed.json()["error"], "invalid_client");
    let none = host.direct_call().send(world.address).await;
    none.assert_refused("missing_signature");
    assert_eq!(none.headers.get_all("www-authenticate").iter().count(), 2);
    let expired = world.person("ana@shop.example").await.sign_in().await;
    world.clock.advance_seconds(601);
    let me = world.me(&expired.access).await;
    me.assert_refused("token_expired");
    assert_eq!(me.header("www-authenticate"), Some("Bearer error=\"invalid_token\""));
}

#[tokio::test]
async fn u06_refusals_are_plain_json_for_a_client_of_oauth_that_asks_for_it() {
    let world = World::start().await;
    let dead = || Call::form("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", "bmr_dead")]);
    for (accept, media_type) in [
        (None, "application/problem+json"),
        (Some("*/*"), "application/problem+json"),
        (Some("application/json"), "application/json"),
        (Some("text/html, Application/JSON;q=0.9"), "application/json"),
        (Some("application/json, application/problem+json"), "application/problem+json"),
        (Some("application/jsonp"), "application/problem+json"),
    ] {
        let call = accept.map_or_else(dead, |accept| dead().header("accept", accept));
        let answer = call.send(world.address).await;
        assert_eq!((answer.status, answer.header("content-type")), (400, Some(media_type)), "{accept:?}");
        assert_eq!(answer.json()["error"], "invalid_grant");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    // Only there: elsewhere nothing but RFC 9457 is promised.
    let elsewhere = Call::new("GET", "/auth/me").header("accept", "application/json").send(world.address).await;
    assert_eq!((elsewhere.status, elsewhere.header("content-type")), (401, Some("application/problem+json")));
}
