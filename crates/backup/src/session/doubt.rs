//! What looks damaged is looked at again before it is believed.
//!
//! Invariant: an error that says damage was come to twice, from what was read anew, in a repository
//! of which something is there.

use bytes::Bytes;
use rustic_core::{ErrorKind, RusticError};
use yuantus_storage::ObjectStore;

use super::{Opened, Session, undecipherable};
use crate::{
    Error, Result,
    backend::{Failed, unsteady},
    error::Damage,
};

impl Session {
    /// Opens it once more, and says what it is that keeps it closed: the config has been changed,
    /// or another key was used to make it.
    pub(super) fn open_again(&self) -> Result<Opened> {
        tracing::warn!(prefix = self.prefix, "a repository did not open; opening it again");
        let before = self.config()?;
        match self.closed()?.open(&self.credentials()) {
            Err(error) if undecipherable(&error) => {}
            result => return self.checked(result),
        }
        let key = format!("{}config", self.prefix);
        let (after, foreign) = (self.config()?, self.is_foreign()?);
        if before != after {
            let ask = |store| async move { Err::<(), _>(unsteady(&store, &key).into()) };
            self.backend.ask(ask);
            return self.checked(Err(RusticError::new(ErrorKind::Backend, "It is unsteady.")));
        }
        if foreign {
            return Err(Error::WrongKey { prefix: self.prefix.clone() });
        }
        let what = "cannot be decrypted with the key that it was made with".to_owned();
        Err(self.damaged(Damage { subject: format!("{key:?}"), what }))
    }

    fn config(&self) -> Result<Bytes> {
        let key = format!("{}config", self.prefix);
        self.asked(|store| async move { Ok(store.get(&key).await?) })
    }

    /// Whether it was made with another key: there are key files, and ours is none of them.
    fn is_foreign(&self) -> Result<bool> {
        let (ours, all) = (self.key_file.clone(), format!("{}keys/", self.prefix));
        self.asked(|store| async move {
            Ok(store.head(&ours).await?.is_none() && store.has_any(&all).await?)
        })
    }

    /// Whether there is anything at all where the repository should be.
    fn is_there(&self) -> Result<bool> {
        let prefix = self.prefix.clone();
        self.asked(|store| async move { Ok(store.has_any(&prefix).await?) })
    }

    fn asked<T, F>(&self, question: impl FnOnce(ObjectStore) -> F) -> Result<T>
    where
        F: Future<Output = Result<T, Failed>>,
    {
        match self.backend.ask(question) {
            Some(answer) => Ok(answer),
            None => self.checked(Err(RusticError::new(ErrorKind::Backend, "S3 failed."))),
        }
    }

    /// Does what finds the repository wrong once more before that is believed.
    pub(crate) fn twice<T>(&self, look: impl Fn() -> Result<T>) -> Result<T> {
        match look() {
            Err(error) if error.is_damage() => {
                let cause = &error as &dyn std::error::Error;
                tracing::warn!(
                    prefix = self.prefix,
                    cause,
                    "a backup looks damaged; looking again"
                );
            }
            result => return result,
        }
        self.backend.start_over();
        look().map_err(|error| self.believed(error))
    }

    /// What an error means that was seen twice. Where nothing at all is left, it is rather the
    /// bucket that is another one.
    pub(crate) fn believed(&self, error: Error) -> Error {
        if !error.is_damage() {
            return error;
        }
        self.backend.start_over();
        match self.is_there() {
            Ok(true) => error,
            Ok(false) => self.absent(),
            Err(unknown) => unknown,
        }
    }

    fn absent(&self) -> Error {
        Error::Absent { prefix: self.prefix.clone(), bucket: self.bucket.clone() }
    }
}
