//! `bmap explain`: why a signature does not hold. Shows the base that the client signed beside the one that the verifier
//! made of what it received, and the first difference, in words.

mod difference;
mod known;
mod side;
mod verdict;
mod visible;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::raw_request::RawRequest;
use bmap_protocol::check;
use bmap_protocol::digest::BodyDigest;
use clap::Args;
use difference::Difference;
use known::Known;
use serde::Serialize;
use side::Side;
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};
use verdict::{Verdict, verdict};
use visible::visible;

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
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: &Explain, context: &Context) -> Result<(), CliError> {
    let received = request(command.received.as_deref(), "received")?;
    let known = Known::load(context, &received).await?;
    let mut report = Report::default();
    if let Some(problem) = known.problem() {
        report.note(format!("Note: {problem}."));
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
        report.verdict(&known, received_side, signed_side.as_ref());
    }
    if command.json { output::json(&report) } else { output::text(report.to_string().trim_end()) }
}

/// The report.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Notes on each request alone.
    notes: Vec<String>,
    /// The base that the client signed, where it is known.
    signed_base: Option<String>,
    /// The base of the received request, where it has one.
    received_base: Option<String>,
    /// The first difference of the two; none where they are the same.
    difference: Option<String>,
    /// Over which of the two the signature holds.
    verdict: Option<Finding>,
}

/// The base that the signature was made over.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Finding {
    /// The key is not at hand.
    Unknown,
    /// Over the received base.
    Holds,
    /// Over the base that the client signed, and not over the received one.
    ChangedOnTheWay,
    /// Over neither.
    OtherKey,
    /// Not over the received base, and the signed one is not known.
    DoesNotHold,
}

impl Report {
    fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Notes on one request alone.
    fn request(&mut self, name: &str, request: &RawRequest, side: &Result<Side, side::Unreadable>) {
        match side {
            Err(unreadable) => {
                self.note(format!("The {name} request has no signature base: {unreadable}"));
                self.note(format!("A verifier answers {}.", unreadable.code()));
            }
            Ok(side) => {
                for note in &side.notes {
                    self.note(format!("In the {name} request: {note}."));
                }
            }
        }
        if let Err(refusal) = check::request_target(&request.path, request.query.as_deref()) {
            self.note(format!("The {name} target is refused ({}): {refusal}.", refusal.code().as_str()));
        }
        if let Some(problem) = body_problem(request) {
            self.note(format!("In the {name} request: {problem}."));
        }
    }

    fn bases(&mut self, received: &Side, signed: Option<&Side>) {
        let text = |side: &Side| String::from_utf8_lossy(&side.base).into_owned();
        self.received_base = Some(text(received));
        self.signed_base = signed.map(text);
        let difference = signed.and_then(|signed| Difference::find(&signed.base, &received.base));
        self.difference = difference.map(|difference| difference.to_string());
    }

    fn verdict(&mut self, known: &Known, received: &Side, signed: Option<&Side>) {
        let signature = received.signature.as_ref();
        let of_received = verdict(known, received, signature);
        let of_signed = signed.map(|signed| verdict(known, signed, signature));
        self.verdict = Some(match (of_received, of_signed) {
            (Verdict::Unknown, _) => Finding::Unknown,
            (Verdict::Holds, _) => Finding::Holds,
            (Verdict::Fails, Some(Verdict::Holds)) => Finding::ChangedOnTheWay,
            (Verdict::Fails, Some(_)) => Finding::OtherKey,
            (Verdict::Fails, None) => Finding::DoesNotHold,
        });
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))?;
        let bases = [("signed by the client", &self.signed_base), ("made of what was received", &self.received_base)];
        for (title, base) in bases {
            let Some(base) = base else { continue };
            writeln!(f, "--- signature base {title}")?;
            for (number, line) in base.lines().enumerate() {
                writeln!(f, "{:>3} | {}", number.saturating_add(1), visible(line))?;
            }
            writeln!(f, "---")?;
        }
        match (&self.received_base, &self.signed_base, &self.difference) {
            (None, _, _) => {}
            (Some(_), None, _) => writeln!(f, "Give --sent or --signed-base to see the first difference.")?,
            (Some(_), Some(_), None) => writeln!(f, "The two bases are the same.")?,
            (Some(_), Some(_), Some(difference)) => writeln!(f, "{difference}")?,
        }
        self.verdict.map_or(Ok(()), |finding| f.write_str(finding.text()))
    }
}

impl Finding {
    const fn text(self) -> &'static str {
        match self {
            Finding::Unknown => {
                "With --data-dir or BMAP_TOOL_CREDENTIAL this also says which base the signature was made over."
            }
            Finding::Holds => {
                "The signature holds over the head that was received. Where nothing above differs, the request is good, and was refused for another reason (see its code)."
            }
            Finding::ChangedOnTheWay => {
                "The signature holds over what the client signed: the client is right, and something changed the request on its way."
            }
            Finding::OtherKey => {
                "The signature holds over neither: it was made with another key, or belongs to another request."
            }
            Finding::DoesNotHold => {
                "The signature does not hold over what was received: something changed on the way, or the key is another one."
            }
        }
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
