//! Writes the first inputs of each target that reads plain bytes, made of the known answers: `cargo run --bin seeds`.
//!
//! `fast_paths`, `seal` and `capability` read structures, for which a seed would be a guess at how these are cut from bytes.

use base64ct::{Base64UrlUnpadded, Encoding};
use bmap_fuzz::{CASES, ISSUER_KEY, seed, text};
use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    for case in CASES.iter() {
        let headers = &case["headers"];
        let token: Vec<&str> = text(case, "token").split('.').collect();
        let decoded = |part: &str| Base64UrlUnpadded::decode_vec(part).unwrap_or_default();
        // Under the key that the target signs with.
        let header = String::from_utf8_lossy(&decoded(token[0])).replace(ISSUER_KEY.kid(), "bj1.fuzz");
        let signed = [b"\x01", header.as_bytes(), b"\n", &decoded(token[1])].concat();
        write("head", case, "", &seed(case))?;
        write("token", case, "foreign", &[b"\0", text(case, "token").as_bytes()].concat())?;
        write("token", case, "signed", &signed)?;
        let fields = format!("{}\n{}", text(headers, "signature-input"), text(headers, "signature"));
        write("fields", case, "", fields.as_bytes())?;
    }
    Ok(())
}

fn write(target: &str, case: &serde_json::Value, suffix: &str, bytes: &[u8]) -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder)?;
    fs::write(folder.join(format!("{}{suffix}", text(case, "name"))), bytes)
}
