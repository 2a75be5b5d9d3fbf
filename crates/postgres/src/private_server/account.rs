//! Whom PostgreSQL runs as. It refuses root, so root runs it as `postgres`.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use crate::{Error, Result};

const ACCOUNTS: &[&str] = &["postgres", "nobody"];

/// An unprivileged user of this machine.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl Account {
    /// Whom to run PostgreSQL as; `None` means as ourselves.
    pub(crate) fn choose() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let find = |name| users.lines().find_map(|line| parse(line, name));
        ACCOUNTS.iter().copied().find_map(find).map(Some).ok_or(Error::NoUnprivilegedUser)
    }

    /// Sees that every directory above `path`, and itself, lets the user pass.
    pub(crate) fn check_reach(&self, path: &Path) -> Result<()> {
        for directory in path.ancestors() {
            let Ok(found) = fs::metadata(directory) else {
                continue;
            };
            let pass = match (found.uid() == self.uid, found.gid() == self.gid) {
                (true, _) => 0o100,
                (false, true) => 0o010,
                (false, false) => 0o001,
            };
            if found.mode() & pass == 0 {
                let (path, user) = (directory.to_owned(), self.name.clone());
                return Err(Error::Unreachable { path, user });
            }
        }
        Ok(())
    }
}

/// Reads a line of `/etc/passwd` if it is `name`'s.
fn parse(line: &str, name: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let name = fields.next().filter(|found| *found == name)?.to_owned();
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some(Account { name, uid, gid })
}
