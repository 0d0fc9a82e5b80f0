//! TLS and signing in, against a real mosquitto; every certificate is made when the test runs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails by panicking"
)]

#[path = "support/broker.rs"]
mod broker;
#[path = "support/certificates.rs"]
mod certificates;
#[path = "support/gateway.rs"]
mod gateway;

use broker::{Broker, within};
use certificates::{Authority, Issued};
use gateway::Gateway;
use meterd::config::{ClientFiles, Login, Mqtt, MqttVersion, PasswordAt, Tls};
use meterd::mqtt::watch::{Pattern, Seen, Watch, follow};
use meterd::mqtt::{Ways, worth_a_look};
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

const PATIENT: Duration = Duration::from_secs(30);

/// A broker with a certificate for `localhost`, which asks for one of ours, and what a gateway needs.
struct Scene {
    broker: Broker,
    dir: TempDir,
    authority: Authority,
    ca_file: PathBuf,
}

impl Scene {
    async fn start(server: Issued<'_>, settings: &str) -> Option<Self> {
        Self::start_tls(server, settings, None).await
    }

    async fn start_tls(server: Issued<'_>, settings: &str, newest: Option<&'static str>) -> Option<Self> {
        let dir = TempDir::new().unwrap();
        let authority = Authority::new("the broker's CA");
        let ca_file = dir.path().join("ca.pem");
        std::fs::write(&ca_file, authority.pem()).unwrap();
        let (cert, key) = authority.issue(dir.path(), "server", server);
        let (ca, cert, key) = (ca_file.display(), cert.display(), key.display());
        let settings = format!("cafile {ca}\ncertfile {cert}\nkeyfile {key}\nuser root\n{settings}");
        let broker = Broker::start_tls(&settings, newest).await?;
        Some(Self { broker, dir, authority, ca_file })
    }

    /// Believes the CA of the broker.
    fn mqtt(&self, host: &str) -> Mqtt {
        let tls = Tls { ca_file: Some(self.ca_file.clone()), ..Tls::default() };
        Mqtt { tls: Some(tls), ..Mqtt::at(host, self.broker.port()) }
    }

    fn with_client(&self, mut mqtt: Mqtt, by: &Authority) -> Mqtt {
        let (cert_file, key_file) = by.issue(self.dir.path(), "client", Issued::valid("gw01"));
        mqtt.tls.as_mut().unwrap().client = Some(ClientFiles { cert_file, key_file });
        mqtt
    }
}

/// Delivers a message, or does not.
async fn delivered(mqtt: Mqtt) {
    let gateway = Gateway::start_to(mqtt, PATIENT, Ways::none());
    gateway.put(0, 30).await;
    gateway.all_signed().await;
    assert_eq!(gateway.stop().await.signed_for, 30);
}

/// Why an onlooker with the same settings has no connection.
async fn refused(mqtt: Mqtt) -> String {
    let watch = Watch { mqtt, gateway: "+".into(), meters: Pattern::new("*") };
    let mut why_not = String::new();
    within("the connection is refused", async {
        follow(&watch, |seen| {
            let Seen::Lost { why, .. } = seen else { panic!("the broker took us in: {seen:?}") };
            why_not = why;
            ControlFlow::Break(())
        })
        .await;
    })
    .await;
    why_not
}

#[tokio::test]
async fn readings_are_delivered_by_tls_1_2_and_1_3_with_a_client_certificate() {
    for (tls, newest) in [("tlsv1.2", "TLSv1.2"), ("tlsv1.3", "TLSv1.3")] {
        let settings = format!("require_certificate true\nuse_identity_as_username true\ntls_version {tls}");
        let Some(scene) = Scene::start_tls(Issued::valid("localhost"), &settings, Some(newest)).await else {
            return;
        };
        for version in [MqttVersion::V4, MqttVersion::V5] {
            let mqtt = Mqtt { version, ..scene.mqtt("localhost") };
            delivered(scene.with_client(mqtt, &scene.authority)).await;
        }
        let without = refused(scene.mqtt("localhost")).await;
        assert!(without.contains("client_cert_file") || without.contains("connection"), "{tls}: {without}");
        let stranger = Authority::new("nobody's CA");
        let strange = refused(scene.with_client(scene.mqtt("localhost"), &stranger)).await;
        assert!(strange.contains("our certificate") || strange.contains("connection"), "{tls}: {strange}");
    }
}

#[tokio::test]
async fn a_broker_that_cannot_be_believed_is_refused_with_what_to_do() {
    let Some(scene) = Scene::start(Issued::valid("localhost"), "").await else { return };
    delivered(scene.mqtt("localhost")).await;

    let other = Authority::new("another CA");
    let other_file = scene.dir.path().join("other.pem");
    std::fs::write(&other_file, other.pem()).unwrap();
    let mut wrong = scene.mqtt("localhost");
    wrong.tls.as_mut().unwrap().ca_file = Some(other_file);
    let said = refused(wrong).await;
    assert!(said.contains("ca_file under [mqtt.tls]"), "{said}");

    let said = refused(scene.mqtt("127.0.0.1")).await;
    assert!(
        said.contains("127.0.0.1") && said.contains("localhost") && said.contains("server_name"),
        "{said}"
    );
    let mut named = scene.mqtt("127.0.0.1");
    named.tls.as_mut().unwrap().server_name = Some("localhost".into());
    delivered(named).await;

    let Some(old) = Scene::start(Issued::expired("localhost"), "").await else { return };
    let said = refused(old.mqtt("localhost")).await;
    assert!(said.contains("has expired"), "{said}");

    let Some(plain) = Broker::start().await else { return };
    let said = refused(Mqtt { port: plain.port(), ..scene.mqtt("localhost") }).await;
    assert!(said.contains("TLS") || said.contains("connection"), "{said}");
}

#[tokio::test]
async fn files_that_are_missing_or_hold_something_else_are_named_and_nothing_is_tried() {
    let dir = TempDir::new().unwrap();
    let empty = dir.path().join("empty.pem");
    std::fs::write(&empty, "nothing\n").unwrap();
    let with = |tls: Tls| Mqtt { tls: Some(tls), ..Mqtt::at("localhost", 1) };
    let missing = dir.path().join("missing.pem");
    let said = refused(with(Tls { ca_file: Some(missing), ..Tls::default() })).await;
    assert!(said.starts_with("ca_file ") && said.contains("cannot be read: no such file"), "{said}");
    let said = refused(with(Tls { ca_file: Some(empty), ..Tls::default() })).await;
    assert!(said.contains("holds no certificate in PEM form"), "{said}");
}

#[tokio::test]
async fn user_and_password_come_from_a_file_and_are_never_shown() {
    let dir = TempDir::new().unwrap();
    let Some(hashed) = hashed("gw01", "s3cret-of-gw01") else { return };
    let passwords = dir.path().join("passwords");
    std::fs::write(&passwords, hashed).unwrap();
    let settings = format!("user root\nallow_anonymous false\npassword_file {}", passwords.display());
    let Some(broker) = Broker::start_with(&settings).await else { return };

    let file = dir.path().join("password");
    std::fs::write(&file, "s3cret-of-gw01\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let login = |path: PathBuf| Some(Login { user: "gw01".into(), password: Some(PasswordAt::File(path)) });
    for version in [MqttVersion::V4, MqttVersion::V5] {
        let mqtt = Mqtt { version, login: login(file.clone()), ..Mqtt::at("127.0.0.1", broker.port()) };
        assert!(!format!("{mqtt:?}").contains("s3cret"));
        assert_eq!(worth_a_look(&mqtt), Vec::<String>::new());
        delivered(mqtt).await;

        let wrong = dir.path().join("wrong");
        std::fs::write(&wrong, "guess-of-gw01\n").unwrap();
        let mqtt = Mqtt { version, login: login(wrong), ..Mqtt::at("127.0.0.1", broker.port()) };
        let said = worth_a_look(&mqtt).join("\n");
        assert!(said.contains("can be read by every user") && said.contains("chmod o-rwx"), "{said}");
        let said = refused(mqtt).await;
        assert!(said.contains("user and password_file under [mqtt]") && !said.contains("guess"), "{said}");

        let unset = PasswordAt::Env("METERD_TEST_THAT_NOBODY_SETS".into());
        let login = Some(Login { user: "gw01".into(), password: Some(unset) });
        let said = refused(Mqtt { version, login, ..Mqtt::at("127.0.0.1", broker.port()) }).await;
        assert!(said.contains("$METERD_TEST_THAT_NOBODY_SETS, which is not set"), "{said}");
    }
}

/// A line of mosquitto's password file.
fn hashed(user: &str, password: &str) -> Option<String> {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("p");
    let made = std::process::Command::new("mosquitto_passwd")
        .args(["-b", "-c"])
        .arg(&file)
        .args([user, password])
        .output();
    match made {
        Ok(output) if output.status.success() => Some(std::fs::read_to_string(&file).unwrap()),
        Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
        Err(_) => {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "mosquitto_passwd must be installed");
            eprintln!("left out: mosquitto_passwd is not installed");
            None
        }
    }
}
