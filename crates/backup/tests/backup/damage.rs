//! What is damage and what is S3 that failed, through a proxy that plays the server.

use http::StatusCode;
use yuantus_backup::{Error, Manifest, Repository, verify};
use yuantus_storage::{ObjectStore, S3Settings};
use yuantus_test_support::s3_proxy::{Action, Rule, S3Proxy};

use crate::support::{Bench, dump_like, key};

const MIB: usize = 1024 * 1024;

/// The parts of a repository, as they are in its keys.
const PARTS: [&str; 4] = ["/config", "/snapshots/", "/index/", "/data/"];

impl Bench {
    /// The same repository through a proxy.
    async fn proxied(&self) -> (S3Proxy, Repository) {
        let proxy = S3Proxy::start(self.server.client_settings()).await;
        let store = ObjectStore::new(&proxy.client_settings());
        let repository = Repository::at(&store, self.repository.prefix(), &key().await);
        (proxy, repository)
    }

    async fn object(&self, part: &str) -> String {
        let objects = self.store.list(self.repository.prefix()).await.unwrap();
        let found = objects.into_iter().filter(|object| object.key.contains(part));
        found.max_by_key(|object| object.size).unwrap().key
    }
}

async fn reads_all(repository: &Repository, manifest: &Manifest) -> Result<(), Error> {
    repository.manifest(&manifest.snapshot_id).await?;
    verify(repository, manifest).await
}

#[tokio::test]
async fn one_flipped_bit_is_read_again_and_changes_nothing() {
    let bench = Bench::start().await;
    let dump = dump_like(12 * MIB, 40);
    let manifest = bench.back_up(dump.clone()).await;
    for part in PARTS {
        let (proxy, repository) = bench.proxied().await;
        proxy.rule(Rule::new(move |seen| seen.reads(part), Action::FlipAnswer).once());
        reads_all(&repository, &manifest).await.unwrap();
        assert!(proxy.count(|seen| seen.reads(part)) > 1, "{part}");
    }
}

#[tokio::test]
async fn bits_that_flip_anew_at_each_reading_are_the_way_and_not_the_object() {
    let bench = Bench::start().await;
    let manifest = bench.back_up(dump_like(12 * MIB, 41)).await;
    for part in PARTS {
        let (proxy, repository) = bench.proxied().await;
        proxy.rule(Rule::new(move |seen| seen.reads(part), Action::FlipAnswer));
        let failed = reads_all(&repository, &manifest).await.unwrap_err();
        assert!(!failed.is_damage() && failed.is_transient(), "{part}: {failed:?}");
    }
    verify(&bench.repository, &manifest).await.unwrap();
}

#[tokio::test]
async fn the_same_wrong_bytes_twice_are_damage_and_say_where() {
    let bench = Bench::start().await;
    let manifest = bench.back_up(dump_like(12 * MIB, 42)).await;
    for part in PARTS {
        let object = bench.object(part).await;
        let sound = bench.store.get(&object).await.unwrap();
        let mut damaged = sound.to_vec();
        let middle = damaged.len() / 2;
        damaged[middle] ^= 1;
        bench.store.put(&object, damaged.into()).await.unwrap();
        let found = reads_all(&bench.repository, &manifest).await.unwrap_err();
        let Error::Damaged { source, .. } = &found else { panic!("{part}: {found:?}") };
        assert!(found.is_damage() && source.to_string().contains(&object), "{source}");

        bench.store.delete(&object).await.unwrap();
        let found = reads_all(&bench.repository, &manifest).await.unwrap_err();
        assert!(found.is_damage() && !found.is_transient(), "{part}: {found:?}");
        bench.store.put(&object, sound).await.unwrap();
        reads_all(&bench.repository, &manifest).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_refuses_says_nothing_about_the_backup() {
    let bench = Bench::start().await;
    let manifest = bench.back_up(dump_like(MIB, 43)).await;
    for (status, code) in [
        (StatusCode::FORBIDDEN, "AccessDenied"),
        (StatusCode::FORBIDDEN, "RequestTimeTooSkewed"),
        (StatusCode::NOT_FOUND, "NoSuchBucket"),
        (StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
    ] {
        for part in ["/", "/config", "/snapshots/", "/index/", "/data/"] {
            let (proxy, repository) = bench.proxied().await;
            let matches = move |path: &str| path.contains(part);
            proxy.rule(Rule::new(move |seen| matches(&seen.path), Action::Refuse(status, code)));
            let failed = reads_all(&repository, &manifest).await.unwrap_err();
            assert!(!failed.is_damage(), "{part}: {failed:?}");
            let said = failed.storage_error().expect("S3's").answered();
            // Where other requests are answered, a HEAD cannot say why not.
            let is_head = part == "/config";
            assert!(is_head || said == Some((status.as_u16(), code)), "{part}: {failed:?}");
        }
    }
}

#[tokio::test]
async fn an_object_that_is_said_to_be_missing_once_or_against_a_listing_is_no_damage() {
    let bench = Bench::start().await;
    let manifest = bench.back_up(dump_like(MIB, 44)).await;
    for part in PARTS {
        let no_key = || Action::Refuse(StatusCode::NOT_FOUND, "NoSuchKey");
        let (proxy, repository) = bench.proxied().await;
        proxy.rule(Rule::new(move |seen| seen.reads(part), no_key()).once());
        reads_all(&repository, &manifest).await.unwrap();
        proxy.clear();
        proxy.rule(Rule::new(move |seen| seen.reads(part), no_key()));
        let failed = reads_all(&repository, &manifest).await.unwrap_err();
        assert!(!failed.is_damage() && failed.is_transient(), "{part}: {failed:?}");
    }
}

#[tokio::test]
async fn another_or_an_emptied_bucket_is_not_a_damaged_backup() {
    let bench = Bench::start().await;
    let manifest = bench.back_up(dump_like(MIB, 45)).await;
    let settings = S3Settings { bucket: "other".into(), ..bench.server.client_settings() };
    let other = ObjectStore::new(&settings);
    let elsewhere = Repository::at(&other, bench.repository.prefix(), &key().await);
    let missing = reads_all(&elsewhere, &manifest).await.unwrap_err();
    assert!(missing.storage_error().is_some_and(yuantus_storage::Error::is_missing_bucket));
    assert!(!missing.is_damage(), "{missing:?}");
    other.ensure_bucket().await.unwrap();
    let absent = reads_all(&elsewhere, &manifest).await.unwrap_err();
    assert!(matches!(absent, Error::Absent { .. }) && !absent.is_damage(), "{absent:?}");
    let said = absent.to_string();
    assert!(said.contains("in bucket \"other\": is it the right bucket?"), "{said}");
}

#[tokio::test]
async fn packs_that_were_put_in_each_others_place_are_found_at_the_first_reading() {
    let bench = Bench::start().await;
    let first = bench.back_up(dump_like(9 * MIB, 46)).await;
    let pack = bench.object("/data/").await;
    let second = bench.back_up(dump_like(9 * MIB, 47)).await;
    let other = bench.store.list(bench.repository.prefix()).await.unwrap();
    let other = other.iter().find(|o| o.key.contains("/data/") && o.key != pack).unwrap();
    let content = bench.store.get(&other.key).await.unwrap();
    bench.store.put(&pack, content).await.unwrap();
    for manifest in [&first, &second] {
        let read = bench.repository.open_checked(manifest).await.unwrap().prove().await;
        assert_eq!(read.is_err(), manifest == &first, "{read:?}");
        assert!(read.err().is_none_or(|error| error.is_damage()));
    }
}

#[tokio::test]
async fn a_reader_of_another_dump_than_the_manifests_gets_an_error_instead_of_an_end() {
    let bench = Bench::start().await;
    let manifest = bench.back_up(dump_like(MIB, 48)).await;
    for wrong in [
        Manifest { dump_sha256: "ab".repeat(32), ..manifest.clone() },
        Manifest { dump_bytes: 1, ..manifest.clone() },
    ] {
        let mut dump = bench.repository.open_checked(&wrong).await.unwrap();
        let mut content = Vec::new();
        let ended = tokio::io::AsyncReadExt::read_to_end(&mut dump, &mut content).await;
        let error = ended.unwrap_err().downcast::<Error>().unwrap();
        assert!(matches!(error, Error::Mismatch { .. }) && error.is_damage(), "{error:?}");
        // Whoever read no further than half of it is told as well.
        let mut dump = bench.repository.open_checked(&wrong).await.unwrap();
        tokio::io::AsyncReadExt::read_exact(&mut dump, &mut [0; MIB / 2]).await.unwrap();
        let error = dump.prove().await.unwrap_err();
        assert!(matches!(error, Error::Mismatch { .. }), "{error:?}");
    }
    bench.repository.open_checked(&manifest).await.unwrap().prove().await.unwrap();
}

#[tokio::test]
async fn a_key_file_that_is_missing_or_damaged_is_said_and_mended() {
    let bench = Bench::start().await;
    bench.back_up(b"PGDMP".to_vec()).await;
    let repository = &bench.repository;
    assert_eq!(repository.mend_key_file().await.unwrap(), None);
    let [key_file] = &bench.keys("keys/").await[..] else { panic!("one key file") };
    let sound = bench.store.get(key_file).await.unwrap();
    bench.store.delete(key_file).await.unwrap();
    assert_eq!(repository.mend_key_file().await.unwrap(), Some("was missing"));
    bench.store.put(key_file, sound.slice(1..)).await.unwrap();
    assert_eq!(repository.mend_key_file().await.unwrap(), Some("was damaged"));
    assert_eq!(bench.store.get(key_file).await.unwrap(), sound);
    assert_eq!(repository.mend_key_file().await.unwrap(), None);
}
