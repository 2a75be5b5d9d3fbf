//! The identity database and the world apart: nothing is destroyed, a person is
//! told, and a person decides.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use yuantus_proto::v1::{self, operation::State};
use yuantus_test_support::{Api, Child, TestEnv, backup_id};

use crate::{
    rollback::{Dump, console, differences},
    settle::settle,
    tidy::assert_tidy,
    world::{assert_usable, database, fill, fingerprint},
};

/// Every object of the bucket under `prefix`, with its size.
async fn objects(env: &TestEnv, prefix: &str) -> BTreeMap<String, u64> {
    let objects = env.store().list(prefix).await.expect("objects");
    objects.into_iter().map(|object| (object.key, object.size)).collect()
}

/// Waits until a worker has said that it is in recovery mode.
async fn parked(worker: &Child) {
    let begun = Instant::now();
    while !worker.log().contains("recovery mode, nothing is claimed or destroyed") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{}", worker.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until an operation says that it is parked.
async fn reason_says_parked(api: &Api, id: &str) {
    let begun = Instant::now();
    while !api.operation(id).await.reason.starts_with("parked") {
        assert!(begun.elapsed() < Duration::from_secs(60), "{id}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn cancel(api: &Api, operation: &v1::Operation) {
    let request = v1::CancelOperationRequest { operation_id: operation.id.clone() };
    api.operations().cancel_operation(request).await.expect("cancel");
}

async fn release(env: &TestEnv) -> String {
    let arguments = ["db", "release", "--reason", "restored from last night"];
    console(env, &arguments, &[]).await.succeeded().stderr
}

/// An org that was still to be made, a backup and a restore that were still to
/// be done when the identity database was dumped; since then the first two were,
/// and the last one was cancelled.
struct Apart {
    api: Api,
    create: v1::Operation,
    backup: v1::Operation,
    restore: v1::Operation,
}

impl Apart {
    async fn start(env: &TestEnv) -> Self {
        let mut api = env.api().await;
        let mut worker = env.worker("w", &[]);
        api.create_tenant("acme").await;
        api.succeed(&api.create_org("acme", "hq").await).await;
        fill(env, &database("acme", "hq"), 200).await;
        let first = api.create_backup("acme", "hq").await;
        api.succeed(&first).await;
        worker.terminate().await;

        let create = api.create_org("acme", "new").await;
        let backup = api.create_backup("acme", "hq").await;
        let restore = api.restore("acme", "hq", backup_id(&first)).await;
        let dump = Dump::take(env).await;
        cancel(&api, &restore).await;
        let mut worker = env.worker("w", &[]);
        settle(env).await;
        fill(env, &database("acme", "hq"), 1000).await;
        fill(env, &database("acme", "new"), 300).await;
        worker.terminate().await;
        api.child.terminate().await;

        dump.put_back(env).await;
        let api = env.api().await;
        Self { api, create, backup, restore }
    }
}

#[tokio::test]
async fn an_identity_database_that_went_back_destroys_nothing() {
    let env = TestEnv::start().await;
    let Apart { api, create, backup, restore } = Apart::start(&env).await;
    let (hq, new) = (database("acme", "hq"), database("acme", "new"));
    let rows = (fingerprint(&env, &hq).await, fingerprint(&env, &new).await);
    let before = objects(&env, "tenants/").await;

    let mut worker = env.worker("w", &[]);
    parked(&worker).await;
    // One that is asked for meanwhile is parked too, and says so.
    let late = api.create_backup("acme", "hq").await;
    for operation in [&create, &backup, &restore, &late] {
        reason_says_parked(&api, &operation.id).await;
        let now = api.operation(&operation.id).await;
        assert_eq!(now.state(), State::Pending, "{now:?}");
        assert!(now.reason.starts_with("parked"), "{now:?}");
    }
    let listed = differences(&env, &[]).await;
    assert!(listed.iter().any(|[kind, _, why]| kind == "plane" && why.contains("remembers")));
    let unknown = |[kind, name, _]: &&[String; 3]| {
        kind == "backup" && before.keys().any(|key| key.starts_with(name))
    };
    assert_eq!(listed.iter().filter(unknown).count(), 1, "the finished backup: {listed:?}");
    assert_eq!((fingerprint(&env, &hq).await, fingerprint(&env, &new).await), rows);
    assert_eq!(objects(&env, "tenants/").await, before);

    let told = release(&env).await;
    assert!(told.contains(&restore.id), "{told}");
    api.succeed(&create).await;
    api.succeed(&backup).await;
    api.succeed(&late).await;
    let undone = api.operation(&restore.id).await;
    assert_eq!(undone.state(), State::Cancelled, "{undone:?}");
    assert_eq!((fingerprint(&env, &hq).await, fingerprint(&env, &new).await), rows);
    assert_usable(&api, "acme", "new").await;
    let after = objects(&env, "tenants/").await;
    assert!(before.iter().all(|(key, size)| after.get(key) == Some(size)), "nothing overwritten");
    let listed = differences(&env, &[]).await;
    assert_eq!(listed.len(), 1, "only the backup of the other history: {listed:?}");
    worker.terminate().await;
}

#[tokio::test]
async fn a_restore_that_was_taken_back_since_is_not_done_after_all() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let hq = database("acme", "hq");
    fill(&env, &hq, 200).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    worker.terminate().await;
    let restore = api.restore("acme", "hq", backup_id(&backup)).await;
    let dump = Dump::take(&env).await;
    // Nothing else happens but that it begins and is cancelled.
    let point = "RestoreDatabase.load_dump.after_create";
    env.worker("w", &[("YUANTUS_CRASH_AT", point)]).crashed().await;
    cancel(&api, &restore).await;
    let mut worker = env.worker("w", &[]);
    assert_eq!(api.wait(&restore).await.state(), State::Cancelled);
    fill(&env, &hq, 1000).await;
    let rows = fingerprint(&env, &hq).await;
    worker.terminate().await;
    api.child.terminate().await;
    dump.put_back(&env).await;

    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    parked(&worker).await;
    release(&env).await;
    assert_eq!(api.wait(&restore).await.state(), State::Cancelled);
    assert_eq!(fingerprint(&env, &hq).await, rows);
    worker.terminate().await;
    assert_tidy(&env).await;
}

/// A standby that is promoted, and a server that crashed, have sequences that are
/// ahead of what was used.
#[tokio::test]
async fn a_sequence_that_is_ahead_hides_no_claim_that_was_lost() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let dump = Dump::take(&env).await;
    api.succeed(&api.create_backup("acme", "hq").await).await;
    worker.terminate().await;
    api.child.terminate().await;
    dump.put_back(&env).await;
    let ahead = "SELECT setval('operation_epochs', last_value + 32) FROM operation_epochs";
    sqlx::query(ahead).execute(&mut env.identity().await).await.expect("ahead");
    let mut worker = env.worker("w", &[]);
    parked(&worker).await;
    worker.terminate().await;
}

#[tokio::test]
async fn recovery_mode_converges_from_its_crash_points() {
    let env = TestEnv::start().await;
    let Apart { api, create, backup, restore } = Apart::start(&env).await;
    let (hq, new) = (database("acme", "hq"), database("acme", "new"));
    let rows = (fingerprint(&env, &hq).await, fingerprint(&env, &new).await);
    for point in ["Recovery.enter.before", "Recovery.enter.after"] {
        env.worker("w", &[("YUANTUS_CRASH_AT", point)]).crashed().await;
    }
    let mut worker = env.worker("w", &[]);
    parked(&worker).await;
    let arguments = ["db", "release", "--reason", "killed on the way"];
    for point in [
        "Recovery.release.before_holder",
        "Recovery.release.before_commit",
        "Recovery.release.after",
    ] {
        let waiting = api.operation(&create.id).await;
        assert_eq!(waiting.state(), State::Pending, "before {point}: {waiting:?}");
        let killed = console(&env, &arguments, &[("YUANTUS_CRASH_AT", point)]).await;
        assert_eq!(killed.code, None, "{point}: {}", killed.stderr);
    }
    // The last one was killed after its commit, before it told workers.
    api.succeed(&create).await;
    api.succeed(&backup).await;
    assert_eq!(api.wait(&restore).await.state(), State::Cancelled);
    assert_eq!((fingerprint(&env, &hq).await, fingerprint(&env, &new).await), rows);
    let nothing = console(&env, &arguments, &[]).await.succeeded();
    assert!(nothing.stderr.contains("nothing to end"), "{}", nothing.stderr);
    worker.terminate().await;
}

#[tokio::test]
async fn what_is_in_use_is_not_dropped_by_undoing_its_creation() {
    let env = TestEnv::start().await;
    let Apart { api, create, backup, .. } = Apart::start(&env).await;
    let new = database("acme", "new");
    let rows = fingerprint(&env, &new).await;
    let before = objects(&env, "tenants/").await;
    cancel(&api, &create).await;
    cancel(&api, &backup).await;
    let mut worker = env.worker("w", &[]);
    parked(&worker).await;
    assert_eq!(api.operation(&create.id).await.state(), State::Pending);

    release(&env).await;
    for operation in [&create, &backup] {
        assert_eq!(api.wait(operation).await.state(), State::Cancelled);
    }
    let tombstone = format!("yuantus_mt_old__{}", create.id.replace('-', ""));
    assert_eq!(fingerprint(&env, &tombstone).await, rows, "kept for a week");
    assert_eq!(objects(&env, "tenants/").await, before);
    let request = v1::RetryOperationRequest { operation_id: create.id.clone() };
    api.operations().retry_operation(request).await.expect("retry");
    api.succeed(&create).await;
    assert_usable(&api, "acme", "new").await;
    assert_eq!(fingerprint(&env, &tombstone).await, rows);
    worker.terminate().await;
}

#[tokio::test]
async fn a_restore_as_a_new_org_replaces_no_database() {
    let env = TestEnv::start().await;
    let mut api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    let dump = Dump::take(&env).await;
    api.succeed(&api.create_org("acme", "lost").await).await;
    let lost = database("acme", "lost");
    fill(&env, &lost, 300).await;
    let rows = fingerprint(&env, &lost).await;
    worker.terminate().await;
    api.child.terminate().await;
    dump.put_back(&env).await;
    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    parked(&worker).await;
    let listed = differences(&env, &[]).await;
    assert!(listed.iter().any(|[kind, name, _]| kind == "database" && *name == lost), "{listed:?}");
    release(&env).await;

    let restore = api.restore_to("acme", "hq", backup_id(&backup), ("acme", "lost")).await;
    let refused = api.wait(&restore).await;
    assert_eq!(refused.state(), State::Failed, "{refused:?}");
    assert_eq!(refused.error.expect("error").reason, "DATABASE_EXISTS");
    assert_eq!(fingerprint(&env, &lost).await, rows);
    worker.terminate().await;
}

#[tokio::test]
async fn a_worker_notices_that_the_identity_database_went_back_underneath() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let dump = Dump::take(&env).await;
    api.succeed(&api.create_org("acme", "new").await).await;
    dump.put_back(&env).await;
    // The next claim has an epoch that this worker has seen before.
    let backup = api.create_backup("acme", "hq").await;
    parked(&worker).await;
    assert_ne!(api.operation(&backup.id).await.state(), State::Succeeded);
    release(&env).await;
    api.succeed(&backup).await;
    worker.terminate().await;
}

#[tokio::test]
async fn a_copy_of_the_identity_database_touches_nothing_of_the_original() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    api.succeed(&api.create_backup("acme", "hq").await).await;
    Dump::take(&env).await.copy_to(&env, "staging").await;
    let staging = env.database_url("staging").to_string();
    let copy = [("YUANTUS_IDENTITY_DATABASE_URL", &*staging)];
    let mut copied = env.worker("copied", &copy);
    parked(&copied).await;
    api.succeed(&api.create_org("acme", "branch").await).await;
    let refused = console(&env, &["db", "release", "--reason", "it is mine"], &copy).await;
    assert_ne!(refused.code, Some(0));
    assert!(refused.stderr.contains("db fork"), "{}", refused.stderr);
    let refused = console(&env, &["db", "fork", "--reason", "by mistake"], &[]).await;
    assert!(refused.stderr.contains("is no copy"), "{}", refused.stderr);
    copied.terminate().await;

    console(&env, &["db", "fork", "--reason", "a staging system"], &copy).await.succeeded();
    // The bucket is the original's still.
    let mut foreign = env.worker("foreign", &copy);
    assert!(!foreign.ended().await.success());
    assert!(foreign.log().contains("each needs a bucket of its own"), "{}", foreign.log());
    let own = [copy[0], ("YUANTUS_S3_BUCKET_NAME", "staging")];
    let staged = env.api_with(&own).await;
    let mut copied = env.worker("copied", &own);
    staged.create_tenant("other").await;
    staged.succeed(&staged.create_org("other", "hq").await).await;
    assert_usable(&api, "acme", "hq").await;
    assert_usable(&api, "acme", "branch").await;
    copied.terminate().await;
    worker.terminate().await;
}

#[tokio::test]
async fn another_bucket_or_an_emptied_one_is_refused_and_nothing_is_called_damaged() {
    let env = TestEnv::start().await;
    let api = env.api().await;
    let mut worker = env.worker("w", &[]);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let backup = api.create_backup("acme", "hq").await;
    api.succeed(&backup).await;
    worker.terminate().await;
    let verify = api.verify_backup("acme", "hq", backup_id(&backup)).await;
    let mut wrong = env.worker("wrong", &[("YUANTUS_S3_BUCKET_NAME", "another")]);
    assert!(!wrong.ended().await.success());
    assert!(wrong.log().contains("db release --mark-bucket"), "{}", wrong.log());
    assert_eq!(api.operation(&verify.id).await.state(), State::Pending);
    let mut worker = env.worker("w", &[]);
    api.succeed(&verify).await;
    worker.terminate().await;
    assert_tidy(&env).await;

    // One that vanishes under a running worker is not made again.
    let mut worker = env.worker("w", &[("YUANTUS_WORKER__MAX_ATTEMPTS", "2")]);
    api.succeed(&api.create_backup("acme", "hq").await).await;
    let bucket = env.dir().join("s3/yuantus");
    let aside = env.dir().join("s3-aside");
    std::fs::rename(&bucket, &aside).expect("the bucket's directory");
    let lost = api.wait(&api.create_backup("acme", "hq").await).await;
    assert_eq!(lost.state(), State::Failed, "{lost:?}");
    assert!(!bucket.exists(), "made again");
    std::fs::rename(&aside, &bucket).expect("the bucket's directory");
    worker.terminate().await;

    for prefix in ["control-plane/", "tenants/"] {
        env.store().delete_prefix(prefix).await.expect("emptied");
    }
    let mut emptied = env.worker("emptied", &[]);
    assert!(!emptied.ended().await.success(), "{}", emptied.log());
    let arguments = ["db", "release", "--mark-bucket", "--reason", "the bucket was lost"];
    console(&env, &arguments, &[]).await.succeeded();
    let mut worker = env.worker("w", &[]);
    api.succeed(&api.create_backup("acme", "hq").await).await;
    let listed = differences(&env, &[]).await;
    let lost = |[_, _, why]: &[String; 3]| why.ends_with("is complete, and is not in the bucket");
    let orphan = |[kind, ..]: &[String; 3]| kind == "orphan";
    assert_eq!(listed.iter().filter(|one| lost(one)).count(), 2, "{listed:?}");
    assert!(listed.iter().all(|one| lost(one) || orphan(one)), "{listed:?}");
    worker.terminate().await;
}
