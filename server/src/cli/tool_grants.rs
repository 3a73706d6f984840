//! `bmap tool grant|revoke-grant|grants`.

use super::installation::Installation;
use super::tool::{refused, service};
use super::{CliError, output, user};
use crate::clock::{Clock, SystemClock, UnixMillis};
use crate::domain::audit::Source;
use crate::domain::refusal::Refusal;
use crate::domain::scope::Scopes;
use crate::domain::tool_grant::{Giver, ToolGrant};
use crate::domain::tools::GrantForm;
use crate::store::{StoreError, ToolGrants, Tools};
use bmap_protocol::ids::ToolId;
use clap::Args;
use serde_json::{Value, json};

/// Grants that are read at once.
const BATCH: u16 = 500;

#[derive(Debug, Args)]
pub(super) struct Grant {
    /// The user: id, name or email address
    user: String,
    /// The tool
    tool: ToolId,
    /// Scopes that tokens may have by it, space-separated; all of the tool's if not given
    #[arg(long, value_parser = super::tool::parse_scopes)]
    scopes: Option<Scopes>,
    /// Its end: a day like 2027-01-31, at whose beginning in UTC it ends, or a time from now like 90d; without end if not given
    #[arg(long, value_name = "WHEN", value_parser = until)]
    until: Option<Until>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct List {
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
    Day(UnixMillis),
    Seconds(i64),
}

pub(super) async fn grant(grant: Grant, installation: &Installation) -> Result<(), CliError> {
    let user = user::find(&installation.store, &grant.user).await?.id;
    let ends_at = grant.until.map(|until| match until {
        Until::Day(at) => at,
        Until::Seconds(seconds) => SystemClock.now().plus_seconds(seconds),
    });
    if ends_at.is_some_and(|end| end <= SystemClock.now()) {
        return Err(CliError::Usage("--until: a day or a time in the future".to_owned()));
    }
    let form = GrantForm { tool: grant.tool, user, scopes: grant.scopes, ends_at };
    let done = service(installation).grant(form, Giver::Operator, None, &Source::command_line()).await;
    let (given, _) = done.map_err(refused)?;
    if grant.json { output::json(&describe(&given, installation)) } else { output::text(&told(&given)) }
}

pub(super) async fn revoke(user: &str, tool: &ToolId, installation: &Installation) -> Result<(), CliError> {
    let user = user::find(&installation.store, user).await?.id;
    match service(installation).revoke_grant(tool, &user, None, &Source::command_line()).await {
        Ok(()) => output::text(&format!("{user} has no grant of {tool} any more: no token is given or renewed by it")),
        Err(Refusal::NotFound { .. }) => Err(CliError::NotFound(format!("{user} has no grant of {tool}"))),
        Err(refusal) => Err(refused(refusal)),
    }
}

pub(super) async fn list(list: List, installation: &Installation) -> Result<(), CliError> {
    let store = &installation.store;
    if let Some(tool) = &list.tool
        && store.tool(tool).await.map_err(CliError::failed)?.is_none()
    {
        return Err(CliError::NotFound(format!("there is no tool {tool}")));
    }
    let mut grants = match &list.user {
        Some(text) => {
            let user = user::find(store, text).await?.id;
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
            if in_force(grant, installation) { "yes" } else { "no" }.to_owned(),
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
pub(super) fn told(grant: &ToolGrant) -> String {
    let scopes = if grant.scopes == Scopes::default() { "no scope".to_owned() } else { grant.scopes.to_string() };
    let end = grant.ends_at.map_or_else(|| "without end".to_owned(), |end| format!("until {}", output::time(end.0)));
    format!("{} has a grant of {}: {scopes}, {end}", grant.user, grant.tool)
}

fn in_force(grant: &ToolGrant, installation: &Installation) -> bool {
    grant.is_in_force(SystemClock.now()) && grant.check_seal(&installation.roots).is_ok()
}

fn describe(grant: &ToolGrant, installation: &Installation) -> Value {
    json!({
        "tool": grant.tool.as_str(), "user": grant.user.as_str(), "scopes": grant.scopes.words().collect::<Vec<_>>(),
        "ends_at": grant.ends_at.map(|end| end.0), "in_force": in_force(grant, installation),
        "given_by": grant.given_by.as_str(), "given_at": grant.given_at.0,
    })
}

fn until(text: &str) -> Result<Until, String> {
    if let Some(day) = output::day(text) {
        return Ok(Until::Day(UnixMillis(day)));
    }
    let seconds = super::key::seconds(text).map(Until::Seconds);
    seconds.map_err(|_| "a day like 2027-01-31, or a number and one of s, m, h, d".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends() {
        assert_eq!(until("2026-11-18"), Ok(Until::Day(UnixMillis(1_794_960_000_000))));
        assert_eq!(until("2000-02-29"), Ok(Until::Day(UnixMillis(951_782_400_000))));
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
