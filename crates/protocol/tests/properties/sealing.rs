//! The seal: a sealed text opens, and nothing else does.

use bmap_protocol::keys::KeyEncryptionKey;
use bmap_protocol::seal::{open, seal};
use proptest::prelude::*;

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..80)
}

proptest! {
    #![proptest_config(super::cases(500))]

    #[test]
    fn r56_what_was_sealed_opens_and_no_change_of_it_does(
        key: [u8; 32], epoch: u32, nonce: [u8; 12], row in bytes(), material in bytes(), at: prop::sample::Index, bit in 0..8_u8,
    ) {
        let kek = KeyEncryptionKey::from_bytes(key);
        let sealed = seal(&kek, epoch, nonce, &row, &material).unwrap();
        let opened = open(&kek, epoch, &row, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), material.as_slice());
        prop_assert!(open(&kek, epoch.wrapping_add(1), &row, &sealed).is_err());
        prop_assert!(open(&kek, epoch, &[row.as_slice(), b"x"].concat(), &sealed).is_err());
        let flip = |bytes: &mut [u8]| bytes[at.index(bytes.len())] ^= 1 << bit;
        let mut other_key = key;
        flip(&mut other_key);
        prop_assert!(open(&KeyEncryptionKey::from_bytes(other_key), epoch, &row, &sealed).is_err());
        let mut changed = sealed.clone().into_bytes();
        flip(&mut changed);
        prop_assert!(open(&kek, epoch, &row, &String::from_utf8_lossy(&changed)).is_err());
        if !row.is_empty() {
            let mut other_row = row.clone();
            flip(&mut other_row);
            prop_assert!(open(&kek, epoch, &other_row, &sealed).is_err());
        }
    }

    #[test]
    fn r56_arbitrary_text_does_not_open(key: [u8; 32], epoch: u32, text in prop_oneof![any::<String>(), "s1\\.[A-Za-z0-9_=+/-]{0,120}"]) {
        prop_assert!(open(&KeyEncryptionKey::from_bytes(key), epoch, b"row", &text).is_err());
    }
}
