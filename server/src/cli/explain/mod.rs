//! `bmap explain`: why a signature does not hold. Shows the base that the client signed beside the one that the verifier
//! made of what it received, and the first difference, in words.

mod difference;
mod known;
mod side;

use super::raw_request::RawRequest;
use super::{CliError, Context, output};
use bmap_protocol::check;
use bmap_protocol::digest::BodyDigest;
use clap::Args;
use difference::Difference;
use known::{Known, Verdict};
use side::Side;
use std::io::Read;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(
    after_help = "With --data-dir, or a tool's BMAP_TOOL_CREDENTIAL, it also says which of the two bases the signature was made over."
)]
pub(super) struct Explain {
    /// The raw HTTP request as the verifier received it; standard input if not given
    #[arg(long, value_name = "FILE")]
    received: Option<PathBuf>,
    /// The raw HTTP request as the client sent it
    #[arg(long, value_name = "FILE", conflicts_with = "signed_base")]
    sent: Option<PathBuf>,
    /// The signature base that the client signed
    #[arg(long, value_name = "FILE")]
    signed_base: Option<PathBuf>,
}

pub(super) async fn run(command: &Explain, context: &Context) -> Result<(), CliError> {
    let received = request(command.received.as_deref(), "received")?;
    let known = Known::load(context, &received).await?;
    let mut report = Report(String::new());
    if let Some(problem) = known.problem() {
        report.line(format!("Note: {problem}."));
    }
    let received_side = Side::of_request(&received, &known);
    report.request("received", &received, &received_side);

    let sent = command.sent.as_deref().map(|path| request(Some(path), "sent")).transpose()?;
    let signed_side = match (&sent, &command.signed_base) {
        (Some(sent), _) => {
            let side = Side::of_request(sent, &known);
            report.request("sent", sent, &side);
            Some(side)
        }
        (None, Some(path)) => Some(Ok(Side::of_base(&read(Some(path))?))),
        (None, None) => None,
    };
    if let Ok(received_side) = &received_side {
        let signed_side = signed_side.and_then(Result::ok);
        report.bases(received_side, signed_side.as_ref());
        report.verdicts(&known, received_side, signed_side.as_ref());
    }
    output::text(report.0.trim_end())
}

/// What is told, as it grows.
struct Report(String);

impl Report {
    fn line(&mut self, text: impl AsRef<str>) {
        self.0.push_str(text.as_ref());
        self.0.push('\n');
    }

    /// What can be said of one request alone.
    fn request(&mut self, name: &str, request: &RawRequest, side: &Result<Side, side::Unreadable>) {
        match side {
            Err(unreadable) => {
                self.line(format!("The {name} request has no signature base: {unreadable}"));
                self.line(format!("A verifier answers {}.", unreadable.code()));
            }
            Ok(side) => {
                for note in &side.notes {
                    self.line(format!("In the {name} request: {note}."));
                }
            }
        }
        if let Err(refusal) = check::request_target(&request.path, request.query.as_deref()) {
            self.line(format!("The {name} target is refused ({}): {refusal}.", refusal.code().as_str()));
        }
        if let Some(problem) = body_problem(request) {
            self.line(format!("In the {name} request: {problem}."));
        }
    }

    fn bases(&mut self, received: &Side, signed: Option<&Side>) {
        if let Some(signed) = signed {
            self.base("signed by the client", signed);
        }
        self.base("made of what was received", received);
        let Some(signed) = signed else {
            self.line("Give --sent or --signed-base to see the first difference.");
            return;
        };
        match Difference::find(&signed.base, &received.base) {
            None => self.line("The two bases are the same."),
            Some(difference) => self.line(difference.to_string()),
        }
    }

    fn base(&mut self, title: &str, side: &Side) {
        self.line(format!("--- signature base {title}"));
        for (number, line) in String::from_utf8_lossy(&side.base).lines().enumerate() {
            self.line(format!("{:>3} | {}", number.saturating_add(1), visible(line)));
        }
        self.line("---");
    }

    fn verdicts(&mut self, known: &Known, received: &Side, signed: Option<&Side>) {
        let signature = received.signature.as_ref();
        let of_received = known.verdict(received, signature);
        let of_signed = signed.map(|signed| known.verdict(signed, signature));
        let text = match (of_received, of_signed) {
            (Verdict::Unknown, _) => {
                "With --data-dir or BMAP_TOOL_CREDENTIAL this also says which base the signature was made over."
            }
            (Verdict::Holds, _) => {
                "The signature holds over what was received: the request is good, and was refused for another reason (see its code)."
            }
            (Verdict::Fails, Some(Verdict::Holds)) => {
                "The signature holds over what the client signed: the client is right, and something changed the request on its way."
            }
            (Verdict::Fails, Some(_)) => {
                "The signature holds over neither: it was made with another key, or belongs to another request."
            }
            (Verdict::Fails, None) => {
                "The signature does not hold over what was received: something changed on the way, or the key is another one."
            }
        };
        self.line(text);
    }
}

/// Whether the body is the one that `Content-Digest` names.
fn body_problem(request: &RawRequest) -> Option<String> {
    if request.headers.contains_key("transfer-encoding") {
        return Some("the body is chunked, so its digest can't be compared here".to_owned());
    }
    let claimed = request.headers.get("content-digest")?;
    let Ok(claimed) = BodyDigest::parse(claimed.as_bytes()) else {
        return Some("Content-Digest holds no readable sha-256".to_owned());
    };
    if claimed.matches(&BodyDigest::of(&request.body)) {
        return None;
    }
    let without_line_end = request.body.strip_suffix(b"\n").unwrap_or(&request.body);
    let without_line_end = without_line_end.strip_suffix(b"\r").unwrap_or(without_line_end);
    Some(if claimed.matches(&BodyDigest::of(without_line_end)) {
        "the body has the digest of Content-Digest once the line end at the end of the file is taken off".to_owned()
    } else if request.body.is_empty() {
        "there is a Content-Digest, and no body that it is the digest of".to_owned()
    } else {
        format!(
            "the body differs from Content-Digest: its digest is {}; something changed it, for example by compressing it or \
             by formatting its JSON anew",
            BodyDigest::of(&request.body).header_value()
        )
    })
}

/// A line with its control characters escaped, so that nothing hides in it and nothing steers a terminal.
fn visible(line: &str) -> String {
    let escaped = |c: char| if c.is_control() { c.escape_default().collect() } else { String::from(c) };
    line.chars().map(escaped).collect()
}

fn request(path: Option<&Path>, name: &str) -> Result<RawRequest, CliError> {
    RawRequest::parse(&read(path)?).map_err(|error| CliError::Usage(format!("the {name} request: {error}")))
}

/// A file, or standard input; at most 4 MiB.
fn read(path: Option<&Path>) -> Result<Vec<u8>, CliError> {
    const LIMIT: u64 = 4 * 1024 * 1024;
    let mut bytes = Vec::new();
    let name = path.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
    let read = match path {
        None => std::io::stdin().take(LIMIT).read_to_end(&mut bytes),
        Some(path) => std::fs::File::open(path).and_then(|file| file.take(LIMIT).read_to_end(&mut bytes)),
    };
    read.map_err(|error| CliError::Failed(format!("{name}: {error}")))?;
    Ok(bytes)
}
