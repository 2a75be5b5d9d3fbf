//! The main job: a tenant's org gets a database, migrated, backed up and
//! restored.

use sqlx::{Connection, Executor, PgConnection};
use yuantus_proto::v1;
use yuantus_test_support::{TestEnv, backup_id};

use crate::{
    tidy::assert_tidy,
    world::{assert_usable, database, fill, fingerprint, run_as_owner},
};

#[tokio::test]
async fn an_org_is_created_backed_up_broken_and_restored() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    api.create_tenant("tenant-1").await;
    let created = api.create_org("tenant-1", "org-1").await;
    api.succeed(&created).await;
    assert_usable(&api, "tenant-1", "org-1").await;

    let name = database("tenant-1", "org-1");
    fill(&env, &name, 5000).await;
    let before = fingerprint(&env, &name).await;
    let backup = api.create_backup("tenant-1", "org-1").await;
    api.succeed(&backup).await;
    let verify = api.verify_backup("tenant-1", "org-1", backup_id(&backup)).await;
    api.succeed(&verify).await;

    run_as_owner(&env, &name, "DROP TABLE parts; DELETE FROM customers").await;
    let restore = api.restore("tenant-1", "org-1", backup_id(&backup)).await;
    api.succeed(&restore).await;
    assert_eq!(fingerprint(&env, &name).await, before);
    assert_usable(&api, "tenant-1", "org-1").await;
    assert_tidy(&env).await;
}

#[tokio::test]
async fn a_backup_is_restored_into_another_org_and_as_a_new_tenant() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    fill(&env, &database("acme", "hq"), 1000).await;
    let before = fingerprint(&env, &database("acme", "hq")).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    for (tenant, org) in [("acme", "copy"), ("clone-of-acme", "hq")] {
        let request = v1::RestoreBackupRequest {
            tenant_id: "acme".into(),
            org_id: "hq".into(),
            backup_id: backup_id(&backup).into(),
            target_tenant_id: tenant.into(),
            target_org_id: org.into(),
            ..Default::default()
        };
        let restore = api.backups().restore_backup(request.clone()).await.expect("restore");
        api.succeed(restore.get_ref()).await;
        assert_eq!(fingerprint(&env, &database(tenant, org)).await, before);
        assert_usable(&api, tenant, org).await;
        let again = api.backups().restore_backup(request).await.expect_err("target exists");
        assert_eq!(again.code(), tonic::Code::FailedPrecondition, "{again:?}");
    }
    assert_tidy(&env).await;
}

#[tokio::test]
async fn no_org_can_connect_to_or_read_another() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    let pairs = [("a", "one"), ("a", "two"), ("b", "one"), ("b", "two")];
    for tenant in ["a", "b"] {
        api.create_tenant(tenant).await;
    }
    for (tenant, org) in pairs {
        api.succeed(&api.create_org(tenant, org).await).await;
    }
    for (tenant, org) in pairs {
        let own = api.connection(tenant, org).await;
        for (other_tenant, other_org) in pairs {
            let (_, credentials) = (0, own.rsplit_once('/').expect("URL").0);
            let url = format!("{credentials}/{}", database(other_tenant, other_org));
            let connected = PgConnection::connect(&url).await;
            assert_eq!(connected.is_ok(), (tenant, org) == (other_tenant, other_org), "{url}");
        }
        let mut connection = PgConnection::connect(&own).await.expect("own");
        for refused in
            ["CREATE TABLE x (y int)", "CREATE SCHEMA x", "SET ROLE yuantus_tenant_owner"]
        {
            assert!(connection.execute(refused).await.is_err(), "{refused}");
        }
    }
    assert_tidy(&env).await;
}

#[tokio::test]
async fn an_over_long_pair_gets_a_name_that_fits_and_is_backed_up() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let _worker = env.worker("w", &[]);
    let (tenant, org) = ("t".repeat(64), "o".repeat(64));
    api.create_tenant(&tenant).await;
    api.succeed(&api.create_org(&tenant, &org).await).await;
    assert_usable(&api, &tenant, &org).await;
    let url: reqwest::Url = api.connection(&tenant, &org).await.parse().expect("URL");
    let name = url.path().trim_start_matches('/').to_owned();
    fill(&env, &name, 100).await;
    let before = fingerprint(&env, &name).await;
    let backup = api.create_backup(&tenant, &org).await;
    api.succeed(&backup).await;
    fill(&env, &name, 200).await;
    api.succeed(&api.restore(&tenant, &org, backup_id(&backup)).await).await;
    assert_eq!(fingerprint(&env, &name).await, before);
    assert_tidy(&env).await;
}
