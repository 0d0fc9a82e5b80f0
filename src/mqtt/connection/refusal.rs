//! What two sides say that do not believe each other, as sentences that say what to do.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, DigitallySignedStruct, Error, SignatureScheme};
use std::sync::Arc;

/// A refusal by CONNACK in the protocol's words, and what to do about it.
pub(super) fn of_connection(words: &str) -> String {
    let advice = match words {
        "not authorized" => {
            "give this user the right to connect, or write another user and password_file under [mqtt]"
        }
        "bad user name password" => "write its user and password_file under [mqtt]",
        "bad client id" | "client identifier not valid" => {
            "let the broker take client ids meterd-GATEWAY, or write another id under [gateway]"
        }
        "refused protocol version" | "unsupported protocol version" => {
            "write version = 4 under [mqtt] for MQTT 3.1.1, or version = 5"
        }
        "banned" => "have the broker lift its ban of this client",
        "retain not supported" | "qo s not supported" => {
            "the broker must take a retained last will of QoS 1; set it so"
        }
        "use another server" | "server moved" => "write the url of the other one under [mqtt]",
        _ => return words.to_owned(),
    };
    format!("{words}; {advice}")
}

/// What TLS says.
#[expect(clippy::wildcard_enum_match_arm, reason = "foreign enums; their own words say the rest")]
pub(super) fn of_tls(error: &Error) -> String {
    match error {
        Error::InvalidCertificate(bad) => of_certificate(bad),
        Error::AlertReceived(alert) => of_alert(*alert),
        Error::InvalidMessage(_) => {
            "the broker does not speak TLS at this port; write the port that does, mostly 8883, or mqtt:// in url"
                .to_owned()
        }
        Error::PeerIncompatible(why) => {
            format!("the broker speaks neither TLS 1.2 nor 1.3 as we do: {why:?}; set it to TLS 1.2 or later")
        }
        other => format!("TLS failed: {other}"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum; its own words say the rest")]
fn of_certificate(bad: &CertificateError) -> String {
    match bad {
        CertificateError::UnknownIssuer => {
            "no CA that is believed here has signed the broker's certificate; write the file of its CA as ca_file under [mqtt.tls]"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the broker's certificate has expired; renew it at the broker, or set the clock of this gateway if it is ahead"
                .to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the broker's certificate is not valid yet; set the clock of this gateway, it is probably behind".to_owned()
        }
        CertificateError::NotValidForName => {
            "the broker's certificate is for another name; write that name as server_name under [mqtt.tls]".to_owned()
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let (expected, presented) = (expected.to_str(), presented.join(", "));
            format!(
                "the broker's certificate is not for {expected}, it is for {presented}; if that is the right broker, write server_name under [mqtt.tls]"
            )
        }
        other => format!("the broker's certificate is not accepted: {other}"),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum; its own words say the rest")]
fn of_alert(alert: AlertDescription) -> String {
    let ours = "our certificate; write one that its CA has signed as client_cert_file under [mqtt.tls]";
    if alert == AlertDescription::CertificateRequired {
        return "the broker wants a certificate of us; write client_cert_file and client_key_file under [mqtt.tls]"
            .to_owned();
    }
    let about_ours = [
        AlertDescription::UnknownCA,
        AlertDescription::BadCertificate,
        AlertDescription::UnsupportedCertificate,
        AlertDescription::CertificateUnknown,
        AlertDescription::DecryptError,
        AlertDescription::AccessDenied,
    ];
    if about_ours.contains(&alert) {
        return format!("the broker does not accept {ours}");
    }
    match alert {
        AlertDescription::CertificateExpired | AlertDescription::CertificateRevoked => {
            format!("the broker says that our certificate has expired or was revoked; renew {ours}")
        }
        AlertDescription::ProtocolVersion => {
            "the broker speaks neither TLS 1.2 nor 1.3; set it to TLS 1.2 or later".to_owned()
        }
        AlertDescription::HandshakeFailure => {
            "the broker ends the handshake: it has no cipher in common with us, or wants client_cert_file and client_key_file under [mqtt.tls]".to_owned()
        }
        other => format!("the broker ends TLS: {other:?}"),
    }
}

/// Verifies as ever, but looks for this name in the certificate and not for the host's.
pub(super) fn in_name_of(
    name: ServerName<'static>,
    by: Arc<WebPkiServerVerifier>,
) -> Arc<dyn ServerCertVerifier> {
    Arc::new(Named { name, by })
}

#[derive(Debug)]
struct Named {
    name: ServerName<'static>,
    by: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Named {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _host: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.by.verify_server_cert(end_entity, intermediates, &self.name, ocsp, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by.supported_verify_schemes()
    }
}
