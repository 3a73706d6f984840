//! A tool's process whose environment holds no credential: it ends with a sentence that says what to do.

use bmap_verifier::ToolCredential;
use bmap_verifier::test::TestIssuer;
use std::error::Error;
use std::ffi::{OsStr, OsString};
use std::process::Command;

const VARIABLE: &str = "BMAP_TOOL_CREDENTIAL";
const FILE: &str = "BMAP_TOOL_CREDENTIAL_FILE";
/// Set where this test binary is to be the tool.
const IS_THE_TOOL: &str = "TEST_IS_THE_TOOL";

/// What the README's tool does first. Where it fails, the process ends as a `main` does that returns the error.
#[test]
fn the_tools_process() -> Result<(), Box<dyn Error>> {
    if std::env::var_os(IS_THE_TOOL).is_some() {
        println!("tool {}", ToolCredential::from_env()?.tool);
    }
    Ok(())
}

type Environment = Vec<(&'static str, OsString)>;

/// What a tool's process with this environment wrote, and whether it ended well.
fn run(environment: &[(&str, &OsStr)]) -> (String, bool) {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program.args(["--exact", "environment::the_tools_process", "--nocapture"]);
    program.env_remove(VARIABLE).env_remove(FILE).env(IS_THE_TOOL, "1").envs(environment.iter().copied());
    let output = program.output().unwrap();
    let written = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (written, output.status.success())
}

#[test]
fn a_process_without_a_credential_says_what_to_do_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.into_os_string()
    };
    let secret = TestIssuer::new().credential("geo", "https://geo.example").expose();
    let cut = &secret[..secret.len() - 7];
    let text = OsString::from;
    let command = "`bmap tool credential ID` prints at the issuer";
    let nowhere = folder.path().join("nowhere").into_os_string();
    let mut cases: Vec<(Environment, Vec<String>)> = vec![
        (vec![], vec![format!("set {VARIABLE} to what {command}, or {FILE} to the path of a file")]),
        (vec![(VARIABLE, text(""))], vec![format!("{VARIABLE} is empty: set it to what {command}")]),
        (vec![(FILE, text(""))], vec![format!("{FILE} is empty: set it to the path of a file with what {command}")]),
        (vec![(VARIABLE, text("")), (FILE, text(""))], vec![format!("{VARIABLE} is empty")]),
        (
            vec![(VARIABLE, text(&secret)), (FILE, file("whole", secret.as_bytes()))],
            vec![format!("both {VARIABLE} and {FILE} are set: unset one of them")],
        ),
        (
            vec![(FILE, nowhere.clone())],
            vec![
                format!("{FILE} names {}", nowhere.display()),
                "can't be read (No such file".to_owned(),
                command.to_owned(),
            ],
        ),
        (vec![(FILE, folder.path().as_os_str().to_owned())], vec!["can't be read (".to_owned()]),
        (
            vec![(VARIABLE, text("places"))],
            vec![
                format!("{VARIABLE} holds no tool credential: it does not start with bmap-tool-1."),
                command.to_owned(),
            ],
        ),
        (vec![(VARIABLE, text(cut))], vec![format!("{VARIABLE} holds no tool credential: "), command.to_owned()]),
        (vec![(VARIABLE, text(" \n"))], vec![format!("{VARIABLE} holds no tool credential: it is empty")]),
        (vec![(FILE, file("empty", b"\n"))], vec![format!("{FILE} holds no tool credential: it is empty")]),
        (
            vec![(FILE, file("cut", cut.as_bytes()))],
            vec![format!("{FILE} holds no tool credential: "), command.to_owned()],
        ),
        (vec![(FILE, file("bytes", b"\xff\xfe"))], vec![format!("{FILE} holds no tool credential: it is not text")]),
    ];
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStringExt;
        let bytes = OsString::from_vec(vec![0xff]);
        cases.push((vec![(VARIABLE, bytes)], vec![format!("{VARIABLE} holds no tool credential: it is not text")]));
    }
    for (environment, sentences) in cases {
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_os_str())).collect();
        let (written, ended_well) = run(&environment);
        assert!(!ended_well, "{written}");
        let error = written.lines().find(|line| line.starts_with("Error: ")).unwrap_or_else(|| panic!("{written}"));
        for sentence in sentences {
            assert!(error.contains(&sentence), "{sentence:?} is not in {error:?}");
        }
        for mark in ["CredentialError", "Missing", "Form(", "{", "\"", "\\"] {
            assert!(!error.contains(mark), "{mark:?}, as of Debug output, is in {error:?}");
        }
        assert!(!written.contains(&secret[20..60]), "the credential's text is in {written:?}");
    }
}

#[test]
fn a_process_with_a_credential_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let secret = TestIssuer::new().credential("geo", "https://geo.example").expose();
    let path = folder.path().join("credential");
    std::fs::write(&path, format!("{}\n", *secret)).unwrap();
    let (text, path) = (OsStr::new(secret.as_str()), path.as_os_str());
    let empty = OsStr::new("");
    for environment in [
        vec![(VARIABLE, text)],
        vec![(FILE, path)],
        vec![(VARIABLE, text), (FILE, empty)],
        vec![(VARIABLE, empty), (FILE, path)],
    ] {
        let (written, ended_well) = run(&environment);
        assert!(ended_well && written.contains("tool geo"), "{written}");
    }
}
