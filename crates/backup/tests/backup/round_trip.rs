//! What is stored comes back.

use yuantus_backup::{Error, Repository, RepositoryKey, verify};

use crate::support::{Bench, dump_like, key};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_dump_of_many_packs_comes_back_byte_for_byte() {
    let bench = Bench::start().await;
    let dump = dump_like(50 * MIB, 1);
    let manifest = bench.back_up(dump.clone()).await;
    assert_eq!(manifest.dump_bytes, dump.len() as u64);
    assert!(bench.keys("data/").await.len() > 3, "several packs");
    assert!(bench.read(&manifest).await == dump);
    verify(&bench.repository, &manifest).await.unwrap();
}

#[tokio::test]
async fn an_empty_dump_and_a_tiny_one_come_back() {
    let bench = Bench::start().await;
    for dump in [Vec::new(), b"PGDMP".to_vec()] {
        let manifest = bench.back_up(dump.clone()).await;
        assert_eq!(bench.read(&manifest).await, dump);
        verify(&bench.repository, &manifest).await.unwrap();
    }
}

#[tokio::test]
async fn a_second_backup_stores_only_what_changed() {
    let bench = Bench::start().await;
    let mut dump = dump_like(24 * MIB, 2);
    let first = bench.back_up(dump.clone()).await;
    for place in [3 * MIB, 20 * MIB] {
        dump.splice(place..place, b"one more row\n".iter().copied());
    }
    let second = bench.back_up(dump.clone()).await;
    assert!(second.stored_bytes * 20 < first.stored_bytes, "{second:?}");
    assert!(bench.read(&second).await == dump);
}

#[tokio::test]
async fn progress_counts_up_to_the_dumps_size() {
    let bench = Bench::start().await;
    let (sender, seen) = std::sync::mpsc::channel();
    let reader = std::io::Cursor::new(dump_like(MIB, 3));
    let progress = move |bytes| sender.send(bytes).unwrap();
    let meta = crate::support::meta();
    bench.repository.backup(meta, "x.dump", reader, progress).await.unwrap();
    let seen: Vec<u64> = seen.into_iter().collect();
    assert!(seen.is_sorted());
    assert_eq!(seen.last(), Some(&(MIB as u64)));
}

#[tokio::test]
async fn initialising_twice_changes_nothing() {
    let bench = Bench::start().await;
    let config = format!("{}config", bench.repository.prefix());
    let before = (bench.keys("").await, bench.store.get(&config).await.unwrap());
    bench.repository.init().await.unwrap();
    assert_eq!(before, (bench.keys("").await, bench.store.get(&config).await.unwrap()));
}

#[tokio::test]
async fn initialising_goes_on_where_a_crash_left_it() {
    let bench = Bench::start().await;
    let config = format!("{}config", bench.repository.prefix());
    bench.store.delete(&config).await.unwrap();
    bench.repository.init().await.unwrap();
    let manifest = bench.back_up(b"PGDMP".to_vec()).await;
    verify(&bench.repository, &manifest).await.unwrap();
    assert_eq!(bench.keys("keys/").await.len(), 1);
}

#[tokio::test]
async fn a_key_survives_being_sealed_and_another_key_is_refused() {
    let bench = Bench::start().await;
    let manifest = bench.back_up(b"PGDMP".to_vec()).await;
    let prefix = bench.repository.prefix();
    let reopened = RepositoryKey::from_secret(&key().await.to_secret().unwrap()).unwrap();
    let same = Repository::at(&bench.store, prefix, &reopened);
    assert_eq!(same.manifest(&manifest.snapshot_id).await.unwrap(), manifest);
    let other = Repository::at(&bench.store, prefix, &RepositoryKey::generate().await.unwrap());
    let refused = other.manifest(&manifest.snapshot_id).await.unwrap_err();
    assert!(matches!(refused, Error::WrongKey { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_destroyed_repository_leaves_no_object() {
    let bench = Bench::start().await;
    bench.back_up(dump_like(MIB, 4)).await;
    assert!(bench.repository.destroy().await.unwrap() > 0);
    assert_eq!(bench.store.list("").await.unwrap(), []);
    assert_eq!(bench.repository.destroy().await.unwrap(), 0);
}

#[tokio::test]
async fn more_work_at_once_than_there_are_slots_gets_done() {
    let bench = Bench::start().await;
    let backups = (20..32).map(|seed| bench.back_up(dump_like(MIB, seed)));
    let manifests = futures::future::join_all(backups).await;
    let checks = manifests.iter().map(|manifest| verify(&bench.repository, manifest));
    for checked in futures::future::join_all(checks).await {
        checked.unwrap();
    }
}
