//! A step-up on a request: `Bmap-Step-Up` (profile §7). Each route whose act outlives the session demands it here, and nowhere else.

use crate::domain::account::service::SignedIn;
use crate::domain::account::step_up::SteppedUp;
use crate::domain::refusal::Refusal;
use crate::router::App;
use http::request::Parts;

/// The header.
pub const HEADER: &str = "bmap-step-up";
/// Its grammar.
pub const PATTERN: &str = "^bmu_[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$";
/// Its description in the document.
pub const ABOUT_HEADER: &str = "The `step_up` of `/auth/login`, `/auth/openid/token` or `/auth/step-up`: good once, for five minutes, and in \
                                its own session. Without it 403 `step_up_required`";

/// The step-up that the user who is signed in shows. It is used up by what takes the [`SteppedUp`]: the transaction of the act, or
/// [`use_step_up`](crate::domain::account::service::AccountService::use_step_up) before it.
///
/// # Errors
/// [`Refusal::StepUpRequired`] for none, several, and one that is not good.
pub async fn demand(app: &App, head: &Parts, signed_in: &SignedIn) -> Result<SteppedUp, Refusal> {
    let mut values = head.headers.get_all(HEADER).iter();
    let shown = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    };
    app.accounts.stepped_up(signed_in, shown).await
}
