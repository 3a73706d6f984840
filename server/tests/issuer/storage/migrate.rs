//! `bmap migrate`, and what a server does with a schema that is not its own.

use crate::operator::Operator;
use serde_json::Value;

fn states(report: &Value) -> Vec<&str> {
    report["migrations"].as_array().unwrap().iter().map(|step| step["state"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_schema_is_looked_at_brought_up_and_then_current() {
    let operator = Operator::new();
    let (code, error) = operator.fails(&["migrate", "--check"]);
    assert!(code == 1 && error.contains("migrations are pending"), "{error}");
    assert!(!std::path::Path::new(&operator.path("data")).exists(), "asking makes nothing");
    let behind: Value = serde_json::from_slice(&operator.run(&["migrate", "--check", "--json"]).stdout).unwrap();
    assert!(states(&behind).len() > 1 && states(&behind).iter().all(|state| *state == "pending"), "{behind}");

    let made = operator.run(&["migrate", "--json"]);
    let (report, progress) = (serde_json::from_slice(&made.stdout).unwrap(), String::from_utf8_lossy(&made.stderr));
    assert!(states(&report).iter().all(|state| *state == "new"), "{report}");
    assert!(progress.contains("0001 first applied\n0002 accounts applied\n"), "{progress}");

    for arguments in [&["migrate"][..], &["migrate", "--check"]] {
        let report = operator.json(arguments);
        assert_eq!(report["pending"], 0);
        assert!(states(&report).iter().all(|state| *state == "applied"), "{report}");
        assert!(operator.out(arguments).contains("0002"));
    }
}

#[tokio::test]
async fn a_server_that_may_not_migrate_refuses_a_schema_that_is_behind() {
    let operator = Operator::new();
    let careful = |arguments: &[&str]| operator.command(arguments).env("BMAP_MIGRATE_AT_START", "false").output();
    for arguments in [&["serve", "--listen", "127.0.0.1:0"][..], &["user", "add", "ana"]] {
        let refused = careful(arguments).unwrap();
        let error = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{error}");
        assert!(error.contains("behind") && error.contains("bmap migrate"), "{error}");
    }
    operator.out(&["migrate"]);
    assert!(careful(&["user", "add", "ana"]).unwrap().status.success());
    drop(operator.serve_with(&[("BMAP_MIGRATE_AT_START", "false")]));
}

#[tokio::test]
async fn a_schema_of_a_newer_program_or_another_build_is_refused_by_everything() {
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
                 SELECT 9001, 'from the future', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1";
    let altered = "UPDATE _sqlx_migrations SET checksum = (SELECT checksum FROM _sqlx_migrations WHERE version = 1) \
                   WHERE version = 2";
    for (edit, part) in [(newer, "a newer bmap has been at it"), (altered, "made by another build")] {
        let operator = Operator::new();
        operator.out(&["migrate"]);
        operator.edit(edit).await;
        for arguments in
            [&["serve", "--listen", "127.0.0.1:0"][..], &["user", "add", "ana"], &["migrate"], &["migrate", "--check"]]
        {
            let (code, error) = operator.fails(arguments);
            assert!(code == 1 && error.contains(part), "{arguments:?}: {error}");
        }
    }
}

#[test]
fn two_programs_may_migrate_at_once() {
    for _ in 0..5 {
        let operator = Operator::new();
        let programs: Vec<_> = (0..4).map(|_| operator.command(&["migrate"]).spawn().unwrap()).collect();
        for mut program in programs {
            assert!(program.wait().unwrap().success());
        }
        assert_eq!(operator.json(&["migrate", "--check"])["pending"], 0);
    }
}
