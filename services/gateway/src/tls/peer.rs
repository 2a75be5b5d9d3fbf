//! Who is at the other end of a connection.

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// The subject of the client's certificate, such as `CN=worker-1, O=Acme`. It
/// was verified with the handshake.
pub fn subject(stream: &TlsStream<TcpStream>) -> Option<String> {
    let (_, connection) = stream.get_ref();
    let certificate = connection.peer_certificates()?.first()?;
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    Some(parsed.subject().to_string())
}
