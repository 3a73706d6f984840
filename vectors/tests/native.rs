//! The known answers, natively.

use std::path::PathBuf;

#[test]
fn vectors_bmap_1_hold_natively() {
    let folder = std::env::var_os("BMAP_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("bmap-1"), PathBuf::from);
    let read =
        |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let (requests, refusals) = (read("requests.json"), read("refusals.json"));
    let capabilities = read("capability.json");
    let report = bmap_vectors::run(&read("keys.json"), &requests, &refusals, &capabilities).unwrap();
    assert!(report.failed.is_empty(), "{:#?}", report.failed);
    let count = |text: &str| serde_json::from_str::<Vec<serde_json::Value>>(text).unwrap().len();
    // Twenty answers about keys, two for each request, one for each refusal, and as many of capabilities: none was skipped.
    let opened = capabilities.matches("\"tool_sees\"").count();
    assert!(opened > 0);
    let of_capabilities = count(&capabilities) + 2 * opened;
    assert_eq!(report.passed.len(), 20 + 2 * count(&requests) + count(&refusals) + of_capabilities);
}
