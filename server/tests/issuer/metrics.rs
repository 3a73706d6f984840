//! An operator's view from outside: numbers, and the log's lines.

use crate::http_client::Call;
use crate::operator::Operator;
use serde_json::Value;
use std::net::SocketAddr;

/// The value of a series, as Prometheus would read it.
fn value(text: &str, series: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_counted_and_say_nothing_of_anybody() {
    let operator = Operator::new();
    let server = operator.serve_with(&[("BMAP_METRICS_LISTEN", "127.0.0.1:0")]);
    let issuer: SocketAddr = server.address.parse().unwrap();
    let shown = server.greeting.lines().find_map(|line| line.strip_prefix("metrics for Prometheus on http://"));
    let shown: SocketAddr = shown.unwrap().trim_end_matches("/metrics").parse().unwrap();
    for _ in 0..3 {
        Call::new("GET", "/.well-known/jwks.json").send(issuer).await.granted();
    }
    let dressed = Call::new("GET", "/.well-known/jwks.json").header("bmap-user", "usr_1").header("X_Bmap.Scope", "a");
    dressed.header("x-bmap-key", "b").header("bmap.key", "c").header("bmapper", "d").send(issuer).await.granted();
    let secret = "bmk_00000000000000000000000000000000";
    let call = Call::form("/oauth/token", &[("grant_type", "client_credentials"), ("audience", "places")]);
    call.header("authorization", "Basic Ym1rXzA6eA==").send(issuer).await.assert_refused("invalid_credentials");
    Call::new("GET", &format!("/nowhere/{secret}")).send(issuer).await.assert_refused("not_found");
    Call::new("PROPFIND", "/auth/me").send(issuer).await;

    let answer = Call::new("GET", "/metrics").send_elsewhere(shown).await;
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = String::from_utf8(answer.body).unwrap();
    let jwks = r#"bmap_http_requests_total{method="GET",route="/.well-known/jwks.json",status="200"}"#;
    assert_eq!(value(&text, jwks), Some(4.0), "{text}");
    assert_eq!(value(&text, r#"bmap_http_requests_total{method="GET",route="none",status="404"}"#), Some(1.0));
    assert!(text.contains(r#"method="other""#), "{text}");
    assert_eq!(value(&text, r#"bmap_refusals_total{code="invalid_credentials"}"#), Some(1.0));
    let bucket = r#"bmap_http_request_duration_seconds_bucket{route="/.well-known/jwks.json",le="+Inf"}"#;
    assert_eq!(value(&text, bucket), Some(4.0), "buckets, which can be added up, and no quantiles: {text}");
    assert_eq!(value(&text, "bmap_http_requests_in_flight"), Some(0.0));
    assert_eq!(value(&text, "bmap_identity_headers_dropped_total"), Some(4.0), "{text}");
    assert!(value(&text, r#"bmap_database_connections{state="idle"}"#).is_some());
    assert!(text.contains(&format!("bmap_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"))));
    assert!(!text.contains("bmk_") && !text.contains("nowhere"), "{text}");

    // Nowhere else.
    assert_eq!(Call::new("GET", "/metrics").send(issuer).await.status, 404);
    Call::new("GET", "/auth/me").send_elsewhere(shown).await;
    assert_eq!(Call::new("GET", "/livez").send_elsewhere(shown).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_counted_by_what_became_of_them() {
    let operator = Operator::new();
    // No server listens there.
    let nobody = [("BMAP_MAIL_URL", "smtp://127.0.0.1:1?tls=none"), ("BMAP_MAIL_FROM", "no-reply@auth.example")];
    let server = operator.serve_with(&[nobody[0], nobody[1], ("BMAP_METRICS_LISTEN", "127.0.0.1:0")]);
    let issuer: SocketAddr = server.address.parse().unwrap();
    let shown = server.greeting.lines().find_map(|line| line.strip_prefix("metrics for Prometheus on http://"));
    let shown: SocketAddr = shown.unwrap().trim_end_matches("/metrics").parse().unwrap();
    for _ in 0..3 {
        let body = serde_json::json!({ "email": "ana@shop.example", "password": "violet-kettle-49-marsh" });
        Call::json("/auth/register", &body).send(issuer).await.granted();
    }
    let mut text = String::new();
    for _ in 0..300 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        text = String::from_utf8(Call::new("GET", "/metrics").send_elsewhere(shown).await.body).unwrap();
        let retried = value(&text, "bmap_mails_total{outcome=\"retried\"}").is_some_and(|tries| tries >= 3.0);
        if retried && value(&text, "bmap_mails_oldest_age_seconds").is_some_and(|age| age >= 1.0) {
            break;
        }
    }
    assert!(value(&text, "bmap_mails_oldest_age_seconds").is_some_and(|age| (1.0..60.0).contains(&age)), "{text}");
    assert_eq!(value(&text, "bmap_mails_queued_total"), Some(3.0));
    assert_eq!(value(&text, "bmap_mails_waiting"), Some(3.0));
    assert_eq!(value(&text, "bmap_mails_total{outcome=\"sent\"}"), None);
    assert!(!text.contains("ana@"), "{text}");
}

/// Asserts that a line of the log has each name once, and each value.
#[track_caller]
fn once(line: &str) {
    fn names(value: &Value, all: &mut Vec<String>) {
        for (name, value) in value.as_object().into_iter().flatten() {
            all.push(name.clone());
            names(value, all);
        }
    }
    let value: Value = serde_json::from_str(line).unwrap();
    let mut all = Vec::new();
    names(&value, &mut all);
    let mut different = all.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), all.len(), "{line}");
    // A name that stands twice in one object would be read as one.
    let written = all.iter().map(|name| line.matches(&format!("\"{name}\":")).count()).sum::<usize>();
    assert_eq!(written, all.len(), "{line}");
    assert!(value["timestamp"].is_string() && value["level"].is_string() && value["target"].is_string(), "{line}");
}

/// An operator's view of a proxy that is not in `trusted_proxies`: one client behind it uses up what all have.
#[tokio::test(flavor = "multi_thread")]
async fn o15_a_proxy_that_is_not_believed_is_named_in_the_log_by_the_doctor_and_in_the_numbers() {
    let operator = Operator::new();
    let server = operator.serve_with(&[("BMAP_METRICS_LISTEN", "127.0.0.1:0"), ("BMAP_LOG_FORMAT", "json")]);
    let issuer: SocketAddr = server.address.parse().unwrap();
    let shown = server.greeting.lines().find_map(|line| line.strip_prefix("metrics for Prometheus on http://"));
    let shown: SocketAddr = shown.unwrap().trim_end_matches("/metrics").parse().unwrap();
    let guess = serde_json::json!({ "email": "ana@shop.example", "password": "wrong" });
    for _ in 0..60 {
        Call::json("/auth/login", &guess).header("x-forwarded-for", "203.0.113.9").send(issuer).await;
    }
    let log = std::fs::read_to_string(operator.path("log")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let named: Vec<_> = lines.iter().filter(|line| line["peer"] == "127.0.0.1").collect();
    assert_eq!(named.len(), 1, "once an hour: {log}");
    assert!(named[0]["level"] == "WARN" && named[0]["message"].as_str().unwrap().contains("trusted_proxies"), "{log}");
    assert!(!log.contains("203.0.113.9"), "what is not believed is not said either: {log}");
    let refused = lines.iter().filter(|line| line["message"] == "refused" && line["address"] == "127.0.0.1");
    assert_eq!(refused.count(), 60);
    let text = String::from_utf8(Call::new("GET", "/metrics").send_elsewhere(shown).await.body).unwrap();
    assert_eq!(value(&text, r#"bmap_forwarded_for_ignored_total{peer="127.0.0.1"}"#), Some(60.0), "{text}");
    let doctor = |environment: &[(&str, &str)]| {
        let output = operator.command(&["doctor"]).envs(environment.iter().copied()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let said = doctor(&[]);
    let line = said.lines().find(|line| line.contains("trusted_proxies")).expect(&said);
    assert!(line.starts_with("warning") && line.contains("127.0.0.1 sends X-Forwarded-For"), "{line}");
    assert!(!doctor(&[("BMAP_TRUSTED_PROXIES", "127.0.0.1/32")]).contains("X-Forwarded-For"));
}

#[tokio::test(flavor = "multi_thread")]
async fn t33_every_line_of_the_log_is_an_object_that_names_its_request() {
    let operator = Operator::new();
    let server = operator.serve_with(&[("BMAP_LOG_FORMAT", "json"), ("BMAP_DEVELOPMENT", "true")]);
    let issuer: SocketAddr = server.address.parse().unwrap();
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let call = Call::new("GET", "/x%0a%7b%22level%22%3a%22ERROR%22%7d").header("x-request-id", "from-the-proxy");
    call.header("traceparent", &format!("00-{trace}-b7ad6b7169203331-01"))
        .send(issuer)
        .await
        .assert_refused("not_found");
    let register = serde_json::json!({ "email": "ana@shop.example", "password": "violet-kettle-49-marsh" });
    Call::json("/auth/register", &register).header("x-request-id", "registers").send(issuer).await.granted();
    let log = std::fs::read_to_string(operator.path("log")).unwrap();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    for line in log.lines() {
        once(line);
    }
    let of = |id: &str| lines.iter().filter(|line| line["span"]["request_id"] == id).collect::<Vec<_>>();
    let strange = of("from-the-proxy");
    assert!(strange.iter().all(|line| line["span"]["trace_id"] == trace) && strange.len() >= 2, "{log}");
    let answered = strange.iter().find(|line| line["message"] == "answered").expect(&log);
    assert_eq!((&answered["status"], &answered["route"]), (&404.into(), &"none".into()), "{log}");
    assert_eq!(answered["path"], "/x%0a%7b%22level%22%3a%22ERROR%22%7d", "a text, and not a quoted one");
    // Numbers are numbers, and say their unit.
    assert!(answered["took_ms"].is_u64() && answered["method"] == "GET", "{log}");
    let refused = strange.iter().find(|line| line["code"] == "not_found").expect(&log);
    assert_eq!(refused["address"], "127.0.0.1", "a refusal says whose it was");
    // What a handler logs on its way names the request too: here the mail that it caused, whose sending is logged under that id.
    assert!(of("registers").iter().any(|line| line["id"].as_str().is_some_and(|id| id.starts_with("eml_"))), "{log}");
}
