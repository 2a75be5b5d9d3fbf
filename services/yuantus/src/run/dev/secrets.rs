//! `secrets.toml`: what `dev` made up at its first start and needs again.
//!
//! Invariant: the file is whole before anything that needs it is made. Where
//! there is data but no file, nothing is made up anew: what the lost key had
//! sealed could never be opened again.

use std::{fs, io, os::unix::fs::PermissionsExt};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use yuantus_auth::{random_key, random_password};
use yuantus_config::permissions::secret_objection;

use super::data_dir::DataDir;
use crate::{failure::Failure, profile::write_private};

/// What `dev` made up at its first start.
pub(crate) struct Secrets {
    pub(crate) jwt_secret: SecretString,
    pub(crate) key: SecretString,
    pub(crate) s3_access_key_id: String,
    pub(crate) s3_secret_access_key: SecretString,
    /// The port that S3 had last; 0 before the first start.
    pub(crate) s3_port: u16,
    /// The first administrator's password, until it was shown.
    pub(crate) admin_password: Option<SecretString>,
}

/// The file.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    jwt_secret: String,
    key: String,
    s3_access_key_id: String,
    s3_secret_access_key: String,
    s3_port: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    admin_password: Option<String>,
}

impl Secrets {
    /// Reads the file, or makes it at the first start.
    pub(crate) fn open(data: &DataDir) -> Result<Self, Failure> {
        let path = data.secrets();
        let action = || format!("read {}", path.display());
        if let Ok(file) = fs::metadata(&path)
            && let Some(rule) = secret_objection(file.permissions().mode())
        {
            return Err(Failure::local(action(), format!("it {rule}")));
        }
        match fs::read_to_string(&path) {
            // The text is secret: only the bare message is shown.
            Ok(text) => toml::from_str::<Stored>(&text)
                .map(Self::from)
                .map_err(|error| Failure::local(action(), error.message().to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(data),
            Err(error) => Err(Failure::local(action(), error)),
        }
    }

    fn make(data: &DataDir) -> Result<Self, Failure> {
        if data.postgres().join("pgdata").exists() {
            return Err(Failure::local(
                format!("read {}", data.secrets().display()),
                "it is gone, but there is data that only its key opens; \
                 put it back, or remove the whole directory",
            ));
        }
        let failed = |error| Failure::local("make secrets", error);
        let id = random_password().map_err(failed)?;
        let secrets = Self {
            jwt_secret: random_key().map_err(failed)?,
            key: random_key().map_err(failed)?,
            s3_access_key_id: format!("dev{}", &id.expose_secret()[..17]),
            s3_secret_access_key: random_password().map_err(failed)?,
            s3_port: 0,
            admin_password: Some(random_password().map_err(failed)?),
        };
        secrets.write(data)?;
        Ok(secrets)
    }

    /// Forgets the administrator's password.
    pub(crate) fn forget_admin_password(&mut self, data: &DataDir) -> Result<(), Failure> {
        self.admin_password = None;
        self.write(data)
    }

    /// Remembers where S3 is.
    pub(crate) fn set_s3_port(&mut self, data: &DataDir, port: u16) -> Result<(), Failure> {
        if self.s3_port == port {
            return Ok(());
        }
        self.s3_port = port;
        self.write(data)
    }

    fn write(&self, data: &DataDir) -> Result<(), Failure> {
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        let stored = Stored {
            jwt_secret: text(&self.jwt_secret),
            key: text(&self.key),
            s3_access_key_id: self.s3_access_key_id.clone(),
            s3_secret_access_key: text(&self.s3_secret_access_key),
            s3_port: self.s3_port,
            admin_password: self.admin_password.as_ref().map(text),
        };
        let path = data.secrets();
        let failed = || format!("write {}", path.display());
        let text = toml::to_string(&stored).map_err(|error| Failure::local(failed(), error))?;
        write_private(&path, &text).map_err(|error| Failure::local(failed(), error))
    }
}

impl From<Stored> for Secrets {
    fn from(stored: Stored) -> Self {
        Self {
            jwt_secret: stored.jwt_secret.into(),
            key: stored.key.into(),
            s3_access_key_id: stored.s3_access_key_id,
            s3_secret_access_key: stored.s3_secret_access_key.into(),
            s3_port: stored.s3_port,
            admin_password: stored.admin_password.map(Into::into),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_the_same_at_the_next_start_and_only_ours() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDir::open(&parent.path().join("d")).unwrap();
        let mut first = Secrets::open(&data).unwrap();
        first.set_s3_port(&data, 9000).unwrap();
        let again = Secrets::open(&data).unwrap();
        assert_eq!(again.key.expose_secret(), first.key.expose_secret());
        assert_eq!((again.s3_port, again.admin_password.is_some()), (9000, true));
        first.forget_admin_password(&data).unwrap();
        assert!(Secrets::open(&data).unwrap().admin_password.is_none());
        let mode = fs::metadata(data.secrets()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn secrets_that_others_can_read_or_write_are_refused() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDir::open(&parent.path().join("d")).unwrap();
        Secrets::open(&data).unwrap();
        for (mode, sound) in [(0o604, false), (0o620, false), (0o602, false), (0o640, true)] {
            let permissions = fs::Permissions::from_mode(mode);
            fs::set_permissions(data.secrets(), permissions).unwrap();
            let opened = Secrets::open(&data);
            assert_eq!(opened.is_ok(), sound, "{mode:o}");
            let error = opened.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(sound || error.contains("it holds secrets and can be"), "{error}");
        }
    }

    #[test]
    fn lost_secrets_are_not_made_up_anew_where_there_is_data() {
        let parent = tempfile::tempdir().unwrap();
        let data = DataDir::open(&parent.path().join("d")).unwrap();
        fs::create_dir_all(data.postgres().join("pgdata")).unwrap();
        assert!(Secrets::open(&data).err().unwrap().to_string().contains("put it back"));
        fs::write(data.secrets(), "key = hunter2").unwrap();
        assert!(!Secrets::open(&data).err().unwrap().to_string().contains("hunter2"));
    }
}
