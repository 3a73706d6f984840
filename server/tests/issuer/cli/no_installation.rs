//! A data folder without an installation: a misspelt one makes none in silence, and a lost root secret is not replaced.

use crate::operator::Operator;
use std::path::Path;

/// Says that it made one.
fn says_so(error: &str, folder: &Path) -> bool {
    error.contains(&format!("made a new installation in {}\n", folder.display()))
}

#[test]
fn a_command_that_looks_for_something_makes_no_installation() {
    let operator = Operator::new();
    let mistyped = operator.path("date");
    let key = "bmk_01a1ee5665d07eb7b02726e4e8f326d2";
    for command in [
        &["user", "list"][..],
        &["user", "deactivate", "ana"],
        &["user", "activate", "ana"],
        &["user", "role", "ana", "admin"],
        &["user", "identity", "list"],
        &["key", "add", "--user", "ana", "--name", "n"],
        &["key", "list"],
        &["key", "revoke", key],
        &["tool", "list"],
        &["tool", "confirm", "places"],
        &["tool", "credential", "places"],
        &["tool", "remove", "places"],
        &["session", "list"],
        &["session", "revoke", "ses_01a1ee5665d07eb7b02726e4e8f326d2"],
        &["audit", "list"],
        &["audit", "verify"],
        &["root", "status"],
        &["root", "rotate"],
        &["root", "activate"],
        &["root", "retire", "1"],
    ] {
        let (code, error) = operator.fails(&[command, &["--data-dir", &mistyped]].concat());
        assert_eq!(code, 2, "{command:?}: {error}");
        assert!(error.contains(&format!("there is no installation in {mistyped}: name the folder")), "{error}");
        assert!(!Path::new(&mistyped).exists(), "{command:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_makes_an_installation_says_so_once() {
    let adds_tool = ["tool", "add", "places", "--url", "https://places.example"];
    for makes in [&["user", "add", "ana"][..], &adds_tool] {
        let operator = Operator::new();
        let folder = operator.folder.path().join("data");
        let made = operator.run(makes);
        assert!(made.status.success() && says_so(&String::from_utf8(made.stderr).unwrap(), &folder), "{makes:?}");
        let again = operator.run(&["user", "add", "ben"]);
        assert_eq!((again.status.success(), again.stderr), (true, Vec::new()));
        operator.serve();
        assert!(!std::fs::read_to_string(operator.path("log")).unwrap().contains("made a new"));
    }
    let operator = Operator::new();
    operator.serve();
    assert!(says_so(&std::fs::read_to_string(operator.path("log")).unwrap(), &operator.folder.path().join("data")));
}

#[test]
fn no_new_root_secret_is_put_beside_a_database_that_another_one_sealed() {
    let operator = Operator::new();
    operator.out(&["user", "add", "ana"]);
    let root = operator.folder.path().join("data/root.secret");
    let kept = operator.folder.path().join("kept");
    std::fs::rename(&root, &kept).unwrap();
    for makes in [&["user", "add", "ben"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        let (code, error) = operator.fails(makes);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("there is no root secret in") && error.contains("from its backup"), "{error}");
        assert!(!root.exists(), "{makes:?}");
    }
    let (code, error) = operator.fails(&["user", "list"]);
    assert!(code == 2 && error.contains("there is no root secret in") && error.contains("from its backup"), "{error}");
    std::fs::rename(&kept, &root).unwrap();
    assert_eq!(operator.json(&["user", "list"]).as_array().unwrap().len(), 1);
}
