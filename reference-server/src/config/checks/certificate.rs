//! The certificate for TLS.

use super::Checks;
use crate::{config::Settings, tls::Certificate};

pub(super) fn certificate(settings: &Settings, checks: &mut Checks<'_>) -> Option<Certificate> {
    match (&settings.tls_cert_file, &settings.tls_key_file) {
        (Some(cert), Some(key)) => Certificate::read(cert, key)
            .map_err(|error| checks.wrong("tls_cert_file", error))
            .ok(),
        (None, None) => None,
        (Some(_), None) => {
            checks.wrong("tls_cert_file", "needs tls_key_file too");
            None
        }
        (None, Some(_)) => {
            checks.wrong("tls_key_file", "needs tls_cert_file too");
            None
        }
    }
}
