//! A backup whose objects have rotted: it is found out, said, and not taken
//! for a good one; nothing that is there is lost by trying.

use std::collections::HashSet;

use yuantus_proto::v1::{self, backup::State, operation};
use yuantus_test_support::{Api, TestEnv, backup_id};

use crate::{
    settle::settle,
    tidy::assert_tidy,
    world::{assert_usable, database, fill, fingerprint, run_as_owner},
};

async fn keys(env: &TestEnv) -> HashSet<String> {
    let objects = env.store().list("tenants/").await.expect("objects");
    objects.into_iter().map(|object| object.key).collect()
}

pub async fn get(api: &Api, backup: &str) -> v1::Backup {
    let request = v1::GetBackupRequest {
        tenant_id: "acme".into(),
        org_id: "hq".into(),
        backup_id: backup.to_owned(),
    };
    api.backups().get_backup(request).await.expect("backup").into_inner()
}

/// Asserts that an operation fails of the damage, at its first attempt.
async fn finds_damage(api: &Api, operation: &v1::Operation) {
    let ended = api.wait(operation).await;
    assert_eq!(ended.state(), operation::State::Failed, "{ended:?}");
    let error = ended.error.expect("error");
    assert_eq!(error.reason, "BACKUP_DAMAGED", "{error:?}");
    assert_eq!(ended.attempt, 1, "what is damaged stays so");
}

#[tokio::test]
async fn a_damaged_backup_is_found_out_and_the_one_before_is_the_latest() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let name = database("acme", "hq");
    fill(&env, &name, 500).await;
    let first = fingerprint(&env, &name).await;
    let good = api.create_backup("acme", "hq").await;
    api.succeed(&good).await;
    let before = keys(&env).await;
    run_as_owner(
        &env,
        &name,
        "CREATE TABLE noise AS SELECT md5(n::text) FROM generate_series(1, 20000) n",
    )
    .await;
    let second = fingerprint(&env, &name).await;
    let bad = api.create_backup("acme", "hq").await;
    api.succeed(&bad).await;
    let packs = keys(&env).await;
    let packs: Vec<&String> =
        packs.difference(&before).filter(|key| key.contains("/data/")).collect();
    assert!(!packs.is_empty(), "the second backup has data of its own");
    for key in packs {
        let mut pack = env.store().get(key).await.expect("pack").to_vec();
        pack[..16].fill(0);
        env.store().put(key, pack.into()).await.expect("damage");
    }

    let bad = backup_id(&bad).to_owned();
    assert_eq!(get(&api, &bad).await.state(), State::Complete, "nobody has looked");
    let restore = api.restore("acme", "hq", &bad).await;
    finds_damage(&api, &restore).await;
    settle(&env).await;
    assert_eq!(fingerprint(&env, &name).await, second, "what is there stays");
    let found = get(&api, &bad).await;
    assert_eq!(found.state(), State::Damaged, "{found:?}");
    assert!(!found.reason.is_empty() && found.manifest.is_some(), "{found:?}");
    finds_damage(&api, &api.verify_backup("acme", "hq", &bad).await).await;
    let elsewhere = api.restore_to("acme", "hq", &bad, ("new", "hq")).await;
    finds_damage(&api, &elsewhere).await;

    let latest = ["--server", &api.url, "backup", "get", "acme/hq", "latest", "-o", "name"];
    let latest = env.cli(&latest, &[], "").await.succeeded();
    assert_eq!(latest.text().trim_end(), backup_id(&good));
    api.succeed(&api.verify_backup("acme", "hq", backup_id(&good)).await).await;
    api.succeed(&api.restore("acme", "hq", backup_id(&good)).await).await;
    assert_eq!(fingerprint(&env, &name).await, first);
    assert_usable(&api, "acme", "hq").await;
    assert_tidy(&env).await;
}
