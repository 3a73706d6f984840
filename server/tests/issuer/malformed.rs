//! A malformed request is answered with a field and a hint, on every route. `Call::send` holds every 400 of every test
//! to it.

use crate::http_client::Call;
use crate::world::World;
use bmap_server::http::access::Access;
use bmap_server::router::routes;
use serde_json::json;

#[tokio::test]
async fn every_400_of_every_route_names_a_field_and_what_would_be_right() {
    let world = World::start().await;
    let host = world.host().await;
    let admin = world.admin("root@shop.example").await;
    let bodies = [
        ("application/json", json!({ "nothing": 1 }).to_string()),
        ("application/json", json!([]).to_string()),
        ("application/json", "{".to_owned()),
        ("application/x-www-form-urlencoded", "grant_type=client_credentials&audience=Not+a+tool".to_owned()),
        ("application/x-www-form-urlencoded", "grant_type=refresh_token&refresh_token=bmr_x&grant_type=x".to_owned()),
        ("application/x-www-form-urlencoded", "grant_type=refresh_token&refresh_token=bmr_x".to_owned()),
        ("application/x-www-form-urlencoded", "token=%ff".to_owned()),
    ];
    let mut malformed = Vec::new();
    for route in routes() {
        let path = route.path.replace("{id}", "x").replace("{provider}", "acme").replace("{file}", "x");
        for query in ["", "?limit=none&cursor=!", "?limit=1&limit=2", "?%ff=1", "?token=x"] {
            for (kind, body) in &bodies {
                let call = Call::new(route.method, &format!("{path}{query}"));
                let call = if route.method == "GET" { call } else { call.body(kind, body.clone()) };
                let answer = match route.access {
                    Access::Open | Access::OwnProof => call.send(world.address).await,
                    Access::Credential => host.send(call).await,
                    Access::User | Access::Admin => admin.send(&world, call).await,
                    Access::Verifier => world.node('A').send(call).await,
                };
                if answer.status == 400 {
                    malformed.push(route.path);
                }
            }
        }
    }
    malformed.dedup();
    // Most routes read something, and so refuse it.
    assert!(malformed.len() > 20, "{malformed:?}");
    // A signed request that is outside of the grammar.
    for (name, value) in [
        ("signature-input", "bmap=("),
        ("signature", "bmap=x"),
        ("content-digest", "sha-256=x"),
        ("x-http-method-override", "GET"),
    ] {
        let call = host.signed(host.direct_call()).without(name).header(name, value);
        call.send(world.address).await;
    }
    let twice = host.signed(host.direct_call()).header("authorization", "Basic eA==").header("authorization", "x");
    twice.send(world.address).await.assert_refused("malformed_request");
}

#[tokio::test]
async fn a_preflight_is_answered_alike_for_a_key_that_exists_and_one_that_does_not() {
    let world = World::start().await;
    let ana = world.key_owner("ana@shop.example").await;
    let key = ana.make().await;
    let preflight = |id: &str, method: &str, end: &str| {
        Call::new("OPTIONS", &format!("/api-keys/{id}{end}"))
            .header("origin", crate::world::PAGE)
            .header("access-control-request-method", method)
            .header("x-request-id", "same")
    };
    for (method, end) in [("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/regenerate")] {
        let mut answers = Vec::new();
        for id in [key.id.as_str(), "bmk_00000000000000000000000000000000"] {
            let answer = preflight(id, method, end).send(world.address).await;
            let mut headers: Vec<String> = answer.headers.iter().map(|header| format!("{header:?}")).collect();
            headers.retain(|header| !header.starts_with("(\"date\"") && !header.starts_with("(\"ratelimit\""));
            answers.push((answer.status, headers, String::from_utf8(answer.body).unwrap()));
        }
        assert_eq!(answers[0], answers[1], "{method}");
    }
}
