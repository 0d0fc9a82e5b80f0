//! What is needed to be let in: the password, the CAs that we believe, the certificate that we show.
//!
//! It is read when a connection is made and dropped with it. A secret has no Debug and no Display.

use super::refusal::in_name_of;
use crate::config::{CREDENTIALS, ClientFiles, Login, Mqtt, PasswordAt, Tls};
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A password on its way from its file to the broker.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn reveal(self) -> String {
        self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Why there is nothing to sign in with; each says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(in crate::mqtt) enum AccessError {
    #[error("{key} {} cannot be read: {why}; let the user that meterd runs as read it", .path.display())]
    Unreadable { key: &'static str, path: PathBuf, why: String },
    #[error("password_file {} is empty; write the password as its first line", .0.display())]
    NoPassword(PathBuf),
    #[error(
        "password_env names ${0}, which is not set; set it where meterd is started, or write password_file"
    )]
    NoVariable(String),
    #[error(
        "{CREDENTIALS} is not set; start meterd by systemd with LoadCredential=, or write the whole path"
    )]
    NoCredentials,
    #[error("{key} {} holds no {what} in PEM form (-----BEGIN …)", .path.display())]
    NotPem { key: &'static str, path: PathBuf, what: &'static str },
    #[error("client_key_file {} does not fit client_cert_file: {why}", .path.display())]
    BadKey { path: PathBuf, why: String },
    #[error(
        "the CAs of this system cannot be used: {0}; install ca-certificates, or write ca_file under [mqtt.tls]"
    )]
    NoRoots(String),
}

/// All that one connection needs.
#[derive(Debug)]
pub(super) struct Access {
    pub(super) login: Option<(String, Secret)>,
    pub(super) tls: Option<Arc<ClientConfig>>,
}

impl Access {
    pub(super) fn read(mqtt: &Mqtt) -> Result<Self, AccessError> {
        let login = mqtt.login.as_ref().map(login).transpose()?;
        let tls = mqtt.tls.as_ref().map(|tls| config(tls).map(Arc::new)).transpose()?;
        Ok(Self { login, tls })
    }
}

/// What `meterd check` says of the way to the broker: what could not be read here and now, and what
/// everybody can read. It shows no secret.
pub fn worth_a_look(mqtt: &Mqtt) -> Vec<String> {
    let mut said = open_to_others(mqtt);
    // A variable is set where the daemon is started, not where it is checked.
    if let Err(error) = Access::read(mqtt)
        && !matches!(error, AccessError::NoVariable(_) | AccessError::NoCredentials)
    {
        said.push(format!("[mqtt] {error}"));
    }
    said
}

/// Files with secrets that others may read.
pub(in crate::mqtt) fn open_to_others(mqtt: &Mqtt) -> Vec<String> {
    let password = match mqtt.login.as_ref().and_then(|login| login.password.as_ref()) {
        Some(PasswordAt::File(path)) => Some(("password_file", path)),
        Some(PasswordAt::Env(_)) | None => None,
    };
    let client = mqtt.tls.as_ref().and_then(|tls| tls.client.as_ref());
    let key = client.map(|files| ("client_key_file", &files.key_file));
    let is_open = |path: &Path| {
        located(path).is_ok_and(|path| path.metadata().is_ok_and(|m| m.permissions().mode() & 0o004 != 0))
    };
    let warning = |(key, path): (&str, &PathBuf)| {
        let path = path.display();
        format!("[mqtt] {key} {path} can be read by every user of this machine; chmod o-rwx {path}")
    };
    password.into_iter().chain(key).filter(|(_, path)| is_open(path)).map(warning).collect()
}

fn login(login: &Login) -> Result<(String, Secret), AccessError> {
    let password = match &login.password {
        None => String::new(),
        Some(PasswordAt::Env(name)) => {
            std::env::var(name).map_err(|_| AccessError::NoVariable(name.clone()))?
        }
        Some(PasswordAt::File(path)) => {
            let octets = read("password_file", path)?;
            let text = String::from_utf8_lossy(&octets);
            let first = text.lines().next().unwrap_or("").to_owned();
            if first.is_empty() {
                return Err(AccessError::NoPassword(path.clone()));
            }
            first
        }
    };
    Ok((login.user.clone(), Secret(password)))
}

fn config(tls: &Tls) -> Result<ClientConfig, AccessError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let roots = Arc::new(match &tls.ca_file {
        Some(path) => own_roots(path)?,
        None => system_roots()?,
    });
    let broken = |why: String| AccessError::NoRoots(why);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| broken(e.to_string()))?;
    let builder = match tls.server_name.as_deref().map(ServerName::try_from) {
        // The configuration has proved the name.
        Some(Ok(name)) => {
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider)
                .build()
                .map_err(|e| broken(e.to_string()))?;
            builder.dangerous().with_custom_certificate_verifier(in_name_of(name.to_owned(), verifier))
        }
        Some(Err(_)) | None => builder.with_root_certificates(roots),
    };
    let Some(ClientFiles { cert_file, key_file }) = &tls.client else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("client_cert_file", cert_file)?;
    let key = PrivateKeyDer::from_pem_slice(&read("client_key_file", key_file)?).map_err(|_| {
        AccessError::NotPem { key: "client_key_file", path: key_file.clone(), what: "private key" }
    })?;
    builder
        .with_client_auth_cert(chain, key)
        .map_err(|e| AccessError::BadKey { path: key_file.clone(), why: e.to_string() })
}

fn own_roots(path: &Path) -> Result<RootCertStore, AccessError> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(certificates("ca_file", path)?);
    if taken == 0 {
        return Err(AccessError::NotPem { key: "ca_file", path: path.to_owned(), what: "certificate" });
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, AccessError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(found.certs);
    if taken == 0 {
        let why = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
        return Err(AccessError::NoRoots(why));
    }
    Ok(roots)
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let octets = read(key, path)?;
    let all: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&octets).collect();
    match all {
        Ok(all) if !all.is_empty() => Ok(all),
        Ok(_) | Err(_) => Err(AccessError::NotPem { key, path: path.to_owned(), what: "certificate" }),
    }
}

fn read(key: &'static str, path: &Path) -> Result<Vec<u8>, AccessError> {
    let path = located(path)?;
    std::fs::read(&path).map_err(|e| AccessError::Unreadable { key, why: super::of_system(&e), path })
}

/// The path, with systemd's directory in the place of its variable.
fn located(path: &Path) -> Result<PathBuf, AccessError> {
    match path.strip_prefix(CREDENTIALS) {
        Ok(rest) => {
            let dir = std::env::var_os("CREDENTIALS_DIRECTORY").ok_or(AccessError::NoCredentials)?;
            Ok(Path::new(&dir).join(rest))
        }
        Err(_) => Ok(path.to_owned()),
    }
}
