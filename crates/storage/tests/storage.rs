//! The client against the local server, over real HTTP.

#![allow(clippy::unwrap_used, reason = "a set-up that fails is a test that fails")]

use std::{net::Ipv4Addr, path::Path, time::Duration};

use bytes::Bytes;
use futures::{StreamExt, stream};
use tempfile::TempDir;
use yuantus_storage::{
    Cause, Error, Object, ObjectHeaders, ObjectStore, S3Settings, Timeouts,
    local_server::{LocalS3, LocalS3Settings},
};

const SECRET: &str = "the-secret-of-the-key";

async fn serve(dir: &Path) -> LocalS3 {
    let settings = LocalS3Settings {
        dir: dir.join("s3"),
        addr: (Ipv4Addr::LOCALHOST, 0).into(),
        bucket: "files".to_owned(),
        access_key_id: "the-id-of-the-key".to_owned(),
        secret_access_key: SECRET.into(),
    };
    LocalS3::start(settings).await.unwrap()
}

async fn start() -> (LocalS3, ObjectStore, TempDir) {
    let dir = TempDir::new().unwrap();
    let server = serve(dir.path()).await;
    let store = ObjectStore::new(&server.client_settings());
    (server, store, dir)
}

/// A client that waits only briefly.
fn impatient(settings: &S3Settings) -> ObjectStore {
    let brief = Duration::from_millis(200);
    let timeouts = Timeouts { read: brief, attempt: brief, ping: brief, ..Timeouts::default() };
    ObjectStore::with_timeouts(settings, timeouts)
}

#[tokio::test]
async fn an_object_comes_back_whole_in_parts_and_not_after_it_was_deleted() {
    let (_server, store, _dir) = start().await;
    store.put("a/b c+ü", Bytes::from_static(b"0123456789")).await.unwrap();
    assert_eq!(store.get("a/b c+ü").await.unwrap(), "0123456789");
    assert_eq!(store.get_range("a/b c+ü", 2, 3).await.unwrap(), "234");
    assert_eq!(store.get_range("a/b c+ü", 8, 30).await.unwrap(), "89");
    assert_eq!(store.head("a/b c+ü").await.unwrap(), Some(10));
    for _ in 0..2 {
        store.delete("a/b c+ü").await.unwrap();
    }
    assert_eq!(store.head("a/b c+ü").await.unwrap(), None);
    let missing = store.get("a/b c+ü").await.unwrap_err();
    assert!(missing.is_not_found() && !missing.is_transient());
    assert_eq!(
        missing.to_string(),
        "GetObject \"a/b c+ü\" in bucket \"files\": there is no such object"
    );
}

#[tokio::test]
async fn listing_and_deleting_a_prefix_go_beyond_one_page_and_leave_its_neighbours() {
    let (_server, store, _dir) = start().await;
    let keys: Vec<String> = (0..1203).map(|n| format!("many/{n:04}")).collect();
    let writes = keys.iter().map(|key| store.put(key, Bytes::from_static(b"x")));
    let written: Vec<_> = stream::iter(writes).buffer_unordered(16).collect().await;
    assert!(written.iter().all(Result::is_ok));
    store.put("many-more", Bytes::new()).await.unwrap();

    let listed = store.list("many/").await.unwrap();
    assert!(listed.iter().map(|object| &object.key).eq(&keys));
    assert_eq!(store.delete_prefix("many/").await.unwrap(), 1203);
    assert_eq!(store.list("").await.unwrap(), [Object { key: "many-more".into(), size: 0 }]);
    assert!(!store.delete_prefix("").await.unwrap_err().is_transient());
}

#[tokio::test]
async fn keys_may_be_as_long_as_s3_has_them() {
    let (server, store, dir) = start().await;
    let tenant = format!("tenants/{}/orgs/{}", "t".repeat(64), "o".repeat(64));
    let key = |n: usize| format!("{tenant}/data/{n:04}{}", "x".repeat(250));
    let many = 1100;
    for n in 0..many {
        store.put(&key(n), Bytes::from(n.to_string())).await.unwrap();
    }
    let neighbour = format!("{tenant}x/data/1");
    store.put(&neighbour, Bytes::from_static(b"-")).await.unwrap();
    let long =
        format!("{tenant}/{}", ["y".repeat(200), "z".repeat(200), "ü".repeat(200)].join("/"));
    let mut upload = store.upload(&long, ObjectHeaders::default());
    for _ in 0..3 {
        upload.write(&[0; 6 << 20]).await.unwrap();
    }
    upload.finish().await.unwrap();
    server.shutdown().await;

    // It knows them still when it is started again.
    let server = serve(dir.path()).await;
    let store = ObjectStore::new(&server.client_settings());
    assert_eq!(store.get(&key(7)).await.unwrap(), "7");
    assert_eq!(store.head(&long).await.unwrap(), Some(18 << 20));
    let list = async |prefix: String| -> Vec<String> {
        store.list(&prefix).await.unwrap().into_iter().map(|object| object.key).collect()
    };
    let mut found = list(format!("{tenant}/data/")).await;
    found.sort();
    assert_eq!(found, (0..many).map(key).collect::<Vec<_>>());
    assert_eq!(list(format!("{tenant}/data/000")).await.len(), 10);
    assert_eq!(list(format!("{tenant}/y")).await, [long]);
    assert_eq!(list("ten".to_owned()).await.len(), many + 2);
    assert_eq!(list(format!("{tenant}x")).await, std::slice::from_ref(&neighbour));
    store.delete_prefix(&format!("{tenant}/")).await.unwrap();
    assert_eq!(list(String::new()).await, [neighbour]);
}

#[tokio::test]
async fn a_bucket_is_made_once_and_its_absence_is_said() {
    let (server, store, _dir) = start().await;
    store.ping().await.unwrap();
    let settings = S3Settings { bucket: "other".to_owned(), ..server.client_settings() };
    let other = ObjectStore::new(&settings);
    assert!(other.ping().await.unwrap_err().is_missing_bucket());
    let refused = other.list("").await.unwrap_err();
    assert!(matches!(refused, Error::Request { cause: Cause::Answered { status: 404, .. }, .. }));
    for _ in 0..2 {
        other.ensure_bucket().await.unwrap();
    }
    other.ping().await.unwrap();
}

#[tokio::test]
async fn single_errors_and_cuts_are_tried_again_and_lasting_ones_are_named() {
    let (server, store, _dir) = start().await;
    server.faults().fail_next(2);
    store.put("x", Bytes::from(vec![7; 100_000])).await.unwrap();
    server.faults().cut_next(2);
    assert_eq!(store.get("x").await.unwrap().len(), 100_000);
    server.faults().cut_next(1);
    store.put("x", Bytes::from_static(b"y")).await.unwrap();

    let before = server.faults().requests();
    server.faults().fail_next(u64::MAX);
    let failed = store.get("x").await.unwrap_err();
    assert_eq!(server.faults().requests() - before, 3);
    assert!(failed.is_transient());
    let Error::Request { operation: "GetObject", subject, cause } = failed else { panic!() };
    assert_eq!(subject.key, "x");
    assert!(matches!(cause, Cause::Answered { status: 500, .. }), "{cause}");

    server.faults().clear();
    server.faults().cut_next(u64::MAX);
    let broken = store.get("x").await.unwrap_err();
    assert!(broken.is_transient(), "{broken:?}");
}

#[tokio::test]
async fn a_stalling_server_is_a_transient_error() {
    let (server, _, _dir) = start().await;
    let store = impatient(&server.client_settings());
    server.faults().stall_next(u64::MAX);
    for error in [
        store.put("x", Bytes::from_static(b"y")).await.unwrap_err(),
        store.get("x").await.unwrap_err(),
        store.list("x").await.unwrap_err(),
        store.ping().await.unwrap_err(),
    ] {
        assert!(error.is_transient(), "{error:?}");
        assert!(matches!(error, Error::Request { cause: Cause::TimedOut(_), .. }), "{error:?}");
    }
    server.faults().clear();
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_stalled_request_is_answered_once_the_stall_ends() {
    let (server, store, _dir) = start().await;
    server.faults().stall_next(1);
    let put = tokio::spawn({
        let store = store.clone();
        async move { store.put("x", Bytes::from_static(b"y")).await }
    });
    while server.faults().requests() == 0 {
        tokio::task::yield_now().await;
    }
    server.faults().clear();
    put.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_wrong_secret_is_refused_for_good_and_never_shown() {
    let (server, store, _dir) = start().await;
    let wrong = "another-secret-altogether";
    let settings = S3Settings { secret_access_key: wrong.into(), ..server.client_settings() };
    let refused = ObjectStore::new(&settings).get("x").await.unwrap_err();
    assert!(!refused.is_transient(), "{refused:?}");
    let texts = format!("{refused:?} {settings:?} {store:?} {server:?}");
    assert!(!texts.contains(wrong) && !texts.contains(SECRET), "{texts}");
}

#[tokio::test]
async fn nobody_listening_is_a_transient_error() {
    let (server, store, _dir) = start().await;
    server.shutdown().await;
    let failed = store.get("x").await.unwrap_err();
    assert!(failed.is_transient(), "{failed:?}");
}

#[tokio::test]
async fn a_server_started_again_finds_its_objects() {
    let (server, store, dir) = start().await;
    store.put("x", Bytes::from_static(b"y")).await.unwrap();
    server.shutdown().await;
    let server = serve(dir.path()).await;
    let store = ObjectStore::new(&server.client_settings());
    assert_eq!(store.get("x").await.unwrap(), "y");
}
