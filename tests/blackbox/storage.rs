//! S3 servers that differ or are wrong, played by a proxy in front of the real one: what they take,
//! what they refuse, and what they hand out damaged.

use reqwest::StatusCode;
use serde_json::Value;
use yuantus_proto::v1::{self, backup::State, operation};
use yuantus_test_support::{
    Api, Child, TestEnv, backup_id,
    s3_proxy::{Action, Rule, S3Proxy, Seen},
};

use crate::{
    damage::get,
    file::upload,
    settle::settle,
    tidy::assert_tidy,
    world::{assert_usable, database, fill, fingerprint, run_as_owner},
};

/// An API and a worker that come to S3 through a proxy, and an org.
struct World {
    env: TestEnv,
    proxy: S3Proxy,
    api: Api,
    _worker: Child,
}

impl World {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(more: &[(&str, &str)]) -> Self {
        let env = TestEnv::start().await;
        let proxy = S3Proxy::start(env.s3_settings()).await;
        let url = proxy.url();
        let mut variables = vec![("YUANTUS_S3_ENDPOINT_URL", &*url)];
        variables.extend(more);
        let api = env.api_with(&variables).await;
        let worker = env.worker("w", &variables);
        api.create_tenant("acme").await;
        api.succeed(&api.create_org("acme", "hq").await).await;
        Self { env, proxy, api, _worker: worker }
    }

    /// Backs acme/hq up with `rows` rows in it; answers the backup's id.
    async fn back_up(&self, rows: u32) -> String {
        fill(&self.env, &database("acme", "hq"), rows).await;
        let backup = self.api.create_backup("acme", "hq").await;
        self.api.succeed(&backup).await;
        backup_id(&backup).to_owned()
    }

    async fn deps(&self) -> Value {
        let url = format!("{}/api/v1/health/deps", self.api.url);
        let answer = reqwest::get(url).await.expect("answer");
        answer.json::<Value>().await.expect("JSON")["deps"]["storage"].clone()
    }
}

/// Waits for an operation that fails; answers its error.
async fn fails(api: &Api, operation: &v1::Operation) -> (v1::Operation, v1::OperationError) {
    let ended = api.wait(operation).await;
    assert_eq!(ended.state(), operation::State::Failed, "{ended:?}");
    let error = ended.error.clone().expect("error");
    (ended, error)
}

#[tokio::test]
async fn the_first_upload_makes_the_bucket_and_health_says_until_then_that_there_is_none() {
    let env = TestEnv::start().await;
    let proxy = S3Proxy::start(env.s3_settings()).await;
    let url = proxy.url();
    let variables = [("YUANTUS_S3_ENDPOINT_URL", &*url), ("YUANTUS_S3_BUCKET_NAME", "later")];
    let creates = |seen: &Seen| seen.method == "PUT" && seen.path.trim_matches('/') == "later";
    let denied = Action::Refuse(StatusCode::FORBIDDEN, "AccessDenied");
    proxy.rule(Rule::new(creates, denied));
    let api = env.api_with(&variables).await;
    let worker = env.worker("w", &variables);
    api.create_tenant("acme").await;
    api.succeed(&api.create_org("acme", "hq").await).await;
    let world = World { env, proxy, api, _worker: worker };
    let deps = world.deps().await;
    assert_eq!(deps["ok"], false, "{deps}");
    assert_eq!(deps["error"], "the bucket does not exist; the first to write there makes it");
    world.proxy.clear();
    let file = upload(&world.api, "acme", "first.txt", b"the first bytes").await;
    assert_eq!(file["size"], 15, "{file}");
    assert_eq!(world.deps().await["ok"], true);

    let code = "RequestTimeTooSkewed";
    world.proxy.rule(Rule::refuse_all(StatusCode::FORBIDDEN, code));
    let deps = world.deps().await;
    assert_eq!(deps["error"], format!("S3 refuses the use of the bucket: 403 {code}"));
}

#[tokio::test]
async fn an_api_that_starts_makes_the_bucket() {
    let env = TestEnv::start().await;
    let mut settings = env.s3_settings();
    settings.bucket = "early".to_owned();
    let store = yuantus_storage::ObjectStore::new(&settings);
    assert!(store.ping().await.expect_err("no bucket").is_missing_bucket());
    let api = env.api_with(&[("YUANTUS_S3_BUCKET_NAME", "early")]).await;
    let begun = std::time::Instant::now();
    while store.ping().await.is_err() {
        assert!(begun.elapsed().as_secs() < 60, "{}", api.child.log());
    }
}

#[tokio::test]
async fn a_failed_backup_is_undone_on_a_server_that_does_not_know_delete_objects() {
    let world = World::start_with(&[("YUANTUS_WORKER__MAX_ATTEMPTS", "1")]).await;
    let unknown = Action::Refuse(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
    world.proxy.rule(Rule::new(Seen::deletes_many, unknown));
    let denied = Action::Refuse(StatusCode::FORBIDDEN, "AccessDenied");
    world.proxy.rule(Rule::new(|seen| seen.writes("/snapshots/"), denied));
    let backup = world.api.create_backup("acme", "hq").await;
    let (_, error) = fails(&world.api, &backup).await;
    assert_eq!(error.reason, "STORAGE_FAILED");
    for part in ["PutObject", "/snapshots/", "in bucket \"yuantus\"", "403 AccessDenied"] {
        assert!(error.message.contains(part), "{error:?}");
    }
    let deleted = world.proxy.count(|seen| seen.method == "DELETE");
    assert!(deleted > 2, "packs, index, config and key file were there: {deleted}");
    assert_eq!(world.env.store().list("tenants/").await.expect("objects"), []);
    assert_tidy(&world.env).await;
}

#[tokio::test]
async fn a_server_that_refuses_says_nothing_about_the_backups_in_it() {
    let world = World::start_with(&[("YUANTUS_WORKER__MAX_ATTEMPTS", "2")]).await;
    let (api, name) = (&world.api, database("acme", "hq"));
    let backup = world.back_up(500).await;
    let before = fingerprint(&world.env, &name).await;
    for (status, code) in [
        (StatusCode::FORBIDDEN, "AccessDenied"),
        (StatusCode::FORBIDDEN, "RequestTimeTooSkewed"),
        (StatusCode::NOT_FOUND, "NoSuchBucket"),
    ] {
        world.proxy.clear();
        world.proxy.rule(Rule::refuse_all(status, code));
        let mut tried = 0;
        for operation in [
            api.verify_backup("acme", "hq", &backup).await,
            api.restore("acme", "hq", &backup).await,
        ] {
            let (ended, error) = fails(api, &operation).await;
            assert_eq!(error.reason, "STORAGE_FAILED", "{error:?}");
            assert!(error.message.contains(&format!("{} {code}", status.as_u16())), "{error:?}");
            tried += 2;
            let asked = world.proxy.count(|seen| seen.method == "HEAD");
            assert!(asked >= tried, "each is tried twice: {asked} times, {ended:?}");
        }
        world.proxy.clear();
        let found = get(api, &backup).await;
        assert_eq!(found.state(), State::Complete, "{found:?}");
        assert_eq!(found.reason, "");
    }
    settle(&world.env).await;
    assert_eq!(fingerprint(&world.env, &name).await, before);
    api.succeed(&api.verify_backup("acme", "hq", &backup).await).await;
    api.succeed(&api.restore("acme", "hq", &backup).await).await;
    assert_eq!(fingerprint(&world.env, &name).await, before);
    assert_tidy(&world.env).await;
}

#[tokio::test]
async fn one_flipped_bit_neither_fails_a_backup_nor_damages_one() {
    let world = World::start().await;
    let (api, name) = (&world.api, database("acme", "hq"));
    for part in ["/keys/", "/config", "/data/", "/index/", "/snapshots/"] {
        let flip = |action| Rule::new(move |seen: &Seen| seen.writes(part), action).once();
        world.proxy.rule(flip(Action::FlipRequest));
        world.proxy.rule(Rule::new(move |seen| seen.reads(part), Action::FlipAnswer).once());
        let backup = world.back_up(2_000).await;
        let before = fingerprint(&world.env, &name).await;
        world.proxy.clear();
        world.proxy.rule(Rule::new(move |seen| seen.reads(part), Action::FlipAnswer).once());
        api.succeed(&api.verify_backup("acme", "hq", &backup).await).await;
        assert!(world.proxy.count(|seen| seen.reads(part)) > 1, "{part} was read again");
        world.proxy.clear();
        world.proxy.rule(Rule::new(move |seen| seen.reads(part), Action::FlipAnswer).once());
        api.succeed(&api.restore("acme", "hq", &backup).await).await;
        assert_eq!(fingerprint(&world.env, &name).await, before);
        let found = get(api, &backup).await;
        assert_eq!((found.state(), &*found.reason), (State::Complete, ""), "{part}");
        world.proxy.clear();
    }
    assert_tidy(&world.env).await;
}

#[tokio::test]
async fn a_server_that_refuses_signed_chunks_and_newer_checksums_serves_all_there_is() {
    let world = World::start().await;
    let (api, name) = (&world.api, database("acme", "hq"));
    let refuse = Action::Refuse(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
    world.proxy.rule(Rule::new(Seen::has_checksum, refuse));
    for bytes in [10, 20 << 20] {
        let file = upload(api, "acme", "file.bin", &vec![7; bytes]).await;
        assert_eq!(file["size"], bytes, "{file}");
    }
    let backup = world.back_up(2_000).await;
    let before = fingerprint(&world.env, &name).await;
    api.succeed(&api.verify_backup("acme", "hq", &backup).await).await;
    api.succeed(&api.restore("acme", "hq", &backup).await).await;
    assert_eq!(fingerprint(&world.env, &name).await, before);
    let puts = world.proxy.count(|seen| seen.method == "PUT" && seen.has_checksum());
    assert_eq!(puts, 0, "no PUT has one");
    assert_tidy(&world.env).await;
}

/// A backup's largest pack, which is its dump's.
async fn dump_pack(env: &TestEnv, backup: &str) -> yuantus_storage::Object {
    let objects = env.store().list("tenants/acme/orgs/hq/generations/").await.expect("objects");
    let of_backup = |key: &str| key.contains(backup) && key.contains("/data/");
    let packs = objects.into_iter().filter(|object| of_backup(&object.key));
    packs.max_by_key(|object| object.size).expect("pack")
}

#[tokio::test]
async fn packs_that_were_swapped_in_the_bucket_are_not_restored() {
    let world = World::start().await;
    let (env, api, name) = (&world.env, &world.api, database("acme", "hq"));
    run_as_owner(env, &name, "CREATE TABLE amounts (amount int)").await;
    let mut packs = Vec::new();
    for amount in 1001..=1009 {
        let sql = format!("TRUNCATE amounts; INSERT INTO amounts VALUES ({amount})");
        run_as_owner(env, &name, &sql).await;
        let backup = api.create_backup("acme", "hq").await;
        api.succeed(&backup).await;
        let backup = backup_id(&backup).to_owned();
        packs.push((dump_pack(env, &backup).await, backup));
    }
    packs.sort_by_key(|(pack, _)| pack.size);
    let twins = packs.windows(2).find(|pair| pair[0].0.size == pair[1].0.size);
    let [(one, victim), (other, _)] = twins.expect("packs of one size") else { panic!() };
    let content = env.store().get(&other.key).await.expect("pack");
    env.store().put(&one.key, content).await.expect("swap");

    let before = fingerprint(env, &name).await;
    let (ended, error) = fails(api, &api.restore("acme", "hq", victim).await).await;
    assert_eq!((&*error.reason, ended.attempt), ("BACKUP_DAMAGED", 1), "{error:?}");
    assert!(error.message.contains(&one.key), "it names the object: {error:?}");
    settle(env).await;
    assert_eq!(fingerprint(env, &name).await, before, "nothing was swapped");
    assert_eq!(get(api, victim).await.state(), State::Damaged);
    assert_usable(api, "acme", "hq").await;
    assert_tidy(env).await;
}
