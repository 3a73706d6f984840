//! The work that no verifier of this profile can leave out. Everything that has to be parsed is given to it ready.
//!
//! Two of them: one that knows the token, as a verifier that remembers does (the MAC begins behind the token's line), and one that sees it for
//! the first time and hashes it, derives the key, and then does the same: MAC the base, hash the body, look at the claims, one insert into a
//! map that holds as many nonces as the verifier's store.

use crate::inputs::{LIVE, NOW, Signed, Token, World, spread};
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::keys::{MacKey, TokenDigest};
use std::collections::HashSet;
use std::hint::black_box;

pub(crate) struct Floor {
    seen: HashSet<([u8; 16], [u8; 16])>,
    begun: MacKey,
    line: usize,
}

impl Floor {
    /// A floor that knows `token`.
    pub(crate) fn new(token: &Token) -> Self {
        let mut seen = HashSet::with_capacity(1 << 18);
        seen.extend((0..LIVE).map(|number| ([0; 16], spread(number))));
        let line = format!("\"authorization\": HTTPSig {}\n", token.text);
        Self { seen, begun: MacKey::new(&token.key).starting_with(line.as_bytes()), line: line.len() }
    }

    /// With the token that it knows, which the request covers first.
    pub(crate) fn verify_known(&mut self, id: [u8; 16], request: &Signed) -> bool {
        let mut mac = self.begun.begin();
        mac.update(black_box(&request.base[self.line..]));
        black_box(mac.finish());
        self.rest(id, request)
    }

    /// With a token that it sees for the first time.
    pub(crate) fn verify_new(&mut self, world: &World, token: &str, id: [u8; 16], request: &Signed) -> bool {
        let key = MacKey::new(&world.tool_key.signing_key(&TokenDigest::of(token.as_bytes())));
        black_box(key.mac(black_box(&request.base)));
        self.rest(id, request)
    }

    fn rest(&mut self, id: [u8; 16], request: &Signed) -> bool {
        black_box(BodyDigest::of(black_box(request.body)));
        black_box(NOW + 290) > NOW && self.seen.insert((id, request.nonce))
    }
}
