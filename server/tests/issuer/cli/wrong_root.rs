//! A data folder with the root secret of another installation: no command writes with it (O14). And one with another's database.

use crate::operator::Operator;
use crate::{database::is_postgres, operator::BMAP};
use sqlx::{AnyPool, AssertSqlSafe, Row};
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

const KEY: &str = "bmk_01a1ee5665d07eb7b02726e4e8f326d2";
const SESSION: &str = "ses_01a1ee5665d07eb7b02726e4e8f326d2";

/// Every command that writes, with arguments that it would go on with.
const WRITING: [&[&str]; 23] = [
    &["serve", "--listen", "127.0.0.1:0"],
    &["user", "add", "ben"],
    &["user", "deactivate", "ana"],
    &["user", "activate", "ana"],
    &["user", "role", "ana", "admin"],
    &["user", "invite", "ben@shop.example"],
    &["user", "identity", "confirm", "ana", "https://login.example", "1"],
    &["key", "add", "--user", "ana", "--name", "n"],
    &["key", "edit", KEY, "--name", "n"],
    &["key", "regenerate", KEY],
    &["key", "revoke", KEY],
    &["session", "revoke", SESSION],
    &["tool", "add", "other", "--url", "https://other.example"],
    &["tool", "edit", "places", "--open"],
    &["tool", "grant", "ana", "places"],
    &["tool", "revoke-grant", "ana", "places"],
    &["tool", "confirm", "places"],
    &["tool", "credential", "places"],
    &["tool", "remove", "places"],
    &["root", "rotate"],
    &["root", "activate"],
    &["root", "retire", "1"],
    &["migrate"],
];

/// Every other command: it writes nothing, so it may look at what does not fit together.
const READING: [&str; 18] = [
    "user list",
    "key list",
    "key show",
    "tool grants",
    "user identity list",
    "session list",
    "tool list",
    "tool show",
    "root status",
    "audit list",
    "audit verify",
    "sign",
    "explain",
    "config check",
    "config show",
    "openapi",
    "doctor",
    "completions",
];
const ASKING: &str = "healthcheck";

/// The names below "Commands:" in a help text.
fn commands_of(path: &[String]) -> Vec<String> {
    let help = Command::new(BMAP).args(path).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let Some((_, commands)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = commands.lines().take_while(|line| line.starts_with("  "));
    // A continued description is further to the right, and `help` is clap's own.
    let lines = lines.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let names = lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned));
    names.filter(|name| name != "help").collect()
}

/// Every command of the program, as its own help has them.
fn leaves(path: Vec<String>) -> Vec<String> {
    let below = commands_of(&path);
    if below.is_empty() {
        return vec![path.join(" ")];
    }
    below.into_iter().flat_map(|name| leaves([path.clone(), vec![name]].concat())).collect()
}

/// Every row of every table, and every file of the data folder.
async fn everything(operator: &Operator) -> BTreeSet<String> {
    sqlx::any::install_default_drivers();
    let pool = AnyPool::connect(&operator.database_url()).await.unwrap();
    let tables = if is_postgres() {
        "SELECT CAST(table_name AS TEXT) AS name FROM information_schema.tables WHERE table_schema = 'public'"
    } else {
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    };
    let tables = sqlx::query(tables).fetch_all(&pool).await.unwrap();
    let mut all = BTreeSet::new();
    for table in tables.iter().map(|table| table.get::<String, _>("name")).filter(|name| name != "_sqlx_migrations") {
        for row in sqlx::query(AssertSqlSafe(format!("SELECT * FROM {table}"))).fetch_all(&pool).await.unwrap() {
            let text = |at| row.try_get::<String, _>(at).or_else(|_| row.try_get::<i64, _>(at).map(|n| n.to_string()));
            let cells: Vec<String> = (0..row.len()).map(|at| text(at).unwrap_or_default()).collect();
            all.insert(format!("{table}: {cells:?}"));
        }
    }
    pool.close().await;
    let files = fs::read_dir(operator.path("data")).unwrap().map(|file| file.unwrap().file_name());
    // SQLite's own files come and go.
    let files = files.map(|name| name.to_string_lossy().into_owned()).filter(|name| !name.starts_with("bmap.sqlite"));
    all.extend(files.map(|name| format!("file {name}")));
    all
}

#[test]
fn o14_every_command_is_known_to_write_or_not() {
    let mut known: Vec<String> = READING.iter().map(|command| (*command).to_owned()).collect();
    known.push(ASKING.to_owned());
    for arguments in WRITING {
        let depth = (1..=arguments.len()).find(|depth| {
            let path: Vec<String> = arguments[..*depth].iter().map(|name| (*name).to_owned()).collect();
            commands_of(&path).is_empty()
        });
        known.push(arguments[..depth.unwrap()].join(" "));
    }
    let mut found = leaves(Vec::new());
    found.sort();
    known.sort();
    assert_eq!(found, known, "a new command belongs into one of the lists above");
}

#[tokio::test(flavor = "multi_thread")]
async fn o14_with_another_root_secret_no_command_writes() {
    for was_served in [true, false] {
        let operator = Operator::new();
        if was_served {
            drop(operator.serve());
        }
        operator.out(&["user", "add", "ana"]);
        operator.out(&["tool", "add", "places", "--url", "https://places.example"]);
        let key = operator.json(&["key", "add", "--user", "ana", "--name", "shop", "--tool", "places"]);
        let key = key["id"].as_str().unwrap();
        let secret = operator.path("data/root.secret");
        let right = fs::read(&secret).unwrap();
        fs::write(&secret, [9; 32]).unwrap();
        let before = everything(&operator).await;
        for arguments in WRITING {
            // Without a server there is no key of the issuer yet, and the migrations alone have nothing to be held against.
            if !was_served && arguments == ["migrate"] {
                continue;
            }
            let (code, error) = operator.fails(arguments);
            assert_eq!(code, 1, "{arguments:?}: {error}");
            assert!(error.contains("the root secret is another one"), "{arguments:?}: {error}");
            assert!(error.contains("nothing was changed") && error.contains(&secret), "{arguments:?}: {error}");
            assert_eq!(everything(&operator).await, before, "{arguments:?}");
        }
        for command in ["user identity list", "session list", "tool list", "root status", "audit list"] {
            operator.out(&command.split(' ').collect::<Vec<_>>());
            assert_eq!(everything(&operator).await, before, "{command}");
        }
        // What only reads says so, and marks what it can't open: no user is shown as one who is no admin.
        let marked: [(&[&str], &str); 4] = [
            (&["user", "list"], "?"),
            (&["key", "list"], "unusable"),
            (&["key", "show", key], "unusable"),
            (&["tool", "grants"], "does not open"),
        ];
        for (arguments, mark) in marked {
            let output = operator.run(arguments);
            let [said, warned] =
                [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
            assert!(output.status.success() && said.contains(mark), "{arguments:?}: {said} {warned}");
            assert!(warned.contains("warning: ") && warned.contains("the root secret is another one"), "{warned}");
            assert!(!warned.contains("nothing was changed") && warned.contains(&secret), "{warned}");
            assert_eq!(everything(&operator).await, before, "{arguments:?}");
        }
        let users = operator.json(&["user", "list"]);
        assert!(users.as_array().unwrap().iter().all(|user| user["role"].is_null()), "{users}");
        assert_eq!(operator.json(&["tool", "grants"])[0]["opens"], false);
        // The doctor names the root and nothing that follows from it.
        let output = operator.run(&["doctor", "--json"]);
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = found["findings"].as_array().unwrap();
        let faults: Vec<_> = findings.iter().filter(|finding| finding["level"] != "ok").collect();
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert_eq!(faults[0]["about"], "root secret");
        assert!(faults[0]["says"].as_str().unwrap().contains("the root secret is another one"), "{faults:?}");
        fs::write(&secret, right).unwrap();
        operator.out(&["user", "add", "ben"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn o14_a_schema_that_is_behind_is_not_brought_up_with_another_root_secret() {
    let operator = Operator::new();
    drop(operator.serve());
    operator.edit("DELETE FROM _sqlx_migrations WHERE version = 16").await;
    operator
        .edit(
            "DROP TABLE known_networks; DROP TABLE ignored_proxies; DELETE FROM settings WHERE name = 'none' OR 1 = 1",
        )
        .await;
    fs::write(operator.path("data/root.secret"), [9; 32]).unwrap();
    for arguments in [&["migrate"][..], &["user", "add", "ana"]] {
        let (code, error) = operator.fails(arguments);
        assert!(code == 1 && error.contains("the root secret is another one"), "{error}");
        assert_eq!(operator.fails(&["migrate", "--check"]).0, 1, "{arguments:?}");
    }
}

#[test]
fn a_data_folder_knows_its_database() {
    let operator = Operator::new();
    operator.out(&["user", "add", "ana"]);
    let file = operator.path("data/installation.json");
    let known: serde_json::Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(known["database"], if is_postgres() { "postgresql" } else { "sqlite" });
    assert!(known["installation"].as_str().unwrap().starts_with("ins_"));
    // Started without BMAP_DATABASE_URL, or with that of another kind, it is no second installation.
    let other = if is_postgres() { "sqlite" } else { "postgresql" };
    fs::write(&file, known.to_string().replace(known["database"].as_str().unwrap(), other)).unwrap();
    let makes: [&[&str]; 5] = [
        &["serve", "--listen", "127.0.0.1:0"],
        &["user", "add", "ben"],
        &["user", "list"],
        &["audit", "list"],
        &["migrate"],
    ];
    for arguments in makes {
        let (code, error) = operator.fails(arguments);
        assert!(code == 2 && error.contains("this data folder belongs to a"), "{arguments:?}: {error}");
        assert!(error.contains("BMAP_DATABASE_URL") && error.contains(&file), "{error}");
    }
    let doctor = operator.run(&["doctor"]);
    assert!(String::from_utf8(doctor.stdout).unwrap().contains("this data folder belongs to a"));
    // Neither is one with the database of another installation.
    fs::write(&file, known.to_string().replace("ins_", "ins_9")).unwrap();
    let (code, error) = operator.fails(&["user", "add", "ben"]);
    assert!(code == 2 && error.contains("belongs to installation ins_9"), "{error}");
    // After a move the operator removes the file, and it is written anew.
    fs::remove_file(&file).unwrap();
    operator.out(&["user", "add", "ben"]);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&fs::read(&file).unwrap()).unwrap(), known);
}

#[test]
fn a_lost_database_is_not_replaced_by_an_empty_one() {
    if is_postgres() {
        return;
    }
    let operator = Operator::new();
    operator.out(&["user", "add", "ana"]);
    fs::remove_file(operator.path("data/bmap.sqlite")).unwrap();
    let commands: [&[&str]; 6] = [
        &["user", "add", "ben"],
        &["serve", "--listen", "127.0.0.1:0"],
        &["tool", "list"],
        &["audit", "verify"],
        &["migrate"],
        &["migrate", "--check"],
    ];
    let says = |text: &str| {
        let parts = ["belongs to installation ins_", "is missing: restore it from its backup", "docs/storage.md"];
        parts.iter().all(|part| text.contains(part)) && !text.contains("or make one") && !text.contains("remove")
    };
    for arguments in commands {
        let (code, error) = operator.fails(arguments);
        assert!(code == 2 && says(&error), "{arguments:?}: {error}");
        assert!(!operator.folder.path().join("data/bmap.sqlite").exists());
    }
    let doctor = String::from_utf8(operator.run(&["doctor"]).stdout).unwrap();
    assert!(says(&doctor), "{doctor}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_installation_is_refused_by_everything() {
    if is_postgres() {
        return;
    }
    let (operator, other) = (Operator::new(), Operator::new());
    for one in [&operator, &other] {
        drop(one.serve());
        one.out(&["user", "add", "ana"]);
    }
    // With its own root secret, so that everything opens.
    for file in ["bmap.sqlite", "root.secret"] {
        fs::copy(other.path(&format!("data/{file}")), operator.path(&format!("data/{file}"))).unwrap();
    }
    let before = everything(&operator).await;
    let reading = ["tool list", "session list", "user identity list", "root status", "audit list", "audit verify"];
    let reading = reading.map(|command| command.split(' ').collect::<Vec<_>>());
    let all = WRITING.iter().map(|arguments| arguments.to_vec()).chain(reading).chain([vec!["migrate", "--check"]]);
    for arguments in all {
        let (code, error) = operator.fails(&arguments);
        assert!(code == 2 && error.contains("belongs to installation ins_"), "{arguments:?}: {code} {error}");
        assert_eq!(everything(&operator).await, before, "{arguments:?}");
    }
    let doctor = operator.run(&["doctor"]);
    let said = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.status.code() == Some(1) && said.contains("belongs to installation ins_"), "{said}");
}

#[test]
fn o14_another_root_secret_is_no_alarm_of_the_audit_log() {
    for was_served in [true, false] {
        let operator = Operator::new();
        if was_served {
            drop(operator.serve());
        }
        operator.out(&["user", "add", "ana"]);
        operator.out(&["user", "add", "ben"]);
        fs::write(operator.path("data/root.secret"), [9; 32]).unwrap();
        let (code, error) = operator.fails(&["audit", "verify"]);
        assert!(code == 1 && error.contains("the root secret is another one"), "{error}");
        assert!(!error.contains("does not hold"), "{error}");
        let status = operator.run(&["root", "status"]);
        let said = String::from_utf8(status.stdout).unwrap();
        assert!(said.contains("ANOTHER ONE") && !said.contains("mints tokens") && !said.contains("seals"), "{said}");
        assert!(String::from_utf8(status.stderr).unwrap().contains("mints no token"));
        let status = operator.json(&["root", "status"]);
        assert_eq!((&status[0]["mints"], &status[0]["at_hand"]), (&false.into(), &false.into()));
    }
}

#[test]
fn a_data_folder_named_with_dots_is_one_folder() {
    if is_postgres() {
        return;
    }
    let operator = Operator::new();
    let below = operator.folder.path().join("a/b/c");
    fs::create_dir_all(&below).unwrap();
    let there = operator.folder.path().join("a/d/dd");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(BMAP);
        command.args(arguments).env_clear().current_dir(&below).output().unwrap()
    };
    let made = run(&["--data-dir", "../../d/dd", "tool", "add", "places", "--url", "https://places.example"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    for file in ["root.secret", "bmap.sqlite", "installation.json"] {
        assert!(there.join(file).exists(), "{file}");
    }
    fs::write(below.join("bmap.toml"), "data_dir = \"../../d/dd\"\n").unwrap();
    let listed = run(&["--config", "bmap.toml", "tool", "list"]);
    assert!(String::from_utf8(listed.stdout).unwrap().contains("places"));
    // A database that can't be opened is named.
    fs::remove_file(there.join("bmap.sqlite")).unwrap();
    fs::create_dir(there.join("bmap.sqlite")).unwrap();
    let refused = run(&["--data-dir", "../../d/dd", "tool", "list"]);
    let error = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && error.contains(&there.join("bmap.sqlite").display().to_string()), "{error}");
}
