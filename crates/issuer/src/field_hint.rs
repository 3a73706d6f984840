//! The grammar of each field of a request, for the `hint` of a 400: one line for each name, because one name means the same on every route.

use bmap_protocol::digest::DigestFault;
use bmap_protocol::refusal::Refusal;

/// The field's grammar. `None` where the refusal is about no field.
pub(super) const fn field_hint(field: &str) -> Option<&'static str> {
    // A `const fn` compares bytes.
    Some(match field.as_bytes() {
        b"action" => "an action of the audit log, like token.grant",
        b"actor" | b"target" => "a kind or an id",
        b"audience" | b"tool" => "a tool's id: 1 to 32 of a-z, 0-9 and -",
        b"authorization" => "one credential, shown in one way",
        b"body" => "a body as the route describes it, each field once",
        b"client_id" => "an API key's id: bmk_ and 32 hexadecimal digits",
        b"code_challenge" => "the S256 challenge of RFC 7636 §4.2: 43 characters",
        b"cursor" => "what `next_cursor` said",
        b"email" => "an address like ana@shop.example, with an ASCII local part",
        b"encrypt" => "0 or 1",
        b"end_user" => "1 to 256 bytes without control characters",
        b"content-digest" => "a digest as RFC 9530 spells it, with sha-256",
        b"grant" => {
            "a ticket, refresh token or subject token that is known, was not used and is not over: get a new one"
        }
        b"grant_type" => "client_credentials, refresh_token, or urn:ietf:params:oauth:grant-type:token-exchange",
        b"host" => "one host, with a port or without (RFC 9110 §7.2)",
        b"limit" => "a number within the bounds that the route describes",
        b"origin" | b"embed_origin" => "one origin as browsers send it, like https://shop.example",
        b"outcome" => "done, refused, or a code",
        b"password" | b"current_password" | b"new_password" => "at most 256 bytes when composed (NFC)",
        b"query" => "the parameters that the route describes, each once",
        b"resource" => "a tool's base URL, like https://places.example",
        b"refresh_token" => "the refresh token of the last pair",
        b"request" => "a request as HTTP and the route describe it",
        b"return_to" => "the URL of a page of a configured origin, without a fragment",
        b"scope" => "scopes of the tool with one space between them",
        b"signature" | b"signature-input" => "one signature with the tag bmap-1, as RFC 9421 spells it",
        b"state" => "what the provider sends the browser back with",
        b"subject_token" => "the ticket or token that is exchanged",
        b"subject_token_type" => "urn:bmap:token-type:ticket or urn:ietf:params:oauth:token-type:access_token",
        b"target-uri" => "a path without dot segments, empty segments and encoded dots, slashes or backslashes",
        b"token" => "the token, as it was sent",
        b"ttl" => "1 to 120 seconds",
        _ => return None,
    })
}

/// The part of a signed request that is outside its grammar. The part of a proof that does not hold is not told.
pub(super) const fn field_of_signed(refusal: &Refusal) -> Option<&'static str> {
    match refusal {
        Refusal::Header { name } | Refusal::UncoveredOverride { header: name } => Some(name),
        Refusal::Target(_) => Some("target-uri"),
        Refusal::Signature(_) => Some("signature"),
        Refusal::Digest(DigestFault::Malformed) => Some("content-digest"),
        Refusal::BodyCut => Some("body"),
        _ => None,
    }
}
