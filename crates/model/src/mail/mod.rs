//! The stored mail: [`job`] (sealed), [`act`] (the acts that it tells of), [`budget`] (how much of it).

pub mod act;
pub mod budget;
pub mod job;
