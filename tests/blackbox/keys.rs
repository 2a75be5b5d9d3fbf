//! Keys: a process that has the wrong one only says so, and one that is changed
//! is changed for everything.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use yuantus_test_support::{Child, TestEnv, backup_id};

use crate::{
    audit_chain::{count, seal, verify},
    crash::spares_wait,
    tidy::assert_tidy,
    world::{assert_usable, database, fill, fingerprint},
};

const KEY: &str = "YUANTUS_SECRET_KEY";
const PREVIOUS: &str = "YUANTUS_PREVIOUS_SECRET_KEYS";
/// Where a rotation is killed, in their order.
const POINTS: [&str; 5] = ["before_commit", "resealed", "signed", "before_retire", "retired"];

fn key(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

/// Waits until a process says this, which must not end before.
async fn says(child: &mut Child, what: &str) {
    while !child.log().contains(what) {
        assert!(!child.has_ended(), "{}", child.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn tables(env: &TestEnv) -> Vec<String> {
    let sql = "SELECT 'databases ' || encode(sealed_password, 'hex') FROM databases
        UNION ALL SELECT 'keys ' || key_name FROM key_canaries
        UNION ALL SELECT 'checkpoints ' || count(*) FROM audit_checkpoints
        UNION ALL SELECT 'audit ' || count(*) FROM audit_logs
        UNION ALL SELECT type || ' ' || state || ' ' || epoch FROM operations ORDER BY 1";
    sqlx::query_scalar(sql).fetch_all(&mut env.identity().await).await.expect("tables")
}

#[tokio::test]
async fn a_process_with_another_key_refuses_to_run_and_does_nothing() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    api.create_tenant("acme").await;
    let operation = api.create_org("acme", "hq").await;
    api.child.terminate().await;
    let before = tables(&env).await;
    let other = key(b'x');
    let wrong = [(KEY, &*other)];
    let seed = ["seed-identity", "--tenant", "t2", "--org", "o", "--username", "u"];
    let seed = [&seed[..], &["--password", "a-password-of-1"]].concat();
    for arguments in [
        &["start", "--host", "127.0.0.1", "--port", "0"][..],
        &["worker"],
        &["worker", "--once"],
        &["db", "upgrade"],
        &["db", "create-admin", "ann", "--password-stdin"],
        &["db", "break-glass", "--reason", "test"],
        &["db", "rotate-key"],
        &seed[..],
    ] {
        let mut child = env.spawn("wrong", arguments, &wrong);
        assert!(!child.ended().await.success(), "{arguments:?}");
        let log = child.log();
        for part in ["secrets.key (YUANTUS_SECRET_KEY)", "secrets.previous_keys", "nothing was"] {
            assert!(log.contains(part), "{arguments:?}: {log}");
        }
        assert!(!log.contains(&other), "{log}");
        assert_eq!(tables(&env).await, before, "{arguments:?}");
    }
    let mut worker = env.worker("w", &[]);
    let api = env.api().await;
    api.succeed(&operation).await;
    assert_usable(&api, "acme", "hq").await;
    worker.terminate().await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn an_api_with_another_secret_of_tokens_refuses_to_run_until_somebody_says_so() {
    const SECRET: &str = "YUANTUS_JWT_SECRET_KEY";
    let env = TestEnv::start().await;
    env.api().await.child.terminate().await;
    let other = [(SECRET, "another secret of the tests, as long")];
    let start = ["start", "--host", "127.0.0.1", "--port", "0"];
    let mut child = env.spawn("wrong", &start, &other);
    assert!(!child.ended().await.success());
    assert!(child.log().contains("auth.jwt_secret (YUANTUS_JWT_SECRET_KEY)"), "{}", child.log());
    assert!(
        env.spawn("rotate", &["db", "rotate-key", "--accept-jwt-secret"], &other)
            .ended()
            .await
            .success()
    );
    env.api_with(&other).await.child.terminate().await;
    assert!(!env.spawn("before", &start, &[]).ended().await.success());
}

/// As after an upgrade: things are sealed, but no canary was.
#[tokio::test]
async fn the_first_key_must_open_what_is_stored_already() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    api.create_tenant("acme").await;
    let operation = api.create_org("acme", "hq").await;
    api.child.terminate().await;
    let forget = "DELETE FROM key_canaries";
    sqlx::query(forget).execute(&mut env.identity().await).await.expect("canaries");
    let other = key(b'x');
    let mut child = env.spawn("wrong", &["worker", "--once"], &[(KEY, &other)]);
    assert!(!child.ended().await.success());
    assert!(child.log().contains("the database password of `acme/hq`"), "{}", child.log());
    let (one, two) = (env.api(), env.api());
    let (mut one, mut two) = tokio::join!(one, two);
    let sql = "SELECT count(*) FROM key_canaries WHERE purpose = 'secrets'";
    let canaries: i64 =
        sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect("canaries");
    assert_eq!(canaries, 1);
    let mut worker = env.worker("w", &[]);
    one.succeed(&operation).await;
    worker.terminate().await;
    one.child.terminate().await;
    two.child.terminate().await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn an_operation_whose_secret_does_not_open_waits_and_nothing_is_undone() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    api.create_tenant("acme").await;
    let operation = api.create_org("acme", "hq").await;
    // Made and assigned, but not recorded as ready.
    let point = ("YUANTUS_CRASH_AT", "CreateDatabase.assign_database.after_assign");
    env.worker("w", &[point, ("YUANTUS_TENANTS__SPARE_TARGET", "0")]).crashed().await;
    let mut identity = env.identity().await;
    let damage = "UPDATE databases SET sealed_password =
        set_byte(sealed_password, 40, 255 - get_byte(sealed_password, 40))";
    sqlx::query(damage).execute(&mut identity).await.expect("damage");
    let mut worker = env.worker("w", &[]);
    says(&mut worker, "an operation waits for somebody to mend this").await;
    worker.terminate().await;
    let sql = "SELECT state || ' ' || unwinding || ' ' || reason FROM operations";
    let state: String = sqlx::query_scalar(sql).fetch_one(&mut identity).await.expect("operation");
    assert!(state.starts_with("PENDING false SECRET_UNUSABLE: "), "{state}");
    sqlx::query(damage).execute(&mut identity).await.expect("mended");
    sqlx::query("UPDATE operations SET run_at = now()").execute(&mut identity).await.expect("now");
    let mut worker = env.worker("w", &[]);
    api.succeed(&operation).await;
    assert_usable(&api, "acme", "hq").await;
    worker.terminate().await;
    api.child.terminate().await;
    assert_tidy(&env).await;
}

/// The key that every process of an environment has.
fn first_key(env: &TestEnv) -> String {
    let variables = env.variables();
    variables.into_iter().find(|(name, _)| name == KEY).expect("key").1
}

#[tokio::test]
async fn a_rotation_converges_from_every_crash_point_and_the_old_key_is_needed_no_more() {
    let env = TestEnv::start().await;
    let (old, new) = (first_key(&env), key(b'n'));
    let spares = ("YUANTUS_TENANTS__SPARE_TARGET", "2");
    let mut api = env.api().await;
    api.create_tenant("acme").await;
    let mut worker = env.worker("w", &[spares]);
    spares_wait(&env, 2).await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    api.succeed(&api.create_org("acme", "branch").await).await;
    fill(&env, &database("acme", "hq"), 500).await;
    let before = fingerprint(&env, &database("acme", "hq")).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    spares_wait(&env, 2).await;
    worker.terminate().await;
    let rows = "SELECT seq FROM audit_heads WHERE tenant_id = 'acme'";
    let rows = count(&mut env.identity().await, rows).await;
    seal(&env, "acme", rows).await;
    api.child.terminate().await;

    let both = [(KEY, &*new), (PREVIOUS, &*old)];
    let mut api = env.api_with(&both).await;
    let mut worker = env.worker("w", &both);
    for (number, point) in POINTS.iter().enumerate() {
        let at = format!("rotate_key.{point}");
        let crash = [&both[..], &[("YUANTUS_CRASH_AT", &*at)]].concat();
        let org = format!("org-{number}");
        let created = api.create_org("acme", &org);
        let mut rotation = env.spawn("rotate", &["db", "rotate-key"], &crash);
        let (operation, ()) = tokio::join!(created, rotation.crashed());
        api.succeed(&operation).await;
    }
    let mut rotation = env.spawn("rotate", &["db", "rotate-key"], &both);
    assert!(rotation.ended().await.success(), "{}", rotation.log());
    worker.terminate().await;
    api.child.terminate().await;

    let with_old = "SELECT count(*) FROM key_canaries WHERE purpose = 'secrets'";
    assert_eq!(count(&mut env.identity().await, with_old).await, 1);
    let mut refused = env.spawn("old", &["worker", "--once"], &[]);
    assert!(!refused.ended().await.success());
    let only = [(KEY, &*new)];
    let mut api = env.api_with(&only).await;
    let mut worker = env.worker("w", &[only[0], spares]);
    for org in ["hq", "branch", "org-0", "org-4"] {
        assert_usable(&api, "acme", org).await;
    }
    fill(&env, &database("acme", "hq"), 600).await;
    api.succeed(&api.restore("acme", "hq", backup_id(&backup)).await).await;
    assert_eq!(fingerprint(&env, &database("acme", "hq")).await, before);
    // The spares that wait have roles whose passwords the old key derives.
    api.succeed(&api.create_org("acme", "late").await).await;
    assert_usable(&api, "acme", "late").await;
    let found = verify(&api, "acme").await;
    assert_eq!(found["ok"], true, "{found}");
    assert_ne!(found["checkpoint_seq"], "0", "{found}");
    worker.terminate().await;
    api.child.terminate().await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_process_that_goes_on_with_a_retired_key_seals_and_signs_nothing_with_it() {
    let env = TestEnv::start().await;
    let (old, new) = (first_key(&env), key(b'n'));
    let mut behind = env.api_with(&[(PREVIOUS, &new)]).await;
    let interval = ("YUANTUS_AUDIT__CHECKPOINT_INTERVAL_SECONDS", "1");
    let mut signing = env.worker("behind", &[(PREVIOUS, &new), interval]);
    behind.create_tenant("acme").await;
    says(&mut signing, "signed an audit checkpoint").await;
    let both = [(KEY, &*new), (PREVIOUS, &*old)];
    let mut rotation = env.spawn("rotate", &["db", "rotate-key"], &both);
    assert!(rotation.ended().await.success(), "{}", rotation.log());
    let refused = yuantus_proto::v1::CreateOrgRequest {
        tenant_id: "acme".into(),
        id: "hq".into(),
        ..Default::default()
    };
    behind.orgs().create_org(refused).await.expect_err("the key seals nothing any more");
    behind.create_tenant("beta").await;
    says(&mut signing, "a loop could not do its work").await;
    signing.terminate().await;
    behind.child.terminate().await;
    let mut identity = env.identity().await;
    assert_eq!(count(&mut identity, "SELECT count(*) FROM orgs").await, 0);
    let api = env.api_with(&[(KEY, &new)]).await;
    for tenant in ["acme", "beta"] {
        assert_eq!(verify(&api, tenant).await["ok"], true, "{tenant}");
    }
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_rotation_says_what_it_cannot_open_and_keeps_the_previous_key_in_use() {
    let env = TestEnv::start().await;
    let (old, new) = (first_key(&env), key(b'n'));
    let mut api = env.api().await;
    api.create_tenant("acme").await;
    for org in ["hq", "branch"] {
        api.create_org("acme", org).await;
    }
    api.child.terminate().await;
    let damage = "UPDATE databases SET sealed_password =
        set_byte(sealed_password, 40, 255 - get_byte(sealed_password, 40)) WHERE org_id = 'hq'";
    let mut identity = env.identity().await;
    sqlx::query(damage).execute(&mut identity).await.expect("damage");
    let both = [(KEY, &*new), (PREVIOUS, &*old)];
    let mut rotation = env.spawn("rotate", &["db", "rotate-key"], &both);
    assert!(!rotation.ended().await.success());
    let log = rotation.log();
    assert!(log.contains("left: the database password of acme/hq"), "{log}");
    let canaries = "SELECT count(*) FROM key_canaries WHERE purpose = 'secrets'";
    assert_eq!(count(&mut identity, canaries).await, 2);
    sqlx::query(damage).execute(&mut identity).await.expect("mended");
    let mut rotation = env.spawn("rotate", &["db", "rotate-key"], &both);
    assert!(rotation.ended().await.success(), "{}", rotation.log());
    assert_eq!(count(&mut identity, canaries).await, 1);
    let only = [(KEY, &*new)];
    let api = env.api_with(&only).await;
    let mut worker = env.worker("w", &only);
    let sql = "SELECT count(*) FROM operations WHERE state <> 'SUCCEEDED'";
    while count(&mut identity, sql).await > 0 {
        assert!(!worker.has_ended(), "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for org in ["hq", "branch"] {
        assert_usable(&api, "acme", org).await;
    }
    worker.terminate().await;
    assert_tidy(&env).await;
}
