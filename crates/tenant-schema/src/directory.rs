//! Reads the `*.sql` files of a directory.

use std::path::Path;

use crate::{Error, Result, source::Source};

pub(crate) fn read(directory: &Path) -> Result<Vec<Source>> {
    let unreadable = |source| Error::ReadDirectory { directory: directory.to_owned(), source };
    let mut sources = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_sql = name.to_ascii_lowercase().ends_with(".sql") && !name.starts_with('.');
        // A broken link is not a directory: reading it says so by name.
        if is_sql && !entry.path().is_dir() {
            sources.push(read_file(&entry.path(), &name)?);
        }
    }
    if sources.is_empty() {
        return Err(Error::Empty { directory: directory.to_owned() });
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(sources)
}

fn read_file(path: &Path, name: &str) -> Result<Source> {
    let bytes =
        std::fs::read(path).map_err(|source| Error::ReadFile { file: name.to_owned(), source })?;
    match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains('\0') => {
            let at = text.find('\0').unwrap_or_default();
            Err(Error::NotText { file: name.to_owned(), line: line_at(&bytes, at) })
        }
        Ok(text) => Ok(Source::new(name, text)),
        Err(error) => {
            let line = line_at(&bytes, error.valid_up_to());
            Err(Error::NotText { file: name.to_owned(), line })
        }
    }
}

fn line_at(bytes: &[u8], at: usize) -> usize {
    bytes[..at].iter().filter(|byte| **byte == b'\n').count() + 1
}
