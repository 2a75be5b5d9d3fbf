//! Turning a stored dump into a backup.

use rustic_core::repofile::{BlobType, Metadata, Node, NodeType, SnapshotFile, Tree};

use super::{Repository, StoredDump};
use crate::{
    DatabaseFacts, Error, Manifest, Result, RusticFailure, manifest,
    pack::{File, Seal, hash},
    session::Session,
};

const OPERATION: &str = "completing a backup";

impl Repository {
    /// Makes a stored dump a backup: writes the manifest, and as its last act the snapshot that
    /// holds both. To be called once everything else is known to be well, the child's exit status
    /// included.
    pub async fn put_manifest(&self, stored: StoredDump, facts: DatabaseFacts) -> Result<Manifest> {
        let manifest = Manifest {
            format: manifest::FORMAT,
            backup_id: stored.meta.backup_id.clone(),
            facts,
            dump_path: format!("/{}", stored.name),
            dump_bytes: stored.bytes,
            dump_sha256: stored.sha256.clone(),
            stored_bytes: stored.stored_bytes,
            snapshot_id: String::new(),
        };
        let document = manifest.clone();
        let files =
            Session::run(self, OPERATION, move |session| files(session, &stored, &document))
                .await?;
        let mut snapshot_id = String::new();
        for file in files {
            let key = format!("{}{}", self.prefix, file.path);
            self.store.put(&key, file.content).await.map_err(Error::storage(OPERATION))?;
            snapshot_id = file.id.to_hex().as_str().to_owned();
        }
        Ok(Manifest { snapshot_id, ..manifest })
    }
}

/// The files to write, in order; the snapshot is the last.
fn files(session: &Session, stored: &StoredDump, manifest: &Manifest) -> Result<Vec<File>> {
    let json = serde_json::to_vec_pretty(manifest)
        .map_err(|source| Error::Document { document: manifest::FILE_NAME, source })?;
    let seal = Seal::new(session.master());
    let (data, data_file) = seal.pack(BlobType::Data, &json)?;
    let mut tree = Tree { nodes: vec![dump_node(session, stored)?, manifest_node(&json)?] };
    tree.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    let (blob, tree_id) =
        tree.serialize().map_err(|error| session.failed(RusticFailure::new(error.to_string())))?;
    let (tree, tree_file) = seal.pack(BlobType::Tree, &blob)?;
    let index = seal.index(vec![data, tree])?;
    let mut snapshot = snapshot(stored);
    snapshot.tree = tree_id;
    let snapshot = seal.document("snapshots", &snapshot)?;
    Ok(vec![data_file, tree_file, index, snapshot])
}

/// The dump as one file: the content of its segments, in their order.
fn dump_node(session: &Session, stored: &StoredDump) -> Result<Node> {
    let repository = session.checked(session.open()?.to_indexed_ids())?;
    let segments = session.checked(repository.get_tree(&stored.tree))?;
    let mut node = Node::new_node(stored.name.as_ref(), NodeType::File, metadata(stored.bytes));
    let content = segments.nodes.into_iter().flat_map(|segment| segment.content);
    node.content = Some(content.flatten().collect());
    Ok(node)
}

fn manifest_node(json: &[u8]) -> Result<Node> {
    let meta = metadata(json.len() as u64);
    let mut node = Node::new_node(manifest::FILE_NAME.as_ref(), NodeType::File, meta);
    node.content = Some(vec![hash(json).into()]);
    Ok(node)
}

fn metadata(size: u64) -> Metadata {
    let now = rustic_core::jiff::Timestamp::now();
    Metadata { size, mode: Some(0o600), mtime: Some(now), links: 1, ..Metadata::default() }
}

fn snapshot(stored: &StoredDump) -> SnapshotFile {
    let mut snapshot = SnapshotFile {
        program_version: concat!("yuantus ", env!("CARGO_PKG_VERSION")).to_owned(),
        hostname: stored.meta.host.clone(),
        username: "yuantus".to_owned(),
        ..SnapshotFile::default()
    };
    for path in [stored.name.as_str(), manifest::FILE_NAME] {
        snapshot.paths.add(format!("/{path}"));
    }
    snapshot.tags.add(format!("backup:{}", stored.meta.backup_id));
    for tag in &stored.meta.tags {
        snapshot.tags.add(tag.clone());
    }
    snapshot
}
