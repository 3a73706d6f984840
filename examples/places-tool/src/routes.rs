//! The tool's two routes and what protects them.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use bmap_issuer_link::{Link, LinkKeys, LinkStanding};
use bmap_replay_redis::{Options, RedisReplayStore, Servers};
use bmap_verifier::layer::Verify;
use bmap_verifier::protocol::origin::Origin;
use bmap_verifier::{
    MemoryReplayStore, Policy, ReplayLimits, ReplayStore, SystemClock, ToolCredential, Verified, VerifyLayer,
};
use serde::{Deserialize, Serialize};
use tower::Layer as _;

use crate::admin::Counters;
use crate::cities::{ATTRIBUTION, Cities, City, LICENSE_URL};
use crate::problem::Problem;
use crate::{nearby, search};

const MAX_RESULTS: usize = 50;
const DEFAULT_RESULTS: usize = 10;
const MAX_QUERY_CHARS: usize = 80;
const MAX_RADIUS_KM: f64 = 1000.0;
const DEFAULT_RADIUS_KM: f64 = 50.0;
const MAX_BODY_BYTES: usize = 4096;

#[derive(Clone)]
struct Tool {
    cities: Arc<Cities>,
    counters: Arc<Counters>,
}

/// The layer around the routes, with the replay store `R`.
pub(crate) type Protection<R = MemoryReplayStore> = VerifyLayer<LinkKeys, R, LinkStanding>;

/// The verifier, as a layer, with its replay store in memory. With a state folder it knows what the process before let in, if that one ended in
/// order. With `BMAP_LINK=on` it hears from the issuer while it runs.
///
/// # Errors
/// A `BMAP_TOOL_CREDENTIAL` that is missing or not a credential; a `BMAP_LINK` that is not understood; a state folder that is missing or another
/// process's.
pub(crate) fn verifier(state: Option<&Path>) -> Result<(Protection, Link), Box<dyn Error>> {
    let credential = ToolCredential::from_env()?;
    let link = Link::from_env(credential.clone())?;
    let (policy, limits) = (Policy::from_env()?, ReplayLimits::default());
    let replay = match state {
        Some(folder) => MemoryReplayStore::of_tool(&credential, folder, limits, policy.window, &SystemClock)?,
        None => MemoryReplayStore::new(limits, policy.window, SystemClock.now().seconds()),
    };
    Ok((VerifyLayer::new(link.verifier(policy, replay)), link))
}

/// The verifier, as a layer, with the replay store that all processes of this tool share. `BMAP_LINK` is read as in [`verifier`].
///
/// # Errors
/// A `BMAP_TOOL_CREDENTIAL` that is missing or not a credential; a `BMAP_LINK` that is not understood; a store that is out of reach, or whose
/// settings lose records.
pub(crate) async fn shared(url: &str, single: bool) -> Result<(Protection<RedisReplayStore>, Link), Box<dyn Error>> {
    let credential = ToolCredential::from_env()?;
    let policy = Policy::from_env()?;
    let mut options = Options::new(url, credential.tool.clone(), policy.window)?;
    if single {
        options.servers = Servers::Single;
    }
    let replay = RedisReplayStore::connect(options).await?;
    let link = Link::from_env(credential)?;
    Ok((VerifyLayer::new(link.verifier(policy, replay)), link))
}

/// The routes behind the verifier.
pub(crate) fn protected<R: ReplayStore>(
    verifier: &Protection<R>,
    cities: Arc<Cities>,
    counters: Arc<Counters>,
) -> Verify<Router, LinkKeys, R, LinkStanding> {
    verifier.layer(open(cities, counters))
}

fn open(cities: Arc<Cities>, counters: Arc<Counters>) -> Router {
    Router::new()
        .route("/v1/search", get(get_search))
        .route("/v1/nearby", post(post_nearby))
        .fallback(async || Problem::NotFound)
        .method_not_allowed_fallback(async || Problem::MethodNotAllowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(Tool { cities, counters })
}

#[derive(Deserialize)]
struct SearchQuery {
    q: String,
    limit: Option<usize>,
}

async fn get_search(
    State(tool): State<Tool>,
    caller: Verified,
    query: Result<Query<SearchQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    Counters::enter(&tool.counters.search);
    let Query(query) = query.map_err(|fault| Problem::InvalidQuery { field: "query", fault: fault.body_text() })?;
    let text = query.q.trim();
    if text.is_empty() || text.chars().count() > MAX_QUERY_CHARS {
        return Err(Problem::InvalidQuery { field: "q", fault: format!("give 1 to {MAX_QUERY_CHARS} characters") });
    }
    let limit = checked_limit(query.limit).map_err(|fault| Problem::InvalidQuery { field: "limit", fault })?;
    let results = search::search(&tool.cities, text, limit);
    Ok(answer(&caller, results.into_iter().map(|city| Place::new(&tool.cities, city, None)).collect()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NearbyBody {
    lat: f64,
    lon: f64,
    limit: Option<usize>,
    radius_km: Option<f64>,
}

async fn post_nearby(
    State(tool): State<Tool>,
    caller: Verified,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    Counters::enter(&tool.counters.nearby);
    let body = body.map_err(|_| Problem::TooLarge { limit: MAX_BODY_BYTES })?;
    if !is_json(&headers) {
        return Err(Problem::UnsupportedMediaType);
    }
    let body: NearbyBody = serde_json::from_slice(&body).map_err(|fault| Problem::InvalidBody(fault.to_string()))?;
    let within = |field: &str, value: f64, bound: f64| {
        let valid = value.is_finite() && value.abs() <= bound;
        valid.then_some(value).ok_or_else(|| Problem::InvalidBody(format!("{field}: give -{bound} to {bound}")))
    };
    let lat = within("lat", body.lat, 90.0)?;
    let lon = within("lon", body.lon, 180.0)?;
    let radius_km = body.radius_km.unwrap_or(DEFAULT_RADIUS_KM);
    if !(radius_km > 0.0 && radius_km <= MAX_RADIUS_KM) {
        return Err(Problem::InvalidBody(format!("radius_km: give more than 0, at most {MAX_RADIUS_KM}")));
    }
    let limit = checked_limit(body.limit).map_err(|fault| Problem::InvalidBody(format!("limit: {fault}")))?;
    let results = nearby::nearby(&tool.cities, lat, lon, radius_km, limit);
    Ok(answer(&caller, results.into_iter().map(|(city, km)| Place::new(&tool.cities, city, Some(km))).collect()))
}

fn checked_limit(limit: Option<usize>) -> Result<usize, String> {
    let limit = limit.unwrap_or(DEFAULT_RESULTS);
    (1..=MAX_RESULTS).contains(&limit).then_some(limit).ok_or_else(|| format!("give 1 to {MAX_RESULTS}"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

#[derive(Serialize)]
struct Place<'a> {
    name: &'a str,
    country: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<&'a str>,
    lat: f64,
    lon: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance_km: Option<f64>,
}

impl<'a> Place<'a> {
    fn new(cities: &'a Cities, city: &'a City, distance: Option<f64>) -> Self {
        Self {
            name: &city.name,
            country: &city.country,
            region: cities.region_name(city),
            lat: city.lat,
            lon: city.lon,
            // Ten metres: the coordinates are not better than that.
            distance_km: distance.map(|km| (km * 100.0).round() / 100.0),
        }
    }
}

/// Whom the verifier let in, as a tool sees them: no token to parse, no look-up.
#[derive(Serialize)]
struct Caller<'a> {
    user: &'a str,
    assurance: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user: Option<&'a str>,
}

#[derive(Serialize)]
struct Answer<'a> {
    results: Vec<Place<'a>>,
    caller: Caller<'a>,
    attribution: &'static str,
}

fn answer(verified: &Verified, results: Vec<Place<'_>>) -> Response {
    let caller = Caller {
        user: verified.subject(),
        assurance: verified.assurance().as_str(),
        origin: verified.origin().map(Origin::as_str),
        end_user: verified.end_user(),
    };
    let link = HeaderValue::from_str(&format!("<{LICENSE_URL}>; rel=\"license\"")).ok();
    let headers: HeaderMap = link.map(|link| (HeaderName::from_static("link"), link)).into_iter().collect();
    (headers, Json(Answer { results, caller, attribution: ATTRIBUTION })).into_response()
}

#[cfg(test)]
mod tests;
