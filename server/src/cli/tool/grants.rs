//! `bmap tool grant|revoke-grant|grants`.

use super::service::{refused, service};
use crate::cli::arguments::{parse_scopes, seconds};
use crate::cli::error::CliError;
use crate::cli::installation::Installation;
use crate::cli::output;
use crate::cli::user::find::find as find_user;
use bmap_issuer::error::IssuerError;
use bmap_issuer::tools::GrantForm;
use bmap_model::audit::Source;
use bmap_model::clock::{MachineClock, UnixTime, WallClock};
use bmap_model::scope::Scopes;
use bmap_model::tool_grant::{Giver, ToolGrant};
use bmap_protocol::ids::ToolId;
use bmap_store::StoreError;
use clap::Args;
use serde_json::{Value, json};

/// Grants that are read at once.
const BATCH: u16 = 500;

#[derive(Debug, Args)]
pub(in crate::cli) struct Grant {
    /// The user: id, name or email address
    user: String,
    /// The tool
    tool: ToolId,
    /// Scopes that tokens may have by it, space-separated; all of the tool's if not given
    #[arg(long, value_parser = parse_scopes)]
    scopes: Option<Scopes>,
    /// Its end: a day like 2027-01-31, at whose beginning in UTC it ends, or a time from now like 90d; without end if not given
    #[arg(long, value_name = "WHEN", value_parser = until)]
    until: Option<Until>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only those of this tool
    tool: Option<ToolId>,
    /// Only those of this user: id, name or email address
    #[arg(long)]
    user: Option<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// An end, by the calendar or from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Until {
    Day(UnixTime),
    Seconds(i64),
}

pub(super) async fn grant(grant: Grant, installation: &Installation) -> Result<(), CliError> {
    let user = find_user(&installation.store, &grant.user).await?.id;
    let ends_at = grant.until.map(|until| match until {
        Until::Day(at) => at,
        Until::Seconds(seconds) => MachineClock.now().plus_seconds(seconds),
    });
    if ends_at.is_some_and(|end| end <= MachineClock.now()) {
        return Err(CliError::Usage("--until: a day or a time in the future".to_owned()));
    }
    let form = GrantForm { tool: grant.tool, user, scopes: grant.scopes, ends_at };
    let done = service(installation).grant(form, Giver::Operator, None, &Source::command_line()).await;
    let (given, _) = done.map_err(refused)?;
    if grant.json { output::json(&describe(&given, installation)) } else { output::text(&told(&given)) }
}

pub(super) async fn revoke(user: &str, tool: &ToolId, installation: &Installation) -> Result<(), CliError> {
    let user = find_user(&installation.store, user).await?.id;
    match service(installation).revoke_grant(tool, &user, None, &Source::command_line()).await {
        Ok(()) => output::text(&format!("{user} has no grant of {tool} any more: no token is given or renewed by it")),
        Err(IssuerError::NotFound { .. }) => Err(CliError::NotFound(format!("{user} has no grant of {tool}"))),
        Err(refusal) => Err(refused(refusal)),
    }
}

pub(super) async fn list(list: List, installation: &Installation) -> Result<(), CliError> {
    let store = &installation.store;
    installation.warn_of_foreign_root("its grants do not open, and none is in force").await?;
    if let Some(tool) = &list.tool
        && store.tool(tool).await.map_err(CliError::failed)?.is_none()
    {
        return Err(CliError::NotFound(format!("there is no tool {tool}")));
    }
    let mut grants = match &list.user {
        Some(text) => {
            let user = find_user(store, text).await?.id;
            store.grants_of_user(&user).await.map_err(CliError::failed)?
        }
        None => all(list.tool.as_ref(), installation).await.map_err(CliError::failed)?,
    };
    grants.retain(|grant| list.tool.as_ref().is_none_or(|tool| grant.tool == *tool));
    if list.json {
        return output::json(&grants.iter().map(|grant| describe(grant, installation)).collect::<Vec<_>>());
    }
    let heading = ["tool", "user", "scopes", "until", "in force", "given by", "given"].map(str::to_owned).to_vec();
    let rows = grants.iter().map(|grant| {
        vec![
            grant.tool.to_string(),
            grant.user.to_string(),
            grant.scopes.to_string(),
            grant.ends_at.map_or_else(|| "-".to_owned(), |end| output::time(end.0)),
            match (opens(grant, installation), in_force(grant, installation)) {
                (false, _) => "does not open",
                (true, true) => "yes",
                (true, false) => "no",
            }
            .to_owned(),
            grant.given_by.to_string(),
            output::time(grant.given_at.0),
        ]
    });
    output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
}

async fn all(tool: Option<&ToolId>, installation: &Installation) -> Result<Vec<ToolGrant>, StoreError> {
    let mut grants: Vec<ToolGrant> = Vec::new();
    loop {
        let after = grants.last().map(|last| (last.tool.clone(), last.user.clone()));
        let behind = after.as_ref().map(|(tool, user)| (tool, user));
        let page = installation.store.grants(tool, behind, BATCH).await?;
        if page.is_empty() {
            return Ok(grants);
        }
        grants.extend(page);
    }
}

/// A grant in a line.
pub(in crate::cli) fn told(grant: &ToolGrant) -> String {
    let scopes = if grant.scopes == Scopes::default() { "no scope".to_owned() } else { grant.scopes.to_string() };
    let end = grant.ends_at.map_or_else(|| "without end".to_owned(), |end| format!("until {}", output::time(end.0)));
    format!("{} has a grant of {}: {scopes}, {end}", grant.user, grant.tool)
}

fn in_force(grant: &ToolGrant, installation: &Installation) -> bool {
    grant.is_in_force(MachineClock.now()) && opens(grant, installation)
}

/// Whether its row is as it was written, by the root secret at hand.
fn opens(grant: &ToolGrant, installation: &Installation) -> bool {
    grant.check_seal(&installation.roots).is_ok()
}

fn describe(grant: &ToolGrant, installation: &Installation) -> Value {
    json!({
        "tool": grant.tool.as_str(), "user": grant.user.as_str(), "scopes": grant.scopes.words().collect::<Vec<_>>(),
        "ends_at": grant.ends_at.map(|end| end.0), "in_force": in_force(grant, installation), "opens": opens(grant, installation),
        "given_by": grant.given_by.as_str(), "given_at": grant.given_at.0,
    })
}

fn until(text: &str) -> Result<Until, String> {
    if let Some(day) = output::day(text) {
        return Ok(Until::Day(UnixTime(day)));
    }
    let seconds = seconds(text).map(Until::Seconds);
    seconds.map_err(|_| "a day like 2027-01-31, or a number and one of s, m, h, d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        assert_eq!(until("2026-11-18"), Ok(Until::Day(UnixTime(1_794_960_000_000))));
        assert_eq!(until("2000-02-29"), Ok(Until::Day(UnixTime(951_782_400_000))));
        assert_eq!(until("90d"), Ok(Until::Seconds(90 * 86_400)));
        for bad in [
            "",
            "2026-11",
            "2026-02-29",
            "2026-13-01",
            "2026-00-10",
            "26-1-1",
            "2026-11-18T00:00:00Z",
            "+026-11-18",
            "tomorrow",
        ] {
            assert!(until(bad).is_err(), "{bad}");
        }
    }
}
