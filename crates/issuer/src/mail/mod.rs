//! Mail. A request stores the mail in the transaction of the change that it belongs to, and answers; a worker sends it
//! afterwards. The request does the same for every address, so neither answer nor time tells which addresses have an account
//! (R31), and promised mail survives a crash.
//!
//! The stored mail is [`job`](bmap_model::mail::job). Modules in reading order: [`server`] (where mail goes), [`email`] (the texts),
//! [`message`] (RFC 5322), [`mailer`] (SMTP, or the log of a development server), [`backoff`], [`worker`] (claims, sends and retries).

pub mod server;

pub mod email;
pub mod message;

pub mod mailer;

pub mod backoff;
pub mod worker;
