//! A PostgreSQL server of our own, for `yuantus dev` and the tests: made from
//! the installed programs, listening on loopback only.
//!
//! Invariant: one process at a time runs the server of a directory. When that
//! process is killed, its PostgreSQL goes on as an orphan; the next start ends
//! the orphan cleanly and finds all data again.

mod account;
mod cluster;
mod directory;
mod orphan;
mod postmaster;

use std::{fmt, path::PathBuf};

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::{Error, Result, Tools};
use directory::Directory;
use postmaster::{Postmaster, Refusal};

/// The superuser, and the maintenance database.
const SUPERUSER: &str = "postgres";

/// How often a start is tried: with another port, or once another server of the
/// same directory has ended.
const ATTEMPTS: u32 = 3;

/// What a server says that finds another in its directory.
const ANOTHER: &str = "lock file \"postmaster.pid\" already exists";

/// What a private server is to be.
#[derive(Clone, Debug)]
pub struct PrivateServerSettings {
    /// Where everything of it is kept. As root it must be reachable for the
    /// user `postgres`.
    pub data_dir: PathBuf,
    /// The port on 127.0.0.1; otherwise a free one, the same at each start
    /// while nobody else takes it.
    pub port: Option<u16>,
    /// Settings of PostgreSQL on top of ours.
    pub extra_settings: Vec<(String, String)>,
    /// Whether data survives a crash of the machine; tests do without.
    pub durable: bool,
}

/// A running server. Dropping it ends the server at once; call
/// [`stop`](Self::stop) to end it cleanly.
pub struct PrivateServer {
    settings: PrivateServerSettings,
    tools: Tools,
    directory: Directory,
    password: SecretString,
    port: u16,
    postmaster: Postmaster,
}

impl PrivateServer {
    /// Makes the server if it is new, ends one that a killed process left
    /// behind, starts it and waits until it takes connections.
    pub async fn start(settings: PrivateServerSettings) -> Result<Self> {
        Self::start_with(settings, Tools::find()).await
    }

    /// As [`start`](Self::start), from these programs.
    pub async fn start_with(settings: PrivateServerSettings, tools: Tools) -> Result<Self> {
        let directory = Directory::open(&settings.data_dir)?;
        let password = directory.password()?;
        cluster::ensure(&tools, &directory, &password, settings.durable).await?;
        orphan::end(&directory).await?;
        let (port, postmaster) = launch(&tools, &directory, &settings).await?;
        Ok(Self { settings, tools, directory, password, port, postmaster })
    }

    /// How its superuser connects.
    pub fn admin_url(&self) -> Url {
        let password = self.password.expose_secret();
        let port = self.port;
        // The password is made of letters and digits: nothing to escape.
        Url::parse(&format!(
            "postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{SUPERUSER}?sslmode=disable"
        ))
        .expect("letters, digits and a port make a URL")
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server.
    pub fn pid(&self) -> u32 {
        self.postmaster.pid()
    }

    /// Ends the server cleanly: sessions are ended, everything is written.
    pub async fn stop(mut self) -> Result<()> {
        self.postmaster.stop().await
    }

    /// Stops the server cleanly but keeps it, for
    /// [`start_again`](Self::start_again).
    pub async fn pause(&mut self) -> Result<()> {
        self.postmaster.stop().await
    }

    /// Kills the server as a crash would.
    pub async fn kill_hard(&mut self) -> Result<()> {
        self.postmaster.kill().await
    }

    /// Starts a server that was paused or killed, on the same port.
    pub async fn start_again(&mut self) -> Result<()> {
        let port = Some(self.port);
        let settings = PrivateServerSettings { port, ..self.settings.clone() };
        (_, self.postmaster) = launch(&self.tools, &self.directory, &settings).await?;
        Ok(())
    }
}

/// Starts a postmaster; where we choose the port, another one is tried when it
/// turns out to be taken.
async fn launch(
    tools: &Tools,
    directory: &Directory,
    settings: &PrivateServerSettings,
) -> Result<(u16, Postmaster)> {
    let (mut attempt, mut fresh_port) = (1, false);
    loop {
        let port = match settings.port {
            Some(port) => port,
            None => directory.port(fresh_port)?,
        };
        let arguments = cluster::arguments(directory, settings, port);
        match Postmaster::start(tools, directory, &arguments).await {
            Ok(postmaster) => return Ok((port, postmaster)),
            Err(Refusal::PortTaken(_)) if settings.port.is_none() && attempt < ATTEMPTS => {
                (attempt, fresh_port) = (attempt + 1, true);
            }
            // Its process was killed before it had written its process id.
            Err(Refusal::Other(log)) if log.contains(ANOTHER) && attempt < ATTEMPTS => {
                orphan::end(directory).await?;
                attempt += 1;
            }
            Err(Refusal::PortTaken(log) | Refusal::Other(log)) => {
                return Err(Error::NotStarted { path: directory.data(), log });
            }
            Err(Refusal::Error(error)) => return Err(error),
        }
    }
}

impl fmt::Debug for PrivateServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateServer(127.0.0.1:{})", self.port)
    }
}
