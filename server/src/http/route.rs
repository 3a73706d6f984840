//! One route, made from its handler: the arguments say who may call it, what it takes, and much of what it refuses.
//!
//! The first argument of a handler authenticates ([`Authenticates`]), and the route's [`Access`] follows from its type. A handler that asks for
//! nothing says [`Open`](super::caller::Open):
//!
//! ```
//! use axum::extract::State;
//! use bmap_server::http::app::App;
//! use bmap_server::http::caller::Open;
//! use bmap_server::http::openapi::doc::Doc;
//! use bmap_server::http::route::get;
//!
//! async fn url(_: Open, State(app): State<App>) -> String {
//!     app.issuer.url.as_str().to_owned()
//! }
//! get("/url", url, Doc::new("The issuer's URL"));
//! ```
//!
//! Without it there is no route:
//!
//! ```compile_fail,E0277
//! use axum::extract::State;
//! use bmap_server::http::app::App;
//! use bmap_server::http::caller::Open;
//! use bmap_server::http::openapi::doc::Doc;
//! use bmap_server::http::route::get;
//!
//! async fn url(State(app): State<App>) -> String {
//!     app.issuer.url.as_str().to_owned()
//! }
//! get("/url", url, Doc::new("The issuer's URL"));
//! ```
//!
//! Arguments are taken from left to right, and each refuses by itself. The first one that needs the body reads it whole; the later ones find its
//! bytes ([`body::bytes`](super::body::bytes)).

use super::access::Access;
use super::app::App;
use super::argument::Argument;
use super::body::UnreadBody;
use super::caller::Authenticates;
use super::openapi::doc::Doc;
use axum::extract::Request;
use axum::handler::Handler;
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, on};
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;

/// A handler with such arguments.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no handler of a route",
    note = "its first argument authenticates or is `Open`; every argument is an `Argument`"
)]
pub trait Endpoint<Arguments>: Clone + Send + Sync + 'static {
    /// Who may call the route.
    const ACCESS: Access;

    /// Adds to the route's documentation what follows from the arguments.
    fn describe(doc: Doc) -> Doc;

    /// Takes the arguments from a request and answers it.
    fn answer(self, request: Request, app: App) -> impl Future<Output = Response> + Send;
}

macro_rules! endpoints {
    ($(($first:ident $($more:ident)*))*) => {$(
        impl<F, Fut, Answer, $first, $($more,)*> Endpoint<($first, $($more,)*)> for F
        where
            F: Fn($first, $($more,)*) -> Fut + Clone + Send + Sync + 'static,
            Fut: Future<Output = Answer> + Send,
            Answer: IntoResponse,
            $first: Authenticates,
            $($more: Argument,)*
        {
            const ACCESS: Access = $first::ACCESS;

            fn describe(doc: Doc) -> Doc {
                let doc = $first::describe(doc);
                $(let doc = $more::describe(doc);)*
                doc
            }

            #[expect(non_snake_case, reason = "each argument is bound under the name of its type")]
            async fn answer(self, request: Request, app: App) -> Response {
                let (mut head, body) = request.into_parts();
                head.extensions.insert(UnreadBody::new(body));
                let $first = match $first::from_request_parts(&mut head, &app).await {
                    Ok(argument) => argument,
                    Err(refused) => return refused.into_response(),
                };
                $(let $more = match $more::from_request_parts(&mut head, &app).await {
                    Ok(argument) => argument,
                    Err(refused) => return refused.into_response(),
                };)*
                // A body that no argument read is given up here, and not when the work is done.
                drop(head);
                self($first, $($more,)*).await.into_response()
            }
        }
    )*};
}

endpoints! { (A) (A B) (A B C) (A B C D) (A B C D E) (A B C D E G) }

/// One route.
pub struct Route {
    /// `GET`, `POST`, `PUT`, `PATCH` or `DELETE`.
    pub method: &'static str,
    /// Its path.
    pub path: &'static str,
    /// Who may call it.
    pub access: Access,
    /// Its documentation: what it takes, answers and refuses.
    pub doc: Doc,
    pub(crate) handler: MethodRouter<App>,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident $filter:ident)*) => {$(
        $(#[$doc])*
        pub fn $name<A: 'static, E: Endpoint<A>>(path: &'static str, endpoint: E, doc: Doc) -> Route {
            Route {
                method: stringify!($filter),
                path,
                access: E::ACCESS,
                doc: E::describe(doc),
                handler: on(MethodFilter::$filter, Typed(endpoint, PhantomData)),
            }
        }
    )*};
}

methods! {
    /// A route for `GET`, and with it for `HEAD`.
    get GET
    /// A route for `POST`.
    post POST
    /// A route for `PUT`.
    put PUT
    /// A route for `PATCH`.
    patch PATCH
    /// A route for `DELETE`.
    delete DELETE
}

/// An endpoint, for axum.
struct Typed<E, A>(E, PhantomData<fn() -> A>);

impl<E: Clone, A> Clone for Typed<E, A> {
    fn clone(&self) -> Self {
        Self(self.0.clone(), PhantomData)
    }
}

impl<A: 'static, E: Endpoint<A>> Handler<(), App> for Typed<E, A> {
    type Future = Pin<Box<dyn Future<Output = Response> + Send>>;

    fn call(self, request: Request, app: App) -> Self::Future {
        Box::pin(self.0.answer(request, app))
    }
}
