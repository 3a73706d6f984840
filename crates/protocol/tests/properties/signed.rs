//! Both ends: a signed request verifies, and one with a single change of a covered part does not.

use bmap_protocol::check::{self, Received};
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::fields::Fields;
use bmap_protocol::keys::{MacKey, SigningKey};
use bmap_protocol::received::UnverifiedSignature;
use bmap_protocol::sign::{Request, RequestKey, Stamp, authorization, sign};
use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

/// A request on the wire.
#[derive(Clone, Debug)]
struct Wire {
    method: String,
    authority: String,
    path: String,
    query: Option<String>,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Hmac,
    Token,
    Ed25519,
}

/// A request that a caller wants to send.
#[derive(Clone, Debug)]
struct Draft {
    kind: Kind,
    key: [u8; 32],
    token: Option<String>,
    method: String,
    authority: String,
    path: String,
    query: Option<String>,
    more: Vec<(String, String)>,
    body: Vec<u8>,
    content_type: Option<String>,
    content_encoding: Option<String>,
    created: u64,
    nonce: [u8; 16],
    key_id: String,
}

fn draft() -> impl Strategy<Value = Draft> {
    let segment = "[A-Za-z0-9~!$&'()*+,;=:@_-]{1,6}(\\.[a-z]{1,3})?(%[46][0-9A-F])?";
    let path = prop::collection::vec(segment, 0..4).prop_map(|segments| format!("/{}", segments.join("/")));
    // Trimmed, as the sender must; inside it may have tabs and bytes outside ASCII.
    let value = "([!-~é]([ -~é\t]{0,20}[!-~é])?)?";
    let more = prop::collection::btree_map(
        "x-[a-z0-9_.]{1,6}|date|cookie|origin|x[_.-]original[_.-]url|x-http-method",
        value,
        0..4,
    )
    .prop_map(|headers| headers.into_iter().collect());
    let body = prop_oneof![Just(Vec::new()), prop::collection::vec(any::<u8>(), 1..300)];
    (
        (prop::sample::select(vec![Kind::Hmac, Kind::Token, Kind::Ed25519]), any::<[u8; 32]>()),
        prop::option::of("[A-Za-z0-9_-]{1,90}\\.[A-Za-z0-9_-]{1,90}\\.[A-Za-z0-9_-]{1,90}"),
        (
            "[A-Z]{1,8}",
            "[a-z]{1,8}(\\.[a-z]{2,6})?(:[1-9][0-9]{0,3})?",
            path,
            prop::option::of("[!-\"$-~]{0,30}"),
            more,
        ),
        (body, prop::option::of("[a-z]{1,8}/[a-z+]{1,8}(; charset=utf-8)?"), prop::option::of("gzip|br|gzip, br")),
        (0..253_402_300_800_u64, any::<[u8; 16]>(), "[A-Za-z0-9._-]{1,80}"),
    )
        .prop_map(
            |(
                (kind, key),
                token,
                (method, authority, path, query, more),
                (body, content_type, content_encoding),
                (created, nonce, key_id),
            )| Draft {
                kind,
                key,
                token,
                method,
                authority,
                path,
                query,
                more,
                body,
                content_type,
                content_encoding,
                created,
                nonce,
                key_id,
            },
        )
}

impl Draft {
    fn token(&self) -> Option<&str> {
        // A key of that kind is one token's.
        self.token.as_deref().or(matches!(self.kind, Kind::Token).then_some("a.b.c"))
    }

    fn sign(&self) -> Wire {
        let authorization = self.token().map(authorization);
        let digest = (!self.body.is_empty()).then(|| BodyDigest::of(&self.body).header_value());
        let content_type = self.content_type.as_deref().filter(|_| digest.is_some());
        let content_encoding = self.content_encoding.as_deref().filter(|_| digest.is_some());
        let more: Vec<(&str, &str)> = self.more.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let request = Request {
            method: &self.method,
            authority: &self.authority,
            path: &self.path,
            query: self.query.as_deref(),
            authorization: authorization.as_deref(),
            content_type,
            content_encoding,
            content_digest: digest.as_deref(),
            more: &more,
        };
        let key = match self.kind {
            Kind::Hmac => RequestKey::Hmac(MacKey::from_key_bytes(&self.key)),
            Kind::Token => RequestKey::token(&SigningKey::from_bytes(self.key), self.token().unwrap()).unwrap(),
            Kind::Ed25519 => RequestKey::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&self.key))),
        };
        let stamp = Stamp { created: self.created, nonce: self.nonce, key_id: &self.key_id };
        let signed = sign(&request, &stamp, &key).unwrap();
        let own = [
            ("authorization", authorization.as_deref()),
            ("content-type", content_type),
            ("content-encoding", content_encoding),
            ("content-digest", digest.as_deref()),
            ("signature-input", Some(signed.signature_input.as_str())),
            ("signature", Some(signed.signature.as_str())),
        ];
        let own = own.into_iter().filter_map(|(name, value)| Some((name, value?)));
        let headers = own.chain(more).map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect();
        Wire {
            method: self.method.clone(),
            authority: self.authority.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers,
            body: self.body.clone(),
        }
    }

    /// The receiving end.
    fn verifies(&self, wire: &Wire) -> bool {
        let mut headers = HeaderMap::new();
        for (name, value) in &wire.headers {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value).unwrap());
        }
        let fields = Fields::of(&headers);
        let Ok(signature) = UnverifiedSignature::parse(&fields) else { return false };
        let received = Received {
            method: &wire.method,
            scheme: "https",
            authority: &wire.authority,
            path: &wire.path,
            query: wire.query.as_deref(),
            fields: &fields,
        };
        let holds = match self.kind {
            Kind::Hmac | Kind::Token => check::mac(&received, &signature, &MacKey::from_key_bytes(&self.key)),
            Kind::Ed25519 => {
                let public_key = ed25519_dalek::SigningKey::from_bytes(&self.key).verifying_key().to_bytes();
                check::ed25519(&received, &signature, &public_key)
            }
        };
        let covered = check::coverage(&signature, &fields, self.token().is_some(), !wire.body.is_empty());
        let digest = headers.get("content-digest").map(|value| BodyDigest::parse(value.as_bytes()));
        let whole = digest.is_none_or(|digest| digest.is_ok_and(|digest| digest.matches(&BodyDigest::of(&wire.body))));
        holds.is_ok() && covered.is_ok() && whole
    }
}

/// Every single change of one covered thing.
fn changes(wire: &Wire) -> Vec<(String, Wire)> {
    let mut all = Vec::new();
    let mut add = |what: &str, change: &dyn Fn(&mut Wire)| {
        let mut changed = wire.clone();
        change(&mut changed);
        all.push((what.to_owned(), changed));
    };
    add("method", &|wire| wire.method.push('X'));
    add("authority", &|wire| wire.authority.insert(0, 'x'));
    add("path", &|wire| wire.path.push('x'));
    add("query longer", &|wire| wire.query.get_or_insert_default().push('x'));
    if wire.query.as_ref().is_some_and(|query| !query.is_empty()) {
        add("query gone", &|wire| wire.query = None);
    }
    add("body longer", &|wire| wire.body.push(0));
    if !wire.body.is_empty() {
        add("body gone", &|wire| wire.body.clear());
        add("body changed", &|wire| wire.body[0] ^= 1);
    }
    for (at, (name, _)) in wire.headers.iter().enumerate() {
        add(&format!("{name} longer"), &|wire| wire.headers[at].1.push(b'x'));
        add(&format!("{name} gone"), &|wire| drop(wire.headers.remove(at)));
        add(&format!("{name} twice"), &|wire| wire.headers.push(wire.headers[at].clone()));
    }
    let at = |name: &str| wire.headers.iter().position(|(header, _)| header == name).unwrap();
    let input = String::from_utf8(wire.headers[at("signature-input")].1.clone()).unwrap();
    let mut edit = |what: &str, edited: String| {
        assert_ne!(edited, input, "{what} changes nothing");
        add(what, &|wire| wire.headers[at("signature-input")].1 = edited.clone().into_bytes());
    };
    let (list, parameters) = input.split_at(input.rfind(");created=").unwrap() + 1);
    edit("created", input.replacen(";created=", ";created=1", 1));
    edit("keyid", input.replacen(";keyid=\"", ";keyid=\"x", 1));
    edit("parameter added", input.replacen(";tag=", ";x;tag=", 1));
    edit("expires added", input.replacen(";tag=", ";expires=999999999999;tag=", 1));
    let tag = parameters.find(";tag=").unwrap();
    edit("order of parameters", format!("{list}{}{}", &parameters[tag..], &parameters[..tag]));
    edit("order of components", input.replacen("\"@method\" \"@authority\"", "\"@authority\" \"@method\"", 1));
    edit("component gone", input.replacen(" \"@query\"", "", 1));
    edit("component added", input.replacen("\"@query\"", "\"@query\" \"host\"", 1));
    let nonce = input.find(";nonce=\"").unwrap() + 8;
    edit(
        "nonce",
        format!("{}{}{}", &input[..nonce], if &input[nonce..=nonce] == "A" { "B" } else { "A" }, &input[nonce + 1..]),
    );
    let signature = &wire.headers[at("signature")].1;
    for position in [6, 20, signature.len() - 5] {
        let to = if signature[position] == b'A' { b'B' } else { b'A' };
        add("signature", &|wire| wire.headers[at("signature")].1[position] = to);
    }
    all
}

proptest! {
    #![proptest_config(super::cases(120))]

    #[test]
    fn what_was_signed_verifies_and_no_single_change_does(draft in draft()) {
        let wire = draft.sign();
        prop_assert!(draft.verifies(&wire), "{:?}", wire);
        for (what, changed) in changes(&wire) {
            prop_assert!(!draft.verifies(&changed), "{} is not noticed", what);
        }
        let mut other_key = draft.clone();
        other_key.key[0] ^= 1;
        prop_assert!(!other_key.verifies(&wire));
    }
}
