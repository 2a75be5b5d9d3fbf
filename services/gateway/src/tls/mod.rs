//! TLS on the one port.
//!
//! Invariant: a connection keeps the certificates it began with. New ones are
//! taken whole or not at all: what cannot be used is logged and the old ones
//! stay.

mod load;
mod peer;
mod reload;

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

pub use peer::subject;
pub use reload::run_reload;
pub use yuantus_config::ClientCertificates;

/// Where certificates are.
#[derive(Clone, Debug)]
pub struct TlsSettings {
    /// PEM: our certificate, then those that lead to its authority.
    pub certificate: PathBuf,
    /// PEM: its private key.
    pub key: PathBuf,
    /// PEM: the authorities whose clients' certificates are taken.
    pub client_ca: Option<PathBuf>,
    /// Whether a client must have one.
    pub clients: ClientCertificates,
}

/// Makes connections secure.
pub struct Tls {
    settings: TlsSettings,
    current: RwLock<Arc<ServerConfig>>,
}

impl Tls {
    /// Reads the certificates.
    pub fn load(settings: TlsSettings) -> Result<Self, Error> {
        let current = RwLock::new(Arc::new(load::load(&settings)?));
        Ok(Self { settings, current })
    }

    /// Shakes hands with the certificates of now.
    pub async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        let current = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        TlsAcceptor::from(current).accept(stream).await
    }

    /// Reads the certificates again, for connections to come.
    fn reload(&self) -> Result<(), Error> {
        let fresh = Arc::new(load::load(&self.settings)?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

/// Why the certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not there or holds nothing of the kind.
    #[error("cannot read a {what} from {}", path.display())]
    Read {
        /// What should be there.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// A file of certificates holds none.
    #[error("there is no {what} in {}", path.display())]
    Empty {
        /// What should be there.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// The key is not the certificate's.
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The key's file.
        key: PathBuf,
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// The certificate or key is of no use.
    #[error("cannot serve with the certificate in {}", path.display())]
    Certificate {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
    /// An authority's certificate is of no use.
    #[error("cannot verify clients by the certificates in {}", path.display())]
    ClientCa {
        /// The authorities' file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_cannot_be_used_leaves_the_old_certificates_in_use() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name);
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        fs::write(path("tls.crt"), own.cert.pem()).unwrap();
        fs::write(path("tls.key"), own.signing_key.serialize_pem()).unwrap();
        let tls = Tls::load(TlsSettings {
            certificate: path("tls.crt"),
            key: path("tls.key"),
            client_ca: None,
            clients: ClientCertificates::Optional,
        })
        .unwrap();
        let current = || Arc::clone(&tls.current.read().unwrap());
        let first = current();
        fs::write(path("tls.crt"), "nonsense").unwrap();
        assert!(tls.reload().is_err());
        assert!(Arc::ptr_eq(&first, &current()));
        fs::write(path("tls.crt"), own.cert.pem()).unwrap();
        tls.reload().unwrap();
        assert!(!Arc::ptr_eq(&first, &current()));
    }
}
