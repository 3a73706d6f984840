//! Certificates of others: providers, database servers.

use rustls::CertificateError;

/// The fault of the certificate that was shown, if that is the cause: an operator mends each of these elsewhere.
pub fn fault(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        // An I/O error names as its source what its content came from, and not the content itself.
        if let Some(wrapper) = error.downcast_ref::<std::io::Error>() {
            cause = wrapper.get_ref().map(|content| content as _);
            continue;
        }
        let tls = error.downcast_ref();
        if let Some(rustls::Error::InvalidCertificate(fault)) = tls {
            return Some(match fault {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => "has ended",
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => "has not begun",
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                    "is for another name"
                }
                // The second: an authority of that name is trusted, but not this one.
                CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                    "is of an authority that is not trusted"
                }
                CertificateError::Revoked => "was revoked",
                _ => "does not hold",
            });
        }
        cause = error.source();
    }
    None
}
