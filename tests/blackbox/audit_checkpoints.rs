//! Checkpoints are a chain whose end the bucket knows: who owns the identity
//! database can neither take them back nor have what was forged signed.

use serde_json::json;
use sqlx::Row;
use yuantus_auth::Signer;
use yuantus_test_support::TestEnv;

use crate::{
    audit_chain::{count, seal, tamper, verify, write},
    quiet::assert_quiet,
};

const COPY: &str = "control-plane/audit/acme/checkpoint.json";
const KEEP: &str = "CREATE TABLE kept_logs AS TABLE audit_logs;
    CREATE TABLE kept_heads AS TABLE audit_heads;
    CREATE TABLE kept_checkpoints AS TABLE audit_checkpoints;";
const PUT_BACK: &str = "DELETE FROM audit_logs; DELETE FROM audit_heads;
    DELETE FROM audit_checkpoints;
    INSERT INTO audit_logs OVERRIDING SYSTEM VALUE TABLE kept_logs;
    INSERT INTO audit_heads TABLE kept_heads;
    INSERT INTO audit_checkpoints OVERRIDING SYSTEM VALUE TABLE kept_checkpoints;";

/// The trail as it was at row 6, which the first checkpoint covers.
const BACK: &str = "DELETE FROM audit_checkpoints WHERE tenant_id = 'acme' AND number > 1;
    DELETE FROM audit_logs WHERE tenant_id = 'acme' AND seq > 6;
    UPDATE audit_heads h SET seq = l.seq, hash = l.hash, previous_hash = l.previous_hash
    FROM audit_logs l WHERE l.tenant_id = 'acme' AND h.tenant_id = 'acme' AND l.seq = 6;";
const NOTHING: &str = "DELETE FROM audit_checkpoints; DELETE FROM audit_heads;
    DELETE FROM audit_logs;";
/// Others, whose hashes fit.
const FORGED: &str = "SET session_replication_role = origin;
    INSERT INTO audit_logs (tenant_id, actor, action, target)
    SELECT 'acme', 'acme/eve', 'org.create', 'x' FROM generate_series(1, 4);";

/// Has the trail signed as it is; answers how many rows it has.
async fn seal_all(env: &TestEnv) -> i64 {
    let rows = "SELECT seq FROM audit_heads WHERE tenant_id = 'acme'";
    let rows = count(&mut env.identity().await, rows).await;
    seal(env, "acme", rows).await;
    rows
}

/// Starts a worker that signs, and ends it once it has refused to.
async fn refuses(env: &TestEnv) {
    let interval = ("YUANTUS_AUDIT__CHECKPOINT_INTERVAL_SECONDS", "1");
    let mut worker = env.worker("sealer", &[interval]);
    let broken = "the audit trail of a tenant is broken";
    while worker.log().matches(broken).count() < 2 {
        assert!(!worker.has_ended(), "{}", worker.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    worker.terminate().await;
    assert_quiet(&worker, &[broken]);
}

#[tokio::test]
async fn who_owns_the_database_can_neither_take_checkpoints_back_nor_have_a_forgery_signed() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    api.create_tenant("acme").await;
    write(&api, "acme", 5).await;
    seal(&env, "acme", 6).await;
    write(&api, "acme", 2).await;
    seal(&env, "acme", 8).await;
    tamper(&env, KEEP).await;
    let found = verify(&api, "acme").await;
    assert_eq!((&found["ok"], &found["checkpoint_seq"]), (&json!(true), &json!("8")), "{found}");

    let (back, nothing) = (format!("{BACK}{FORGED}"), format!("{NOTHING}{FORGED}"));
    let forged = [
        (&*back, "7", "the bucket holds checkpoint 2, and the newest one here is 1"),
        (&*nothing, "1", "its checkpoints were deleted: the bucket holds number 2"),
    ];
    for (sql, seq, what) in forged {
        tamper(&env, sql).await;
        let signed = "SELECT count(*) FROM audit_checkpoints WHERE tenant_id = 'acme'";
        let before = count(&mut env.identity().await, signed).await;
        let found = verify(&api, "acme").await;
        let message = found["message"].as_str().expect("message");
        assert_eq!((&found["ok"], &found["broken_seq"]), (&json!(false), &json!(seq)), "{found}");
        assert!(message.contains(what), "{message}");
        refuses(&env).await;
        assert_eq!(count(&mut env.identity().await, signed).await, before);
        tamper(&env, PUT_BACK).await;
    }
    for (sql, what) in [
        ("DELETE FROM audit_checkpoints WHERE number = 1", "checkpoint 1 was deleted"),
        (
            "UPDATE audit_checkpoints SET rows = 1 WHERE number = 1",
            "checkpoint 1 is not the one that 2 was signed after",
        ),
        ("UPDATE audit_checkpoints SET number = 3 WHERE number = 2", "checkpoint 2 was deleted"),
    ] {
        tamper(&env, &format!("{sql} AND tenant_id = 'acme'")).await;
        let found = verify(&api, "acme").await;
        assert_eq!(found["ok"], json!(false), "{sql}");
        assert!(found["message"].as_str().expect("message").contains(what), "{found}");
        tamper(&env, PUT_BACK).await;
    }
    assert_eq!(verify(&api, "acme").await["ok"], json!(true));
    api.child.terminate().await;
    assert_quiet(&api.child, &["the audit trail of a tenant is broken"]);
}

#[tokio::test]
async fn an_old_trail_without_any_checkpoint_is_broken_until_a_worker_signs_it() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let old = "INSERT INTO audit_logs (tenant_id, actor, action, target, created_at)
        SELECT tenant, 'x', 'y', 'z', now() - make_interval(days => 100 - n)
        FROM generate_series(1, 3) n, unnest(ARRAY['acme', 'aa']) tenant ORDER BY n";
    sqlx::query(old).execute(&mut env.identity().await).await.expect("old rows");
    api.create_tenant("acme").await;
    let found = verify(&api, "acme").await;
    assert_eq!(found["ok"], json!(false), "{found}");
    assert!(found["message"].as_str().expect("message").contains("nothing of the trail is signed"));
    seal_all(&env).await;
    assert_eq!(verify(&api, "acme").await["ok"], json!(true));
    // Another trail was signed long ago, when this one was old already.
    let gone = "DELETE FROM audit_checkpoints WHERE tenant_id = 'acme';
        UPDATE audit_checkpoints SET created_at = now() - interval '50 days'";
    tamper(&env, gone).await;
    env.store().delete(COPY).await.expect("the bucket is lost too");
    assert_eq!(verify(&api, "acme").await["ok"], json!(false));
    refuses(&env).await;
    let mut recovered = env.spawn("recover", &["db", "recover-audit"], &[]);
    assert!(recovered.ended().await.success(), "{}", recovered.log());
    assert_eq!(verify(&api, "acme").await["ok"], json!(true));
}

#[tokio::test]
async fn a_copy_that_a_crash_kept_back_is_made_up_for_and_an_older_one_is_no_damage() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    for (rows, point) in [(3, "after_commit"), (2, "after_copy"), (1, "after_commit")] {
        write(&api, "acme", rows).await;
        let point = format!("seal_audit.{point}");
        let interval = ("YUANTUS_AUDIT__CHECKPOINT_INTERVAL_SECONDS", "1");
        env.worker("sealer", &[interval, ("YUANTUS_CRASH_AT", &point)]).crashed().await;
        assert_eq!(verify(&api, "acme").await["ok"], json!(true), "{point}");
    }
    write(&api, "acme", 1).await;
    let rows = seal_all(&env).await;
    assert_eq!(verify(&api, "acme").await["ok"], json!(true));
    let copy = env.store().get(COPY).await.expect("copy");
    let copy: serde_json::Value = serde_json::from_slice(&copy).expect("JSON");
    assert_eq!(copy["seq"], json!(rows));
}

#[tokio::test]
async fn a_trail_that_was_restored_from_a_dump_goes_on_when_somebody_says_so() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    api.create_tenant("acme").await;
    write(&api, "acme", 5).await;
    seal(&env, "acme", 6).await;
    write(&api, "acme", 2).await;
    seal(&env, "acme", 8).await;
    tamper(&env, BACK).await;
    assert_eq!(verify(&api, "acme").await["ok"], json!(false));
    refuses(&env).await;
    let recover = ["db", "recover-audit", "--tenant", "acme", "-o", "json"];
    let mut recovered = env.spawn("recover", &recover, &[]);
    assert!(recovered.ended().await.success(), "{}", recovered.log());
    let found = verify(&api, "acme").await;
    assert_eq!(found["ok"], json!(true), "{found}");
    write(&api, "acme", 1).await;
    seal_all(&env).await;
    assert_eq!(verify(&api, "acme").await["ok"], json!(true));
    let said = "SELECT count(*) FROM audit_logs WHERE action = 'audit.recover'
        AND actor = 'console' AND details->>'lost_checkpoint' = '2'";
    assert_eq!(count(&mut env.identity().await, said).await, 1);
    let mut again = env.spawn("recover", &["db", "recover-audit"], &[]);
    assert!(again.ended().await.success());
    assert_eq!(count(&mut env.identity().await, said).await, 1);
    api.child.terminate().await;
    assert_quiet(&api.child, &["the audit trail of a tenant is broken"]);
}

/// A signature as versions made it that did not number checkpoints.
fn unnumbered(signer: &Signer, row: &sqlx::postgres::PgRow) -> Vec<u8> {
    let mut content = b"yuantus audit checkpoint 1".to_vec();
    let (tenant, kind): (String, String) = (row.get("tenant_id"), row.get("kind"));
    let hash: Vec<u8> = row.get("hash");
    for text in [tenant.as_bytes(), kind.as_bytes(), b"1", &hash] {
        content.extend_from_slice(&(text.len() as u64).to_be_bytes());
        content.extend_from_slice(text);
    }
    for column in ["seq", "first_seq", "rows", "first", "last"] {
        content.extend_from_slice(&row.get::<i64, _>(column).to_be_bytes());
    }
    signer.sign(&content)
}

#[tokio::test]
async fn checkpoints_from_before_they_had_numbers_hold_and_cannot_go_after_the_next_one() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    api.create_tenant("acme").await;
    write(&api, "acme", 2).await;
    seal(&env, "acme", 3).await;
    let variables = env.variables();
    let key = variables.iter().find(|(name, _)| name == "YUANTUS_SECRET_KEY").expect("key");
    let signer = Signer::new(&key.1.as_str().into(), "audit checkpoints").expect("signer");
    let sql = "SELECT *, (extract(epoch FROM first_at) * 1000000)::bigint AS first,
        (extract(epoch FROM last_at) * 1000000)::bigint AS last
        FROM audit_checkpoints WHERE tenant_id = 'acme'";
    let row = sqlx::query(sql).fetch_one(&mut env.identity().await).await.expect("checkpoint");
    let signature = hex::encode(unnumbered(&signer, &row));
    let as_before = format!(
        "UPDATE audit_checkpoints SET number = NULL, previous = NULL, key_id = '1',
         signature = '\\x{signature}' WHERE tenant_id = 'acme'"
    );
    tamper(&env, &as_before).await;
    env.store().delete(COPY).await.expect("no copy was made");
    let found = verify(&api, "acme").await;
    assert_eq!((&found["ok"], &found["checkpoint_seq"]), (&json!(true), &json!("3")), "{found}");
    write(&api, "acme", 2).await;
    let rows = seal_all(&env).await.to_string();
    let found = verify(&api, "acme").await;
    assert_eq!((&found["ok"], &found["checkpoint_seq"]), (&json!(true), &json!(rows)), "{found}");
    tamper(&env, "DELETE FROM audit_checkpoints WHERE number IS NULL").await;
    let found = verify(&api, "acme").await;
    assert_eq!(found["ok"], json!(false), "{found}");
    let message = found["message"].as_str().expect("message");
    assert!(message.contains("from before they had numbers"), "{message}");
}
