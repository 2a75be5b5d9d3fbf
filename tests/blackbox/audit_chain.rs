//! Whatever is done to the audit trail behind the API's back is found, and
//! where it was done.

use futures::future::join_all;
use reqwest::Client;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor, PgConnection};
use yuantus_test_support::{Api, Child, TestEnv};

use crate::quiet::assert_quiet;

/// Writes entries of a tenant, one each.
pub async fn write(api: &Api, tenant: &str, entries: usize) {
    for _ in 0..entries {
        let url = format!("{}/api/v1/audit-logs:export?tenant_id={tenant}", api.url);
        let answer = reqwest::get(url).await.expect("answer").error_for_status().expect("export");
        answer.text().await.expect("entries");
    }
}

/// What is found of a tenant's trail.
pub async fn verify(api: &Api, tenant: &str) -> Value {
    let post = Client::new().post(format!("{}/api/v1/audit-logs:verify", api.url));
    let answer = post.json(&json!({"tenant_id": tenant})).send().await.expect("answer");
    let found: Value = answer.error_for_status().expect("verify").json().await.expect("JSON");
    found[0].clone()
}

/// Runs statements as somebody who owns the server, triggers switched off.
pub async fn tamper(env: &TestEnv, sql: &str) {
    let mut connection = env.identity().await;
    let sql = format!("SET session_replication_role = replica; {sql}");
    connection.execute(AssertSqlSafe(sql)).await.expect("tampering");
}

/// Where the checkpoint is that the bucket holds of a trail.
async fn copied(env: &TestEnv, tenant: &str) -> Option<i64> {
    let key = format!("control-plane/audit/{tenant}/checkpoint.json");
    let copy: Value = serde_json::from_slice(&env.store().get(&key).await.ok()?).ok()?;
    copy["seq"].as_i64()
}

/// Starts a worker that signs checkpoints, and ends it once there is one of
/// `tenant` at `seq`, and the bucket holds it.
pub async fn seal(env: &TestEnv, tenant: &str, seq: i64) {
    let mut worker: Child =
        env.worker("sealer", &[("YUANTUS_AUDIT__CHECKPOINT_INTERVAL_SECONDS", "1")]);
    let sql = "SELECT EXISTS (SELECT FROM audit_checkpoints WHERE tenant_id = $1 AND seq = $2)";
    let mut identity = env.identity().await;
    loop {
        let query = sqlx::query_scalar(sql).bind(tenant).bind(seq);
        let signed: bool = query.fetch_one(&mut identity).await.expect("checkpoints");
        if signed && copied(env, tenant).await == Some(seq) {
            break;
        }
        assert!(!worker.has_ended(), "{}", worker.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    worker.terminate().await;
    assert_quiet(&worker, &[]);
}

const KEEP: &str = "CREATE TABLE kept_logs AS TABLE audit_logs;
    CREATE TABLE kept_heads AS TABLE audit_heads;
    CREATE TABLE kept_checkpoints AS TABLE audit_checkpoints;";

const RESTORE: &str = "DELETE FROM audit_logs; DELETE FROM audit_heads;
    DELETE FROM audit_checkpoints;
    INSERT INTO audit_logs OVERRIDING SYSTEM VALUE TABLE kept_logs;
    INSERT INTO audit_heads TABLE kept_heads;
    INSERT INTO audit_checkpoints OVERRIDING SYSTEM VALUE TABLE kept_checkpoints;";

/// What somebody may do to the trail of acme, whose rows are 1 to 8 and whose
/// checkpoint is at 6: the statements, the row that is named, and what is said.
const TAMPERINGS: &[(&str, i64, &str)] = &[
    ("UPDATE audit_logs SET actor = 'acme/eve' WHERE seq = 3", 3, "not as it was written"),
    ("UPDATE audit_logs SET details = '{\"x\": 1}' WHERE seq = 3", 3, "not as it was written"),
    ("UPDATE audit_logs SET created_at = created_at + '1 s' WHERE seq = 3", 3, "not as it was"),
    ("UPDATE audit_logs SET user_id = 1 WHERE seq = 8", 8, "not as it was written"),
    ("UPDATE audit_logs SET error = client_ip, client_ip = '' WHERE seq = 2", 2, "not as it was"),
    ("DELETE FROM audit_logs WHERE seq = 4", 4, "the row is missing"),
    ("DELETE FROM audit_logs WHERE seq IN (1, 2)", 1, "the rows from here to 2 are missing"),
    (
        "UPDATE audit_logs SET seq = -seq WHERE seq IN (3, 5);
         UPDATE audit_logs SET seq = 8 + seq WHERE seq < 0",
        3,
        "not as it was written",
    ),
    (
        "INSERT INTO audit_logs OVERRIDING SYSTEM VALUE
         SELECT (jsonb_populate_record(l, '{\"id\": 1000, \"seq\": 9}')).*
         FROM audit_logs l WHERE seq = 8",
        9,
        "not as it was written",
    ),
    ("DELETE FROM audit_logs WHERE seq > 7", 8, "says the chain's head"),
    (
        "DELETE FROM audit_logs WHERE seq > 4;
         UPDATE audit_heads h SET seq = l.seq, hash = l.hash FROM audit_logs l
         WHERE l.seq = 4 AND h.tenant_id = l.tenant_id",
        5,
        "missing, says a signed checkpoint",
    ),
    ("UPDATE audit_logs SET tenant_id = 'other' WHERE seq = 8", 8, "says the chain's head"),
    ("UPDATE audit_heads SET hash = previous_hash", 8, "not the one that the chain's head names"),
    ("DELETE FROM audit_heads", 9, "the head of the chain is missing"),
    (
        "DELETE FROM audit_logs WHERE seq <= 3;
         INSERT INTO audit_checkpoints (tenant_id, kind, seq, hash, first_seq, rows, first_at,
             last_at, key_id, signature, made_in)
         SELECT tenant_id, 'prune', 3, previous_hash, 1, 3, now(), now(), '1', '\\x00', '1'
         FROM audit_logs WHERE seq = 4",
        3,
        "was not signed by this deployment",
    ),
    (
        "DELETE FROM audit_logs WHERE seq <= 6;
         UPDATE audit_checkpoints SET kind = 'prune'",
        6,
        "was not signed by this deployment",
    ),
    (
        "UPDATE audit_checkpoints SET tenant_id = 'other'; UPDATE audit_logs SET path = 'x'",
        1,
        "its checkpoints were deleted",
    ),
    (
        "DELETE FROM audit_logs; DELETE FROM audit_heads; DELETE FROM audit_checkpoints",
        1,
        "its checkpoints were deleted: the bucket holds number 1",
    ),
];

#[tokio::test]
async fn tampering_of_every_kind_is_found_and_its_place_named() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    api.create_tenant("acme").await;
    write(&api, "acme", 5).await;
    seal(&env, "acme", 6).await;
    write(&api, "acme", 2).await;
    tamper(&env, KEEP).await;
    for (sql, seq, what) in TAMPERINGS {
        tamper(&env, sql).await;
        let found = verify(&api, "acme").await;
        assert_eq!((&found["ok"], &found["broken_seq"]), (&json!(false), &json!(seq.to_string())));
        let message = found["message"].as_str().expect("message");
        assert!(message.contains(what), "{sql}: {message}");
        tamper(&env, RESTORE).await;
    }
    // Who has the database can make all hashes fit, but not the signature.
    let anew = "DELETE FROM audit_logs; DELETE FROM audit_heads;
        SET session_replication_role = origin;
        INSERT INTO audit_logs (tenant_id, actor, action, target, created_at)
        SELECT tenant_id, 'acme/eve', action, target, created_at FROM kept_logs ORDER BY seq";
    tamper(&env, anew).await;
    let found = verify(&api, "acme").await;
    assert_eq!((&found["ok"], &found["broken_seq"]), (&json!(false), &json!("6")), "{found}");
    tamper(&env, RESTORE).await;
    let found = verify(&api, "acme").await;
    let (rows, signed) = (&found["rows"], &found["checkpoint_seq"]);
    assert_eq!((&found["ok"], rows, signed), (&json!(true), &json!("8"), &json!("6")), "{found}");

    let server = [("YUANTUS_SERVER", &*api.url)];
    let ran = env.cli(&["audit", "verify"], &server, "").await.succeeded();
    assert!(ran.stderr.contains("trails are as they were written"), "{}", ran.stderr);
    tamper(&env, "UPDATE audit_logs SET target = 'x' WHERE seq = 2").await;
    let ran = env.cli(&["audit", "verify", "--tenant", "acme"], &server, "").await;
    assert_eq!(ran.code, Some(1));
    assert!(ran.text().contains("BROKEN at 2"), "{}", ran.text());
    api.child.terminate().await;
    let damaged = ["the audit trail of a tenant is broken", "was not recorded"];
    assert_quiet(&api.child, &damaged);
}

#[tokio::test]
async fn a_broken_chain_is_neither_signed_nor_pruned_and_a_worker_says_so() {
    let env = TestEnv::start().await;
    let mut api = env.api_with(&[("YUANTUS_AUDIT_RETENTION_MAX_ROWS", "2")]).await;
    api.create_tenant("acme").await;
    write(&api, "acme", 5).await;
    tamper(&env, "UPDATE audit_logs SET actor = 'acme/eve' WHERE seq = 3").await;
    let post = Client::new().post(format!("{}/api/v1/admin/audit/prune", api.url));
    let answer = post.json(&json!({"tenant_id": "acme"})).send().await.expect("answer");
    let problem = crate::problem::problem(answer, 412).await;
    assert_eq!(problem["reason"], "AUDIT_CHAIN_BROKEN");
    let mut worker = env.worker("w", &[("YUANTUS_AUDIT_RETENTION_MAX_ROWS", "2")]);
    let broken = "the audit trail of a tenant is broken";
    while worker.log().matches(broken).count() < 2 {
        assert!(!worker.has_ended(), "{}", worker.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    worker.terminate().await;
    assert_quiet(&worker, &[broken]);
    let sql = "SELECT count(*) FROM audit_checkpoints";
    assert_eq!(count(&mut env.identity().await, sql).await, 0);
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
}

/// A number that a statement answers.
pub async fn count(identity: &mut PgConnection, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(identity).await.expect("count")
}

#[tokio::test]
async fn many_writers_of_a_few_tenants_make_one_chain_each() {
    let env = TestEnv::start().await;
    let more = [("YUANTUS_AUDIT_ENABLED", "true"), ("YUANTUS_AUDIT_RETENTION_MAX_ROWS", "40")];
    let mut api = env.api_with(&more).await;
    let http = Client::new();
    let tenants = ["acme", "beta", "gamma"];
    for tenant in tenants {
        api.create_tenant(tenant).await;
    }
    let url = api.url.clone();
    let write = async |number: usize| {
        let tenant = tenants[number % tenants.len()];
        let url = format!("{url}/api/v1/audit-logs:export?tenant_id={tenant}");
        let export = http.get(url).header("x-tenant-id", tenant).send().await.expect("answer");
        export.text().await.expect("entries");
        if number.is_multiple_of(20) {
            let prune = http.post(format!("{}/api/v1/admin/audit/prune", api.url));
            prune.json(&json!({})).send().await.expect("answer").error_for_status().expect("prune");
        }
    };
    join_all((0..200).map(write)).await;
    for tenant in tenants.into_iter().chain(["platform"]) {
        let found = verify(&api, tenant).await;
        assert_eq!(found["ok"], json!(true), "{found}");
    }
    api.child.terminate().await;
    assert_quiet(&api.child, &[]);
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = 'yuantus_identity'";
    assert_eq!(count(&mut env.identity().await, sql).await, 0, "deadlocks");
}
