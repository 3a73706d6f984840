//! Nonces. The one place in this crate that draws randomness.

use wasm_bindgen::JsValue;

use crate::error::refuse;

/// How many nonces are drawn at a time: one call out of WebAssembly costs about as much as the MAC of a request.
const BATCH: usize = 64;

/// A stock of random nonces, each given out once and wiped when it is.
pub(crate) struct Nonces {
    stock: [[u8; 16]; BATCH],
    left: usize,
}

impl Nonces {
    /// An empty stock; the first call of [`Nonces::take`] fills it.
    pub(crate) const fn new() -> Self {
        Self { stock: [[0; 16]; BATCH], left: 0 }
    }

    /// 16 random bytes that were not given out before.
    ///
    /// # Errors
    /// `no_randomness`, where the platform has no `crypto.getRandomValues`.
    pub(crate) fn take(&mut self) -> Result<[u8; 16], JsValue> {
        if self.left == 0 {
            draw(self.stock.as_flattened_mut())?;
            self.left = BATCH;
        }
        let at = BATCH.saturating_sub(self.left);
        self.left = self.left.saturating_sub(1);
        self.stock.get_mut(at).map(core::mem::take).ok_or_else(|| refuse("no_randomness"))
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the crate's rng.rs; everything else takes bytes as arguments")]
fn draw(bytes: &mut [u8]) -> Result<(), JsValue> {
    getrandom::fill(bytes).map_err(|_| refuse("no_randomness"))
}
