//! The certificate for TLS.

use std::path::Path;

use super::Checks;
use crate::{
    config::Settings,
    tls::{self, Certificate, InvalidCertificate},
};

pub(super) fn certificate(settings: &Settings, checks: &mut Checks<'_>) -> Option<Certificate> {
    match (&settings.tls_cert_file, &settings.tls_key_file) {
        (Some(cert), Some(key)) => read(cert, key, checks),
        (None, None) => None,
        (Some(_), None) => {
            needs("tls_cert_file", "tls_key_file", checks);
            None
        }
        (None, Some(_)) => {
            needs("tls_key_file", "tls_cert_file", checks);
            None
        }
    }
}

/// Adds a setting that another one requires, unless it is already wrong.
pub(super) fn needs(given: &'static str, missing: &'static str, checks: &mut Checks<'_>) {
    if !checks.errors.is_wrong(missing) {
        checks.wrong(given, format_args!("needs {missing} too"));
    }
}

fn read(cert: &Path, key: &Path, checks: &mut Checks<'_>) -> Option<Certificate> {
    let chain = tls::read_chain(cert).map_err(|error| checks.wrong("tls_cert_file", error));
    let secret = tls::read_key(key).map_err(|error| checks.wrong("tls_key_file", error));
    let certificate = Certificate::new(chain.ok()?, secret.ok()?);
    let (cert, key) = (cert.display(), key.display());
    let cert_setting = checks.origins.name("tls_cert_file");
    certificate
        .map_err(|error| {
            let message = match error {
                InvalidCertificate::ForeignKey => {
                    format!("{key} is not the key of the certificate in {cert} ({cert_setting})")
                }
                error => format!("{key}, with {cert} ({cert_setting}): {error}"),
            };
            checks.wrong("tls_key_file", message);
        })
        .ok()
}
