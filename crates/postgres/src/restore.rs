//! Restoring a dump into a new database: `pg_restore`, from a stream.
//!
//! Invariants: a restore that returned is on the server's disk: the children
//! commit without waiting for the disk, and a last commit of ours waits for all
//! of it. What calls somebody's functions runs as the owner role, never as the
//! administrator. The reader is read to its end.
//!
//! The stages: what the tables need, made by the owner role, but what only an
//! administrator may make by the administrator; the rows; indexes, constraints
//! and the rest, in the same way; owners and rights; event triggers, which
//! would see all of it.

use std::{io::Write, path::PathBuf};

use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::{
    DatabaseAccess, Error, Result, Tools,
    archive::{
        self, CHUNK_BYTES, Entries, Head, Maker, PROGRAM, extension, is, is_attachment,
        is_event_trigger, is_large_object, user_mapping,
    },
    bootstrap::OWNER_ROLE,
    child::Child,
    contents::{
        Contents,
        readable::join,
        rights::{Part, drop_gone, give_back},
    },
    deferred,
    environment::conninfo,
    identifier::Literal,
    session::{Doing, SHORT, Session, WORK},
    tools::major_of,
};

pub use crate::contents::rights::Left;
pub use crate::rows::count_tables;

/// Settings that make loading quick.
const SETTINGS: [(&str, &str); 2] =
    [("synchronous_commit", "off"), ("maintenance_work_mem", "256MB")];

/// Writes to the log, so that its commit waits for the disk.
const FLUSH: &str = "SELECT pg_logical_emit_message(true, 'yuantus', 'restored')";

/// Where not every large object's owner is known, the owner role has them, and
/// the org's role may read and write them.
const SHARE_LARGE_OBJECTS: &str = "DO $$ DECLARE object oid; BEGIN \
     IF (SELECT count(*) FROM pg_largeobject_metadata) > {known} THEN \
       FOR object IN SELECT m.oid FROM pg_largeobject_metadata m WHERE m.lomowner = \
         (SELECT oid FROM pg_roles WHERE rolname = 'yuantus_tenant_owner') LOOP \
         EXECUTE format('GRANT ALL ON LARGE OBJECT %s TO yuantus_tenant_app', object); \
       END LOOP; END IF; END $$";

/// What the owner role needs to load rows of tables that extensions brought.
const LEND: &str = "DO $$ DECLARE t regclass; BEGIN \
     FOR t IN SELECT DISTINCT c.oid::regclass FROM pg_extension e, unnest(e.extconfig) AS u (oid) \
       JOIN pg_class c ON c.oid = u.oid WHERE pg_has_role(current_user, c.relowner, 'USAGE') \
       AND c.relkind = 'r' AND NOT pg_has_role('yuantus_tenant_owner', c.relowner, 'USAGE') LOOP \
       EXECUTE format('{what}', t); END LOOP; END $$";

/// Loads a dump into an empty database that was made with
/// [`Kind::Restore`](crate::Kind::Restore).
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// The database.
    pub access: &'a DatabaseAccess,
    /// Where `pg_restore` is.
    pub tools: &'a Tools,
    /// What stood beside the dump, for the org's role as it is now
    /// ([`Contents::for_role`]). Without it, as in backups of former versions,
    /// rights are those of the archive.
    pub contents: Option<&'a Contents>,
}

/// What is loaded.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    All,
    /// None: the objects alone.
    None,
}

impl Load<'_> {
    /// Loads all that `reader` gives. Answers what could not be put back of
    /// owners and rights.
    pub async fn load(&self, reader: impl AsyncRead + Unpin) -> Result<Left> {
        self.run(reader, Rows::All).await
    }

    /// Shows that a dump can be loaded: makes everything in it but the rows.
    /// Reads no more of `reader` than its table of contents.
    pub async fn load_schema(&self, reader: impl AsyncRead + Unpin) -> Result<Left> {
        self.run(reader, Rows::None).await
    }

    async fn run(&self, mut reader: impl AsyncRead + Unpin, rows: Rows) -> Result<Left> {
        let server = self.access.server().version().await?;
        let program = self.tools.of_major(PROGRAM, major_of(&server).unwrap_or(0)).await?;
        let stages = Stages { access: self.access, program };
        match self.contents {
            Some(contents) => stages.run(contents, &mut reader, rows).await,
            None => stages.as_archived(&mut reader, rows).await,
        }
    }
}

/// The children of one load, and our sessions between them.
struct Stages<'a> {
    access: &'a DatabaseAccess,
    program: PathBuf,
}

impl Stages<'_> {
    fn doing(&self) -> Doing<'_> {
        Doing("restore", self.access.database().as_str())
    }

    async fn run(
        &self,
        contents: &Contents,
        reader: &mut (impl AsyncRead + Unpin),
        rows: Rows,
    ) -> Result<Left> {
        let doing = self.doing();
        let database = doing.1;
        let head = Head::read(&self.program, database, reader).await?;
        let mut before = head.list(&self.program, database, "pre-data").await?;
        let mut after = head.list(&self.program, database, "post-data").await?;
        if rows == Rows::None {
            before.retain(|entry| !is_large_object(entry));
        }
        let (last, rest): (Vec<_>, Vec<_>) = after.drain(..).partition(|e| is_event_trigger(e));

        let mut admin = self.admin().await?;
        let mut contents = contents.clone();
        let mut gone = drop_gone(&mut admin, doing, &mut contents).await?;
        gone.extend(drop_mappings(&mut admin, doing, &contents, &mut before).await?);
        let rest: Vec<String> = rest
            .into_iter()
            .filter(|entry| !contents.policies.iter().any(|policy| is(entry, &policy.entry())))
            .collect();
        join(&mut admin, doing, &contents).await?;
        let trusted = trusted(&mut admin, doing, &before).await?;
        let (attachments, before): (Vec<_>, Vec<_>) =
            before.into_iter().partition(|entry| is_attachment(entry));
        let mut left = Left { gone, refused: Vec::new() };
        for entries in archive::split(&before, &contents.role, &trusted) {
            self.make(&head, &entries).await?;
            if entries.maker == Maker::Administrator {
                // Those it is refused are refused again, and named, at the end.
                give_back(&mut admin, doing, &contents, Part::Foreign, false).await?;
            }
        }
        let mut owner = self.owner().await?;
        let paths =
            deferred::set_paths(&mut owner, doing, &contents.search_path, &contents.inlined)
                .await?;
        let checks = deferred::drop_checks(&mut owner, doing).await?;
        for entries in archive::split(&attachments, &contents.role, &trusted) {
            self.make(&head, &entries).await?;
        }
        if rows == Rows::All {
            lend(&mut admin, doing, "GRANT INSERT ON %s TO yuantus_tenant_owner").await?;
            self.rows(&head, reader).await?;
            lend(&mut admin, doing, "REVOKE INSERT ON %s FROM yuantus_tenant_owner").await?;
        }
        left.refused = deferred::make_checks(&mut owner, doing, &checks).await?;
        for policy in &contents.policies {
            owner.run(doing, policy.statement()?, SHORT).await?;
        }
        for entries in archive::split(&rest, &contents.role, &trusted) {
            self.make(&head, &entries).await?;
        }
        paths.reset(&mut owner, doing).await?;
        owner.close().await;

        let (most, large_objects) = (Part::Most, rows == Rows::All);
        left.refused.extend(give_back(&mut admin, doing, &contents, most, large_objects).await?);
        for entries in archive::split(&last, &contents.role, &trusted) {
            self.make(&head, &entries).await?;
        }
        let part = Part::EventTriggers;
        left.refused.extend(give_back(&mut admin, doing, &contents, part, false).await?);
        if rows == Rows::All {
            share_large_objects(&mut admin, doing, crate::contents::LARGE_OBJECTS).await?;
            admin.run(doing, FLUSH.to_owned(), WORK).await?;
        }
        admin.close().await;
        Ok(left)
    }

    /// A dump of which no more is known than its archive says.
    async fn as_archived(&self, reader: &mut (impl AsyncRead + Unpin), rows: Rows) -> Result<Left> {
        let mut more = vec![format!("--role={OWNER_ROLE}")];
        if rows == Rows::None {
            more.push("--schema-only".to_owned());
        }
        let mut child = self.start(&more)?;
        self.feed(&mut child, reader).await?;
        child.finish().await?;
        let mut admin = self.admin().await?;
        share_large_objects(&mut admin, self.doing(), 0).await?;
        admin.run(self.doing(), FLUSH.to_owned(), WORK).await?;
        admin.close().await;
        Ok(Left::default())
    }

    /// Makes entries that are no rows, from the head alone.
    async fn make(&self, head: &Head, entries: &Entries) -> Result<()> {
        let list = self.write_list(&entries.list)?;
        let mut more =
            vec!["--no-privileges".to_owned(), format!("--use-list={}", list.path().display())];
        if entries.maker == Maker::Owner {
            more.push(format!("--role={OWNER_ROLE}"));
        }
        let mut child = self.start(&more)?;
        self.feed(&mut child, &mut head.bytes()).await?;
        child.finish().await
    }

    /// Loads the rows, and reads what is left of `reader` then.
    async fn rows(&self, head: &Head, reader: &mut (impl AsyncRead + Unpin)) -> Result<()> {
        let more = [
            "--no-privileges".to_owned(),
            "--section=data".to_owned(),
            format!("--role={OWNER_ROLE}"),
        ];
        let mut child = self.start(&more)?;
        self.feed(&mut child, &mut head.bytes().chain(&mut *reader)).await?;
        child.finish().await?;
        tokio::io::copy(reader, &mut tokio::io::sink()).await.map_err(|e| self.unreadable(e))?;
        Ok(())
    }

    fn start(&self, more: &[String]) -> Result<Child> {
        let database = self.access.database().as_str();
        let mut arguments = vec![
            "--format=custom".to_owned(),
            "--exit-on-error".to_owned(),
            "--no-owner".to_owned(),
            "--no-tablespaces".to_owned(),
            "--no-subscriptions".to_owned(),
            "--no-password".to_owned(),
            format!("--dbname={}", conninfo(database)),
        ];
        arguments.extend_from_slice(more);
        let environment = self.access.environment(&SETTINGS);
        Child::start(PROGRAM, &self.program, database, &arguments, environment)
    }

    /// Gives the child all that `reader` has. When the child stops listening,
    /// its end says why.
    async fn feed(&self, child: &mut Child, reader: &mut (impl AsyncRead + Unpin)) -> Result<()> {
        let Some(mut stdin) = child.take_stdin() else {
            return Ok(());
        };
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let read = reader.read(&mut chunk).await.map_err(|e| self.unreadable(e))?;
            if read == 0 || stdin.write_all(&chunk[..read]).await.is_err() {
                return Ok(());
            }
        }
    }

    fn unreadable(&self, source: std::io::Error) -> Error {
        Error::Input { database: self.access.database().to_string(), source }
    }

    fn write_list(&self, list: &str) -> Result<NamedTempFile> {
        let failed =
            |source| Error::Process { operation: "write a list for", program: PROGRAM, source };
        let mut file = NamedTempFile::new().map_err(failed)?;
        file.write_all(list.as_bytes()).map_err(failed)?;
        Ok(file)
    }

    async fn admin(&self) -> Result<Session> {
        Ok(Session::new(self.access.connect_as_admin().await?))
    }

    async fn owner(&self) -> Result<Session> {
        Ok(Session::new(self.access.connect().await?))
    }
}

/// The extensions of a list that the owner of a database may make.
async fn trusted(
    session: &mut Session,
    doing: Doing<'_>,
    entries: &[String],
) -> Result<Vec<String>> {
    let names: Vec<String> = entries
        .iter()
        .filter_map(|entry| extension(entry))
        .map(|name| Literal(name).to_string())
        .collect();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT e.name::text FROM pg_available_extensions e \
         JOIN pg_available_extension_versions v ON v.name = e.name AND v.version = e.default_version \
         WHERE (v.trusted OR NOT v.superuser) AND e.name IN ({})",
        names.join(", ")
    );
    let rows = session.run(doing, sql, SHORT).await?;
    rows.iter()
        .map(|row| sqlx::Row::try_get(row, 0).map_err(|source| doing.failed(source)))
        .collect()
}

/// Takes out the user mappings of roles that are gone, and of the role that the
/// org had elsewhere: their options are secrets, which stand in the archive alone.
async fn drop_mappings(
    session: &mut Session,
    doing: Doing<'_>,
    contents: &Contents,
    entries: &mut Vec<String>,
) -> Result<Vec<String>> {
    let mut roles: Vec<String> =
        entries.iter().filter_map(|entry| user_mapping(entry)).map(str::to_owned).collect();
    roles.retain(|role| role != "public");
    roles.dedup();
    let mut lost = Vec::new();
    for role in roles {
        let sql =
            format!("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = {})", Literal(&role));
        let rows = session.run(doing, sql, SHORT).await?;
        let there: bool = crate::server::first(&rows, doing)?;
        let moved = role == contents.former_role && role != contents.role;
        if !there || moved {
            entries.retain(|entry| user_mapping(entry) != Some(role.as_str()));
            lost.push(format!("the user mappings of role `{role}` were left out: make them again"));
        }
    }
    Ok(lost)
}

async fn lend(session: &mut Session, doing: Doing<'_>, what: &str) -> Result<()> {
    session.run(doing, LEND.replace("{what}", what), SHORT).await.map(drop)
}

async fn share_large_objects(session: &mut Session, doing: Doing<'_>, known: u32) -> Result<()> {
    let sql = SHARE_LARGE_OBJECTS.replace("{known}", &known.to_string());
    session.run(doing, sql, WORK).await.map(drop)
}
