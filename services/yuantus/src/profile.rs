//! Profiles: which server to talk to and the token for it, in
//! `yuantus/config.toml` under `$XDG_CONFIG_HOME` or `~/.config`.
//!
//! Invariant: the file is never readable by others, and never half written. A
//! token is only sent to the server it came from.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use yuantus_proto::v1::LoginResponse;

use crate::failure::Failure;

/// A token that lasts no longer than so many seconds is exchanged first.
const MARGIN: u64 = 60;

/// The profile used where none is named.
pub(crate) const DEFAULT: &str = "default";

/// All profiles.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Profiles {
    #[serde(default)]
    profiles: BTreeMap<String, Profile>,
}

/// A server, and who we are there.
#[derive(Clone, Default, Deserialize, Serialize)]
pub(crate) struct Profile {
    /// The server's URL.
    pub(crate) server: String,
    /// The tenant logged in to.
    #[serde(default)]
    pub(crate) tenant: String,
    /// The user logged in as.
    #[serde(default)]
    pub(crate) username: String,
    /// The token; empty before the first login.
    #[serde(default)]
    pub(crate) token: String,
    /// In which second of the epoch the token ends; 0 if that is not known.
    #[serde(default)]
    pub(crate) token_ends_at: u64,
    /// What the next token is had for; empty if there is none.
    #[serde(default)]
    pub(crate) refresh_token: String,
}

impl Profile {
    /// Keeps what a login or a refresh answered.
    pub(crate) fn keep(&mut self, answer: LoginResponse) {
        self.token = answer.access_token;
        self.token_ends_at = now().saturating_add(answer.expires_in.unsigned_abs().into());
        self.refresh_token = answer.refresh_token;
    }

    /// Whether the token is about to end and another can be had.
    pub(crate) fn is_ending(&self) -> bool {
        !self.refresh_token.is_empty() && now().saturating_add(MARGIN) >= self.token_ends_at
    }
}

/// The second of the epoch.
#[expect(clippy::disallowed_methods, reason = "how long a token lasts is a matter of this machine")]
fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl std::fmt::Debug for Profile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Profile")
            .field("server", &self.server)
            .field("tenant", &self.tenant)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// The token of the environment, which goes before the profile's. It is not an
/// option: those are seen by everybody on the machine.
pub(crate) fn token_of_environment() -> Option<String> {
    variable("YUANTUS_TOKEN")?.into_string().ok()
}

#[expect(clippy::disallowed_methods, reason = "where a person's files are is no configuration")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Where profiles are.
pub(crate) fn default_path() -> Result<PathBuf, Failure> {
    let base = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")))
        .ok_or_else(|| Failure::Usage("neither XDG_CONFIG_HOME nor HOME is set".into()))?;
    Ok(base.join("yuantus").join("config.toml"))
}

impl Profiles {
    /// Reads the file; no profiles where it is not there yet.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let action = || format!("read the profiles in {}", path.display());
        match fs::read_to_string(path) {
            // The text holds tokens: only the bare message is shown.
            Ok(text) => toml::from_str(&text)
                .map_err(|error| Failure::local(action(), error.message().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Failure::local(action(), error)),
        }
    }

    /// The profile of that name.
    pub(crate) fn get(&self, name: &str) -> Option<&Profile> {
        self.profiles.get(name)
    }

    /// Puts a profile in place of the one of that name, and writes the file.
    pub(crate) fn put(mut self, path: &Path, name: &str, profile: Profile) -> Result<(), Failure> {
        self.profiles.insert(name.to_owned(), profile);
        let action = || format!("write the profiles in {}", path.display());
        let text = toml::to_string(&self).map_err(|error| Failure::local(action(), error))?;
        write_private(path, &text).map_err(|error| Failure::local(action(), error))
    }
}

/// Waits until no other command exchanges tokens; the next one waits until the
/// file is dropped.
pub(crate) fn lock(path: &Path) -> Result<File, Failure> {
    let path = path.with_extension("lock");
    let locked = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path);
    let locked = locked.and_then(|file| file.lock().map(|()| file));
    locked.map_err(|error| Failure::local(format!("lock {}", path.display()), error))
}

/// Writes a file that only we may read, whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    if !directory.is_dir() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(token: &str) -> Profile {
        Profile { server: "http://h:1".into(), token: token.into(), ..Profile::default() }
    }

    #[test]
    fn profiles_are_kept_and_only_we_may_read_them() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("yuantus/config.toml");
        assert!(Profiles::read(&path).unwrap().get(DEFAULT).is_none());
        Profiles::read(&path).unwrap().put(&path, DEFAULT, profile("a")).unwrap();
        Profiles::read(&path).unwrap().put(&path, "other", profile("b")).unwrap();
        let read = Profiles::read(&path).unwrap();
        assert_eq!(read.get(DEFAULT).unwrap().token, "a");
        assert_eq!(read.get("other").unwrap().token, "b");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn neither_errors_nor_debug_output_show_a_token() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        fs::write(&path, "[profiles.default]\nserver = 1\ntoken = \"hunter2\"\n").unwrap();
        let failure = Profiles::read(&path).unwrap_err();
        assert!(!failure.to_string().contains("hunter2"), "{failure}");
        assert!(!format!("{:?}", profile("hunter2")).contains("hunter2"));
    }
}
