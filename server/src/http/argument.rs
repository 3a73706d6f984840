//! What a handler takes from a request.

use super::app::App;
use super::openapi::doc::Doc;
use axum::extract::{FromRequestParts, State};

/// An argument of a handler: an extractor that says what the document has of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no argument of a handler",
    note = "implement `Argument` beside `FromRequestParts<App>`: it says what the OpenAPI document has of it"
)]
pub trait Argument: FromRequestParts<App> + Send {
    /// Adds what follows from the argument: parameters, a body, refusals.
    fn describe(doc: Doc) -> Doc {
        doc
    }
}

impl Argument for State<App> {}

/// An argument whose refusal the handler speaks itself, after others.
impl<T: Argument> Argument for Result<T, T::Rejection>
where
    T::Rejection: Send,
{
    fn describe(doc: Doc) -> Doc {
        T::describe(doc)
    }
}
