//! The port within TLS.

use std::{fs, time::Duration};

use reqwest::{Certificate, Client, StatusCode, Version};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::transport::{Certificate as Trusted, ClientTlsConfig, Endpoint, Identity};
use yuantus_gateway::tls::{ClientCertificates, Tls};
use yuantus_proto::v1::{GetMeRequest, auth_service_client::AuthServiceClient};

use crate::{
    authority::{Authority, Issued},
    server::TestServer,
};

/// A server with a certificate, and what is needed to talk to it.
struct Secure {
    server: TestServer,
    authority: Authority,
    clients: Authority,
    directory: TempDir,
}

impl Secure {
    async fn start(clients: Option<ClientCertificates>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (authority, client_authority) = (Authority::new(), Authority::new());
        let mut tls = authority.issue("first").write(directory.path());
        if let Some(clients) = clients {
            let path = directory.path().join("clients.crt");
            fs::write(&path, &client_authority.pem).unwrap();
            (tls.client_ca, tls.clients) = (Some(path), clients);
        }
        let server = TestServer::start_with(|settings| {
            settings.tls = Some(tls);
            settings.certificate_interval = Duration::from_millis(20);
            settings.header_timeout = Duration::from_secs(2);
        })
        .await;
        Self { server, authority, clients: client_authority, directory }
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.server.address.port())
    }

    fn client(&self, trusted: &Authority, identity: Option<&Issued>) -> Client {
        let trusted = Certificate::from_pem(trusted.pem.as_bytes()).unwrap();
        let builder = Client::builder().use_rustls_tls().add_root_certificate(trusted);
        match identity {
            Some(issued) => builder.identity(issued.identity()).build().unwrap(),
            None => builder.build().unwrap(),
        }
    }

    async fn alive(&self, client: &Client) -> bool {
        client.get(self.url("/healthz")).send().await.is_ok_and(|answer| answer.status() == 200)
    }
}

#[tokio::test]
async fn rest_and_grpc_are_served_within_tls_and_nothing_outside_of_it() {
    let secure = Secure::start(None).await;
    let client = secure.client(&secure.authority, None);
    let token = secure.server.platform();
    let me = client.get(secure.url("/api/v1/auth/me")).bearer_auth(&token).send().await.unwrap();
    assert_eq!((me.status(), me.version()), (StatusCode::OK, Version::HTTP_2));
    assert_eq!(me.headers()["strict-transport-security"], "max-age=63072000");

    let old = Certificate::from_pem(secure.authority.pem.as_bytes()).unwrap();
    let old = Client::builder().use_rustls_tls().add_root_certificate(old).http1_only();
    let alive = old.build().unwrap().get(secure.url("/healthz")).send().await.unwrap();
    assert_eq!((alive.status(), alive.version()), (StatusCode::OK, Version::HTTP_11));

    let tls = ClientTlsConfig::new().ca_certificate(Trusted::from_pem(&secure.authority.pem));
    let endpoint = Endpoint::from_shared(secure.url("")).unwrap().tls_config(tls).unwrap();
    let mut grpc = AuthServiceClient::new(endpoint.connect().await.unwrap());
    let me = grpc.get_me(secure.server.grpc(GetMeRequest {})).await.unwrap().into_inner();
    assert_eq!(me.username, "ann");

    assert!(!secure.alive(&secure.client(&Authority::new(), None)).await, "a stranger's authority");
    let plain = format!("http://{}/healthz", secure.server.address);
    assert!(Client::new().get(plain).send().await.is_err());
}

#[tokio::test]
async fn a_required_certificate_is_asked_of_everybody() {
    let secure = Secure::start(Some(ClientCertificates::Required)).await;
    let (ours, strangers) = (secure.clients.issue("worker-1"), Authority::new().issue("worker-1"));
    for (identity, let_in) in [(None, false), (Some(&strangers), false), (Some(&ours), true)] {
        let client = secure.client(&secure.authority, identity);
        assert_eq!(secure.alive(&client).await, let_in);
    }
    let tls = ClientTlsConfig::new()
        .ca_certificate(Trusted::from_pem(&secure.authority.pem))
        .identity(Identity::from_pem(&ours.certificate, &ours.key));
    let endpoint = Endpoint::from_shared(secure.url("")).unwrap().tls_config(tls).unwrap();
    let mut grpc = AuthServiceClient::new(endpoint.connect().await.unwrap());
    grpc.get_me(secure.server.grpc(GetMeRequest {})).await.unwrap();
    let unproved = grpc.get_me(GetMeRequest {}).await.unwrap_err();
    assert_eq!(unproved.code(), tonic::Code::Unauthenticated, "a certificate is no token");
}

#[tokio::test]
async fn an_optional_certificate_is_verified_where_there_is_one() {
    let secure = Secure::start(Some(ClientCertificates::Optional)).await;
    let (ours, strangers) = (secure.clients.issue("worker-1"), Authority::new().issue("worker-1"));
    for (identity, let_in) in [(None, true), (Some(&strangers), false), (Some(&ours), true)] {
        let client = secure.client(&secure.authority, identity);
        assert_eq!(secure.alive(&client).await, let_in);
    }
}

#[tokio::test]
async fn new_certificates_are_taken_and_open_connections_stay() {
    let secure = Secure::start(None).await;
    let before = secure.client(&secure.authority, None);
    let path = secure.url("/api/v1/operations/forever:watch");
    let token = secure.server.platform();
    let watch = before.get(path).bearer_auth(&token).header("accept", "application/x-ndjson");
    let mut lines = watch.send().await.unwrap();
    assert!(lines.chunk().await.unwrap().is_some());

    let next = Authority::new();
    next.issue("second").write(secure.directory.path());
    let begun = std::time::Instant::now();
    while !secure.alive(&secure.client(&next, None)).await {
        assert!(begun.elapsed() < Duration::from_secs(60), "the new certificate is not used");
    }
    assert!(secure.alive(&before).await, "the connection from before is still served");
    assert!(!secure.alive(&secure.client(&secure.authority, None)).await);
    let more = tokio::time::timeout(Duration::ZERO, lines.chunk()).await;
    assert!(more.is_err(), "the stream goes on");
}

#[tokio::test]
async fn a_client_that_never_finishes_its_handshake_is_closed() {
    let secure = Secure::start(None).await;
    for begun in [&b""[..], b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(secure.server.address).await.unwrap();
        stream.write_all(begun).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok();
        assert!(!answer.starts_with(b"HTTP"));
    }
    assert!(secure.alive(&secure.client(&secure.authority, None)).await);
}

#[test]
fn what_cannot_be_used_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new();
    let good = authority.issue("a").write(directory.path());
    assert!(Tls::load(good.clone()).is_ok());
    let refused = |tls| match Tls::load(tls) {
        Ok(_) => panic!("loaded"),
        Err(error) => error.to_string(),
    };

    let mut missing = good.clone();
    missing.key = directory.path().join("nowhere.key");
    assert!(refused(missing).starts_with("cannot read a private key from "));

    let empty = directory.path().join("empty.crt");
    fs::write(&empty, "").unwrap();
    let mut without = good.clone();
    without.certificate.clone_from(&empty);
    assert!(refused(without).starts_with("there is no certificate in "));
    let mut nobody = good.clone();
    nobody.client_ca = Some(empty);
    assert!(refused(nobody).starts_with("there is no authority's certificate in "));

    let other = directory.path().join("other.key");
    fs::write(&other, authority.issue("b").key).unwrap();
    let mut swapped = good;
    swapped.key = other;
    assert!(refused(swapped).contains("does not belong to the certificate in "));
}
