//! Mail. A request stores the mail in the transaction of the change that it belongs to, and answers; a worker sends it
//! afterwards. The request does the same for every address, so neither answer nor time tells which addresses have an account
//! (R31), and promised mail survives a crash.
//!
//! Modules in reading order: [`server`] (where mail goes), [`errand`] (the stored mail, sealed), [`budget`] (how much of it), [`letter`] (the
//! texts), [`message`] (RFC 5322), [`carrier`] (SMTP, or the log of a development server), [`backoff`], [`post_office`] (the worker).

pub mod server;

pub mod act;
pub mod budget;
pub mod errand;

pub mod letter;
pub mod message;

pub mod carrier;

pub mod backoff;
pub mod post_office;
