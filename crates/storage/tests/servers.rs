//! The client against servers that differ: a proxy plays them in front of the local one.

#![allow(clippy::unwrap_used, reason = "a set-up that fails is a test that fails")]

use std::net::Ipv4Addr;

use bytes::Bytes;
use http::{Method, StatusCode};
use tempfile::TempDir;
use yuantus_storage::{
    Cause, Error, ObjectHeaders, ObjectStore, S3Settings,
    local_server::{LocalS3, LocalS3Settings},
};
use yuantus_test_support::s3_proxy::{Action, Rule, S3Proxy, Seen};

struct Bench {
    server: LocalS3,
    proxy: S3Proxy,
    /// Through the proxy.
    store: ObjectStore,
    _dir: TempDir,
}

impl Bench {
    async fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let settings = LocalS3Settings {
            dir: dir.path().join("s3"),
            addr: (Ipv4Addr::LOCALHOST, 0).into(),
            bucket: "files".to_owned(),
            access_key_id: "test".to_owned(),
            secret_access_key: "test-secret".into(),
        };
        let server = LocalS3::start(settings).await.unwrap();
        let proxy = S3Proxy::start(server.client_settings()).await;
        let store = ObjectStore::new(&proxy.client_settings());
        Self { server, proxy, store, _dir: dir }
    }

    /// Past the proxy.
    fn direct(&self) -> ObjectStore {
        ObjectStore::new(&self.server.client_settings())
    }

    async fn fill(&self, prefix: &str, objects: usize) {
        for n in 0..objects {
            self.direct().put(&format!("{prefix}{n}"), Bytes::from_static(b"x")).await.unwrap();
        }
    }
}

fn has_crc32(seen: &Seen) -> bool {
    seen.deletes_many() && seen.headers.contains_key("x-amz-checksum-crc32")
}

#[tokio::test]
async fn a_server_that_wants_content_md5_gets_it_and_is_asked_for_it_at_once_the_next_time() {
    for status in [StatusCode::BAD_REQUEST, StatusCode::NOT_IMPLEMENTED] {
        let bench = Bench::start().await;
        let refuse = Action::Refuse(status, "MissingContentMD5");
        let without = |seen: &Seen| {
            seen.deletes_many() && (has_crc32(seen) || !seen.headers.contains_key("content-md5"))
        };
        bench.proxy.rule(Rule::new(without, refuse));
        bench.fill("a/", 3).await;
        assert_eq!(bench.store.delete_prefix("a/").await.unwrap(), 3);
        assert_eq!(bench.direct().list("").await.unwrap(), []);
        assert_eq!(bench.proxy.count(Seen::deletes_many), 2);

        bench.fill("b/", 3).await;
        let clone = bench.store.fenced(|| true);
        assert_eq!(clone.delete_prefix("b/").await.unwrap(), 3);
        assert_eq!(bench.proxy.count(has_crc32), 1, "it is remembered, by clones too");
        assert_eq!(bench.direct().list("").await.unwrap(), []);
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_delete_objects_is_asked_to_delete_one_by_one() {
    for (status, code) in [
        (StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
        (StatusCode::BAD_REQUEST, "InvalidArgument"),
        (StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed"),
    ] {
        let bench = Bench::start().await;
        bench.proxy.rule(Rule::new(Seen::deletes_many, Action::Refuse(status, code)));
        bench.fill("a/", 20).await;
        bench.fill("neighbour/", 1).await;
        assert_eq!(bench.store.delete_prefix("a/").await.unwrap(), 20);
        assert_eq!(bench.direct().list("").await.unwrap().len(), 1);
        assert_eq!(bench.proxy.count(Seen::deletes_many), 2);
        assert_eq!(bench.proxy.count(|seen| seen.method == Method::DELETE), 20);
        assert_eq!(bench.store.delete_prefix("neighbour/").await.unwrap(), 1);
        assert_eq!(bench.proxy.count(Seen::deletes_many), 2, "it is remembered");
    }
}

#[tokio::test]
async fn a_refusal_to_delete_is_no_reason_to_delete_otherwise() {
    let bench = Bench::start().await;
    bench.fill("a/", 2).await;
    let denied = Action::Refuse(StatusCode::FORBIDDEN, "AccessDenied");
    bench.proxy.rule(Rule::new(Seen::deletes_many, denied));
    let refused = bench.store.delete_prefix("a/").await.unwrap_err();
    assert_eq!(refused.answered(), Some((403, "AccessDenied")));
    assert!(refused.to_string().starts_with("DeleteObjects \"a/\" in bucket \"files\""));
    assert_eq!(bench.proxy.count(|seen| seen.method == Method::DELETE), 0);
    assert_eq!(bench.direct().list("").await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_made_by_whoever_writes_first() {
    let bench = Bench::start().await;
    for (bucket, bytes) in [("first", 0), ("second", 5), ("third", 20 << 20)] {
        let settings = S3Settings { bucket: bucket.to_owned(), ..bench.server.client_settings() };
        let store = ObjectStore::new(&settings);
        let away = store.ping().await.unwrap_err();
        assert!(away.is_missing_bucket(), "{away:?}");
        assert_eq!(away.to_string(), format!("ListObjectsV2 of bucket {bucket:?} failed"));
        if bytes == 0 {
            store.put("x", Bytes::new()).await.unwrap();
        } else {
            let mut upload = store.upload("x", ObjectHeaders::default());
            upload.write(&vec![7; bytes]).await.unwrap();
            upload.finish().await.unwrap();
        }
        assert_eq!(store.head("x").await.unwrap(), Some(bytes as u64));
        store.ping().await.unwrap();
    }
}

#[tokio::test]
async fn a_bucket_that_cannot_be_made_is_an_error_that_says_so() {
    let bench = Bench::start().await;
    let settings = S3Settings { bucket: "none".to_owned(), ..bench.proxy.client_settings() };
    let creates = |seen: &Seen| seen.method == Method::PUT && seen.path.trim_matches('/') == "none";
    bench.proxy.rule(Rule::new(creates, Action::Refuse(StatusCode::FORBIDDEN, "AccessDenied")));
    let refused = ObjectStore::new(&settings).put("x", Bytes::new()).await.unwrap_err();
    assert_eq!(refused.to_string(), "CreateBucket of bucket \"none\" failed");
    assert_eq!(refused.answered(), Some((403, "AccessDenied")));

    // Somebody else's.
    bench.proxy.clear();
    bench
        .proxy
        .rule(Rule::new(creates, Action::Refuse(StatusCode::CONFLICT, "BucketAlreadyExists")));
    let refused = ObjectStore::new(&settings).put("x", Bytes::new()).await.unwrap_err();
    assert!(refused.is_missing_bucket(), "{refused:?}");
}

#[tokio::test]
async fn what_is_wrong_with_the_bucket_is_said_although_head_cannot_say_it() {
    let bench = Bench::start().await;
    for (status, code) in [
        (StatusCode::FORBIDDEN, "AccessDenied"),
        (StatusCode::FORBIDDEN, "RequestTimeTooSkewed"),
        (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
        (StatusCode::NOT_FOUND, "NoSuchBucket"),
        (StatusCode::BAD_REQUEST, "ExpiredToken"),
    ] {
        bench.proxy.clear();
        bench.proxy.rule(Rule::refuse_all(status, code));
        for refused in [
            bench.store.ping().await.unwrap_err(),
            bench.store.head("x").await.unwrap_err(),
            bench.store.get("x").await.unwrap_err(),
            bench.store.list("x").await.unwrap_err(),
            bench.store.put("x", Bytes::new()).await.unwrap_err(),
            bench.store.delete_prefix("x").await.unwrap_err(),
        ] {
            assert_eq!(refused.answered(), Some((status.as_u16(), code)), "{refused:?}");
            assert!(!refused.is_transient() && !refused.is_not_found(), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_missing_object_is_looked_for_twice_before_it_is_missing() {
    let bench = Bench::start().await;
    bench.fill("a/", 1).await;
    bench.fill("a/0", 1).await;
    let no_key = || Action::Refuse(StatusCode::NOT_FOUND, "NoSuchKey");
    bench.proxy.rule(Rule::new(|seen| seen.reads("a/0"), no_key()).once());
    assert_eq!(bench.store.get("a/0").await.unwrap(), "x");

    bench.proxy.clear();
    bench.proxy.rule(Rule::new(|seen| seen.path.ends_with("a/0"), no_key()));
    for contradiction in [
        bench.store.get("a/0").await.unwrap_err(),
        bench.store.head("a/0").await.unwrap_err(),
        bench.store.delete("a/0").await.unwrap_err(),
    ] {
        let is_contradiction =
            matches!(contradiction, Error::Request { cause: Cause::Contradiction(_), .. });
        assert!(is_contradiction && contradiction.is_transient(), "{contradiction:?}");
    }
    bench.proxy.clear();
    bench.fill("b", 2).await;
    assert_eq!(bench.store.head("b").await.unwrap(), None, "the keys that follow are others");
    assert!(bench.store.get("b").await.unwrap_err().is_not_found());
}

#[tokio::test]
async fn a_bucket_that_is_gone_is_not_a_bucket_without_the_object() {
    let bench = Bench::start().await;
    let settings = S3Settings { bucket: "gone".to_owned(), ..bench.server.client_settings() };
    let store = ObjectStore::new(&settings);
    for refused in [
        store.get("x").await.unwrap_err(),
        store.head("x").await.unwrap_err(),
        store.list("x").await.unwrap_err(),
        store.delete_prefix("x").await.unwrap_err(),
    ] {
        assert!(refused.is_missing_bucket() && !refused.is_not_found(), "{refused:?}");
    }
}

#[tokio::test]
async fn a_bit_that_flips_on_its_way_to_the_server_is_sent_again() {
    let bench = Bench::start().await;
    bench.proxy.rule(Rule::new(|seen| seen.writes("/x"), Action::FlipRequest).once());
    bench.store.put("x", Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(bench.direct().get("x").await.unwrap(), "0123456789");
    assert_eq!(bench.proxy.count(|seen| seen.writes("/x")), 2);

    bench.proxy.clear();
    bench.proxy.rule(Rule::new(|seen| seen.writes("/y"), Action::FlipRequest).once());
    let mut upload = bench.store.upload("y", ObjectHeaders::default());
    let content = vec![7; 20 << 20];
    upload.write(&content).await.unwrap();
    upload.finish().await.unwrap();
    assert!(bench.direct().get("y").await.unwrap() == content);
    assert_eq!(bench.proxy.count(|seen| seen.writes("/y")), 4, "three parts, one of them twice");

    bench.proxy.clear();
    bench.proxy.rule(Rule::new(|seen| seen.writes("/z"), Action::FlipRequest));
    let refused = bench.store.put("z", Bytes::from_static(b"0123456789")).await.unwrap_err();
    assert!(refused.is_transient(), "{refused:?}");
    assert_eq!(bench.direct().head("z").await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_refuses_signed_chunks_and_newer_checksums_takes_all_there_is() {
    let bench = Bench::start().await;
    let refuse = Action::Refuse(StatusCode::NOT_IMPLEMENTED, "NotImplemented");
    bench.proxy.rule(Rule::new(Seen::has_checksum, refuse));
    bench.store.ensure_bucket().await.unwrap();
    bench.store.put("a/x", Bytes::from(vec![1; 100_000])).await.unwrap();
    for bytes in [9, 20 << 20] {
        let mut upload = bench.store.upload("a/y", ObjectHeaders::default());
        upload.write(&vec![7; bytes]).await.unwrap();
        upload.finish().await.unwrap();
        assert_eq!(bench.store.head("a/y").await.unwrap(), Some(bytes as u64));
    }
    assert_eq!(bench.store.get_range("a/x", 5, 2).await.unwrap(), &[1, 1][..]);
    assert_eq!(bench.store.delete_prefix("a/").await.unwrap(), 2);
    let had = bench.proxy.count(Seen::has_checksum);
    assert_eq!(had, 1, "but the first DeleteObjects nothing has one");
    assert_eq!(bench.direct().list("").await.unwrap(), []);
}
