//! S3 misbehaves.

use std::time::Duration;

use yuantus_backup::{Error, Repository, verify};
use yuantus_storage::{ObjectStore, Timeouts};

use crate::support::{Bench, DUMP, dump_like, key, meta};

const MIB: usize = 1024 * 1024;

impl Bench {
    /// The same repository through a client that waits only briefly.
    async fn impatient(&self) -> Repository {
        let brief = Duration::from_millis(300);
        let timeouts =
            Timeouts { read: brief, attempt: 2 * brief, ping: brief, ..Timeouts::default() };
        let store = ObjectStore::with_timeouts(&self.server.client_settings(), timeouts);
        Repository::at(&store, self.repository.prefix(), &key().await)
    }
}

#[tokio::test]
async fn a_backup_and_its_reading_survive_single_errors_and_cut_answers() {
    let bench = Bench::start().await;
    let dump = dump_like(12 * MIB, 7);
    bench.faults().fail_next(2);
    let manifest = bench.back_up(dump.clone()).await;
    bench.faults().cut_next(2);
    assert!(bench.read(&manifest).await == dump);
    bench.faults().fail_next(2);
    verify(&bench.repository, &manifest).await.unwrap();
}

#[tokio::test]
async fn a_backup_fails_with_the_cause_when_s3_keeps_failing() {
    let bench = Bench::start().await;
    bench.faults().fail_next(u64::MAX);
    let reader = std::io::Cursor::new(dump_like(MIB, 8));
    let failed = bench.repository.backup(meta(), DUMP, reader, |_| {}).await.unwrap_err();
    assert!(failed.is_transient(), "{failed:?}");
    assert!(matches!(failed, Error::Storage { .. }), "{failed:?}");
    bench.faults().clear();
    assert_eq!(bench.keys("snapshots/").await, Vec::<String>::new());
}

#[tokio::test]
async fn an_upload_that_fails_midway_fails_the_backup_with_its_own_cause() {
    let bench = Bench::start().await;
    let faults = bench.faults().clone();
    let reader = std::io::Cursor::new(dump_like(40 * MIB, 9));
    let late = move |bytes| {
        if bytes > 8 * MIB as u64 {
            faults.fail_next(u64::MAX);
        }
    };
    let failed = bench.repository.backup(meta(), DUMP, reader, late).await.unwrap_err();
    let Error::Storage { source, .. } = &failed else { panic!("{failed:?}") };
    assert!(source.to_string().starts_with("PutObject"), "{source}");
    bench.faults().clear();
    assert_eq!(bench.keys("snapshots/").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stalling_s3_is_an_error_and_not_a_hang() {
    let bench = Bench::start().await;
    let repository = bench.impatient().await;
    bench.faults().stall_next(u64::MAX);
    let reader = std::io::Cursor::new(dump_like(MIB, 10));
    let failed = repository.backup(meta(), DUMP, reader, |_| {}).await.unwrap_err();
    assert!(failed.is_transient(), "{failed:?}");
    bench.faults().clear();
}

#[tokio::test]
async fn a_dump_whose_reading_breaks_off_is_an_error_and_not_an_end() {
    let bench = Bench::start().await;
    let dump = dump_like(40 * MIB, 11);
    let manifest = bench.back_up(dump).await;
    let opened = bench.repository.open_dump(&manifest.snapshot_id, &manifest.dump_path).await;
    let mut reader = opened.unwrap();
    bench.faults().fail_next(u64::MAX);
    let mut content = Vec::new();
    let broken = tokio::io::AsyncReadExt::read_to_end(&mut reader, &mut content).await;
    let error = broken.unwrap_err().downcast::<Error>().unwrap();
    assert!(matches!(error, Error::Storage { .. }), "{error:?}");
    bench.faults().clear();
}
