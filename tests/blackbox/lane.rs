//! Steering operations: the order of a lane, how much a lane holds, cancel,
//! and retry.

use std::time::Duration;

use reqwest::header;
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tonic::Code;
use yuantus_proto::v1::{self, operation::State};
use yuantus_test_support::{Api, TestEnv};

use crate::{
    problem::{problem, refusal},
    quiet::assert_quiet,
    settle::settle,
    tidy::assert_tidy,
    world::assert_usable,
};

#[tokio::test]
async fn a_lane_is_first_in_first_out_and_cancels_what_waits() {
    let env = TestEnv::start().await;
    let mut api = env.api_with(&[("YUANTUS_WORKER__LANE_DEPTH", "4")]).await;
    api.create_tenant("acme").await;
    let mut worker = env.worker("w", &[]);
    for org in ["hq", "branch"] {
        api.succeed(&api.create_org("acme", org).await).await;
    }
    worker.terminate().await;
    let mut lane = Vec::new();
    for _ in 0..4 {
        lane.push(api.create_backup("acme", "hq").await);
    }
    full(&api).await;
    let other = api.create_backup("acme", "branch").await;

    let cancel = |operation: &v1::Operation| {
        let request = v1::CancelOperationRequest { operation_id: operation.id.clone() };
        let mut client = api.operations();
        async move { client.cancel_operation(request).await.expect("cancel").into_inner() }
    };
    let waiting = cancel(&lane[1]).await;
    assert!(waiting.cancel_requested && waiting.state() == State::Pending, "{waiting:?}");

    let mut worker = env.worker("w", &[("YUANTUS_WORKER__CONCURRENCY", "8")]);
    settle(&env).await;
    let mut last = None;
    for (number, operation) in lane.iter().enumerate() {
        let ended = api.operation(&operation.id).await;
        let expected = if number == 1 { State::Cancelled } else { State::Succeeded };
        assert_eq!(ended.state(), expected, "{ended:?}");
        let began = ended.started_at.as_ref().map(|at| (at.seconds, at.nanos));
        assert!(last <= began, "one began before the one before it ended");
        last = ended.finished_at.as_ref().map(|at| (at.seconds, at.nanos));
    }
    assert_eq!(api.operation(&other.id).await.state(), State::Succeeded);
    // What has ended is not changed by asking again.
    let again = cancel(&lane[0]).await;
    assert!(!again.cancel_requested && again.state() == State::Succeeded, "{again:?}");

    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    assert_quiet(&worker, &["operation is given up and undone"]);
    assert_tidy(&env).await;
}

/// Asserts that the lane of acme/hq takes no more.
async fn full(api: &Api) {
    let request = v1::CreateBackupRequest {
        tenant_id: "acme".into(),
        org_id: "hq".into(),
        ..Default::default()
    };
    let status = api.backups().create_backup(request).await.expect_err("the lane is full");
    assert_eq!(refusal(&status, Code::ResourceExhausted), "LANE_FULL");
    let post = reqwest::Client::new()
        .post(format!("{}/api/v1/tenants/acme/orgs/hq/backups", api.url))
        .json(&json!({}));
    let answer = post.send().await.expect("answer");
    assert!(answer.headers().contains_key(header::RETRY_AFTER));
    assert_eq!(problem(answer, 429).await["reason"], "LANE_FULL");
}

#[tokio::test]
async fn a_failed_operation_is_retried_and_others_are_not() {
    let env = TestEnv::start().await;
    let mut api = env.api_with(&[("YUANTUS_WORKER__MAX_ATTEMPTS", "2")]).await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    let create = api.create_org("acme", "hq").await;
    api.succeed(&create).await;
    let retry = |operation: &v1::Operation| {
        let request = v1::RetryOperationRequest { operation_id: operation.id.clone() };
        let mut client = api.operations();
        async move { client.retry_operation(request).await }
    };
    let refused = retry(&create).await.expect_err("it has succeeded");
    assert_eq!(refusal(&refused, Code::FailedPrecondition), "OPERATION_NOT_FAILED");

    env.s3.faults().fail_next(u64::MAX);
    let backup = api.create_backup("acme", "hq").await;
    // What was begun is deleted at the end, for which S3 has to be back.
    let watching = watch_until_reason(&api, &backup.id).await;
    assert!(watching.contains("S3") || watching.contains("500"), "{watching}");
    given_up(&env, &backup.id).await;
    env.s3.faults().clear();
    let failed = api.wait(&backup).await;
    assert_eq!(failed.state(), State::Failed, "{failed:?}");
    let error = failed.error.expect("error");
    assert!(!error.reason.is_empty() && error.message.contains("500"), "{error:?}");

    let again = retry(&backup).await.expect("retry").into_inner();
    assert_eq!((&again.id, again.error), (&backup.id, None));
    let ended = api.succeed(&backup).await;
    assert_eq!(ended.reason, "");
    assert_usable(&api, "acme", "hq").await;
    api.child.terminate().await;
    worker.terminate().await;
    assert_quiet(&api.child, &[]);
    let expected = ["a step failed and will be tried again", "operation is given up and undone"];
    assert_quiet(&worker, &expected);
    assert_tidy(&env).await;
}

/// Waits until it is decided that an operation fails.
async fn given_up(env: &TestEnv, id: &str) {
    let mut identity = env.identity().await;
    let sql = "SELECT unwinding FROM operations WHERE id = $1::uuid";
    let decided = async {
        while !sqlx::query_scalar::<_, bool>(sql)
            .bind(id)
            .fetch_one(&mut identity)
            .await
            .expect("operation")
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), decided).await.expect("it is given up");
}

/// Watches an operation until it says why it has not gone on; answers that.
async fn watch_until_reason(api: &Api, id: &str) -> String {
    let request = v1::WatchOperationRequest { operation_id: id.into() };
    let mut stream = api.operations().watch_operation(request).await.expect("watch").into_inner();
    while let Some(operation) = stream.message().await.expect("a change") {
        if !operation.reason.is_empty() {
            return operation.reason;
        }
    }
    panic!("it ended without a reason");
}

#[tokio::test]
async fn what_an_orgs_own_role_calls_its_session_holds_nobody_up() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    for org in ["hq", "victim"] {
        api.succeed(&api.create_org("acme", org).await).await;
    }
    // The name that a later holder of the victim's lane would have.
    let plane: String = sqlx::query_scalar("SELECT plane::text FROM deployment")
        .fetch_one(&mut env.identity().await)
        .await
        .expect("plane");
    let lane = hex::encode(&Sha256::digest(format!("{plane} acme/victim"))[..8]);
    let mut role = PgConnection::connect(&api.connection("acme", "hq").await).await.expect("role");
    let name = format!("SET application_name = 'yuantus:{lane}:999999999999999999'");
    sqlx::raw_sql(AssertSqlSafe(name)).execute(&mut role).await.expect("name");
    api.succeed(&api.create_backup("acme", "victim").await).await;
    // And nobody ends it.
    sqlx::raw_sql("SELECT 1").execute(&mut role).await.expect("still there");
    worker.terminate().await;
    assert_quiet(&worker, &[]);
    assert_tidy(&env).await;
}
