//! Loads the state: at the start, when the feed says that it changed, and when a cursor is gone.

use crate::ask::{Asker, Question};
use crate::backoff::Backoff;
use crate::lock::locked;
use crate::shared::{Part, Shared};
use crate::status::LinkFault;
use crate::wants::Want;
use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::link::{LinkedTool, STATE_PATH, State};
use bmap_protocol::origin::Origin;
use bmap_protocol::token::IssuerKey;
use bmap_verifier::allowed_ips::networks;
use bmap_verifier::credential::base_origin;
use bmap_verifier::{AllowedOrigins, Policy, Settings};
use http::header::ETAG;
use http::{HeaderValue, StatusCode};
use std::sync::Arc;

/// Most bytes of a state: some hundred thousand denials.
const MAX_STATE: usize = 32 << 20;

/// Loads what is wanted, for as long as the link runs.
pub(crate) async fn run(shared: Arc<Shared>, asker: Arc<Asker>) {
    let (mut backoff, mut tag) = (Backoff::new(), None);
    loop {
        let want = shared.wants.next().await;
        match load(&shared, &asker, want, &mut tag).await {
            Ok(()) => {
                backoff.reset();
                shared.note(Part::State, None);
                shared.wants.met(want);
            }
            Err(fault) => {
                shared.note(Part::State, Some(&fault));
                if want.must {
                    tokio::time::sleep(backoff.next_wait()).await;
                    shared.wants.again(want);
                }
            }
        }
    }
}

async fn load(shared: &Shared, asker: &Asker, want: Want, tag: &mut Option<HeaderValue>) -> Result<(), LinkFault> {
    let if_none_match = tag.as_ref().filter(|_| !want.whole);
    let question = Question { method: "GET", path: STATE_PATH, query: "", if_none_match, body: b"" };
    let answer = asker.send(question, MAX_STATE).await?;
    if answer.status() == StatusCode::NOT_MODIFIED {
        shared.state_is_unchanged();
        return Ok(());
    }
    let state: State =
        serde_json::from_slice(answer.body()).map_err(|_| LinkFault::Malformed("the state is another document"))?;
    if state.issuer != shared.issuer.as_str() {
        return Err(LinkFault::Malformed("the state is another issuer's"));
    }
    let tool = state.tools.iter().find(|tool| tool.id == shared.tool.as_str());
    let settings = settings(shared, &state, tool)?;
    let elapsed = shared.clock.elapsed();
    match want.whole {
        true => locked(&shared.time).heard_anew(state.server_time, elapsed),
        false => locked(&shared.time).heard(state.server_time, elapsed),
    }
    shared.state(&state, settings, tool.and_then(|tool| tool.policy.max_staleness), want.reset);
    *tag = answer.headers().get(ETAG).cloned();
    Ok(())
}

/// The settings that a state has for the tool. One that can't be read is taken as a whole or not at all.
fn settings(shared: &Shared, state: &State, tool: Option<&LinkedTool>) -> Result<Settings, LinkFault> {
    let key = |key: &bmap_protocol::link::PublicKey| {
        let mut bytes = [0; 32];
        let decoded = Base64UrlUnpadded::decode(&key.x, &mut bytes).ok()?;
        (decoded.len() == 32).then(|| IssuerKey::new(&key.kid, &bytes).ok()).flatten()
    };
    let issuer_keys = state.issuer_keys.iter().map(key).collect::<Option<_>>();
    let issuer_keys = issuer_keys.ok_or(LinkFault::Malformed("a key of the issuer is not an Ed25519 key"))?;
    let Some(tool) = tool else {
        // A tool that is not there any more has no tokens.
        let mut settings = locked(&shared.operator).settings.clone();
        settings.issuer_keys = issuer_keys;
        settings.epochs = Some(Vec::new());
        return Ok(settings);
    };
    let own: Option<Vec<Origin>> = tool.base_urls.iter().map(|url| base_origin(url)).collect();
    let own = own.filter(|own| !own.is_empty()).ok_or(LinkFault::Malformed("a base URL is missing or not http(s)"))?;
    if tool.policy.check().is_err() || networks(&tool.policy).is_none() {
        return Err(LinkFault::Malformed("the tool's policy is not one that a verifier can keep"));
    }
    let mut policy = Policy::default().with_tool_policy(&tool.policy);
    policy.origins = match tool.origins.as_slice() {
        [any] if any == "*" => AllowedOrigins::NamedByToken,
        list => {
            let origins: Option<Vec<Origin>> = list.iter().map(|text| Origin::parse_pattern(text).ok()).collect();
            AllowedOrigins::These(origins.ok_or(LinkFault::Malformed("an origin is not a serialised one"))?.into())
        }
    };
    policy.min_assurance = tool.min_assurance;
    policy.scopes = tool.scopes.iter().map(|scope| scope.as_str().into()).collect();
    let mut settings = Settings::new(issuer_keys, own, policy);
    settings.epochs = Some(tool.epochs.clone());
    Ok(settings)
}
