use std::{os::unix::process::ExitStatusExt, path::PathBuf};

use sqlx::{Connection, PgConnection, Row};
use yuantus_postgres::{Error, Kind, PrivateServer, PrivateServerSettings, Server};

use crate::fixture::{marker, run, settings};

const DIRECTORY: &str = "YUANTUS_TEST_DIRECTORY";

async fn say(server: &PrivateServer, sql: &str) -> Vec<sqlx::postgres::PgRow> {
    let mut connection = PgConnection::connect(server.admin_url().as_str()).await.unwrap();
    run(&mut connection, sql).await.unwrap()
}

#[tokio::test]
async fn a_stopped_or_crashed_server_is_a_transient_error_and_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut private = PrivateServer::start(settings(&directory)).await.unwrap();
    let server = Server::new(&private.admin_url()).unwrap();
    server.bootstrap().await.unwrap();
    assert!(server.version().await.unwrap().starts_with(|c: char| c.is_ascii_digit()));
    let name = yuantus_domain::DatabaseName::parse("spare").unwrap();
    let mut lane = server.open_lane("lane", 1).await.unwrap();

    private.pause().await.unwrap();
    let error = lane.create_blank(&name, &marker(Kind::Spare)).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    for error in [
        server.ping().await.unwrap_err(),
        server.database(&name).await.unwrap_err(),
        server.open_lane("lane", 2).await.err().unwrap(),
    ] {
        assert!(error.is_transient(), "{error:?}");
    }
    private.start_again().await.unwrap();
    server.ping().await.unwrap();
    let mut lane = server.open_lane("lane", 2).await.unwrap();
    lane.create_blank(&name, &marker(Kind::Spare)).await.unwrap();

    private.kill_hard().await.unwrap();
    assert!(server.ping().await.unwrap_err().is_transient());
    private.start_again().await.unwrap();
    assert!(server.database(&name).await.unwrap().is_some());
    private.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_is_run_by_one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = PrivateServer::start(settings(&directory)).await.unwrap();
    let second = PrivateServer::start(settings(&directory)).await;
    assert!(matches!(second, Err(Error::DirectoryInUse { .. })), "{second:?}");
    let (port, password) = (first.port(), first.admin_url());
    first.stop().await.unwrap();
    let again = PrivateServer::start(settings(&directory)).await.unwrap();
    assert_eq!((again.port(), again.admin_url()), (port, password));
}

#[tokio::test]
async fn a_port_that_somebody_took_is_given_up_unless_it_was_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let asked = PrivateServerSettings { port: Some(port), ..settings(&directory) };
    let refused = PrivateServer::start(asked).await;
    assert!(matches!(refused, Err(Error::NotStarted { .. })), "{refused:?}");
    std::fs::write(directory.path().join("port"), port.to_string()).unwrap();
    let server = PrivateServer::start(settings(&directory)).await.unwrap();
    assert_ne!(server.port(), port);
}

#[tokio::test]
async fn a_server_whose_process_was_killed_is_found_again_with_its_data() {
    let directory = tempfile::tempdir().unwrap();
    let status = start_and_be_killed(directory.path().to_owned());
    assert_eq!(status.signal(), Some(9), "{status}");
    let orphan = directory.path().join("pgdata/postmaster.pid");
    assert!(orphan.exists(), "the server outlived its process");

    let server = PrivateServer::start(settings(&directory)).await.unwrap();

    let rows = say(&server, "SELECT word FROM kept").await;
    assert_eq!(rows[0].get::<String, _>(0), "kept");
}

#[tokio::test]
async fn a_stale_process_id_that_is_somebody_elses_is_not_signalled() {
    let directory = tempfile::tempdir().unwrap();
    let server = PrivateServer::start(settings(&directory)).await.unwrap();
    server.stop().await.unwrap();
    // Our own process id: were it signalled, this test would end here.
    let file = directory.path().join("pgdata/postmaster.pid");
    std::fs::write(&file, format!("{}\n", std::process::id())).unwrap();
    let server = PrivateServer::start(settings(&directory)).await.unwrap();
    say(&server, "SELECT 1").await;
}

/// Runs this very test program for the test below, which kills itself.
#[expect(clippy::disallowed_methods, reason = "the process to be killed is this test program")]
fn start_and_be_killed(directory: PathBuf) -> std::process::ExitStatus {
    std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "private_server::a_process_that_kills_itself"])
        .env(DIRECTORY, directory)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap()
}

#[tokio::test]
#[ignore = "the other half of another test: it kills the process"]
#[expect(clippy::disallowed_methods, reason = "how one half of a test tells the other")]
async fn a_process_that_kills_itself() {
    let Some(data_dir) = std::env::var_os(DIRECTORY) else {
        return;
    };
    let settings = PrivateServerSettings {
        data_dir: data_dir.into(),
        port: None,
        extra_settings: Vec::new(),
        durable: true,
    };
    let server = PrivateServer::start(settings).await.unwrap();
    say(&server, "CREATE TABLE kept AS SELECT 'kept'::text AS word").await;
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
        .unwrap();
}
