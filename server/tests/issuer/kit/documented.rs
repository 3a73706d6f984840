//! Every answer that any test gets is held against the OpenAPI document: no status, media type, header or JSON member that is not in
//! it. And what was granted was asked for in a form that is in it.

use crate::http_client::{Answer, Call};
use bmap_server::http::openapi::document::document;
use bmap_server::router::routes;
use serde_json::Value;
use std::sync::OnceLock;

/// Panics where the document doesn't have the answer.
pub(crate) fn assert_documented(call: &Call, answer: &Answer) {
    if let Err(why) = check(call, answer) {
        panic!("{} {} answered {}, which is not documented: {why}", call.method, call.path, answer.status);
    }
}

fn check(call: &Call, answer: &Answer) -> Result<(), String> {
    let path = call.path.split('?').next().unwrap_or_default();
    // The listener cuts a head off before there is a request: it says 431 and no more.
    if answer.status == 431 && answer.body.is_empty() {
        return Ok(());
    }
    answer.header("x-request-id").ok_or("no x-request-id")?;
    let Some(operation) = operation(call.method, path) else {
        // No route at all: said by the layers around them, or by CORS.
        return match answer.status {
            204 if call.method == "OPTIONS" => Ok(()),
            400..600 if call.method == "HEAD" => Ok(()),
            status @ (400..600) => problem(answer, status),
            _ => Err("there is no such operation".to_owned()),
        };
    };
    let challenges: Vec<&str> =
        answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect();
    let expected = if answer.status == 401 { challenges_of(call, operation, answer) } else { Vec::new() };
    if challenges != expected {
        return Err(format!("challenges {challenges:?} in the place of {expected:?}"));
    }
    let status = answer.status.to_string();
    let response = operation["responses"].get(&status).ok_or("no such status")?;
    let media_type = answer.header("content-type").and_then(|kind| kind.split(';').next());
    match (response.get("content"), media_type) {
        (None, None) => {}
        (None, Some(kind)) => return Err(format!("a {kind} body")),
        (Some(content), Some(kind)) => {
            let content = content.get(kind).ok_or_else(|| format!("a {kind} body"))?;
            if kind.ends_with("json") && call.method != "HEAD" {
                let body = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
                conforms(&content["schema"], &body, "answer")?;
            }
        }
        (Some(_), None) => return Err("no content-type".to_owned()),
    }
    let said = answer.headers.keys().map(|name| name.as_str()).filter(|name| !COMMON.contains(name));
    for name in said {
        let headers = response["headers"].as_object().ok_or("no headers")?;
        if !headers.keys().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(format!("a header {name}"));
        }
    }
    if answer.status < 300
        && let Some(content) = operation["requestBody"]["content"].get("application/json")
        && call.headers.iter().any(|(name, value)| name == "content-type" && value == "application/json")
    {
        let body = serde_json::from_slice(&call.body).map_err(|error| error.to_string())?;
        conforms(&content["schema"], &body, "request")?;
    }
    Ok(())
}

/// The challenges of a 401: a scheme that the operation takes, and of those the one that was tried (RFC 9110 §11.6.1, RFC 6749
/// §5.2).
fn challenges_of(call: &Call, operation: &Value, answer: &Answer) -> Vec<String> {
    let code: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let Some(code) = code.as_ref().and_then(|problem| problem["code"].as_str()) else {
        // A page, or the answer to a HEAD: the challenge is there, and names a scheme.
        return answer
            .headers
            .get_all("www-authenticate")
            .iter()
            .map(|value| value.to_str().unwrap().to_owned())
            .collect();
    };
    let takes = |scheme: &str| {
        let schemes = operation["security"].as_array().into_iter().flatten();
        schemes.filter_map(Value::as_object).any(|one| one.contains_key(scheme))
    };
    let shown = |name: &str| call.headers.iter().find(|(shown, _)| shown == name).map(|(_, value)| value.as_str());
    let is_signed = shown("authorization").is_some_and(|value| value.starts_with("HTTPSig "))
        || shown("signature").is_some()
        || shown("signature-input").is_some();
    let is_bearer = shown("authorization").is_some_and(|value| value.to_lowercase().starts_with("bearer "));
    let http_sig = format!("HTTPSig error=\"{code}\"");
    let basic = format!("Basic realm=\"bmap\", error=\"{code}\"");
    let bearer = format!("Bearer error=\"{}\"", code.replace("token_expired", "invalid_token"));
    match (takes("accessToken"), takes("basic")) {
        (true, false) => vec![bearer],
        (true, true) if is_bearer => vec![bearer],
        (_, true) if is_signed => vec![http_sig],
        (_, true) if ["authorization", "x-api-key", "x-api-secret"].iter().any(|name| shown(name).is_some()) => {
            vec![basic]
        }
        (_, true) => vec![http_sig, basic],
        (false, false) => vec![http_sig],
    }
}

/// Headers that every HTTP answer may have, or that belong to a layer and not to an operation.
const COMMON: [&str; 16] = [
    "accept-signature",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "cache-control",
    "connection",
    "content-length",
    "content-security-policy",
    "content-type",
    "date",
    "referrer-policy",
    "retry-after",
    "vary",
    "want-content-digest",
    "www-authenticate",
    "x-content-type-options",
    "x-request-id",
];

fn problem(answer: &Answer, status: u16) -> Result<(), String> {
    let body: Value = serde_json::from_slice(&answer.body).map_err(|_| "no problem document".to_owned())?;
    conforms(&serde_json::json!({ "$ref": "#/components/schemas/Problem" }), &body, "problem")?;
    if answer.header("content-type") == Some("application/problem+json") && body["status"] == status {
        return Ok(());
    }
    Err("no problem document".to_owned())
}

fn the_document() -> &'static Value {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    DOCUMENT.get_or_init(|| serde_json::from_str(&document(&routes()).to_json().unwrap()).unwrap())
}

fn operation(method: &str, path: &str) -> Option<&'static Value> {
    let paths = the_document()["paths"].as_object().unwrap();
    let method = if method == "HEAD" { "get" } else { &method.to_lowercase() };
    // A path of words alone is closer than one with a part that may be anything.
    let exact = paths.get(path).and_then(|item| item.get(method));
    exact.or_else(|| paths.iter().find(|(template, _)| matches(template, path)).and_then(|(_, item)| item.get(method)))
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path): (Vec<&str>, Vec<&str>) = (template.split('/').collect(), path.split('/').collect());
    let same = |(part, given): (&&str, &&str)| part == given || (part.starts_with('{') && !given.is_empty());
    template.len() == path.len() && template.iter().zip(&path).all(same)
}

/// As much of JSON Schema as the document uses; a member that the schema doesn't name is a fault, although JSON Schema allows it.
fn conforms(schema: &Value, value: &Value, place: &str) -> Result<(), String> {
    let mut members = Vec::new();
    validate(schema, value, place, &mut members)?;
    let named = |name: &&String| members.is_empty() || members.contains(name);
    match value.as_object().and_then(|object| object.keys().find(|name| !named(name))) {
        Some(extra) => Err(format!("{place}: a member {extra}")),
        None => Ok(()),
    }
}

fn validate(schema: &Value, value: &Value, place: &str, members: &mut Vec<String>) -> Result<(), String> {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = the_document().pointer(reference.trim_start_matches('#')).ok_or("a broken reference")?;
        return validate(target, value, place, members);
    }
    for part in schema["allOf"].as_array().into_iter().flatten() {
        validate(part, value, place, members)?;
    }
    let choices: Vec<&Value> = ["oneOf", "anyOf"].iter().filter_map(|key| schema[key].as_array()).flatten().collect();
    if !choices.is_empty() && !choices.iter().any(|choice| conforms(choice, value, place).is_ok()) {
        return Err(format!("{place}: none of the choices"));
    }
    let kinds: Vec<&str> = match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is_one = kinds.contains(&kind(value)) || (kinds.contains(&"number") && value.is_number());
    if !kinds.is_empty() && !is_one {
        return Err(format!("{place}: {} instead of {kinds:?}", kind(value)));
    }
    if schema["enum"].as_array().is_some_and(|known| !known.contains(value)) {
        return Err(format!("{place}: {value} is none of {}", schema["enum"]));
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.as_object().is_some_and(|object| !object.contains_key(name)) {
            return Err(format!("{place}: no {name}"));
        }
    }
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        members.push(name.clone());
        if let Some(value) = value.get(name) {
            conforms(member, value, &format!("{place}.{name}"))?;
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if schema.get("items").is_some() {
            conforms(&schema["items"], item, &format!("{place}[{index}]"))?;
        }
    }
    Ok(())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[test]
fn what_the_document_does_not_have_is_found() {
    let schema = serde_json::json!({
        "allOf": [
            { "type": "object", "required": ["a"], "properties": { "a": { "type": "string" }, "b": { "type": ["integer", "null"] } } },
            { "type": "object", "properties": { "c": { "enum": ["x", "y"] }, "d": { "type": "array", "items": { "type": "object", "properties": { "e": {} } } } } },
        ],
    });
    let good = serde_json::json!({ "a": "", "b": null, "c": "x", "d": [{ "e": 1 }] });
    conforms(&schema, &good, "it").unwrap();
    for (place, wrong) in [
        ("/a", serde_json::json!(1)),
        ("/b", serde_json::json!(1.5)),
        ("/c", serde_json::json!("z")),
        ("/d", serde_json::json!([{ "f": 1 }])),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(place).unwrap() = wrong;
        assert!(conforms(&schema, &bad, "it").is_err(), "{place}");
    }
    assert!(conforms(&schema, &serde_json::json!({ "b": 1 }), "it").is_err(), "a is missing");
    assert!(conforms(&schema, &serde_json::json!({ "a": "", "z": 1 }), "it").is_err(), "z is nowhere");
}
