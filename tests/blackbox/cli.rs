//! The command line, as people and scripts use it: what it prints where, and
//! the code it ends with.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;
use yuantus_test_support::{Api, Ran, TestEnv};

use crate::{
    authentication::{ADMIN_PASSWORD, locked},
    settle::settle,
    tidy::assert_tidy,
    world::{database, run_as_owner},
};

/// Runs a command line, split at spaces, with `input` on its stdin.
async fn say(env: &TestEnv, line: &str, input: &str) -> Ran {
    env.cli(&line.split(' ').collect::<Vec<_>>(), &[], input).await
}

/// What a command that must succeed prints, without the line end.
async fn answer(env: &TestEnv, line: &str) -> String {
    let ran = say(env, line, "").await;
    assert_eq!(ran.code, Some(0), "{line}: {}", ran.stderr);
    ran.text().trim_end().to_owned()
}

async fn json(env: &TestEnv, line: &str) -> Value {
    serde_json::from_str(&answer(env, &format!("{line} -o json")).await).expect("JSON")
}

/// Asserts that a command ends with `code`, prints nothing, and tells people
/// each of `parts`.
async fn refused(env: &TestEnv, line: &str, code: i32, parts: &[&str]) {
    let ran = say(env, line, "").await;
    assert_eq!((ran.code, ran.text()), (Some(code), ""), "{line}: {}", ran.stderr);
    for part in parts {
        assert!(ran.stderr.contains(part), "{line}: {part}: {}", ran.stderr);
    }
}

/// Logs in as the platform's administrator.
async fn log_in(env: &TestEnv, api: &Api) {
    let line = format!("--server {} login --username root --password-stdin", api.url);
    let ran = say(env, &line, ADMIN_PASSWORD).await.succeeded();
    assert!(ran.stderr.contains("as platform/root"), "{}", ran.stderr);
}

#[tokio::test]
async fn a_login_is_kept_where_nobody_else_can_read_it() {
    let env = locked().await;
    let api = env.api().await;
    let server = format!("--server {}", api.url);
    let unreachable = ["cannot reach http://127.0.0.1:1", "hint: is it running?"];
    refused(&env, "--server http://127.0.0.1:1 tenant list", 1, &unreachable).await;
    let hint = ["error: a bearer token is required", "hint: log in with `yuantus login`"];
    refused(&env, &format!("{server} tenant list"), 1, &hint).await;
    refused(&env, &format!("{server} login"), 2, &["use --password-stdin"]).await;
    refused(&env, "--profile nobody tenant list", 2, &["there is no profile `nobody`"]).await;
    let wrong = format!("{server} login --username root --password-stdin");
    let wrong = say(&env, &wrong, "wrong").await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(wrong.stderr.contains("tenant, username or password is wrong"), "{wrong:?}");
    let profile = env.dir().join("home/.config/yuantus/config.toml");
    assert!(!profile.exists(), "nothing is kept of a login that failed");

    log_in(&env, &api).await;
    let mode =
        |path: &std::path::Path| fs::metadata(path).expect("profile").permissions().mode() & 0o777;
    assert_eq!(mode(&profile), 0o600);
    assert_eq!(mode(profile.parent().expect("directory")), 0o700);
    assert!(fs::read_to_string(&profile).expect("profile").contains("token = "));
    // The server is the profile's from now on; another gets no token.
    answer(&env, "tenant list").await;
    let other = env.api().await;
    let line = format!("--server {} tenant list", other.url);
    refused(&env, &line, 1, &["a bearer token is required"]).await;
    let bad = [("YUANTUS_TOKEN", "x.y.z")];
    let ran = env.cli(&["tenant", "list"], &bad, "").await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.stderr.contains("the token is not valid"), "{}", ran.stderr);
}

#[tokio::test]
async fn every_verb_does_what_it_says() {
    let env = locked().await;
    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    log_in(&env, &api).await;
    tenants_and_orgs(&env).await;
    backups(&env).await;
    operations_and_migrations(&env).await;
    other_people(&env, &api).await;
    for shell in ["bash", "zsh", "fish"] {
        assert!(answer(&env, &format!("completions {shell}")).await.contains("yuantus"));
    }
    assert!(answer(&env, "man").await.contains(".TH yuantus"));
    let pages = env.dir().join("man");
    answer(&env, &format!("man --dir {}", pages.display())).await;
    assert!(pages.join("yuantus-org-create.1").exists());
    let settings = env.variables();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (&**n, &**v)).collect();
    let db = async |what: &str| -> Value {
        let ran = env.cli(&["db", what, "-o", "json"], &settings, "").await.succeeded();
        serde_json::from_str(ran.text()).expect("JSON")
    };
    let history = db("history").await;
    let history = history.as_array().expect("migrations");
    assert!(history.len() > 10 && history.iter().all(|row| row["applied"] == true));
    assert_eq!(Some(&db("current").await), history.last());
    settle(&env).await;
    worker.terminate().await;
    cancelled_and_retried(&env).await;
    assert_tidy(&env).await;
}

/// An operation that waits for a worker is cancelled, and asked for again.
async fn cancelled_and_retried(env: &TestEnv) {
    let begun = json(env, "backup create acme/hq").await;
    let id = begun["id"].as_str().expect("id").to_owned();
    let cancelled = json(env, &format!("op cancel {id}")).await;
    assert_eq!(
        (&cancelled["state"], &cancelled["cancel_requested"]),
        (&"PENDING".into(), &true.into())
    );
    let mut worker = env.worker("w", &[]);
    let ended = say(env, &format!("op wait {id} -o json"), "").await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("cancelled"), "{}", ended.stderr);
    assert_eq!(json(env, &format!("op get {id}")).await["state"], "CANCELLED");
    let again = json(env, &format!("op retry {id}")).await;
    assert_eq!(again["cancel_requested"], false, "{again}");
    assert_eq!(answer(env, &format!("op wait {id} -o name")).await, id);
    assert_eq!(json(env, &format!("op get {id}")).await["state"], "SUCCEEDED");
    worker.terminate().await;
}

async fn tenants_and_orgs(env: &TestEnv) {
    let create = "tenant create acme --name Acme --plan pro --admin ann -o name";
    let created = say(env, create, "the password of ann\n").await.succeeded();
    assert_eq!(created.text(), "acme\n");
    refused(env, "tenant create acme", 1, &["`acme` already exists", "ALREADY_EXISTS"]).await;
    refused(env, "tenant create Acme", 2, &["lower-case letters"]).await;
    refused(env, "tenant create gold --plan gold", 1, &["field: plan must be basic"]).await;
    refused(env, "tenant fly", 2, &["unrecognized subcommand"]).await;
    assert_eq!(answer(env, "tenant list -o name").await, "acme");
    assert_eq!(json(env, "tenant get acme").await["plan"], "pro");

    assert_eq!(answer(env, "org create acme/hq --wait -o name").await, "acme/hq");
    let operation = json(env, "org create acme/branch").await;
    let id = operation["id"].as_str().expect("id");
    assert_eq!(answer(env, &format!("op wait {id} -o name")).await, id);
    let again = "org create acme/lab --request-id the-key -o name";
    assert_eq!(answer(env, again).await, answer(env, again).await);
    answer(env, "op list acme/lab -o name").await;
    assert_eq!(answer(env, "org list acme -o name").await, "acme/branch\nacme/hq\nacme/lab");
    assert_eq!(answer(env, "org list acme --limit 1 -o name").await, "acme/branch");
    let org = json(env, "org get acme/hq").await;
    assert_eq!((&org["status"], &org["tenant_id"]), (&"ACTIVE".into(), &"acme".into()));
    let yaml = answer(env, "org get acme/hq -o yaml").await;
    assert!(yaml.lines().any(|line| line == "status: ACTIVE"), "{yaml}");
    let table = answer(env, "org get acme/hq").await;
    assert!(table.lines().any(|l| l.starts_with("STATUS") && l.ends_with("ACTIVE")), "{table}");
    let table = answer(env, "org list acme").await;
    assert!(table.starts_with("ORG "), "{table}");

    let query = |sql: &'static str| {
        let arguments = ["org", "connect", "acme/hq", "--", "-v", "ON_ERROR_STOP=1", "-Atc", sql];
        async move { env.cli(&arguments, &[], "").await }
    };
    assert_eq!(query("SELECT current_database()").await.text(), "yuantus_mt_pg__acme__hq\n");
    let failed = query("SELECT nothing").await;
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains("column \"nothing\" does not exist"), "{}", failed.stderr);
    let missing = say(env, "org get acme/none", "").await;
    let shown: Vec<_> = missing.stderr.lines().filter(|l| !l.contains("request id: ")).collect();
    assert_eq!(shown, ["error: org `acme/none` not found", "  reason: NOT_FOUND"]);
    assert!(missing.stderr.contains("  request id: "), "{}", missing.stderr);
}

async fn backups(env: &TestEnv) {
    refused(env, "backup get acme/hq latest", 1, &["acme/hq has no complete backup"]).await;
    let id = answer(env, "backup create acme/hq --wait -o name").await;
    assert_eq!(answer(env, "backup list acme/hq -o name").await, id);
    let backup = json(env, "backup get acme/hq latest").await;
    assert_eq!((&backup["id"], &backup["state"]), (&id.as_str().into(), &"COMPLETE".into()));
    let verified = json(env, "backup verify acme/hq latest --wait").await;
    assert!(verified["verified_at"].is_string(), "{verified}");
    let key = json(env, &format!("backup key acme/hq {id}")).await;
    assert!(key["repository"].as_str().expect("repository").starts_with("s3:http://"), "{key}");
    let restored = answer(env, "backup restore acme/hq latest --wait -o name").await;
    assert_eq!(restored, "acme/hq");
    let copy = format!("backup restore acme/hq {id} --to acme/copy --wait -o name");
    assert_eq!(answer(env, &copy).await, "acme/copy");
    let taken = "backup restore acme/hq latest --to acme/branch";
    refused(env, taken, 1, &["set `replace`", "TARGET_EXISTS"]).await;
    let replaced = answer(env, &format!("{taken} --replace --wait -o name")).await;
    assert_eq!(replaced, "acme/branch");
    refused(env, "backup get acme/hq nonsense", 1, &["backup_id must be a UUID"]).await;
}

async fn operations_and_migrations(env: &TestEnv) {
    let list = json(env, "op list acme/hq --type CreateBackup --state succeeded").await;
    let id = list[0]["id"].as_str().expect("id").to_owned();
    assert_eq!(json(env, &format!("op get {id}")).await["type"], "CreateBackup");
    let watched = answer(env, &format!("op watch {id} -o json")).await;
    let last: Value = serde_json::from_str(watched.lines().last().expect("a line")).expect("JSON");
    assert_eq!(last["state"], "SUCCEEDED");
    let cancelled = json(env, &format!("op cancel {id}")).await;
    assert_eq!(cancelled["state"], "SUCCEEDED", "what has ended stays as it is");
    refused(env, &format!("op retry {id}"), 1, &["OPERATION_NOT_FAILED"]).await;
    refused(env, "op get nonsense", 1, &["operation_id must be a UUID"]).await;
    let statuses = json(env, "migrate status acme").await;
    assert!(statuses.as_array().expect("list").iter().all(|status| status["up_to_date"] == true));
    assert_eq!(json(env, "migrate status acme/hq").await["org_id"], "hq");
    let applied = json(env, "migrate apply acme/hq --wait").await;
    assert_eq!(applied["up_to_date"], true);
    assert_eq!(json(env, "migrate apply --all --wait").await, Value::Array(Vec::new()));
}

/// Another profile is another person, who may do less.
async fn other_people(env: &TestEnv, api: &Api) {
    let login = format!(
        "--profile ann --server {} login --tenant acme --username ann --password-stdin",
        api.url
    );
    say(env, &login, "the password of ann").await.succeeded();
    let orgs = answer(env, "--profile ann org list acme -o name").await;
    assert_eq!(orgs, "acme/branch\nacme/copy\nacme/hq\nacme/lab");
    let denied = ["error: only platform administrators may do this", "PERMISSION_DENIED"];
    refused(env, "--profile ann tenant list", 1, &denied).await;
    refused(env, "--profile ann org list beta", 1, &["may not act for tenant `beta`"]).await;
    answer(env, "tenant list").await;
}

#[tokio::test]
async fn some_of_many_failing_ends_with_its_own_code() {
    let env = TestEnv::start().await;
    let bundle = env.dir().join("bundle");
    fs::create_dir(&bundle).expect("bundle");
    let path = bundle.to_string_lossy().into_owned();
    let variables = [("YUANTUS_BUNDLE", &*path)];
    fs::write(bundle.join("1_a.sql"), "CREATE TABLE a (id int);").expect("migration");
    {
        let api = env.api_with(&variables).await;
        let mut worker = env.worker("w", &variables);
        api.create_tenant("acme").await;
        for org in ["one", "two"] {
            api.succeed(&api.create_org("acme", org).await).await;
        }
        worker.terminate().await;
    }
    fs::write(bundle.join("2_b.sql"), "CREATE TABLE b (id int);").expect("migration");
    run_as_owner(&env, &database("acme", "two"), "CREATE TABLE b (id int)").await;
    let api = env.api_with(&variables).await;
    let _worker = env.worker("w", &variables);
    let server = ["--server", &*api.url];
    let apply = [&server[..], &["migrate", "apply", "--all", "--wait", "-o", "json"]].concat();
    let some = env.cli(&apply, &[], "").await;
    assert_eq!(some.code, Some(3), "{some:?}");
    let done: Value = serde_json::from_str(some.text()).expect("JSON");
    assert_eq!(done.as_array().expect("list").len(), 1);
    assert_eq!(done[0]["org_id"], "one");
    for part in ["acme/two: ", "2_b.sql:1", "\"b\" already exists", "error: 1 of 2 failed"] {
        assert!(some.stderr.contains(part), "{part}: {}", some.stderr);
    }
    let all = env.cli(&apply, &[], "").await;
    assert_eq!(all.code, Some(1), "all that are left fail: {all:?}");
    let one = [&server[..], &["migrate", "apply", "acme/two", "--wait"]].concat();
    let one = env.cli(&one, &[], "").await;
    assert_eq!((one.code, one.text()), (Some(1), ""), "{one:?}");
    assert!(one.stderr.contains("try again with `yuantus op retry "), "{}", one.stderr);
    run_as_owner(&env, &database("acme", "two"), "DROP TABLE b").await;
    env.cli(&apply, &[], "").await.succeeded();
    assert_tidy(&env).await;
}
