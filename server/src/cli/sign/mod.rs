//! `bmap sign`: the headers of one signed request.

mod curl;
mod key;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::output;
use crate::cli::target_url::TargetUrl;
use bmap_model::clock::{MachineClock, WallClock};
use bmap_model::rng::{self, SystemRandom};
use bmap_protocol::digest::BodyDigest;
use bmap_protocol::sign::{self, Request, Stamp};
use clap::Args;
use curl::CurlBody;
use key::{KeyArguments, Signer};
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = "The signature is good for 60 seconds and for one request.")]
pub(super) struct Sign {
    /// The URL, exactly as it will be sent
    url: TargetUrl,
    /// The method; GET, or POST where there is a body
    #[arg(short = 'X', long, value_name = "METHOD")]
    method: Option<String>,
    /// The body
    #[arg(long, value_name = "TEXT", conflicts_with = "data_file")]
    data: Option<String>,
    /// A file with the body
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
    /// Content type of the body
    #[arg(long, value_name = "TYPE", default_value = "application/json")]
    content_type: String,
    /// Another header to send and to cover, as "name: value"; may be repeated
    #[arg(short = 'H', long = "header", value_name = "HEADER", value_parser = header)]
    headers: Vec<(String, String)>,
    #[command(flatten)]
    key: KeyArguments,
    /// Print a curl command with everything in it
    #[arg(long, conflicts_with = "json")]
    curl: bool,
    /// Print the headers as a JSON object
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(command: &Sign, context: &Context) -> Result<(), CliError> {
    let signer = Signer::load(&command.key, &context.environment)?;
    let file = command.data_file.as_ref().map(std::fs::read).transpose();
    let file = file.map_err(|error| CliError::Failed(format!("--data-file: {error}")))?;
    let body = command.data.as_ref().map(|text| text.as_bytes()).or(file.as_deref());
    let method = command.method.as_deref().unwrap_or(if body.is_some() { "POST" } else { "GET" });
    let nonce = rng::bytes(&SystemRandom).map_err(CliError::failed)?;
    let created = u64::try_from(MachineClock.now().seconds()).map_err(CliError::failed)?;
    if let Some(end) = signer.ends_at.filter(|end| *end <= created) {
        eprintln!(
            "bmap: warning: the token of --token ended {} s ago, so this request is refused (token_expired): ask POST /oauth/token \
             for a new one",
            created.saturating_sub(end)
        );
    }
    let headers = signed_headers(command, &signer, method, body, created, nonce)?;
    if command.json {
        return output::json(&headers.into_iter().collect::<BTreeMap<_, _>>());
    }
    if !command.curl {
        headers.iter().for_each(|(name, value)| println!("{name}: {value}"));
        return Ok(());
    }
    let file = command.data_file.as_ref().map(|path| path.display().to_string());
    let body = match (&command.data, &file) {
        (Some(text), _) => CurlBody::Text(text),
        (None, Some(path)) => CurlBody::File(path),
        (None, None) => CurlBody::None,
    };
    println!("{}", curl::line(method, command.url.as_str(), &headers, body));
    Ok(())
}

fn signed_headers(
    command: &Sign,
    signer: &Signer,
    method: &str,
    body: Option<&[u8]>,
    created: u64,
    nonce: [u8; 16],
) -> Result<Vec<(String, String)>, CliError> {
    let digest = body.map(|body| BodyDigest::of(body).header_value());
    let more: Vec<(&str, &str)> = command.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let request = Request {
        method,
        authority: &command.url.authority,
        path: &command.url.path,
        query: command.url.query.as_deref(),
        authorization: signer.authorization.as_ref().map(|value| value.as_str()),
        content_type: body.map(|_| command.content_type.as_str()),
        content_encoding: None,
        content_digest: digest.as_deref(),
        more: &more,
    };
    let stamp = Stamp { created, nonce, key_id: &signer.key_id };
    let signature = sign::sign(&request, &stamp, &signer.key).map_err(|error| CliError::Usage(error.to_string()))?;
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut add =
        |name: &str, value: Option<&str>| headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    add("authorization", request.authorization);
    add("content-type", request.content_type);
    add("content-digest", request.content_digest);
    more.iter().for_each(|(name, value)| add(name, Some(value)));
    add("signature-input", Some(&signature.signature_input));
    add("signature", Some(&signature.signature));
    Ok(headers)
}

/// `name: value`, with the name in lower case.
fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or_else(|| "a header is \"name: value\"".to_owned())?;
    let name = name.trim().to_ascii_lowercase();
    match name.as_str() {
        "content-type" => Err("use --content-type".to_owned()),
        "authorization" | "content-digest" | "signature" | "signature-input" => Err(format!("{name} is made here")),
        "host" => Err("host is covered as @authority, which follows from the URL".to_owned()),
        _ => Ok((name, value.trim_matches([' ', '\t']).to_owned())),
    }
}
