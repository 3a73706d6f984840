//! Why a database could not be reached, where the way to it was not safe: each is mended somewhere else.

use super::address::Address;
use super::{Result, StoreError};
use bmap_outbound::certificate;
use std::fs::File;

/// Refuses an address whose files can't be read, before the operator looks for the fault at the server.
pub(crate) fn readable(address: &Address) -> Result<()> {
    for (name, file) in address.tls_files() {
        if let Err(error) = File::open(&file) {
            return Err(StoreError::Unsafe(format!("{name} {}: {error}", file.display())));
        }
    }
    Ok(())
}

/// The error, with the names of the settings that mend it.
pub(crate) fn explained(error: sqlx::Error) -> StoreError {
    if let Some(fault) = certificate::fault(&error) {
        return StoreError::Unsafe(format!("the certificate of its server {fault} (sslrootcert, host)"));
    }
    if is_refused(&error) {
        return StoreError::Refused;
    }
    match error {
        sqlx::Error::Tls(cause) => StoreError::Unsafe(cause.to_string()),
        sqlx::Error::Io(cause) if asks_for_certificate(&cause) => StoreError::Unsafe(
            "its server asks for a certificate, or does not take this one (sslcert, sslkey)".to_owned(),
        ),
        error => StoreError::Database(error),
    }
}

/// Whether the host is there, and nothing listens at the port or socket.
pub(crate) fn is_refused(error: &sqlx::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    matches!(error, sqlx::Error::Io(cause) if matches!(cause.kind(), ConnectionRefused | NotFound))
}

/// A server's alert: it wants a certificate of its client, or another one.
fn asks_for_certificate(error: &std::io::Error) -> bool {
    use rustls::AlertDescription as Alert;
    let said = error.get_ref().and_then(|content| content.downcast_ref());
    let Some(rustls::Error::AlertReceived(alert)) = said else { return false };
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::HandshakeFailure
    )
}
