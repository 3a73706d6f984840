//! Whatever is answered with an error is a problem document, also where no handler was reached.

use crate::http_client::Call;
use crate::world::World;
use bmap_server::http::access::Access;
use bmap_server::router::routes;
use std::collections::BTreeSet;

/// A path of a route, with something in each of its parts.
fn path(template: &str) -> String {
    template
        .replace("{file}", "index.html")
        .split('/')
        .map(|part| if part.starts_with('{') { "x" } else { part })
        .collect::<Vec<_>>()
        .join("/")
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_answered_with_those_that_it_has() {
    let world = World::start().await;
    let paths: BTreeSet<&str> = routes().iter().map(|route| route.path).collect();
    for template in paths {
        let mut has: BTreeSet<&str> =
            routes().iter().filter(|route| route.path == template).map(|route| route.method).collect();
        if has.contains("GET") {
            has.insert("HEAD");
        }
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"] {
            if has.contains(method) {
                continue;
            }
            let answer = Call::new(method, &path(template)).send(world.address).await;
            assert_eq!(answer.status, 405, "{method} {template}");
            let allow: BTreeSet<&str> = answer.header("allow").unwrap().split(',').map(str::trim).collect();
            assert_eq!(allow, has, "{method} {template}");
            if method != "HEAD" {
                answer.assert_refused("method_not_allowed");
            }
        }
    }
}

#[tokio::test]
async fn a_body_of_another_type_or_size_is_refused_by_name() {
    let world = World::start().await;
    let host = world.host().await;
    let pair = world.admin("ana@shop.example").await;
    for route in routes().iter().filter(|route| route.doc.takes_a_body()) {
        let send = async |call: Call| {
            // The OAuth endpoints answer with problem documents where they are asked for.
            let call = Call { method: route.method, ..call }.header("accept", "application/problem+json");
            match route.access {
                Access::User | Access::Admin => pair.send(&world, call).await,
                Access::Verifier => {
                    let node = world.node('A');
                    let path = format!("{}?node={}", call.path, node.id);
                    node.send(Call { path, ..call }).await
                }
                _ => host.send(call).await,
            }
        };
        // What a path names is looked for first: it has to be there.
        let here = route.path.replace("/users/{id}", &format!("/users/{}", pair.user()));
        let here = path(&here.replace("/api-keys/{id}", &format!("/api-keys/{}", host.id)));
        for kind in ["text/plain", "application/xml", "application/jsonp", ""] {
            send(Call::new("POST", &here).body(kind, "{}")).await.assert_refused("unsupported_media_type");
        }
        if !route.path.ends_with("/regenerate") {
            send(Call::new("POST", &here)).await.assert_refused("unsupported_media_type");
        }
        let large = Call::new("POST", &here).body("application/json", vec![b' '; 2 * 1024 * 1024]);
        send(large).await.assert_refused("too_large");
    }
}

#[tokio::test]
async fn what_is_no_route_or_no_text_is_a_problem_too() {
    let world = World::start().await;
    for path in ["/", "/x", "/docs/%ff", "/auth/me/tools?%ff", "/users/%ff", "/auth/sessions/%ff"] {
        let answer = Call::new("GET", path).send(world.address).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
        answer.assert_refused(answer.json()["code"].as_str().unwrap());
    }
    Call::new("OPTIONS", "*").send(world.address).await.assert_refused("not_found");
    let mut many = Call::new("GET", "/livez");
    for number in 0..64 {
        many = many.header(&format!("x-{number}"), "1");
    }
    assert_eq!(many.send(world.address).await.status, 431);
}

#[tokio::test]
async fn a_head_is_answered_like_its_get_without_a_body() {
    let world = World::start().await;
    for path in ["/livez", "/openapi.json", "/docs/", "/.well-known/jwks.json", "/nowhere", "/auth/me"] {
        let get = Call::new("GET", path).send(world.address).await;
        let head = Call::new("HEAD", path).send(world.address).await;
        assert_eq!((get.status, get.header("content-type")), (head.status, head.header("content-type")), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
    }
}
