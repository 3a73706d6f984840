//! Each case of `capability.json`: minted to the same text, and put to the verifier.

use crate::body::Ready;
use crate::cases::{CapabilityCase, Keys, unhex32};
use crate::report::Report;
use crate::verify::{At, now, text, verifier};
use bmap_protocol::capability::{self, CapabilityMac};
use bmap_protocol::ids::{Issuer, ToolId};
use bmap_protocol::keys::ToolKey;
use bmap_verifier::{Refusal, UnixTime};
use http::{Request, Uri};

pub(crate) fn run(keys: &Keys, cases: &[CapabilityCase], report: &mut Report) {
    for case in cases {
        match &case.expect {
            None => {
                report.check(format!("mint {}", case.name), mint(keys, case));
                report.check(format!("strip {}", case.name), strip(case));
                report.check(format!("accept {}", case.name), expect(keys, case));
            }
            Some(_) => report.check(format!("refuse {}", case.name), expect(keys, case)),
        }
    }
}

/// Opens the capability, and mints it anew.
fn mint(keys: &Keys, case: &CapabilityCase) -> Result<(), String> {
    let key = ToolKey::from_bytes(unhex32(&keys.tool_key_hex)?).capability_key();
    if hex(key.expose()) != case.capability_key_hex {
        return Err("another key".to_owned());
    }
    let mac = CapabilityMac::new(&key);
    let (issuer, tool) = (Issuer::parse(&keys.issuer).map_err(text)?, ToolId::parse(&keys.tool).map_err(text)?);
    let opened = mac.open(&case.capability, &issuer, &tool, keys.epoch).map_err(text)?;
    let minted = mac.mint(&opened.claims, keys.epoch, &opened.path_prefix, opened.claims.expires_at);
    if minted == case.capability { Ok(()) } else { Err(minted) }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Takes it out of the query.
fn strip(case: &CapabilityCase) -> Result<(), String> {
    let found = capability::find(case.query.strip_prefix('?')).map_err(text)?.ok_or("no capability is found")?;
    let left = found.rest.map_or(case.path.clone(), |rest| format!("{}?{rest}", case.path));
    let seen = case.tool_sees.as_ref().ok_or("an accepted case says what the tool sees")?;
    if (found.text, left.as_str()) == (case.capability.as_str(), seen.target.as_str()) { Ok(()) } else { Err(left) }
}

fn expect(keys: &Keys, case: &CapabilityCase) -> Result<(), String> {
    let actual = decide(keys, case)?.err().map(|refusal| refusal.code().as_str());
    if actual == case.expect.as_deref() { Ok(()) } else { Err(format!("{actual:?} instead of {:?}", case.expect)) }
}

fn decide(keys: &Keys, case: &CapabilityCase) -> Result<Result<(), Refusal>, String> {
    let target: Uri = format!("{}{}", case.path, case.query).parse().map_err(text)?;
    let mut request = Request::builder().method(case.method.as_str()).uri(target).header("host", &case.authority);
    if let Some(origin) = &case.origin {
        request = request.header("origin", origin);
    }
    let (head, body) = request.body(Ready(Vec::new().into())).map_err(text)?.into_parts();
    let verifier = verifier(keys, "session")?;
    let clock = At(UnixTime::from_seconds(case.now));
    now(verifier.verify(&head, body, None, &clock)).map(|outcome| outcome.map(|_| ()))
}
