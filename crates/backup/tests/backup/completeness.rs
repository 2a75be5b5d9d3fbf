//! Nothing looks like a backup that is not one.

use std::io::Read;

use yuantus_backup::{Error, verify};

use crate::support::{Bench, Breaking, DUMP, dump_like, facts, meta};

const MIB: usize = 1024 * 1024;

#[tokio::test]
async fn a_reader_that_fails_midway_leaves_no_snapshot_and_names_the_cause() {
    let bench = Bench::start().await;
    let reader = Breaking { left: 9 * MIB };
    let failed = bench.repository.backup(meta(), DUMP, reader, |_| {}).await.unwrap_err();
    let Error::Source { source, .. } = &failed else { panic!("{failed:?}") };
    assert_eq!(source.to_string(), "the child died");
    assert_eq!(bench.keys("snapshots/").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stored_dump_without_its_manifest_leaves_no_snapshot() {
    let bench = Bench::start().await;
    let reader = std::io::Cursor::new(dump_like(MIB, 5));
    drop(bench.repository.backup(meta(), DUMP, reader, |_| {}).await.unwrap());
    assert_eq!(bench.keys("snapshots/").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_deleted_snapshot_is_gone_and_deleting_it_again_is_fine() {
    let bench = Bench::start().await;
    let manifest = bench.back_up(b"PGDMP".to_vec()).await;
    for _ in 0..2 {
        bench.repository.delete_snapshot(&manifest.snapshot_id).await.unwrap();
    }
    let gone = bench.repository.manifest(&manifest.snapshot_id).await.unwrap_err();
    assert!(matches!(gone, Error::NoSnapshot { .. }), "{gone:?}");
}

#[tokio::test]
async fn verification_finds_a_damaged_pack_a_missing_pack_and_another_manifest() {
    let bench = Bench::start().await;
    let manifest = bench.back_up(dump_like(12 * MIB, 6)).await;
    let objects = bench.store.list(&format!("{}data/", bench.repository.prefix())).await.unwrap();
    let pack = objects.iter().max_by_key(|object| object.size).unwrap();
    let sound = bench.store.get(&pack.key).await.unwrap();

    let mut damaged = sound.to_vec();
    damaged[1000] ^= 1;
    bench.store.put(&pack.key, damaged.into()).await.unwrap();
    verify(&bench.repository, &manifest).await.unwrap_err();

    bench.store.delete(&pack.key).await.unwrap();
    let missing = verify(&bench.repository, &manifest).await.unwrap_err();
    assert!(matches!(missing, Error::Storage { .. }), "{missing:?}");

    bench.store.put(&pack.key, sound).await.unwrap();
    verify(&bench.repository, &manifest).await.unwrap();
    let other = yuantus_backup::Manifest { dump_bytes: 1, ..manifest };
    let refused = verify(&bench.repository, &other).await.unwrap_err();
    assert!(matches!(refused, Error::Mismatch { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_backup_nobody_waits_for_stops_reading_and_leaves_no_snapshot() {
    let bench = Bench::start().await;
    let (dropped, ended) = std::sync::mpsc::channel::<()>();
    let (progress, mut started) = tokio::sync::mpsc::unbounded_channel();
    let endless = Endless { _dropped: dropped };
    let backup = bench.repository.backup(meta(), DUMP, endless, move |bytes| {
        let _ = progress.send(bytes);
    });
    tokio::select! {
        _ = backup => panic!("it has no end"),
        seen = started.recv() => assert!(seen.is_some()),
    }
    // The reader is dropped by the thread that reads it; nothing is ever sent.
    let thread = tokio::task::spawn_blocking(move || ended.recv());
    thread.await.unwrap().unwrap_err();
    assert_eq!(bench.keys("snapshots/").await, Vec::<String>::new());
    let manifest = bench.back_up(b"PGDMP".to_vec()).await;
    assert_eq!(manifest.facts, facts());
}

struct Endless {
    _dropped: std::sync::mpsc::Sender<()>,
}

impl Read for Endless {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        target.fill(b'x');
        Ok(target.len())
    }
}
