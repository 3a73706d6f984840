use crate::http_client::Call;
use crate::world::World;
use bmap_server::http::access::Access;
use bmap_server::http::openapi::document::document;
use bmap_server::http::route::Route;
use bmap_server::router::routes;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

async fn served() -> Value {
    let world = World::start().await;
    let answer = Call::new("GET", "/openapi.json").send(world.address).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    answer.json()
}

/// Every operation of the document: method, path, and what it says.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

/// The names of the schemes of each way in.
fn ways(operation: &Value) -> BTreeSet<String> {
    let ways = operation["security"].as_array().unwrap().iter();
    ways.map(|way| way.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join("+")).collect()
}

#[tokio::test]
async fn r24_every_route_is_documented_with_who_may_call_it_and_nothing_else_is() {
    let document = served().await;
    let documented = operations(&document);
    let routed: BTreeSet<(&str, String)> =
        routes().iter().map(|route| (route.method, route.path.replace("{*", "{"))).collect();
    let listed: BTreeSet<(&str, String)> =
        documented.iter().map(|(method, path, _)| (method.as_str(), path.clone())).collect();
    assert_eq!(routed, listed);
    assert_eq!(routed.len(), routes().len(), "a route stands in the list twice");

    let ids: BTreeSet<&str> =
        documented.iter().map(|(_, _, operation)| operation["operationId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), documented.len(), "two operations have one id");
    for route in routes() {
        let operation = &document["paths"][route.path.replace("{*", "{")][route.method.to_lowercase()];
        let ways = ways(operation);
        match route.access {
            Access::Open | Access::OwnProof => assert!(ways.is_empty(), "{}", route.path),
            Access::User => assert_eq!(ways, BTreeSet::from(["accessToken".to_owned()]), "{}", route.path),
            Access::Verifier => assert_eq!(ways, BTreeSet::from(["linkSignature".to_owned()]), "{}", route.path),
            Access::Admin => {
                let five = ["accessToken", "basic", "apiKey", "xApiKey+xApiSecret", "signature"];
                assert_eq!(ways, five.map(str::to_owned).into(), "{}", route.path);
            }
            Access::Credential => {
                let four = ["basic", "apiKey", "xApiKey+xApiSecret", "signature"];
                assert!(four.iter().all(|way| ways.contains(*way)), "{}: {ways:?}", route.path);
                // One that also works without says so: the OAuth endpoints, for what stands in their forms.
                assert_eq!(ways.contains(""), route.path.starts_with("/oauth/"), "{}", route.path);
            }
        }
    }
}

#[tokio::test]
async fn every_operation_says_what_it_answers() {
    let document = served().await;
    assert_eq!(document["openapi"], "3.1.0");
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|text| !text.is_empty()), "{place}");
        let answers = operation["responses"].as_object().unwrap();
        assert!(answers.keys().any(|status| status.starts_with(['2', '3'])), "{place} never succeeds");
        for (status, answer) in answers {
            assert!(answer["description"].as_str().is_some_and(|text| !text.is_empty()), "{place} {status}");
            assert!(answer["headers"]["x-request-id"].is_object(), "{place} {status}");
        }
        for part in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameters = operation["parameters"].as_array().unwrap().iter();
            assert_eq!(parameters.filter(|one| one["in"] == "path" && one["name"] == part).count(), 1, "{place}");
        }
    }
}

/// Every `$ref` in a document.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("$ref").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| references(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_reference_leads_to_a_schema_and_no_name_to_two() {
    let document = served().await;
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in &found {
        let place = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leads out of the document"));
        assert!(document.pointer(place).is_some(), "{reference}");
    }
    let mut named: BTreeMap<String, Value> = BTreeMap::new();
    for Route { path, doc, .. } in routes() {
        for (name, schema) in doc.schemas() {
            let schema = serde_json::to_value(schema).unwrap();
            let known = named.entry(name.clone()).or_insert_with(|| schema.clone());
            assert_eq!(*known, schema, "{path}: another type is called {name} too");
        }
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere() {
    let world = World::start().await;
    let get = |path: &str| Call::new("GET", path);
    assert_eq!(get("/docs").send(world.address).await.header("location"), Some("docs/"));
    for path in
        ["/docs/", "/docs/index.html", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/docs/favicon-32x32.png"]
    {
        let answer = get(path).send(world.address).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(answer.status == 200 && policy.starts_with("default-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains('*'), "{path}: {policy}");
    }
    let start = get("/docs/swagger-initializer.js").send(world.address).await;
    let start = String::from_utf8(start.body).unwrap();
    assert!(start.contains("../openapi.json") && !start.contains("http"), "{start}");
    for path in ["/docs/x", "/docs/%2e%2e", "/docs/..%2fopenapi.json", "/docs/a/b"] {
        get(path).send(world.address).await.assert_refused("not_found");
    }
}

#[tokio::test]
async fn the_command_line_prints_what_the_server_answers() {
    let printed = crate::operator::Operator::new().out(&["openapi"]);
    assert_eq!(serde_json::from_str::<Value>(&printed).unwrap(), served().await);
}

#[test]
fn the_document_is_the_same_each_time() {
    assert_eq!(document(&routes()).to_json().unwrap(), document(&routes()).to_json().unwrap());
}

#[tokio::test]
async fn every_list_that_comes_in_pages_calls_its_cursor_the_same() {
    let document = served().await;
    let (mut paged, mut schemas) = (Vec::new(), BTreeSet::new());
    for (method, path, operation) in operations(&document) {
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        if !parameters.iter().any(|one| one["name"] == "cursor") {
            continue;
        }
        assert!(parameters.iter().any(|one| one["name"] == "limit"), "{path}");
        let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"];
        let schema = answer.as_str().unwrap().trim_start_matches('#').to_owned();
        let required = document.pointer(&schema).unwrap()["required"].as_array().unwrap();
        assert!(required.iter().any(|name| name == "next_cursor"), "{path}");
        paged.push(format!("{method} {path}"));
        schemas.insert(schema);
    }
    assert_eq!(paged.len(), 6, "{paged:?}");
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        let has = schema["properties"].get("next_cursor").is_some();
        assert_eq!(has, schemas.contains(&format!("/components/schemas/{name}")), "{name}");
        assert!(schema["properties"].get("next").is_none(), "{name}");
    }
}
