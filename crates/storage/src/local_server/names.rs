//! Short names for the long parts of keys, and the way back.
//!
//! `s3s-fs` keeps what it knows of an object in a file that is named by the whole key, and names of
//! files have at most 255 bytes, where a key may have 1024. So each part of a key, which is what is
//! between two `/`, is stored under a short name if it is long; what it stands for is in a file.

use std::{
    collections::HashMap,
    fs,
    io::{self, Write},
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

/// The longest part that is stored as it is, in bytes.
const LONGEST: usize = 24;
/// What a short name begins with.
const MARK: char = '~';
/// How many characters of a part's hash are in its short name: 90 bits.
const HASH: usize = 15;

/// Short names, and what they stand for.
#[derive(Debug)]
pub(super) struct Names {
    dir: PathBuf,
    known: Mutex<HashMap<String, String>>,
}

impl Names {
    /// Keeps them in `dir`, which need not be there yet.
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, known: Mutex::default() }
    }

    /// A key as it is stored; or the beginning of one, if it ends with `/`.
    pub(super) fn stored(key: &str) -> String {
        let parts = key.split('/').map(|part| match is_stored_as_it_is(part) {
            true => part.to_owned(),
            false => short(part),
        });
        parts.collect::<Vec<_>>().join("/")
    }

    /// The same, and it can be told what it stands for from now on.
    pub(super) fn store(&self, key: &str) -> io::Result<String> {
        for part in key.split('/').filter(|part| !is_stored_as_it_is(part)) {
            self.learn(part)?;
        }
        Ok(Self::stored(key))
    }

    /// What a stored key, or the beginning of one, stands for.
    pub(super) fn original(&self, stored: &str) -> io::Result<String> {
        let parts = stored.split('/').map(|part| match part.starts_with(MARK) {
            true => self.meaning(part),
            false => Ok(part.to_owned()),
        });
        Ok(parts.collect::<io::Result<Vec<_>>>()?.join("/"))
    }

    fn learn(&self, part: &str) -> io::Result<()> {
        let short = short(part);
        if self.known.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&short) {
            return Ok(());
        }
        let file = self.dir.join(&short);
        if !file.exists() {
            // Whole or not at all, whoever else does the same.
            fs::create_dir_all(&self.dir)?;
            let mut draft = tempfile::NamedTempFile::new_in(&self.dir)?;
            draft.write_all(part.as_bytes())?;
            draft.persist(file)?;
        }
        self.remember(short, part.to_owned());
        Ok(())
    }

    fn meaning(&self, short: &str) -> io::Result<String> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(short).cloned();
        match known {
            Some(part) => Ok(part),
            None => {
                let part = fs::read_to_string(self.dir.join(short))?;
                self.remember(short.to_owned(), part.clone());
                Ok(part)
            }
        }
    }

    fn remember(&self, short: String, part: String) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(short, part);
    }
}

fn is_stored_as_it_is(part: &str) -> bool {
    part.len() <= LONGEST && !part.starts_with(MARK)
}

fn short(part: &str) -> String {
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(part));
    format!("{MARK}{}", &hash[..HASH])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::unwrap_used, reason = "a set-up that fails is a test that fails")]
    fn long_parts_become_short_and_can_be_told_by_whoever_asks() {
        let dir = tempfile::TempDir::new().unwrap();
        let names = || Names::new(dir.path().join("names"));
        let long = "x".repeat(25);
        for (key, parts) in [
            (format!("tenants/{long}/files/{}", "ü".repeat(300)), 4),
            (format!("{long}/"), 2),
            ("~a/b".to_owned(), 2),
            ("a//b/".to_owned(), 4),
        ] {
            let stored = names().store(&key).unwrap();
            assert_eq!(stored, Names::stored(&key));
            assert_eq!(stored.split('/').count(), parts, "{stored}");
            assert!(stored.split('/').all(|part| part.len() <= LONGEST), "{stored}");
            assert_eq!(names().original(&stored).unwrap(), key);
        }
        assert_eq!(Names::stored("a/b c+ü"), "a/b c+ü");
        assert!(names().original("~nothing").is_err());
    }
}
