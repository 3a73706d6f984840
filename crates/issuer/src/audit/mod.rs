//! The audit log at work (docs/audit.md). Two ways lead into it. A change of state is recorded by the store function that makes it, in the
//! same transaction, from the [`Event`](bmap_model::audit::Event) that it is handed. A token, which changes no state, is recorded by
//! [`writer`] before it is answered, many in one transaction, and a ticket is added there with its entry; and so is every refusal, which
//! [`refusals`] keeps from filling the disk. [`verify`] follows the chain, [`page`]
//! looks into it, [`kept`] keeps its keys of older epochs.

pub mod kept;
pub mod page;
pub mod verify;

pub mod refusals;
pub mod writer;
