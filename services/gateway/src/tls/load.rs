//! From files to what connections are made with.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore, ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use super::{ClientCertificates, Error, TlsSettings};

/// HTTP/2 is preferred where the client speaks it.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Reads everything; TLS 1.2 and later.
pub fn load(settings: &TlsSettings) -> Result<ServerConfig, Error> {
    let chain = certificates("certificate", &settings.certificate)?;
    let key = PrivateKeyDer::from_pem_file(&settings.key).map_err(|source| Error::Read {
        what: "private key",
        path: settings.key.clone(),
        source,
    })?;
    let unusable = |source| match source {
        rustls::Error::InconsistentKeys(_) => {
            Error::Mismatch { key: settings.key.clone(), certificate: settings.certificate.clone() }
        }
        source => Error::Certificate { path: settings.certificate.clone(), source },
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let builder = match &settings.client_ca {
        Some(path) => {
            builder.with_client_cert_verifier(verifier(path, settings.clients, provider)?)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
    config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
    Ok(config)
}

fn certificates(what: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let unreadable = |source| Error::Read { what, path: path.to_owned(), source };
    let read = CertificateDer::pem_file_iter(path).map_err(unreadable)?;
    let read = read.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if read.is_empty() {
        return Err(Error::Empty { what, path: path.to_owned() });
    }
    Ok(read)
}

fn verifier(
    path: &Path,
    clients: ClientCertificates,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Error> {
    let unusable = |source: Box<dyn std::error::Error + Send + Sync>| Error::ClientCa {
        path: path.to_owned(),
        source,
    };
    let mut roots = RootCertStore::empty();
    for authority in certificates("authority's certificate", path)? {
        roots.add(authority).map_err(|error| unusable(error.into()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
    let builder = match clients {
        ClientCertificates::Optional => builder.allow_unauthenticated(),
        ClientCertificates::Required => builder,
    };
    builder.build().map_err(|error| unusable(error.into()))
}
