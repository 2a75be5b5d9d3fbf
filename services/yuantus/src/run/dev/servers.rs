//! The PostgreSQL and the S3 server of `dev`.

use std::net::{Ipv4Addr, SocketAddr};

use secrecy::ExposeSecret;
use yuantus_postgres::{PrivateServer, PrivateServerSettings};
use yuantus_storage::{
    S3Settings,
    local_server::{LocalS3, LocalS3Settings, StartError},
};

use super::{data_dir::DataDir, secrets::Secrets};
use crate::failure::Failure;

const BUCKET: &str = "yuantus";

/// Settings of PostgreSQL. Every database is looked at once in a naptime, used
/// or not: with hundreds of them, the default of a minute keeps a core busy.
const POSTGRES: &[(&str, &str)] = &[("autovacuum_naptime", "10min")];

/// Both servers, running.
pub(crate) struct Servers {
    pub(crate) postgres: PrivateServer,
    pub(crate) s3: LocalS3,
}

impl Servers {
    /// Starts both.
    pub(crate) async fn start(data: &DataDir, secrets: &mut Secrets) -> Result<Self, Failure> {
        let s3 = start_s3(data, secrets).await?;
        secrets.set_s3_port(data, s3.addr().port())?;
        let settings = PrivateServerSettings {
            data_dir: data.postgres(),
            port: None,
            extra_settings: POSTGRES
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            durable: true,
        };
        let postgres = PrivateServer::start(settings)
            .await
            .map_err(|error| Failure::local("start PostgreSQL", error))?;
        Ok(Self { postgres, s3 })
    }

    /// What the configuration has to know of S3.
    pub(crate) fn s3_variables(&self) -> Vec<(&'static str, String)> {
        let S3Settings { endpoint_url, region, bucket, access_key_id, secret_access_key } =
            self.s3.client_settings();
        vec![
            ("YUANTUS_S3_ENDPOINT_URL", endpoint_url.unwrap_or_default()),
            ("YUANTUS_S3_PUBLIC_ENDPOINT_URL", String::new()),
            ("YUANTUS_S3_REGION", region),
            ("YUANTUS_S3_BUCKET_NAME", bucket),
            ("YUANTUS_S3_ACCESS_KEY_ID", access_key_id),
            ("YUANTUS_S3_SECRET_ACCESS_KEY", secret_access_key.expose_secret().to_owned()),
        ]
    }

    /// Stops both cleanly.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        self.s3.shutdown().await;
        let failed = |error| Failure::local("stop PostgreSQL", error);
        self.postgres.stop().await.map_err(failed)
    }
}

/// On the port it had last, or on another where somebody took that.
async fn start_s3(data: &DataDir, secrets: &Secrets) -> Result<LocalS3, Failure> {
    let dir = data.s3()?;
    let settings = |port: u16| LocalS3Settings {
        dir: dir.clone(),
        addr: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
        bucket: BUCKET.to_owned(),
        access_key_id: secrets.s3_access_key_id.clone(),
        secret_access_key: secrets.s3_secret_access_key.clone(),
    };
    let started = match LocalS3::start(settings(secrets.s3_port)).await {
        Err(StartError::Listen { .. }) if secrets.s3_port != 0 => LocalS3::start(settings(0)).await,
        started => started,
    };
    started.map_err(|error| Failure::local("start S3", error))
}
