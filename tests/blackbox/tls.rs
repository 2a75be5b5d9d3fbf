//! `start` within TLS, and the command line that talks to it.

use std::{fs, path::Path, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::Value;
use yuantus_test_support::{Child, TestEnv};

/// Writes an authority's certificate and that of `name`, signed by it, into
/// `directory`.
fn certificates(directory: &Path, name: &str) {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("key");
    let own = authority.self_signed(&key).expect("certificate");
    fs::write(directory.join(format!("{name}-ca.crt")), own.pem()).expect("write");
    let issuer = Issuer::new(authority, key);
    let mut params = CertificateParams::new(vec!["localhost".into()]).expect("names");
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("key");
    let certificate = params.signed_by(&key, &issuer).expect("certificate");
    fs::write(directory.join(format!("{name}.crt")), certificate.pem()).expect("write");
    fs::write(directory.join(format!("{name}.key")), key.serialize_pem()).expect("write");
}

fn events(child: &Child) -> Vec<Value> {
    child.log().lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Waits until the log of `child` holds an event.
async fn logged(child: &mut Child, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        if let Some(event) = events(child).into_iter().find(&wanted) {
            return event;
        }
        assert!(!child.has_ended(), "{}", child.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_command_line_talks_https_and_shows_a_certificate() {
    let env = TestEnv::start().await;
    for name in ["server", "client", "other"] {
        certificates(env.dir(), name);
    }
    let file = |name: &str| env.dir().join(name).to_string_lossy().into_owned();
    let tls = [
        ("YUANTUS_TLS_CERTIFICATE", file("server.crt")),
        ("YUANTUS_TLS_KEY", file("server.key")),
        ("YUANTUS_TLS_CLIENT_CA", file("client-ca.crt")),
    ];
    let tls: Vec<_> = tls.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut api = env.spawn("api", &["start", "--port", "0"], &tls);
    let serving = logged(&mut api, |event| event["address"].is_string()).await;
    assert_eq!(serving["tls"], true);
    let port = serving["address"].as_str().and_then(|address| address.rsplit(':').next());
    let server = format!("https://localhost:{}", port.expect("port"));

    let list = ["--server", &server, "tenant", "list"];
    let (ca, certificate, key) = (file("server-ca.crt"), file("client.crt"), file("client.key"));
    let shown = [
        ("YUANTUS_CA_FILE", ca.as_str()),
        ("YUANTUS_CLIENT_CERTIFICATE", certificate.as_str()),
        ("YUANTUS_CLIENT_KEY", key.as_str()),
    ];
    env.cli(&list, &shown, "").await.succeeded();
    let request = |event: &Value| event["client_certificate"] == "CN=client";
    logged(&mut api, request).await;
    env.cli(&[&list[..], &["--ca-file", ca.as_str()]].concat(), &[], "").await.succeeded();

    let other = file("other-ca.crt");
    for stranger in [&[][..], &["--ca-file", other.as_str()]] {
        let ran = env.cli(&[&list[..], stranger].concat(), &[], "").await;
        assert_ne!(ran.code, Some(0), "{}", ran.stderr);
    }

    for suffix in [".crt", ".key"] {
        fs::copy(file(&format!("other{suffix}")), file(&format!("server{suffix}"))).expect("copy");
    }
    api.hang_up();
    logged(&mut api, |event| event["message"] == "new certificates are in use").await;
    env.cli(&[&list[..], &["--ca-file", other.as_str()]].concat(), &[], "").await.succeeded();
    assert!(api.terminate().await.success(), "{}", api.log());
}

#[tokio::test]
async fn a_key_that_is_not_the_certificates_is_refused_at_start() {
    let env = TestEnv::start().await;
    for name in ["server", "other"] {
        certificates(env.dir(), name);
    }
    let file = |name: &str| env.dir().join(name).to_string_lossy().into_owned();
    let (certificate, key) = (file("server.crt"), file("other.key"));
    let tls =
        [("YUANTUS_TLS_CERTIFICATE", certificate.as_str()), ("YUANTUS_TLS_KEY", key.as_str())];
    let mut api = env.spawn("api", &["start", "--port", "0"], &tls);
    assert!(!api.ended().await.success());
    assert!(api.log().contains("does not belong to the certificate in"), "{}", api.log());
}
