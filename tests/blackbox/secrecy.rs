//! Secrets are in no log and on no command line, whatever is done with them.

use std::{
    collections::BTreeSet,
    fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::json;
use yuantus_test_support::{Api, TestEnv};

use crate::{
    authentication::{ADMIN_PASSWORD, call, finish, locked, login},
    rpc,
    world::{database, fill},
};

const TENANT_PASSWORD: &str = "tr0ub4dor-and-3";

/// Looks at the command lines of all processes until it is told to stop.
fn watch_command_lines(stop: Arc<AtomicBool>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    while !stop.load(Ordering::Relaxed) {
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            // Processes end while one looks.
            if let Ok(line) = fs::read(entry.path().join("cmdline")) {
                seen.insert(String::from_utf8_lossy(&line).replace('\0', " "));
            }
        }
    }
    seen
}

#[tokio::test]
async fn secrets_are_in_no_log_and_on_no_command_line() {
    let env = locked().await;
    let verbose = [("YUANTUS_LOG_LEVEL", "debug")];
    let mut api = env.api_with(&verbose).await;
    let mut worker = env.worker("w", &verbose);
    let stop = Arc::new(AtomicBool::new(false));
    let watched = tokio::task::spawn_blocking({
        let stop = stop.clone();
        move || watch_command_lines(stop)
    });
    let secrets = use_every_secret(&env, &api).await;
    stop.store(true, Ordering::Relaxed);
    let lines = watched.await.expect("command lines");
    for program in ["pg_dump", "pg_restore"] {
        assert!(lines.iter().any(|line| line.contains(program)), "{program} was not seen");
    }
    api.child.terminate().await;
    worker.terminate().await;
    let places = [("the API's log", api.child.log()), ("the worker's log", worker.log())];
    for (place, log) in &places {
        assert!(log.contains("\"level\":\"DEBUG\""), "{place} says little");
    }
    let places = places.into_iter().chain(lines.into_iter().map(|l| ("a command line", l)));
    for (place, text) in places {
        for (name, secret) in &secrets {
            assert!(secret.len() >= 10, "{name} is too short to be looked for: {secret}");
            let Some(at) = text.find(secret.as_str()) else { continue };
            let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            panic!("{name} is in {place}: {}", text[line..].lines().next().unwrap_or_default());
        }
    }
}

/// Has every secret made, sent and used; answers them with their names.
async fn use_every_secret(env: &TestEnv, api: &Api) -> Vec<(&'static str, String)> {
    let platform = login(api, "platform", "root", ADMIN_PASSWORD).await;
    let wrong = json!({"tenant_id": "platform", "username": "root", "password": "wr0ng-password"});
    call(api, None, "Login", wrong).await.expect_err("wrong password");
    let tenant = json!({"id": "acme", "admin_username": "ann", "admin_password": TENANT_PASSWORD});
    call(api, Some(&platform), "CreateTenant", tenant).await.expect("tenant");
    let request = json!({"tenant_id": "acme", "username": "ann", "password": TENANT_PASSWORD});
    let logged_in = call(api, None, "Login", request).await.expect("login");
    let first = rpc::text(&logged_in, "refresh_token");
    let refresh = json!({"refresh_token": first});
    let refreshed = call(api, None, "RefreshToken", refresh).await.expect("refresh");
    let ann = rpc::text(&refreshed, "access_token");
    finish(api, &ann, "CreateOrg", json!({"tenant_id": "acme", "id": "hq"})).await;
    fill(env, &database("acme", "hq"), 100_000).await;
    let hq = json!({"tenant_id": "acme", "org_id": "hq"});
    let connection = call(api, Some(&ann), "GetConnection", hq.clone()).await.expect("connection");
    let target = finish(api, &ann, "CreateBackup", hq.clone()).await;
    let mut backup = hq;
    backup["backup_id"] = target.rsplit('/').next().expect("backup").into();
    let key = call(api, Some(&ann), "GetBackupKey", backup.clone()).await.expect("key");
    finish(api, &ann, "VerifyBackup", backup.clone()).await;
    finish(api, &ann, "RestoreBackup", backup).await;

    let variables = env.variables();
    let variable = |name: &str| {
        let found = variables.iter().rev().find(|(variable, _)| variable == name);
        found.expect(name).1.clone()
    };
    let server = env.database_url("postgres").password().expect("password").to_owned();
    vec![
        ("the platform administrator's password", ADMIN_PASSWORD.to_owned()),
        ("a mistyped password", "wr0ng-password".to_owned()),
        ("the tenant administrator's password", TENANT_PASSWORD.to_owned()),
        ("the platform administrator's token", platform),
        ("the tenant administrator's token", ann),
        ("a refresh token that was used", first),
        ("a refresh token", rpc::text(&refreshed, "refresh_token")),
        ("the org's database password", rpc::text(&connection, "password")),
        ("the org's database URL", rpc::text(&connection, "url")),
        ("the backup's password", rpc::text(&key, "password")),
        ("the server's password", server),
        ("the bucket's secret key", variable("YUANTUS_S3_SECRET_ACCESS_KEY")),
        ("the key of tokens", variable("YUANTUS_JWT_SECRET_KEY")),
        ("the key of secrets", variable("YUANTUS_SECRET_KEY")),
    ]
}
