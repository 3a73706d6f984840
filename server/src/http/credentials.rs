//! Which credential a request carries: an API key's in exactly one of four kinds (profile §4), or a user's access token. At the OAuth endpoints
//! a key's id and secret may stand in the form in the place of these.

use base64ct::{Base64, Encoding};
use bmap_issuer::authenticate::PresentedSecret;
use bmap_issuer::error::IssuerError;
use bmap_model::keys::last_use::Way;
use bmap_protocol::api_key::ApiSecret;
use bmap_protocol::ids::ApiKeyId;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// Most characters of a credential in base64: id, colon and secret with every character form-encoded are 338.
const MAX_ENCODED: usize = 512;

/// A credential, unchecked.
#[derive(Debug)]
pub enum Credential {
    /// A key id with its secret, in one of their spellings.
    Secret(Way, PresentedSecret),
    /// An RFC 9421 signature; the verifier finds its signer.
    Signature,
}

/// Finds the credential.
///
/// # Errors
/// [`IssuerError::NoCredential`], [`IssuerError::SeveralCredentials`] (RFC 6749 §2.3), or [`IssuerError::BadCredential`].
pub fn find(headers: &HeaderMap) -> Result<Credential, IssuerError> {
    let authorization = single(headers, AUTHORIZATION.as_str())?;
    let id_header = single(headers, "x-api-key")?;
    let secret_header = single(headers, "x-api-secret")?;
    let has_signature = headers.contains_key("signature-input") || headers.contains_key("signature");
    let has_headers = id_header.is_some() || secret_header.is_some();
    match (authorization, has_headers, has_signature) {
        (None, false, false) => Err(IssuerError::NoCredential),
        (None, false, true) => Ok(Credential::Signature),
        (None, true, false) => {
            let (Some(id), Some(secret)) = (id_header, secret_header) else { return Err(IssuerError::BadCredential) };
            presented(Way::Headers, &decode(id)?, &decode(secret)?)
        }
        (Some(value), false, false) => {
            let (scheme, encoded) = scheme_and_rest(value).ok_or(IssuerError::BadCredential)?;
            let ways = [("basic", Way::Basic), ("apikey", Way::ApiKey)];
            let way = ways.into_iter().find(|(word, _)| scheme.eq_ignore_ascii_case(word));
            let (_, way) = way.ok_or(IssuerError::BadCredential)?;
            let pair = decode(encoded)?;
            let (id, secret) = pair.split_once(':').ok_or(IssuerError::BadCredential)?;
            match way {
                Way::Basic => presented(way, &form_decoded(id)?, &form_decoded(secret)?),
                _ => presented(way, id, secret),
            }
        }
        _ => Err(IssuerError::SeveralCredentials),
    }
}

/// Finds the credential of a request whose form may have one too: `client_id` and `client_secret` (RFC 6749 §2.3.1).
///
/// # Errors
/// As [`find`]; [`IssuerError::SeveralCredentials`] where the form and the head have one each.
pub fn find_with_form(headers: &HeaderMap, in_form: Option<(&str, &str)>) -> Result<Credential, IssuerError> {
    match (find(headers), in_form) {
        (found, None) => found,
        (Err(IssuerError::NoCredential), Some((id, secret))) => presented(Way::Form, id, secret),
        // Whatever the head has, good or bad.
        (_, Some(_)) => Err(IssuerError::SeveralCredentials),
    }
}

/// Whether the request shows a user's access token (`Authorization: Bearer …`, RFC 6750 §2.1), good or bad: an API key comes in other ways.
pub(super) fn is_bearer_shown(headers: &HeaderMap) -> bool {
    let scheme = |value: &HeaderValue| Some(scheme_and_rest(value.to_str().ok()?)?.0.eq_ignore_ascii_case("bearer"));
    headers.get_all(AUTHORIZATION).iter().any(|value| scheme(value) == Some(true))
}

fn presented(way: Way, id: &str, secret: &str) -> Result<Credential, IssuerError> {
    // A text that is no secret says nothing about which ids there are, so it may be refused at once.
    let secret = ApiSecret::parse(secret).map_err(|_| IssuerError::BadCredential)?;
    Ok(Credential::Secret(way, PresentedSecret { id: ApiKeyId::parse(id).ok(), secret }))
}

/// An `Authorization` value as its scheme and its credentials, which one or more spaces part (`1*SP`, RFC 9110 §11.4).
pub(super) fn scheme_and_rest(value: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = value.split_once(' ')?;
    Some((scheme, rest.trim_matches(' ')))
}

/// Undoes the form encoding of RFC 6749 §2.3.1. Ids and secrets have neither `%` nor `+`, so one that was not encoded stays as it is.
fn form_decoded(text: &str) -> Result<Zeroizing<String>, IssuerError> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    let bytes = Zeroizing::new(percent_decode_str(&spaced).collect::<Vec<u8>>());
    std::str::from_utf8(&bytes).map(|text| Zeroizing::new(text.to_owned())).map_err(|_| IssuerError::BadCredential)
}

/// The one value of a header; a second one is a second credential.
fn single<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, IssuerError> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(IssuerError::SeveralCredentials);
    }
    first.map(|value| value.to_str().map_err(|_| IssuerError::BadCredential)).transpose()
}

fn decode(encoded: &str) -> Result<Zeroizing<String>, IssuerError> {
    if encoded.len() > MAX_ENCODED {
        return Err(IssuerError::BadCredential);
    }
    let bytes = Base64::decode_vec(encoded).map_err(|_| IssuerError::BadCredential)?;
    String::from_utf8(bytes).map(Zeroizing::new).map_err(|_| IssuerError::BadCredential)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn find_in(headers: &[(&'static str, String)]) -> Result<Credential, IssuerError> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        find(&map)
    }

    fn encoded(text: &str) -> String {
        Base64::encode_string(text.as_bytes())
    }

    /// Every character escaped, as the most cautious client does.
    fn escaped(text: &str) -> String {
        text.bytes().map(|byte| format!("%{byte:02X}")).collect()
    }

    #[test]
    fn four_spellings_of_one_credential() {
        let id = ApiKeyId::from_uuid([1; 16]);
        let secret = ApiSecret::from_bytes([2; 32]).reveal();
        let pair = encoded(&format!("{id}:{}", *secret));
        for headers in [
            vec![("authorization", format!("Basic {pair}"))],
            vec![("authorization", format!("basic {pair}"))],
            vec![("authorization", format!("ApiKey {pair}"))],
            vec![("authorization", format!("ApiKey   {pair}"))],
            vec![("authorization", format!("Basic  {pair}"))],
            vec![(
                "authorization",
                format!("Basic {}", encoded(&format!("{}:{}", escaped(id.as_str()), escaped(&secret)))),
            )],
            vec![("x-api-key", encoded(id.as_str())), ("x-api-secret", encoded(&secret))],
        ] {
            match find_in(&headers).unwrap() {
                Credential::Secret(_, presented) => assert_eq!(presented.id.as_ref(), Some(&id)),
                Credential::Signature => panic!("not signed"),
            }
        }
        let signed = find_in(&[("signature-input", "bmap=()".to_owned())]);
        assert!(matches!(signed, Ok(Credential::Signature)));
    }

    #[test]
    fn a_form_has_a_credential_or_the_head_has_one() {
        let id = ApiKeyId::from_uuid([1; 16]);
        let secret = ApiSecret::from_bytes([2; 32]).reveal();
        let in_form = Some((id.as_str(), secret.as_str()));
        match find_with_form(&HeaderMap::new(), in_form).unwrap() {
            Credential::Secret(Way::Form, presented) => assert_eq!(presented.id, Some(id.clone())),
            other => panic!("{other:?}"),
        }
        for (id, secret) in [("", secret.as_str()), (id.as_str(), "x"), (id.as_str(), "")] {
            let found = find_with_form(&HeaderMap::new(), Some((id, secret)));
            assert!(!matches!(found, Ok(Credential::Secret(_, presented)) if presented.id.is_some()), "{id} {secret}");
        }
        for (name, value) in [
            ("authorization", format!("Basic {}", encoded(&format!("{id}:{}", *secret)))),
            ("authorization", "Bearer x".to_owned()),
            ("authorization", "Basic !".to_owned()),
            ("x-api-key", "eA==".to_owned()),
            ("signature-input", "bmap=()".to_owned()),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HeaderName::from_static(name), HeaderValue::from_str(&value).unwrap());
            let found = find_with_form(&headers, in_form);
            assert!(matches!(found, Err(IssuerError::SeveralCredentials)), "{name}: {value}");
            // Without one in the form, what the head has counts.
            assert!(!matches!(find_with_form(&headers, None), Err(IssuerError::SeveralCredentials)), "{name}: {value}");
        }
    }

    #[test]
    fn none_two_or_broken() {
        let pair =
            || encoded(&format!("{}:{}", ApiKeyId::from_uuid([1; 16]), *ApiSecret::from_bytes([2; 32]).reveal()));
        let pair_with = |underscore: &str| {
            let text = format!("{}:{}", ApiKeyId::from_uuid([1; 16]), *ApiSecret::from_bytes([2; 32]).reveal());
            encoded(&text.replace("bms_", &format!("bms{underscore}")))
        };
        assert!(matches!(find_in(&[]), Err(IssuerError::NoCredential)));
        for headers in [
            vec![("authorization", format!("Basic {}", pair())), ("signature-input", "bmap=()".to_owned())],
            vec![("authorization", format!("Basic {}", pair())), ("x-api-key", "eA==".to_owned())],
            vec![("authorization", format!("Basic {}", pair())), ("authorization", format!("Basic {}", pair()))],
        ] {
            assert!(matches!(find_in(&headers), Err(IssuerError::SeveralCredentials)), "{headers:?}");
        }
        for headers in [
            vec![("authorization", "Basic".to_owned())],
            vec![("authorization", "Basic !".to_owned())],
            vec![("authorization", format!("Bearer {}", pair()))],
            vec![("authorization", format!("Basic {}", encoded("no colon")))],
            vec![("authorization", format!("Basic {}", encoded("id:not a secret")))],
            vec![("authorization", format!("Basic {}", "A".repeat(600)))],
            vec![("authorization", format!("ApiKey {}", pair_with("%5F")))],
            vec![("authorization", format!("Basic\t{}", pair()))],
            vec![("authorization", format!("Basic{}", pair()))],
            vec![("x-api-key", encoded("id"))],
            vec![("x-api-secret", encoded("id"))],
        ] {
            assert!(matches!(find_in(&headers), Err(IssuerError::BadCredential)), "{headers:?}");
        }
    }
}
