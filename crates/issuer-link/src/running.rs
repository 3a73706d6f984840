//! The tasks of a link, which end with the last of its handles and verifiers.

use crate::shared::Shared;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

/// What handles and verifiers hold.
pub(crate) struct Running {
    pub(crate) shared: Arc<Shared>,
    pub(crate) is_on: bool,
    is_closed: AtomicBool,
    tasks: Vec<JoinHandle<()>>,
}

impl Running {
    pub(crate) const fn new(shared: Arc<Shared>, is_on: bool, tasks: Vec<JoinHandle<()>>) -> Self {
        Self { shared, is_on, is_closed: AtomicBool::new(false), tasks }
    }

    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::SeqCst);
        self.end();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::SeqCst)
    }

    fn end(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
        self.shared.is_open.store(false, Ordering::SeqCst);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}
