//! The crash matrix: every crash point of every operation. A worker is killed
//! there and started again, and everything converges. Every step is also run
//! twice.

use std::{
    collections::BTreeSet,
    fs,
    time::{Duration, Instant},
};

use yuantus_domain::OperationType;
use yuantus_proto::v1;
use yuantus_test_support::{Api, TestEnv, backup_id};

use crate::{
    tidy::assert_tidy,
    world::{assert_usable, database, fill, fingerprint},
};

/// The operations of the matrix: each has tests here that walk its points,
/// and is among those that are run twice and undone.
const MATRIX: [&str; 5] =
    ["CreateBackup", "CreateDatabase", "MigrateDatabase", "RestoreDatabase", "VerifyBackup"];

#[test]
fn no_operation_is_missing() {
    let all: BTreeSet<&str> = OperationType::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(all, BTreeSet::from(MATRIX));
}

/// The crash points of one operation.
fn points(operation: &str) -> Vec<String> {
    assert!(MATRIX.contains(&operation), "{operation}");
    let all = yuantus_worker::tasks::registry().crash_points();
    let points: Vec<_> =
        all.into_iter().filter(|p| p.starts_with(&format!("{operation}."))).collect();
    assert!(points.len() >= 3, "{operation} has too few crash points: {points:?}");
    points
}

/// Kills a worker at `point` of `operation`, starts it again, and waits for
/// the operation to succeed.
async fn crash_and_converge(
    env: &TestEnv,
    api: &Api,
    operation: &v1::Operation,
    point: &str,
    more: &[(&str, &str)],
) {
    let mut variables = vec![("YUANTUS_CRASH_AT", point)];
    variables.extend(more);
    env.worker("w", &variables).crashed().await;
    let mut worker = env.worker("w", more);
    api.succeed(operation).await;
    // Where the last record was made before the crash, nothing is left to do:
    // this worker may be told to stop before it listens, so how it ends is
    // no matter here.
    worker.terminate().await;
}

#[tokio::test]
async fn create_database_converges_from_every_crash_point() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    // As long as there is no template, the operation migrates a database of its
    // own; a worker that runs once makes none.
    let (migrating, assigning): (Vec<_>, Vec<_>) =
        points("CreateDatabase").into_iter().partition(|p| p.contains("migrate_database"));
    for (number, point) in migrating.iter().enumerate() {
        let org = format!("migrated-{number}");
        let operation = api.create_org("acme", &org).await;
        let once = |more: &[(&str, &str)]| env.spawn("w", &["worker", "--once"], more);
        let node = ("YUANTUS_NODE_ID", "w");
        once(&[node, ("YUANTUS_CRASH_AT", point)]).crashed().await;
        assert!(once(&[node]).ended().await.success(), "{point}");
        api.succeed(&operation).await;
        assert_usable(&api, "acme", &org).await;
    }
    for (number, point) in assigning.iter().enumerate() {
        let org = format!("org-{number}");
        let operation = api.create_org("acme", &org).await;
        // Without spares the operation makes a database of its own.
        let spares = if point.ends_with("after_clone") { "0" } else { "2" };
        let more = [("YUANTUS_TENANTS__SPARE_TARGET", spares)];
        crash_and_converge(&env, &api, &operation, point, &more).await;
        assert_usable(&api, "acme", &org).await;
    }
    assert_tidy(&env).await;
}

/// The role of a pooled spare brings its password along, which is recorded with
/// the end of the operation. Before that, the recorded one is another.
#[tokio::test]
async fn a_role_that_waited_gets_the_recorded_password_after_a_crash() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let sealed = async |org: &str| -> Vec<u8> {
        let sql = "SELECT sealed_password FROM databases WHERE org_id = $1";
        let sealed = sqlx::query_scalar(sql).bind(org);
        sealed.fetch_one(&mut env.identity().await).await.expect("password")
    };
    let waiting = [("YUANTUS_TENANTS__SPARE_TARGET", "2")];
    let mut worker = env.worker("w", &waiting);
    spares_wait(&env, 2).await;
    worker.terminate().await;

    let operation = api.create_org("acme", "smooth").await;
    let before = sealed("smooth").await;
    let once = |more: &[(&str, &str)]| env.spawn("w", &["worker", "--once"], more);
    let node = ("YUANTUS_NODE_ID", "w");
    assert!(once(&[node]).ended().await.success());
    api.succeed(&operation).await;
    assert!(sealed("smooth").await != before, "the spare's password");
    assert_usable(&api, "acme", "smooth").await;

    let operation = api.create_org("acme", "rough").await;
    let before = sealed("rough").await;
    let point = ("YUANTUS_CRASH_AT", "CreateDatabase.assign_database.after_assign");
    once(&[node, point]).crashed().await;
    let can_log_in = "SELECT rolcanlogin FROM pg_roles WHERE rolname LIKE '%\\_\\_rough'";
    let role: bool =
        sqlx::query_scalar(can_log_in).fetch_one(&mut env.identity().await).await.expect("role");
    assert!(role);
    assert!(once(&[node]).ended().await.success());
    api.succeed(&operation).await;
    assert!(sealed("rough").await == before, "the recorded password");
    assert_usable(&api, "acme", "rough").await;
    assert_tidy(&env).await;
}

/// Waits until this many spares wait with their roles.
pub async fn spares_wait(env: &TestEnv, wanted: i64) {
    let sql = "SELECT count(*) FROM pg_shdescription JOIN pg_database d ON d.oid = objoid
        JOIN pg_roles ON starts_with(rolname::text, datname || '__')
        WHERE classoid = 'pg_database'::regclass AND description LIKE '%\"role\":%'";
    let mut server = env.identity().await;
    let begun = Instant::now();
    loop {
        let there: i64 = sqlx::query_scalar(sql).fetch_one(&mut server).await.expect("spares");
        if there >= wanted {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{there} spares");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn migrate_database_converges_from_every_crash_point() {
    let env = TestEnv::start().await;
    let bundle = env.dir().join("bundle");
    fs::create_dir(&bundle).expect("bundle");
    let path = bundle.to_string_lossy().into_owned();
    let variables = [("YUANTUS_BUNDLE", &*path)];
    let settings = "CREATE TABLE settings (key text PRIMARY KEY, value jsonb);";
    fs::write(bundle.join("1_settings.sql"), settings).expect("migration");
    let api = env.api_with(&variables).await;
    api.create_tenant("acme").await;
    let points = points("MigrateDatabase");
    {
        let mut worker = env.worker("w", &variables);
        for number in 0..points.len() {
            api.succeed(&api.create_org("acme", &format!("org-{number}")).await).await;
        }
        worker.terminate().await;
    }
    fs::write(bundle.join("2_more.sql"), "CREATE TABLE more (id int);").expect("migration");
    fs::write(bundle.join("3_most.sql"), "CREATE TABLE most (id int);").expect("migration");
    drop(api);
    let api = env.api_with(&variables).await;
    for (number, point) in points.iter().enumerate() {
        let org = format!("org-{number}");
        let operation = api.apply_migrations("acme", &org).await;
        crash_and_converge(&env, &api, &operation, point, &variables).await;
        let tables = fingerprint(&env, &database("acme", &org)).await;
        assert!(tables.contains_key("public.most"), "{tables:?}");
        let request =
            v1::GetMigrationStatusRequest { tenant_id: "acme".into(), org_id: org.clone() };
        let status = api.migrations().get_migration_status(request).await.expect("status");
        assert!(status.get_ref().up_to_date, "{status:?}");
    }
    assert_tidy(&env).await;
}

#[tokio::test]
async fn backups_converge_from_every_crash_point() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let mut worker = env.worker("w", &[]);
    api.succeed(&create).await;
    worker.terminate().await;
    fill(&env, &database("acme", "hq"), 2000).await;
    let before = fingerprint(&env, &database("acme", "hq")).await;
    let mut newest = String::new();
    for point in points("CreateBackup") {
        let operation = api.create_backup("acme", "hq").await;
        crash_and_converge(&env, &api, &operation, &point, &[]).await;
        newest = backup_id(&operation).to_owned();
    }
    for point in points("VerifyBackup") {
        let operation = api.verify_backup("acme", "hq", &newest).await;
        crash_and_converge(&env, &api, &operation, &point, &[]).await;
    }
    let mut worker = env.worker("w", &[]);
    api.succeed(&api.restore("acme", "hq", &newest).await).await;
    worker.terminate().await;
    assert_eq!(fingerprint(&env, &database("acme", "hq")).await, before);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn restore_database_converges_from_every_crash_point() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let mut worker = env.worker("w", &[]);
    api.succeed(&create).await;
    let name = database("acme", "hq");
    fill(&env, &name, 2000).await;
    let before = fingerprint(&env, &name).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    worker.terminate().await;
    for point in points("RestoreDatabase") {
        fill(&env, &name, 2100).await;
        assert_ne!(fingerprint(&env, &name).await, before);
        let operation = api.restore("acme", "hq", backup_id(&backup)).await;
        crash_and_converge(&env, &api, &operation, &point, &[]).await;
        assert_eq!(fingerprint(&env, &name).await, before, "{point}");
        assert_usable(&api, "acme", "hq").await;
    }
    assert_tidy(&env).await;
}

#[tokio::test]
async fn restoring_elsewhere_converges_from_every_crash_point() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let mut worker = env.worker("w", &[]);
    api.succeed(&create).await;
    let name = database("acme", "hq");
    fill(&env, &name, 500).await;
    let before = fingerprint(&env, &name).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    worker.terminate().await;
    for (number, point) in points("RestoreDatabase").iter().enumerate() {
        // By turns another org, and a new tenant.
        let (tenant, org) = match number % 2 {
            0 => ("acme".to_owned(), format!("copy-{number}")),
            _ => (format!("new-{number}"), "hq".to_owned()),
        };
        let operation = api.restore_to("acme", "hq", backup_id(&backup), (&tenant, &org)).await;
        crash_and_converge(&env, &api, &operation, point, &[]).await;
        assert_eq!(fingerprint(&env, &database(&tenant, &org)).await, before, "{point}");
        assert_usable(&api, &tenant, &org).await;
    }
    assert_eq!(fingerprint(&env, &name).await, before);
    assert_tidy(&env).await;
}

#[tokio::test]
async fn every_step_run_twice_changes_nothing() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[("YUANTUS_REPEAT_STEPS", "1")]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let name = database("acme", "hq");
    fill(&env, &name, 1000).await;
    let before = fingerprint(&env, &name).await;
    let apply = api.apply_migrations("acme", "hq").await;
    api.succeed(&apply).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    let verify = api.verify_backup("acme", "hq", backup_id(&backup)).await;
    api.succeed(&verify).await;
    fill(&env, &name, 1100).await;
    api.succeed(&api.restore("acme", "hq", backup_id(&backup)).await).await;
    assert_eq!(fingerprint(&env, &name).await, before);
    assert_usable(&api, "acme", "hq").await;
    let elsewhere = api.restore_to("acme", "hq", backup_id(&backup), ("new", "hq")).await;
    api.succeed(&elsewhere).await;
    assert_eq!(fingerprint(&env, &database("new", "hq")).await, before);
    assert_tidy(&env).await;
}

/// Asks for an operation of this type on acme/hq (or a new org).
async fn ask(api: &Api, kind: &str, org: &str, backup: &str) -> v1::Operation {
    match kind {
        "CreateDatabase" => api.create_org("acme", org).await,
        "CreateBackup" => api.create_backup("acme", "hq").await,
        "RestoreDatabase" => api.restore("acme", "hq", backup).await,
        "MigrateDatabase" => api.apply_migrations("acme", "hq").await,
        _ => api.verify_backup("acme", "hq", backup).await,
    }
}

#[tokio::test]
async fn undoing_converges_from_its_crash_points_and_can_be_retried() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    let mut worker = env.worker("w", &[]);
    api.succeed(&create).await;
    let name = database("acme", "hq");
    fill(&env, &name, 500).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    worker.terminate().await;
    let before = fingerprint(&env, &name).await;
    let begun = [
        ("CreateDatabase", "assign_database.after_assign"),
        ("MigrateDatabase", "apply_migrations.after"),
        ("CreateBackup", "dump_database.after_manifest"),
        ("CreateBackup", "trial_restore.after_load"),
        ("VerifyBackup", "read_backup.after"),
        ("RestoreDatabase", "load_dump.after_load"),
    ];
    for (kind, reached) in begun {
        for undoing in ["unwind.before", "unwind.after"] {
            let org = format!("org-{}", undoing.replace('.', "-"));
            let operation = ask(&api, kind, &org, backup_id(&backup)).await;
            let reached = format!("{kind}.{reached}");
            env.worker("w", &[("YUANTUS_CRASH_AT", &reached)]).crashed().await;
            let cancel = v1::CancelOperationRequest { operation_id: operation.id.clone() };
            api.operations().cancel_operation(cancel).await.expect("cancel");
            let undoing = format!("{kind}.{undoing}");
            env.worker("w", &[("YUANTUS_CRASH_AT", &undoing)]).crashed().await;
            let mut worker = env.worker("w", &[]);
            let ended = api.wait(&operation).await;
            assert_eq!(ended.state(), v1::operation::State::Cancelled, "{ended:#?}");
            assert_tidy(&env).await;
            let retry = v1::RetryOperationRequest { operation_id: operation.id.clone() };
            api.operations().retry_operation(retry).await.expect("retry");
            api.succeed(&operation).await;
            worker.terminate().await;
            assert_eq!(fingerprint(&env, &name).await, before, "{undoing}");
        }
    }
    assert_tidy(&env).await;
}
