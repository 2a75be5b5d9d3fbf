//! What is known of the org's files, as the built-in bundle has it. Their
//! bytes are in S3.

use chrono::{DateTime, Utc};
use tokio::time::timeout;
use uuid::Uuid;

use crate::{Result, Session};

/// A row of `files`.
#[derive(Clone, Debug, PartialEq, Eq, sqlx::FromRow)]
pub struct File {
    /// Its id.
    pub id: Uuid,
    /// The name it was given.
    pub filename: String,
    /// Its bytes.
    pub size: i64,
    /// What its giver said it is.
    pub content_type: String,
    /// Hex SHA-256 of its bytes.
    pub checksum: String,
    /// Where its bytes are in the bucket.
    pub object_key: String,
    /// When it was recorded.
    pub created_at: DateTime<Utc>,
    /// Who gave it, if that is known.
    pub created_by: Option<String>,
}

/// A file whose object is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// Its id.
    pub id: Uuid,
    /// The name it was given.
    pub filename: String,
    /// Its bytes.
    pub size: i64,
    /// What its giver said it is.
    pub content_type: String,
    /// Hex SHA-256 of its bytes.
    pub checksum: String,
    /// Where its bytes are in the bucket.
    pub object_key: String,
    /// Who gave it.
    pub created_by: String,
}

impl Session {
    /// Fails where the database has no table for files.
    pub async fn expect_files(&mut self) -> Result<()> {
        let sql = "SELECT id, filename, size, content_type, checksum, object_key, created_at,
            created_by FROM files LIMIT 0";
        let (doing, limit) = ("look for files", self.limit());
        let answer = timeout(limit, sqlx::query(sql).execute(self.start(doing)?)).await;
        self.end(doing, answer).map(drop)
    }

    /// Records a file.
    pub async fn insert_file(&mut self, new: &NewFile) -> Result<File> {
        let sql = "INSERT INTO files
                (id, filename, size, content_type, checksum, object_key, created_by)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            RETURNING id, filename, size, content_type, checksum, object_key, created_at,
                created_by";
        let query = sqlx::query_as(sql).bind(new.id).bind(&new.filename).bind(new.size);
        let query = query.bind(&new.content_type).bind(&new.checksum);
        let query = query.bind(&new.object_key).bind(&new.created_by);
        let (doing, limit) = ("insert file", self.limit());
        let answer = timeout(limit, query.fetch_one(self.start(doing)?)).await;
        self.end(doing, answer)
    }

    /// One file.
    pub async fn file(&mut self, id: Uuid) -> Result<Option<File>> {
        let sql = "SELECT id, filename, size, content_type, checksum, object_key, created_at,
            created_by FROM files WHERE id = $1";
        let query = sqlx::query_as(sql).bind(id);
        let (doing, limit) = ("find file", self.limit());
        let answer = timeout(limit, query.fetch_optional(self.start(doing)?)).await;
        self.end(doing, answer)
    }

    /// At most `limit` files that were recorded before `before`, the newest
    /// first.
    pub async fn files(
        &mut self,
        before: Option<(DateTime<Utc>, Uuid)>,
        limit: usize,
    ) -> Result<Vec<File>> {
        let first = "SELECT id, filename, size, content_type, checksum, object_key, created_at,
            created_by FROM files ORDER BY created_at DESC, id DESC LIMIT $1";
        let next = "SELECT id, filename, size, content_type, checksum, object_key, created_at,
            created_by FROM files WHERE (created_at, id) < ($2, $3)
            ORDER BY created_at DESC, id DESC LIMIT $1";
        let query = sqlx::query_as(if before.is_some() { next } else { first });
        let query = query.bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let query = match before {
            Some((created_at, id)) => query.bind(created_at).bind(id),
            None => query,
        };
        let (doing, limit) = ("list files", self.limit());
        let answer = timeout(limit, query.fetch_all(self.start(doing)?)).await;
        self.end(doing, answer)
    }

    /// Forgets a file; answers what was known of it.
    pub async fn delete_file(&mut self, id: Uuid) -> Result<Option<File>> {
        let sql = "DELETE FROM files WHERE id = $1
            RETURNING id, filename, size, content_type, checksum, object_key, created_at,
                created_by";
        let query = sqlx::query_as(sql).bind(id);
        let (doing, limit) = ("delete file", self.limit());
        let answer = timeout(limit, query.fetch_optional(self.start(doing)?)).await;
        self.end(doing, answer)
    }
}
