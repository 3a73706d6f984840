//! The log of this process, kept: every server in it writes here, as a development server writes its log.

use std::io;
use std::sync::{Mutex, Once};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn start() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let ours = "bmap_server=info,bmap_issuer=info,bmap_store=info,bmap_model=info,bmap_outbound=info";
        tracing_subscriber::fmt().with_env_filter(ours).with_ansi(false).with_writer(|| Writer).init();
    });
}

pub(crate) fn text() -> String {
    text_from(0)
}

/// Where the next line will stand. A server's port may have been that of an earlier test's server, so what one server wrote
/// is looked for from its start on.
pub(crate) fn end() -> usize {
    LOG.lock().unwrap().len()
}

pub(crate) fn text_from(start: usize) -> String {
    String::from_utf8(LOG.lock().unwrap()[start..].to_vec()).unwrap()
}
