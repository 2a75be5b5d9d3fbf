//! A disk that is nearly full.

use yuantus_proto::v1::{self, operation::State};
use yuantus_test_support::{TestEnv, backup_id};

use crate::{
    settle::settle,
    tidy::assert_tidy,
    world::{database, fill, fingerprint},
};

/// How many bytes all databases take now.
async fn used(env: &TestEnv) -> i64 {
    let sql = "SELECT pg_tablespace_size('pg_default')";
    sqlx::query_scalar(sql).fetch_one(&mut env.identity().await).await.expect("size")
}

#[tokio::test]
async fn a_restore_that_would_fill_the_disk_is_refused_before_anything_is_made() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let name = database("acme", "hq");
    let backup = {
        let mut worker = env.worker("w", &[("YUANTUS_TENANTS__SPARE_TARGET", "0")]);
        api.create_tenant("acme").await;
        api.succeed(&api.create_org("acme", "hq").await).await;
        fill(&env, &name, 20_000).await;
        let backup = api.create_backup("acme", "hq").await;
        api.succeed(&backup).await;
        worker.terminate().await;
        backup
    };
    let before = fingerprint(&env, &name).await;
    let databases = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database";
    let mut server = env.identity().await;
    let there: String = sqlx::query_scalar(databases).fetch_one(&mut server).await.expect("names");

    // Room for the floor and a little, but not for three times the dump.
    let floor = 1_000_000;
    let capacity = (used(&env).await + floor + 500_000).to_string();
    let mut tight = env.worker(
        "w",
        &[
            ("YUANTUS_TENANTS__SPARE_TARGET", "0"),
            ("YUANTUS_TENANTS__CAPACITY_BYTES", &*capacity),
            ("YUANTUS_TENANTS__MIN_FREE_BYTES", &*floor.to_string()),
        ],
    );
    for (tenant, org) in [("acme", "hq"), ("acme", "copy")] {
        let failed = match org {
            "hq" => api.wait(&api.restore(tenant, org, backup_id(&backup)).await).await,
            _ => {
                let to = api.restore_to("acme", "hq", backup_id(&backup), (tenant, org)).await;
                api.wait(&to).await
            }
        };
        assert_eq!(failed.state(), State::Failed, "{failed:?}");
        let error = failed.error.expect("error");
        assert_eq!(error.reason, "INSUFFICIENT_SPACE", "{error:?}");
        let told = format!("and {floor} are to stay so");
        assert!(
            error.message.contains("takes about ") && error.message.contains(&told),
            "{error:?}"
        );
    }
    let now: String = sqlx::query_scalar(databases).fetch_one(&mut server).await.expect("names");
    assert_eq!(now, there);
    assert_eq!(fingerprint(&env, &name).await, before);
    tight.terminate().await;

    // An org for which nothing is kept ready is refused too, below the floor.
    let capacity = (used(&env).await + floor / 2).to_string();
    let mut full = env.worker(
        "w",
        &[
            ("YUANTUS_TENANTS__CAPACITY_BYTES", &*capacity),
            ("YUANTUS_TENANTS__MIN_FREE_BYTES", &*floor.to_string()),
        ],
    );
    let failed = api.wait(&api.create_org("acme", "other").await).await;
    assert_eq!(failed.error.map(|error| error.reason).as_deref(), Some("INSUFFICIENT_SPACE"));
    full.terminate().await;
    let told = full.log().matches("are to stay so").count();
    assert!(
        (1..=4).contains(&told),
        "said once by the loop, not every two seconds: {}",
        full.log()
    );

    // With room, by the file system's own word, the same backup is restored.
    let mut worker = env.worker("w", &[]);
    api.succeed(&api.restore("acme", "hq", backup_id(&backup)).await).await;
    assert_eq!(fingerprint(&env, &name).await, before);
    settle(&env).await;
    worker.terminate().await;
    assert_tidy(&env).await;
}

/// The private server's data directory is this machine's, which its process id
/// file proves; nobody could ever leave so much free.
#[tokio::test]
async fn free_space_of_a_server_on_this_machine_is_asked_of_its_disk() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let floor = (u64::MAX / 4).to_string();
    let mut worker = env.worker("w", &[("YUANTUS_TENANTS__MIN_FREE_BYTES", &*floor)]);
    api.create_tenant("acme").await;
    let failed = api.wait(&api.create_org("acme", "hq").await).await;
    let error = failed.error.expect("error");
    assert_eq!(error.reason, "INSUFFICIENT_SPACE", "{error:?}");
    let request = v1::GetOrgRequest { tenant_id: "acme".into(), org_id: "hq".into() };
    let org = api.orgs().get_org(request).await.expect("org").into_inner();
    assert_eq!(org.status(), v1::org::Status::Failed);
    worker.terminate().await;
}
