//! Somebody with an account.

use crate::call::Call;
use crate::server::{Installation, Server};
use serde_json::json;

const PASSWORD: &str = "violet-kettle-49-marsh";

/// Registers, and follows the link in the development server's log.
pub(crate) async fn register(email: &str, server: &Server, installation: &Installation) {
    let credentials = json!({ "email": email, "password": PASSWORD });
    assert_eq!(server.ask(&Call::json("POST", "/auth/register", &credentials)).await.status, 202);
    let log = installation.log();
    let line = log.lines().rev().find(|line| line.contains(email) && line.contains("token=")).unwrap();
    let token = line.split_once("token=").unwrap().1.split([' ', '"']).next().unwrap();
    assert_eq!(server.ask(&Call::json("POST", "/auth/confirm", &json!({ "token": token }))).await.status, 200);
}

pub(crate) fn login(email: &str) -> Call {
    Call::json("POST", "/auth/login", &json!({ "email": email, "password": PASSWORD }))
}

pub(crate) fn me(access: &str) -> Call {
    Call::new("GET", "/auth/me").header("authorization", format!("Bearer {access}"))
}
