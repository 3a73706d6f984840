use crate::http_client::Call;
use crate::world::{TOOL, World};
use bmap_server::http::access::Access;
use bmap_server::router::routes;
use std::net::{IpAddr, Ipv4Addr};

/// A body that each route would take, so that nothing but the missing credential can be what refuses.
fn good_call(method: &'static str, path: &str) -> Call {
    match path {
        "/oauth/token" => Call::form(path, &[("grant_type", "client_credentials"), ("audience", TOOL)]),
        "/oauth/introspect" | "/oauth/revoke" => {
            Call::form(path, &[("token", "x")]).header("accept", "application/problem+json")
        }
        "/tickets" => Call::json(path, &serde_json::json!({ "tool": TOOL, "origin": "https://shop.example" })),
        "/users/{id}/role" => Call::json(path, &serde_json::json!({ "role": "admin" })),
        "/invitations" => Call::json(path, &serde_json::json!({ "email": "a@shop.example" })),
        "/auth/deactivate" | "/auth/step-up" => Call::json(path, &serde_json::json!({ "password": "a" })),
        "/api-keys" if method == "POST" => Call::json(path, &serde_json::json!({ "name": "a", "tools": [TOOL] })),
        "/auth/password" => Call::json(path, &serde_json::json!({ "current_password": "a", "new_password": "b" })),
        _ if method == "POST" => Call::json(path, &serde_json::json!({})),
        _ => Call::new(method, path),
    }
}

#[tokio::test]
async fn r24_every_route_asks_for_a_credential_but_these() {
    let world = World::start().await;
    world.host().await;
    let (mut open, mut own_proof) = (Vec::new(), Vec::new());
    for route in routes() {
        let id = if route.path.starts_with("/users") { "usr_" } else { "bmk_" };
        let path = route.path.replace("{id}", &format!("{id}{}", "0".repeat(32))).replace("{file}", "index.html");
        for query in ["", "?signature=x&Signature-Input=bmap%3D()", "?access_token=x"] {
            let call = Call { method: route.method, ..good_call(route.method, route.path) };
            let answer = Call { path: format!("{path}{query}"), ..call }.send(world.address).await;
            match route.access {
                Access::Credential | Access::Admin | Access::Verifier => answer.assert_refused("missing_signature"),
                Access::User => answer.assert_refused("invalid_token"),
                // Where a mail's link leads: a person reads the answer.
                Access::OwnProof if answer.header("content-type") == Some("text/html; charset=utf-8") => {
                    assert_eq!((route.method, answer.status), ("GET", 400), "{}", route.path);
                }
                Access::OwnProof => answer.assert_refused("malformed_request"),
                Access::Open if route.path == "/docs" => assert_eq!(answer.header("location"), Some("docs/")),
                Access::Open => assert_eq!(answer.status, 200, "{}", route.path),
            }
        }
        match route.access {
            Access::Open => open.push(route.path),
            Access::OwnProof => own_proof.push((route.method, route.path)),
            Access::Credential | Access::User | Access::Admin | Access::Verifier => {}
        }
    }
    assert_eq!(
        own_proof,
        [
            ("POST", "/auth/register"),
            ("GET", "/auth/confirm"),
            ("POST", "/auth/confirm"),
            ("POST", "/auth/login"),
            ("POST", "/auth/refresh"),
            ("POST", "/auth/logout"),
            ("GET", "/auth/invitation"),
            ("POST", "/auth/invitation"),
            ("POST", "/api-keys/revoke"),
            ("GET", "/auth/openid/{provider}"),
            ("GET", "/auth/openid/{provider}/callback"),
            ("POST", "/auth/openid/token"),
            ("POST", "/auth/password/reset"),
            ("GET", "/auth/password/reset"),
            ("POST", "/auth/password/reset/confirm"),
            ("GET", "/auth/email/confirm"),
            ("POST", "/auth/email/confirm"),
        ]
    );
    assert_eq!(
        open,
        [
            "/livez",
            "/readyz",
            "/healthz",
            "/openapi.json",
            "/.well-known/jwks.json",
            "/.well-known/oauth-authorization-server",
            "/auth/openid",
            "/docs",
            "/docs/",
            "/docs/{file}",
        ]
    );
}

#[tokio::test]
async fn r24_other_spellings_of_a_route_are_no_route() {
    let world = World::start().await;
    for path in
        ["/oauth/token/", "//oauth/token", "/OAuth/token", "/oauth/%74oken", "/oauth/./token", "/x", "/oauth/token;x"]
    {
        let answer = Call { path: path.to_owned(), ..good_call("POST", "/oauth/token") }.send(world.address).await;
        answer.assert_refused("not_found");
    }
    for method in ["GET", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT"] {
        let answer = Call::new(method, "/oauth/token").send(world.address).await;
        answer.assert_refused("method_not_allowed");
        assert_eq!(answer.header("allow"), Some("POST"));
    }
}

#[tokio::test]
async fn r08_headers_of_an_untrusted_peer_change_nothing() {
    let world = World::start().await;
    let host = world.host().await;
    let plain = host.signed(host.direct_call()).send(world.address).await;
    let mut call = host.signed(host.direct_call());
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-prefix", "/admin"),
        ("x-forwarded-for", "10.0.0.1"),
        ("x-forwarded-uri", "/tickets"),
        ("x-forwarded-method", "GET"),
        ("x-real-ip", "10.0.0.1"),
        ("forwarded", "for=10.0.0.1;host=evil.example;proto=https"),
    ] {
        call = call.header(name, value);
    }
    let with = call.send(world.address).await;
    assert_eq!((plain.status, with.status), (200, 200));
    assert_eq!(plain.json()["scope"], with.json()["scope"]);
}

#[tokio::test]
async fn o11_headers_that_give_a_request_another_meaning_are_refused_uncovered() {
    let world = World::start().await;
    let host = world.host().await;
    for (name, value) in [
        ("x-original-url", "/tickets"),
        ("x-rewrite-url", "/tickets"),
        ("x-http-method", "DELETE"),
        ("x-http-method-override", "DELETE"),
        ("x-method-override", "DELETE"),
        ("x_original.url", "/tickets"),
    ] {
        let answer = host.signed(host.direct_call()).header(name, value).send(world.address).await;
        assert_eq!((answer.status, answer.json()["code"].as_str()), (400, Some("malformed_request")), "{name}");
    }
}

#[tokio::test]
async fn r52_a_trusted_proxy_says_who_calls() {
    let loopback = ipnet::IpNet::from(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let world = World::with(vec![loopback]).await;
    let scope = bmap_model::api_key::KeyScope { cidrs: vec!["10.0.0.0/8".parse().unwrap()], ..World::scope() };
    let host = world.host_with(bmap_protocol::seal::SigningKind::HmacSha256, scope).await;
    let from = |chain: &str| host.direct_call().header("x-forwarded-for", chain);
    host.send(from("10.0.0.1")).await.granted();
    host.send(from("192.0.2.1, 10.0.0.1")).await.granted();
    host.send(from("10.0.0.1, 192.0.2.1")).await.assert_refused("ip_denied");
    host.send(host.direct_call()).await.assert_refused("ip_denied");
}

#[tokio::test]
async fn t33_a_request_id_is_taken_over_only_if_it_is_plain() {
    let world = World::start().await;
    let id = |answer: crate::http_client::Answer| answer.header("x-request-id").unwrap().to_owned();
    let ask = |value: &str| Call::new("GET", "/livez").header("x-request-id", value);
    assert_eq!(id(ask("abc-1").send(world.address).await), "abc-1");
    assert_ne!(id(ask("a b").send(world.address).await), "a b");
    assert_ne!(id(ask(&"x".repeat(65)).send(world.address).await), "x".repeat(65));
}
