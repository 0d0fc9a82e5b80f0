//! A certificate authority that lives as long as a test.
#![allow(dead_code, reason = "each test that includes this uses a part of it")]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail loudly")]

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use std::path::{Path, PathBuf};

/// Signs certificates.
pub(crate) struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// What is to be issued.
#[derive(Clone, Copy)]
pub(crate) struct Issued<'a> {
    name: &'a str,
    /// Years that it is valid from and until.
    years: (i32, i32),
}

impl<'a> Issued<'a> {
    /// Valid today and for long.
    pub(crate) fn valid(name: &'a str) -> Self {
        Self { name, years: (2020, 2090) }
    }

    /// Valid no more.
    pub(crate) fn expired(name: &'a str) -> Self {
        Self { name, years: (2020, 2021) }
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    /// Its own certificate.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// Writes a certificate and its key to `dir`; where they are.
    pub(crate) fn issue(&self, dir: &Path, file: &str, issued: Issued<'_>) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec![issued.name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, issued.name);
        let (from, until) = issued.years;
        (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (cert_file, key_file) = (dir.join(format!("{file}.pem")), dir.join(format!("{file}.key")));
        std::fs::write(&cert_file, certificate.pem()).unwrap();
        std::fs::write(&key_file, key.serialize_pem()).unwrap();
        (cert_file, key_file)
    }
}
