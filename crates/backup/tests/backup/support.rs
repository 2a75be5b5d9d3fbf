//! An S3 server in a temporary directory, a key, and dumps to store.

use std::{io::Read, net::Ipv4Addr};

use tempfile::TempDir;
use tokio::{io::AsyncReadExt, sync::OnceCell};
use yuantus_backup::{DatabaseFacts, Manifest, Repository, RepositoryKey, SnapshotMeta, TableRows};
use yuantus_storage::{
    ObjectStore,
    local_server::{Faults, LocalS3, LocalS3Settings},
};

pub const DUMP: &str = "yuantus_mt_pg__acme__hq.dump";

/// Made once: its scrypt takes a while.
static KEY: OnceCell<RepositoryKey> = OnceCell::const_new();

pub struct Bench {
    pub server: LocalS3,
    pub store: ObjectStore,
    pub repository: Repository,
    _dir: TempDir,
}

pub async fn key() -> RepositoryKey {
    KEY.get_or_init(|| async { RepositoryKey::generate().await.unwrap() }).await.clone()
}

impl Bench {
    /// A server, and a repository in it.
    pub async fn start() -> Self {
        let bench = Self::bare().await;
        bench.repository.init().await.unwrap();
        bench
    }

    /// A server, and no repository in it yet.
    pub async fn bare() -> Self {
        let dir = TempDir::new().unwrap();
        let settings = LocalS3Settings {
            dir: dir.path().join("s3"),
            addr: (Ipv4Addr::LOCALHOST, 0).into(),
            bucket: "backups".to_owned(),
            access_key_id: "test".to_owned(),
            secret_access_key: "test-secret".into(),
        };
        let server = LocalS3::start(settings).await.unwrap();
        let store = ObjectStore::new(&server.client_settings());
        let prefix = "tenants/acme/orgs/hq/generations/0199/";
        let repository = Repository::at(&store, prefix, &key().await);
        Self { server, store, repository, _dir: dir }
    }

    pub fn faults(&self) -> &Faults {
        self.server.faults()
    }

    /// Stores and completes a backup.
    pub async fn back_up(&self, dump: Vec<u8>) -> Manifest {
        let reader = std::io::Cursor::new(dump);
        let stored = self.repository.backup(meta(), DUMP, reader, |_| {}).await.unwrap();
        self.repository.put_manifest(stored, facts()).await.unwrap()
    }

    /// Reads the whole dump of a backup.
    pub async fn read(&self, manifest: &Manifest) -> Vec<u8> {
        let opened = self.repository.open_dump(&manifest.snapshot_id, &manifest.dump_path).await;
        let mut content = Vec::new();
        opened.unwrap().read_to_end(&mut content).await.unwrap();
        content
    }

    /// The keys of the objects whose key starts with the repository's prefix and `dir`.
    pub async fn keys(&self, dir: &str) -> Vec<String> {
        let prefix = format!("{}{dir}", self.repository.prefix());
        let objects = self.store.list(&prefix).await.unwrap();
        objects.into_iter().map(|object| object.key).collect()
    }
}

pub fn meta() -> SnapshotMeta {
    SnapshotMeta {
        backup_id: "01997c5e-0000-7000-8000-000000000001".to_owned(),
        host: "acme/hq".to_owned(),
        tags: vec!["full".to_owned()],
    }
}

pub fn facts() -> DatabaseFacts {
    DatabaseFacts {
        database: "yuantus_mt_pg__acme__hq".to_owned(),
        revision: 7,
        bundle_fingerprint: "ab".repeat(32),
        server_version: "15.18".to_owned(),
        tables: vec![TableRows {
            schema: "public".to_owned(),
            table: "customers".to_owned(),
            rows: 42,
        }],
        contents: serde_json::json!({ "role": "org", "settings": { "connection_limit": -1 } }),
    }
}

/// Half text like a dump's, half noise, in alternating stretches; the same for the same seed.
pub fn dump_like(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut dump = Vec::with_capacity(length + 4096);
    while dump.len() < length {
        for _ in 0..64 {
            let row = next();
            dump.extend_from_slice(format!("{row}\tcustomer {}\tactive\n", row % 977).as_bytes());
        }
        for _ in 0..256 {
            dump.extend_from_slice(&next().to_le_bytes());
        }
    }
    dump.truncate(length);
    dump
}

/// Delivers `left` bytes and then fails.
pub struct Breaking {
    pub left: usize,
}

impl Read for Breaking {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        if self.left == 0 {
            return Err(std::io::Error::other("the child died"));
        }
        let length = self.left.min(target.len());
        target[..length].fill(b'x');
        self.left -= length;
        Ok(length)
    }
}
