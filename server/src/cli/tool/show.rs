//! `bmap tool show`: a tool, and the verifiers that have it.

use super::describe::describe;
use crate::cli::error::CliError;
use crate::cli::installation::Installation;
use crate::cli::output;
use bmap_issuer::link::applied;
use bmap_protocol::ids::ToolId;
use serde_json::{Value, json};
use std::time::Duration;

/// Prints the tool, with its verifiers that have a live link: which of them have every change by now, and how long ago each was heard of.
pub(super) async fn show(id: &ToolId, json: bool, installation: &Installation) -> Result<(), CliError> {
    let store = &installation.store;
    let tool = store
        .tool(id)
        .await
        .map_err(CliError::failed)?
        .ok_or_else(|| CliError::NotFound(format!("there is no tool {id}")))?;
    let mut shown = describe(&tool);
    let nodes = store.link_nodes().await.map_err(CliError::failed)?;
    let behind = applied::wait(store, Duration::ZERO).await.map_err(CliError::failed)?.behind;
    let verifiers: Vec<Value> = nodes
        .iter()
        .filter(|node| node.tool == id.as_str())
        .map(|node| {
            let is_behind = behind.iter().any(|late| late.tool == node.tool && late.node == node.node);
            json!({ "node": node.node, "up_to_date": !is_behind, "heard_of_seconds_ago": node.silent })
        })
        .collect();
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("verifiers".to_owned(), verifiers.clone().into());
    }
    if json {
        return output::json(&shown);
    }
    let fields = shown.as_object().into_iter().flatten().filter(|(name, _)| *name != "verifiers");
    output::table(&fields.map(|(name, value)| vec![name.clone(), plain(value)]).collect::<Vec<_>>())?;
    output::text(&format!("verifiers with a live link: {}", verifiers.len()))?;
    for verifier in &verifiers {
        let text = |name: &str| verifier.get(name).map(plain).unwrap_or_default();
        let state = if text("up_to_date") == "true" { "has every change" } else { "is behind" };
        output::text(&format!("  {} {state}, heard of {} s ago", text("node"), text("heard_of_seconds_ago")))?;
    }
    Ok(())
}

/// A value without the quotes and brackets of JSON.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}
