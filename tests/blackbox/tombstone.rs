//! What restores replaced, dropped before its time.

use serde_json::Value;
use yuantus_test_support::{TestEnv, backup_id};

use crate::{
    settle::settle,
    tidy::assert_tidy,
    world::{database, fill, fingerprint},
};

#[tokio::test]
async fn a_tombstone_is_listed_and_dropped_by_hand_and_the_trail_keeps_it() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let name = database("acme", "hq");
    fill(&env, &name, 100).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    api.succeed(&api.restore("acme", "hq", backup_id(&backup)).await).await;
    api.succeed(&api.restore("acme", "hq", backup_id(&backup)).await).await;
    settle(&env).await;
    let before = fingerprint(&env, &name).await;
    let mut list = env.spawn("list", &["tombstone", "list", "-o", "json"], &[]);
    assert!(list.ended().await.success(), "{}", list.log());
    let listed = list.log();
    let listed: Vec<Value> = serde_json::from_str(&listed).expect("a list of tombstones");
    assert_eq!(listed.len(), 2, "{listed:?}");
    let first = listed[0]["name"].as_str().expect("name").to_owned();

    // A live database is no tombstone.
    for other in [name.as_str(), "yuantus_identity", "yuantus_mt_old__none"] {
        let mut refused = env.spawn("drop", &["tombstone", "drop", other], &[]);
        assert_eq!(refused.ended().await.code(), Some(1), "{}", refused.log());
        let told = format!("tombstone `{other}` not found");
        assert!(refused.log().contains(&told), "{}", refused.log());
    }
    let mut drop = env.spawn("drop", &["tombstone", "drop", &first], &[]);
    assert!(drop.ended().await.success(), "{}", drop.log());
    worker.terminate().await;
    // A worker that starts looks at once.
    let mut worker = env.worker("w", &[]);
    let mut identity = env.identity().await;
    let left = "SELECT count(*) FROM tombstones WHERE name = $1";
    let begun = std::time::Instant::now();
    while sqlx::query_scalar::<_, i64>(left)
        .bind(&first)
        .fetch_one(&mut identity)
        .await
        .expect("rows")
        > 0
    {
        assert!(begun.elapsed().as_secs() < 120, "{}", worker.log());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let there =
        "SELECT array_agg(datname::text) FROM pg_database WHERE datname LIKE 'yuantus_mt_old_%'";
    let there: Vec<String> =
        sqlx::query_scalar(there).fetch_one(&mut identity).await.expect("names");
    assert_eq!(there, [listed[1]["name"].as_str().expect("name")]);
    assert_eq!(fingerprint(&env, &name).await, before);
    let kept = "SELECT count(*) FROM audit_logs WHERE tenant_id = 'acme' AND org_id = 'hq'
        AND action = 'tombstone.expire' AND target = 'tombstones/' || $1";
    let kept: i64 =
        sqlx::query_scalar(kept).bind(&first).fetch_one(&mut identity).await.expect("entries");
    assert_eq!(kept, 1);
    worker.terminate().await;
    assert_tidy(&env).await;
}
