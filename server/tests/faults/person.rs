//! A person with an account.

use crate::call::Call;
use crate::server::{Installation, Server, now};
use serde_json::json;
use std::time::Duration;

const PASSWORD: &str = "violet-kettle-49-marsh";

/// Registers, and follows the link in the development server's log.
pub(crate) async fn register(email: &str, server: &Server, installation: &Installation) {
    let credentials = json!({ "email": email, "password": PASSWORD });
    assert_eq!(server.ask(&Call::json("POST", "/auth/register", &credentials)).await.status, 202);
    // The link is in the log soon after.
    let began = now();
    let token = loop {
        assert!(began.elapsed() < Duration::from_secs(20), "no link: {}", installation.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
        let log = installation.log();
        let link = log.lines().rev().find(|line| line.contains(email) && line.contains("token=bmc_"));
        if let Some((_, token)) = link.and_then(|line| line.split_once("token=")) {
            break token.split([' ', '"', '\\']).next().unwrap().to_owned();
        }
    };
    let confirmation = json!({ "token": token, "password": PASSWORD });
    assert_eq!(server.ask(&Call::json("POST", "/auth/confirm", &confirmation)).await.status, 200);
}

pub(crate) fn login(email: &str) -> Call {
    Call::json("POST", "/auth/login", &json!({ "email": email, "password": PASSWORD }))
}

pub(crate) fn step_up(access: &str) -> Call {
    Call::json("POST", "/auth/step-up", &json!({ "password": PASSWORD }))
        .header("authorization", format!("Bearer {access}"))
}

pub(crate) fn me(access: &str) -> Call {
    Call::new("GET", "/auth/me").header("authorization", format!("Bearer {access}"))
}
