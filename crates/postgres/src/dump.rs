//! Dumping a database: `pg_dump -Fc -Z0`, streamed.
//!
//! Invariants: the row counts, and what stands beside the archive, are of the
//! very snapshot that is dumped. A session of ours exports it, counts in it
//! while the child dumps, and keeps it until the child has ended. Dropping a
//! [`Dump`] kills both. What this administrator cannot read is refused before
//! anything is dumped.

use std::fs::File;

use sqlx::Row;
use tokio::{process::ChildStdout, task::JoinSet};

use crate::{
    DatabaseAccess, Error, Result, Tools,
    child::Child,
    contents::{Contents, readable},
    environment::conninfo,
    rows::{self, TableRows},
    session::{Doing, SHORT, Session},
    tools::major_of,
};

const PROGRAM: &str = "pg_dump";

const SNAPSHOT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
     SELECT pg_export_snapshot(), current_setting('server_version')";

/// A dump on its way.
pub struct Dump {
    child: Child,
    counts: JoinSet<Result<(Vec<TableRows>, Session)>>,
    server_version: String,
    contents: Contents,
    database: String,
}

/// What a finished dump holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DumpFacts {
    /// Every table and its rows.
    pub tables: Vec<TableRows>,
    /// The server's version, such as `15.18`.
    pub server_version: String,
    /// What is put back beside what the archive holds.
    pub contents: Contents,
}

impl Dump {
    /// Begins to dump the database of the org whose role is `role`. Read the
    /// output to its end, then call [`finish`](Self::finish): only that says
    /// whether the dump is whole.
    pub async fn start(access: &DatabaseAccess, tools: &Tools, role: &str) -> Result<Self> {
        let database = access.database().as_str();
        let mut session = Session::new(access.connect_as_admin().await?);
        let (mut snapshot, server_version) = export(&mut session, database).await?;
        let file = tools.of_major(PROGRAM, major_of(&server_version).unwrap_or(0)).await?;
        let doing = Doing("read the owners and rights of", database);
        let mut contents = Contents::read(&mut session, doing, role).await?;
        if !readable::is_member(&mut session, doing, &contents).await? {
            session.roll_back(doing).await?;
            readable::join(&mut session, doing, &contents).await?;
            (snapshot, _) = export(&mut session, database).await?;
            contents = Contents::read(&mut session, doing, role).await?;
        }
        readable::check(&mut session, doing, &contents, access.server().user()).await?;
        let arguments = [
            "--format=custom".to_owned(),
            "--compress=0".to_owned(),
            "--lock-wait-timeout=60s".to_owned(),
            "--no-password".to_owned(),
            format!("--snapshot={snapshot}"),
            format!("--dbname={}", conninfo(database)),
        ];
        let child = Child::start(PROGRAM, &file, database, &arguments, access.environment(&[]))?;
        let database = database.to_owned();
        let mut counts = JoinSet::new();
        let (subject, path) = (database.clone(), contents.search_path.clone());
        counts.spawn(async move {
            let tables = rows::count(&mut session, &subject, &path).await?;
            Ok((tables, session))
        });
        Ok(Self { child, counts, server_version, contents, database })
    }

    /// The dump, as bytes to read asynchronously; once.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.take_stdout()
    }

    /// The dump, as bytes to read in a blocking thread; once, and instead of
    /// [`take_stdout`](Self::take_stdout).
    pub fn take_reader(&mut self) -> Result<Option<File>> {
        let Some(stdout) = self.child.take_stdout() else {
            return Ok(None);
        };
        let pipe = stdout.into_owned_fd().map_err(|source| Error::Process {
            operation: "read from",
            program: PROGRAM,
            source,
        })?;
        Ok(Some(File::from(pipe)))
    }

    /// Waits for the child's end and the counts. The output must have been
    /// read to its end, or dropped, before.
    pub async fn finish(mut self) -> Result<DumpFacts> {
        let ended = self.child.finish().await;
        let ended = match ended {
            Err(error) if !lost_its_snapshot(&error) => return Err(error),
            ended => ended,
        };
        let counted = self.counts.join_next().await;
        // The task neither panics nor is aborted while we wait for it.
        let Some(Ok(counted)) = counted else {
            let doing = Doing("count the rows of", &self.database);
            return Err(doing.failed(sqlx::Error::WorkerCrashed));
        };
        // The snapshot went with the session that counts: why that ended is why
        // the child has none.
        let (tables, session) = counted?;
        ended?;
        session.close().await;
        Ok(DumpFacts { tables, server_version: self.server_version, contents: self.contents })
    }
}

fn lost_its_snapshot(error: &Error) -> bool {
    matches!(error, Error::Child { stderr, .. } if stderr.contains("invalid snapshot identifier"))
}

async fn export(session: &mut Session, database: &str) -> Result<(String, String)> {
    let doing = Doing("take a snapshot of", database);
    let rows = session.run(doing, SNAPSHOT.to_owned(), SHORT).await?;
    let read = || -> Result<(String, String), sqlx::Error> {
        let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
        Ok((row.try_get(0)?, row.try_get(1)?))
    };
    let (snapshot, version) = read().map_err(|source| doing.failed(source))?;
    Ok((snapshot, version.split(' ').next().unwrap_or_default().to_owned()))
}
