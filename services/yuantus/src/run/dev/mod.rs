//! `yuantus dev`: everything in one process, on a PostgreSQL and an S3 server
//! of its own.
//!
//! Invariant: all that must survive is in the data directory, written before
//! it is relied upon. A killed `dev` is found again by the next one.

mod data_dir;
mod ready;
mod secrets;
mod servers;
mod settings;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Instant,
};

use clap::Args;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use yuantus_config::Config;
use yuantus_domain::Username;
use yuantus_tenant_schema::Bundle;

use super::{
    api::Api,
    common::{Common, Hangup, stop_signal},
    operations::run_operations,
};
use crate::{cli::db, failure::Failure, output::Output};
use data_dir::DataDir;
use ready::Ready;
use secrets::Secrets;
use servers::Servers;

/// The first platform administrator.
const ADMIN: &str = "admin";

/// Options of `dev`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Directory that everything is kept in
    #[arg(long, value_name = "DIRECTORY", default_value = ".yuantus")]
    data_dir: PathBuf,
    /// Port to listen on, for gRPC and REST, on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 7910)]
    port: u16,
    /// Migrations for the orgs' databases, instead of the built-in ones
    #[arg(long, value_name = "DIRECTORY")]
    bundle: Option<PathBuf>,
    /// Let every program on this machine in without a token
    #[arg(long)]
    no_login: bool,
}

/// Runs until told to stop.
pub(crate) async fn run(
    options: Options,
    file: Option<&Path>,
    output: Output,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let shutdown = stop_signal(Hangup::Stops)?;
    if let Some(directory) = &options.bundle {
        Bundle::load(directory).map_err(|error| Failure::local("read the bundle", error))?;
    }
    let data = DataDir::open(&options.data_dir)?;
    let mut secrets = Secrets::open(&data)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    let listener = TcpListener::bind(address).await.map_err(|error| {
        Failure::local(format!("listen on {address} (--port takes another)"), error)
    })?;
    let port = listener.local_addr()?.port();
    let servers = tokio::select! {
        servers = Servers::start(&data, &mut secrets) => servers?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let worked = match settings::load(&options, port, file, &secrets, &servers) {
        Ok(config) => {
            let admin_password = secrets.admin_password.clone();
            let ready = Ready::new(&config, &data, &servers, &secrets, options.no_login);
            let shown = || {
                ready.show(output, begun.elapsed())?;
                secrets.forget_admin_password(&data)
            };
            Box::pin(work(config, admin_password, listener, shown, &shutdown)).await
        }
        Err(failure) => Err(failure),
    };
    servers.stop().await.and(worked)
}

/// Runs API and worker until told to stop. Calls `shown` once they run.
async fn work(
    config: Config,
    admin_password: Option<secrecy::SecretString>,
    listener: TcpListener,
    shown: impl FnOnce() -> Result<(), Failure>,
    shutdown: &CancellationToken,
) -> Result<(), Failure> {
    db::upgrade(&config).await?;
    let common = Common::new(&config)?;
    let mut api = Api::new(&config, &common)?;
    api.prove_keys_now().await?;
    api.show_metrics(config.metrics.listen).await?;
    if let Some(password) = admin_password {
        let failed = |error| Failure::local("make the platform administrator", error);
        let username = Username::parse("username", ADMIN).map_err(failed)?;
        api.app.ensure_platform_admin(&username, &password).await.map_err(failed)?;
    }
    let mut tasks = JoinSet::new();
    tasks.spawn(api.serve(listener, shutdown.clone()));
    let stop = shutdown.clone();
    tasks.spawn(async move { run_operations(&config, common, false, None, stop).await });
    let mut result = shown();
    if result.is_err() {
        shutdown.cancel();
    }
    // Whatever ends first ends the others.
    while let Some(ended) = tasks.join_next().await {
        shutdown.cancel();
        let ended = ended.unwrap_or_else(|error| Err(Failure::local("run everything", error)));
        result = result.and(ended);
    }
    result
}
