//! The files of a private server: `pgdata`, `run` for its socket, its log, the
//! superuser's password and the port.
//!
//! Invariant: whoever holds the lock file is the only one to start or stop
//! the server. The kernel lets go of the lock when its process dies.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    net::TcpListener,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, chown},
    path::{Path, PathBuf},
};

use aws_lc_rs::rand;
use rustix::fs::{FlockOperation, flock};
use secrecy::SecretString;

use super::account::Account;
use crate::{Error, Result};

/// What the path of a Unix socket may have, less the socket's own name.
const SOCKET_PATH_BYTES: usize = 107 - "/.s.PGSQL.65535".len();

pub(crate) struct Directory {
    root: PathBuf,
    pub(crate) account: Option<Account>,
    _lock: File,
}

impl Directory {
    /// Makes the directory if it is new and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let account = Account::choose()?;
        let failed = doing("make", path);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(&failed)?;
        let root = fs::canonicalize(path).map_err(&failed)?;
        if account.is_some() {
            // PostgreSQL's user passes through, but sees nothing.
            let mode = fs::metadata(&root).map_err(&failed)?.permissions().mode();
            let passable = fs::Permissions::from_mode(mode | 0o011);
            fs::set_permissions(&root, passable).map_err(&failed)?;
        }
        if let Some(account) = &account {
            account.check_reach(&root)?;
        }
        let lock = open_private(&root.join("lock"))?;
        if let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            return Err(match error {
                rustix::io::Errno::WOULDBLOCK => Error::DirectoryInUse { path: root },
                other => doing("lock", &root)(other.into()),
            });
        }
        let directory = Self { root, account, _lock: lock };
        directory.make("run")?;
        Ok(directory)
    }

    /// PostgreSQL's data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.join("pgdata")
    }

    /// The server's log.
    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("postgres.log")
    }

    /// Where the server's socket goes, if its path is short enough.
    pub(crate) fn socket(&self) -> Option<PathBuf> {
        let directory = self.root.join("run");
        (directory.as_os_str().len() <= SOCKET_PATH_BYTES).then_some(directory)
    }

    /// A directory that only PostgreSQL's user may enter, empty if it is new.
    pub(crate) fn make(&self, name: &str) -> Result<PathBuf> {
        self.make_within(&self.root, name)
    }

    /// The same within a directory of ours.
    pub(crate) fn make_within(&self, parent: &Path, name: &str) -> Result<PathBuf> {
        let path = parent.join(name);
        let failed = doing("make", &path);
        fs::create_dir_all(&path).map_err(&failed)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).map_err(&failed)?;
        self.give(&path)?;
        Ok(path)
    }

    /// Makes PostgreSQL's user the owner of a file.
    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        match &self.account {
            Some(account) => {
                chown(path, Some(account.uid), Some(account.gid)).map_err(doing("hand over", path))
            }
            None => Ok(()),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The superuser's password, made once.
    pub(crate) fn password(&self) -> Result<SecretString> {
        let path = self.root.join("superuser.password");
        if let Some(password) = read(&path)? {
            return Ok(SecretString::from(password));
        }
        let mut bytes = [0; 24];
        rand::fill(&mut bytes).expect("the system's random numbers");
        let password = hex::encode(bytes);
        self.write(&path, &password)?;
        Ok(SecretString::from(password))
    }

    /// The port of the last start, or a free one: `fresh` forgets the former.
    pub(crate) fn port(&self, fresh: bool) -> Result<u16> {
        let path = self.root.join("port");
        let former = read(&path)?.and_then(|port| port.parse().ok());
        let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
        if let Some(port) = former.filter(|port| !fresh && is_free(port)) {
            return Ok(port);
        }
        let port = TcpListener::bind(("127.0.0.1", 0))
            .and_then(|listener| listener.local_addr())
            .map_err(doing("find a free port for", &self.root))?
            .port();
        self.write(&path, &port.to_string())?;
        Ok(port)
    }

    /// Writes a file whole or not at all.
    fn write(&self, path: &Path, text: &str) -> Result<()> {
        let write = || {
            let mut file = tempfile::NamedTempFile::new_in(&self.root)?;
            file.write_all(text.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error).map(drop)
        };
        write().map_err(doing("write", path))
    }
}

/// A file that nobody else may read.
pub(crate) fn open_private(path: &Path) -> Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(doing("open", path))
}

pub(crate) fn doing(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::File { operation, path: path.clone(), source }
}

/// A file's text, or `None` if there is no such file.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(doing("read", path)(error)),
    }
}
