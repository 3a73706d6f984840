//! The seal: arbitrary text never opens and never panics, and what was sealed opens unchanged or not at all.
#![no_main]

use arbitrary::Arbitrary;
use bmap_fuzz::{KEYS, text};
use bmap_protocol::keys::KeyEncryptionKey;
use bmap_protocol::seal::{open, seal};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    foreign: &'a str,
    epoch: u32,
    other_epoch: u32,
    nonce: [u8; 12],
    bound_to: &'a [u8],
    also_bound_to: &'a [u8],
    material: &'a [u8],
    at: usize,
    to: u8,
}

fuzz_target!(|input: Input<'_>| {
    let kek = KeyEncryptionKey::from_bytes([9; 32]);
    // A key that seals nothing here: the fuzzer sees what is compared, and would learn a sealed text.
    let unused = KeyEncryptionKey::from_bytes([7; 32]);
    for foreign in [input.foreign, text(&KEYS, "token"), text(&KEYS["api_key"], "sealed")] {
        for epoch in [input.epoch, 7] {
            assert!(open(&unused, epoch, input.bound_to, foreign).is_err());
        }
    }
    let sealed = seal(&kek, input.epoch, input.nonce, input.bound_to, input.material).unwrap();
    assert_eq!(&**open(&kek, input.epoch, input.bound_to, &sealed).unwrap(), input.material);
    let mut changed = sealed.clone().into_bytes();
    let at = input.at % changed.len();
    changed[at] = input.to;
    if let Ok(changed) = String::from_utf8(changed)
        && changed != sealed
    {
        assert!(open(&kek, input.epoch, input.bound_to, &changed).is_err(), "{changed} opens as {sealed}");
    }
    for shorter in [&sealed[..at], &sealed[at + 1..]] {
        assert!(open(&kek, input.epoch, input.bound_to, shorter).is_err());
    }
    if input.also_bound_to != input.bound_to {
        assert!(open(&kek, input.epoch, input.also_bound_to, &sealed).is_err(), "bound to something else");
    }
    if input.other_epoch != input.epoch {
        assert!(open(&kek, input.other_epoch, input.bound_to, &sealed).is_err(), "another epoch");
    }
    assert!(open(&KeyEncryptionKey::from_bytes([8; 32]), input.epoch, input.bound_to, &sealed).is_err(), "another key");
});
