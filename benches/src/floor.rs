//! What no verifier of this profile can leave out: hash the token, derive the key, MAC the base, hash the body, look at
//! the claims, one insert into a map that holds as many nonces as the verifier's store. Everything that has to be parsed is given to it ready.

use crate::inputs::{LIVE, NOW, Signed, World, spread};
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::keys::{MacKey, TokenDigest};
use std::collections::HashSet;
use std::hint::black_box;

pub(crate) struct Floor {
    seen: HashSet<([u8; 16], [u8; 16])>,
}

impl Floor {
    pub(crate) fn new() -> Self {
        let mut seen = HashSet::with_capacity(1 << 18);
        seen.extend((0..LIVE).map(|number| ([0; 16], spread(number))));
        Self { seen }
    }

    pub(crate) fn verify(&mut self, world: &World, token: &str, id: [u8; 16], request: &Signed) -> bool {
        let key = MacKey::new(&world.tool_key.signing_key(&TokenDigest::of(token.as_bytes())));
        let mac = key.mac(black_box(&request.base));
        let digest = BodyDigest::of(black_box(request.body));
        let expires = black_box(NOW + 290);
        black_box((mac, digest));
        expires > NOW && self.seen.insert((id, request.nonce))
    }
}
