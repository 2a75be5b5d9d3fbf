//! Restoring a dump into a new database: `pg_restore`, from a stream.
//!
//! Invariant: a restore that returned is on the server's disk. The child
//! commits without waiting for the disk, and a last commit of ours waits for
//! all of it.
//!
//! All objects belong to the owner role afterwards, as before. Rights are
//! those of the archive. Large objects, which tenants own themselves, can be
//! read and written by the tenant's role, but only the owner role can unlink
//! those that came from an archive.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::{
    DatabaseAccess, Error, Result, Tools,
    bootstrap::OWNER_ROLE,
    child::Child,
    environment::conninfo,
    session::{Doing, Session, WORK},
};

pub use crate::rows::count_tables;

const PROGRAM: &str = "pg_restore";
const CHUNK_BYTES: usize = 1 << 20;

/// Settings that make loading quick.
const SETTINGS: [(&str, &str); 2] =
    [("synchronous_commit", "off"), ("maintenance_work_mem", "256MB")];

/// Writes to the log, so that its commit waits for the disk.
const FINISH: &str = "DO $$ DECLARE object oid; BEGIN \
       FOR object IN SELECT m.oid FROM pg_largeobject_metadata m LOOP \
         EXECUTE format('GRANT ALL ON LARGE OBJECT %s TO yuantus_tenant_app', object); \
       END LOOP; \
       PERFORM pg_logical_emit_message(true, 'yuantus', 'restored'); END $$";

/// A restore on its way.
pub struct Restore {
    child: Child,
    access: DatabaseAccess,
}

/// Restores what `reader` gives into an empty database that was made with
/// [`Kind::Restore`](crate::Kind::Restore).
pub async fn load(
    access: &DatabaseAccess,
    tools: &Tools,
    reader: impl AsyncRead + Unpin,
) -> Result<()> {
    let mut restore = Restore::start(access, tools)?;
    restore.feed(reader).await?;
    restore.finish().await
}

impl Restore {
    /// Starts `pg_restore`, which waits for input.
    pub fn start(access: &DatabaseAccess, tools: &Tools) -> Result<Self> {
        let file = tools.pg_restore()?;
        let database = access.database().as_str();
        let arguments = [
            "--format=custom".to_owned(),
            "--exit-on-error".to_owned(),
            "--no-owner".to_owned(),
            "--no-tablespaces".to_owned(),
            "--no-subscriptions".to_owned(),
            "--no-password".to_owned(),
            format!("--role={OWNER_ROLE}"),
            format!("--dbname={}", conninfo(database)),
        ];
        let environment = access.environment(&SETTINGS);
        let child = Child::start(PROGRAM, &file, database, &arguments, environment)?;
        Ok(Self { child, access: access.clone() })
    }

    /// Gives the child all that `reader` has. When the child stops listening,
    /// [`finish`](Self::finish) says why.
    pub async fn feed(&mut self, mut reader: impl AsyncRead + Unpin) -> Result<()> {
        let Some(mut stdin) = self.child.take_stdin() else {
            return Ok(());
        };
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = reader.read(&mut chunk).await.map_err(|source| Error::Input {
                database: self.access.database().to_string(),
                source,
            })?;
            if read == 0 || stdin.write_all(&chunk[..read]).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Waits for the child's end, then for the server's disk.
    pub async fn finish(self) -> Result<()> {
        self.child.finish().await?;
        let doing = Doing("finish the restore of", self.access.database().as_str());
        let mut session = Session::new(self.access.connect_as_admin().await?);
        session.run(doing, FINISH.to_owned(), WORK).await?;
        session.close().await;
        Ok(())
    }
}
