//! How the broker lets us in: `user` and where its password is, and `[mqtt.tls]`. Names of files, never
//! what is in them: secrets are read when a connection is made, and go no further.

use super::findings::{At, Findings};
use super::raw::Section;
use std::path::{Path, PathBuf};

/// Begins a path that systemd gives: `LoadCredential=` of the unit puts the file there.
pub(crate) const CREDENTIALS: &str = "$CREDENTIALS_DIRECTORY";

/// Who signs in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Login {
    /// The user.
    pub user: String,
    /// Where the password is; `None` if it has none.
    pub password: Option<PasswordAt>,
}

/// Where a password is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PasswordAt {
    /// The first line of a file.
    File(PathBuf),
    /// A variable of the environment, by name.
    Env(String),
}

/// `[mqtt.tls]`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tls {
    /// Certificates (PEM) of whom we believe; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// What we show the broker of ourselves.
    pub client: Option<ClientFiles>,
    /// The name that the broker's certificate must have, if it is not the host.
    pub server_name: Option<String>,
}

/// A certificate (with its chain) and its key, as PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClientFiles {
    /// Ours first, then those that lead to the CA.
    pub cert_file: PathBuf,
    /// Without a password of its own.
    pub key_file: PathBuf,
}

/// Reads `user`, `password_file` and `password_env`; `Err` if a fault was found.
pub(super) fn login(section: &Section, folder: &Path, findings: &mut Findings) -> Result<Option<Login>, ()> {
    let user = text(section, "user", findings)?;
    let file = text(section, "password_file", findings)?;
    let env = text(section, "password_env", findings)?;
    if let (Some(_), Some(env)) = (&file, &env) {
        findings.fault(&env.here, "password_env stands beside password_file; keep one");
        return Err(());
    }
    if let Some(env) = &env {
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if env.value.starts_with(|c: char| c.is_ascii_digit()) || !env.value.chars().all(in_name) {
            // What was written may be the password itself.
            findings.fault(&env.here, "password_env is the name of a variable such as METERD_MQTT_PASSWORD");
            return Err(());
        }
    }
    let password = match (file, env) {
        (Some(file), _) => Some((file.here, PasswordAt::File(path(folder, &file.value)))),
        (None, Some(env)) => Some((env.here, PasswordAt::Env(env.value))),
        (None, None) => None,
    };
    match (user, password) {
        (None, Some((here, _))) => {
            findings.fault(&here, "a password needs a user; write user = \"…\"");
            Err(())
        }
        (None, None) => Ok(None),
        (Some(user), password) => {
            Ok(Some(Login { user: user.value, password: password.map(|(_, password)| password) }))
        }
    }
}

/// Reads `[mqtt.tls]`; `Err` if a fault was found.
pub(super) fn tls(section: &Section, folder: &Path, findings: &mut Findings) -> Result<Tls, ()> {
    let ca_file = text(section, "ca_file", findings)?.map(|at| path(folder, &at.value));
    let cert = text(section, "client_cert_file", findings)?;
    let key = text(section, "client_key_file", findings)?;
    let server_name = text(section, "server_name", findings)?;
    let client = match (cert, key) {
        (Some(cert), Some(key)) => {
            Some(ClientFiles { cert_file: path(folder, &cert.value), key_file: path(folder, &key.value) })
        }
        (Some(lone), None) => {
            findings.fault(&lone.here, "client_cert_file needs its key; write client_key_file = \"…\"");
            return Err(());
        }
        (None, Some(lone)) => {
            findings
                .fault(&lone.here, "client_key_file needs its certificate; write client_cert_file = \"…\"");
            return Err(());
        }
        (None, None) => None,
    };
    if let Some(name) = &server_name
        && rustls::pki_types::ServerName::try_from(name.value.as_str()).is_err()
    {
        let said = format!(
            "server_name \"{}\" is no name of a host; write it as the certificate has it",
            name.value
        );
        findings.fault(&name.here, said);
        return Err(());
    }
    Ok(Tls { ca_file, client, server_name: server_name.map(|at| at.value) })
}

/// A text that is not empty.
fn text(section: &Section, key: &str, findings: &mut Findings) -> Result<Option<At<String>>, ()> {
    if !section.has(key) {
        return Ok(None);
    }
    let at = section.text(key, findings).ok_or(())?;
    if at.value.trim().is_empty() {
        findings.fault(&at.here, format!("{key} is empty; write it, or leave the line out"));
        return Err(());
    }
    Ok(Some(at))
}

fn path(folder: &Path, written: &str) -> PathBuf {
    if written.starts_with(CREDENTIALS) { PathBuf::from(written) } else { folder.join(written) }
}
