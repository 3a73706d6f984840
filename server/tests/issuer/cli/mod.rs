//! The command line: what operators run, and what they are told.

mod commands;
mod doctor;
mod first_start;
mod grants;
mod no_installation;
mod wait;
mod wrong_root;
