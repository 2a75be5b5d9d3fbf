//! An S3 server in this process, for `dev` and tests: files in a directory, over real HTTP.
//!
//! Not a production store: conditional writes are not atomic and there is no durability beyond the
//! file system's. It checks signatures, and can be told to misbehave ([`Faults`]).

mod access;
mod faults;
mod files;
mod names;
mod serve;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use s3s::{auth::SimpleAuth, service::S3ServiceBuilder};
use s3s_fs::FileSystem;
use secrecy::{ExposeSecret, SecretString};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use faults::Faults;

use self::{files::Files, names::Names};
use crate::S3Settings;

/// How long requests under way may take at shutdown.
const GRACE: Duration = Duration::from_secs(2);

/// What a local server serves, where, and to whom.
#[derive(Clone, Debug)]
pub struct LocalS3Settings {
    /// Directory the objects are kept in; created if missing.
    pub dir: PathBuf,
    /// Address to listen on; port 0 picks one.
    pub addr: SocketAddr,
    /// A bucket to create if missing.
    pub bucket: String,
    /// The one access key that is let in.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: SecretString,
}

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be made or used.
    #[error("preparing the S3 data directory {dir}")]
    Directory {
        /// The directory.
        dir: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The address is taken or not ours.
    #[error("listening for S3 on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A running server. Dropping it ends it at once; [`LocalS3::shutdown`] lets requests finish.
#[derive(Debug)]
pub struct LocalS3 {
    settings: LocalS3Settings,
    faults: Faults,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl LocalS3 {
    /// Prepares the directory and the bucket, and serves.
    pub async fn start(settings: LocalS3Settings) -> Result<Self, StartError> {
        Self::start_with(settings, Faults::default()).await
    }

    /// As [`LocalS3::start`], misbehaving as `faults` say.
    pub async fn start_with(
        mut settings: LocalS3Settings,
        faults: Faults,
    ) -> Result<Self, StartError> {
        let dir = |source| StartError::Directory { dir: settings.dir.clone(), source };
        std::fs::create_dir_all(settings.dir.join(&settings.bucket))
            .map_err(|source| dir(source.into()))?;
        let files =
            FileSystem::new(&settings.dir).map_err(|source| dir(format!("{source:?}").into()))?;
        // Beside the bucket: no bucket has a name that begins with a dot.
        let names = Names::new(settings.dir.join(".names"));
        let mut service = S3ServiceBuilder::new(Files::new(files, names, settings.dir.clone()));
        service.set_auth(SimpleAuth::from_single(
            settings.access_key_id.clone(),
            settings.secret_access_key.expose_secret(),
        ));
        service.set_access(access::KeyHolder);
        let listen = |source| StartError::Listen { addr: settings.addr, source };
        let listener = TcpListener::bind(settings.addr).await.map_err(listen)?;
        settings.addr = listener.local_addr().map_err(listen)?;
        let stop = CancellationToken::new();
        let serving = serve::run_server(listener, service.build(), faults.clone(), stop.clone());
        let task = tokio::spawn(serving);
        Ok(Self { settings, faults, stop: stop.drop_guard(), task })
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.settings.addr
    }

    /// The handle that makes it misbehave.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// What a client needs.
    pub fn client_settings(&self) -> S3Settings {
        S3Settings {
            endpoint_url: Some(format!("http://{}", self.settings.addr)),
            region: "us-east-1".to_owned(),
            bucket: self.settings.bucket.clone(),
            access_key_id: self.settings.access_key_id.clone(),
            secret_access_key: self.settings.secret_access_key.clone(),
        }
    }

    /// Stops listening, lets requests under way finish for a moment, then ends.
    pub async fn shutdown(self) {
        drop(self.stop);
        if self.task.await.is_err() {
            tracing::warn!("the S3 server's task ended abnormally");
        }
    }
}
