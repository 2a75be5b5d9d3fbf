//! The head of an archive: its table of contents, read from a stream that
//! cannot be wound back, and who is to make which of its entries.
//!
//! Invariants: the definitions of all that is no data stand in the head, so
//! `pg_restore` can be given the head alone, more than once. Entries are made in
//! the archive's own order.

use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::{Error, Result, bootstrap::OWNER_ROLE, child::Child};

pub(crate) const PROGRAM: &str = "pg_restore";
pub(crate) const CHUNK_BYTES: usize = 1 << 20;

/// What only an administrator may be able to make. All else, tables above all,
/// the owner role makes, whoever it belonged to.
const PRIVILEGED: [&str; 20] = [
    "ACCESS METHOD",
    "AGGREGATE",
    "CAST",
    "COMMENT",
    "CONVERSION",
    "EVENT TRIGGER",
    "FOREIGN DATA WRAPPER",
    "FOREIGN TABLE",
    "FUNCTION",
    "OPERATOR",
    "PROCEDURAL LANGUAGE",
    "PROCEDURE",
    "PUBLICATION",
    "SECURITY LABEL",
    "SERVER",
    "SHELL TYPE",
    "TEXT SEARCH",
    "TRANSFORM",
    "TYPE",
    "USER MAPPING",
];

/// Who makes an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Maker {
    Administrator,
    Owner,
}

/// Entries that follow each other and have one maker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entries {
    pub(crate) maker: Maker,
    /// As `pg_restore --use-list` takes them.
    pub(crate) list: String,
}

/// The head of an archive.
pub(crate) struct Head {
    bytes: Vec<u8>,
}

impl Head {
    /// Reads as much of `reader` as the table of contents takes, and a little
    /// more; what was read is in [`Self::bytes`].
    pub(crate) async fn read(
        program: &Path,
        database: &str,
        reader: &mut (impl AsyncRead + Unpin),
    ) -> Result<Self> {
        let mut child = list_child(program, database, "pre-data")?;
        let (stdin, stdout) = (child.take_stdin(), child.take_stdout());
        let mut bytes = Vec::new();
        let read = async {
            let Some(mut stdin) = stdin else { return Ok(()) };
            let mut chunk = vec![0; CHUNK_BYTES];
            loop {
                let read = reader
                    .read(&mut chunk)
                    .await
                    .map_err(|source| Error::Input { database: database.to_owned(), source })?;
                bytes.extend_from_slice(&chunk[..read]);
                // The child has read all that it needs once it stops listening.
                if read == 0 || stdin.write_all(&chunk[..read]).await.is_err() {
                    return Ok(());
                }
            }
        };
        let (read, _) = tokio::join!(read, all_of(stdout));
        read?;
        child.finish().await?;
        Ok(Self { bytes })
    }

    /// The bytes that were read, from the archive's first.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entries of a section, `pre-data` or `post-data`, as `pg_restore`
    /// lists them.
    pub(crate) async fn list(
        &self,
        program: &Path,
        database: &str,
        section: &str,
    ) -> Result<Vec<String>> {
        let mut child = list_child(program, database, section)?;
        let (stdin, stdout) = (child.take_stdin(), child.take_stdout());
        let write = async {
            if let Some(mut stdin) = stdin {
                // It stops listening where the table of contents ends.
                let _ = stdin.write_all(&self.bytes).await;
            }
        };
        let ((), listed) = tokio::join!(write, all_of(stdout));
        child.finish().await?;
        let listed = String::from_utf8_lossy(&listed).into_owned();
        Ok(listed.lines().filter(|line| !line.starts_with(';')).map(str::to_owned).collect())
    }
}

fn list_child(program: &Path, database: &str, section: &str) -> Result<Child> {
    let arguments = ["--list", &format!("--section={section}")];
    Child::start(PROGRAM, program, database, &arguments, vec![("LC_ALL", "C".to_owned())])
}

/// What a child writes. Where it cannot be read, the child says why.
async fn all_of(stdout: Option<tokio::process::ChildStdout>) -> Vec<u8> {
    let mut text = Vec::new();
    if let Some(mut stdout) = stdout {
        let _ = stdout.read_to_end(&mut text).await;
    }
    text
}

/// What an entry is, from `12; 1259 16401 TABLE public t owner` on.
fn description(entry: &str) -> &str {
    let rest = entry.split_once("; ").map_or("", |(_, rest)| rest);
    rest.splitn(3, ' ').nth(2).unwrap_or_default()
}

/// The extension that an entry makes or comments on.
pub(crate) fn extension(entry: &str) -> Option<&str> {
    let what = description(entry);
    let name =
        what.strip_prefix("EXTENSION - ").or_else(|| what.strip_prefix("COMMENT - EXTENSION "))?;
    Some(name.trim_end())
}

/// Whether an entry makes an event trigger or comments on one.
pub(crate) fn is_event_trigger(entry: &str) -> bool {
    let what = description(entry);
    what.starts_with("EVENT TRIGGER ") || what.starts_with("COMMENT - EVENT TRIGGER ")
}

/// Whether an entry makes a large object, or says something of one.
pub(crate) fn is_large_object(entry: &str) -> bool {
    let what = description(entry);
    let of_one = |kind: &str| what.starts_with(&format!("{kind} - LARGE OBJECT "));
    what.starts_with("BLOB") || ["COMMENT", "SECURITY LABEL", "ACL"].into_iter().any(of_one)
}

/// Whether an entry makes what `what` says, up to its owner.
pub(crate) fn is(entry: &str, what: &str) -> bool {
    description(entry).starts_with(what)
}

/// Whether an entry makes a table part of another: it looks into the checks of
/// both.
pub(crate) fn is_attachment(entry: &str) -> bool {
    description(entry).starts_with("TABLE ATTACH ")
}

/// The role whose user mapping an entry makes.
pub(crate) fn user_mapping(entry: &str) -> Option<&str> {
    let rest = description(entry).strip_prefix("USER MAPPING - USER MAPPING ")?;
    rest.split_once(" SERVER ").map(|(role, _)| role)
}

/// Splits a list where the maker changes. `org` is the role the org had;
/// extensions that are not `trusted` are the administrator's.
pub(crate) fn split(entries: &[String], org: &str, trusted: &[String]) -> Vec<Entries> {
    let mut split: Vec<Entries> = Vec::new();
    for entry in entries {
        let maker = maker(entry, org, trusted);
        match split.last_mut() {
            Some(last) if last.maker == maker => last.list += &format!("{entry}\n"),
            _ => split.push(Entries { maker, list: format!("{entry}\n") }),
        }
    }
    split
}

fn maker(entry: &str, org: &str, trusted: &[String]) -> Maker {
    if let Some(name) = extension(entry) {
        let trusted = trusted.iter().any(|trusted| trusted == name);
        return if trusted { Maker::Owner } else { Maker::Administrator };
    }
    let what = description(entry);
    // The owner stands last; some entries have none.
    let ours = what.ends_with(' ')
        || [OWNER_ROLE, org].iter().any(|role| what.ends_with(&format!(" {role}")));
    let privileged = PRIVILEGED.iter().any(|kind| what.starts_with(kind));
    if privileged && !ours { Maker::Administrator } else { Maker::Owner }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_made_by_whoever_may_make_it() {
        let entries = [
            "7; 2615 16386 SCHEMA - Odd name yuantus_tenant_owner",
            "2; 3079 16390 EXTENSION - pgcrypto ",
            "3; 3079 16391 EXTENSION - postgres_fdw ",
            "3400; 0 0 COMMENT - EXTENSION postgres_fdw ",
            "230; 1255 16419 FUNCTION public bare() postgres",
            "231; 1255 16420 FUNCTION public ours() yuantus_tenant_owner",
            "215; 1259 16410 TABLE public secret postgres",
            "3200; 6104 16430 PUBLICATION - own yuantus_tenant_owner",
            "3201; 6104 16431 PUBLICATION - everything postgres",
        ];
        let entries = entries.map(str::to_owned);
        let split = split(&entries, "org", &["pgcrypto".to_owned()]);
        let makers: Vec<_> =
            split.iter().map(|part| (part.maker, part.list.lines().count())).collect();
        let expected = [
            (Maker::Owner, 2),
            (Maker::Administrator, 3),
            (Maker::Owner, 3),
            (Maker::Administrator, 1),
        ];
        assert_eq!(makers, expected);
        assert!(is_event_trigger("1; 3466 1 EVENT TRIGGER - evt postgres"));
        assert!(is_event_trigger("1; 0 0 COMMENT - EVENT TRIGGER evt postgres"));
        assert!(!is_event_trigger("1; 1255 1 FUNCTION public EVENT TRIGGER postgres"));
    }
}
