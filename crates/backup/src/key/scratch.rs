//! The smallest repository backend: keeps what is written, in memory.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rustic_core::{
    BytesList, ErrorKind, FileType, Id, ReadBackend, RusticError, RusticResult, WriteBackend,
};

#[derive(Default)]
pub(super) struct Scratch(Mutex<Vec<(FileType, Id, Vec<u8>)>>);

impl Scratch {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn key_file(&self) -> Option<String> {
        let key = self.find(|tpe, _| tpe == FileType::Key)?;
        String::from_utf8(key).ok()
    }

    fn find(&self, wanted: impl Fn(FileType, &Id) -> bool) -> Option<Vec<u8>> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.iter().find(|(tpe, id, _)| wanted(*tpe, id)).map(|(_, _, content)| content.clone())
    }
}

impl ReadBackend for Scratch {
    fn location(&self) -> String {
        "memory".to_owned()
    }

    fn list_with_size(&self, tpe: FileType) -> RusticResult<Vec<(Id, u32)>> {
        let files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_type = files.iter().filter(|(t, _, _)| *t == tpe);
        Ok(of_type
            .map(|(_, id, content)| (*id, u32::try_from(content.len()).unwrap_or(u32::MAX)))
            .collect())
    }

    fn read_full(&self, tpe: FileType, id: &Id) -> RusticResult<Bytes> {
        self.find(|t, i| t == tpe && i == id)
            .map(Bytes::from)
            .ok_or_else(|| RusticError::new(ErrorKind::Backend, "There is no such file."))
    }

    fn read_partial(
        &self,
        tpe: FileType,
        id: &Id,
        _cacheable: bool,
        offset: u32,
        length: u32,
    ) -> RusticResult<Bytes> {
        let (offset, length) = (offset as usize, length as usize);
        let content = self.read_full(tpe, id)?;
        let end = content.len().min(offset.saturating_add(length));
        Ok(content.slice(offset.min(end)..end))
    }

    fn warmup_path(&self, _tpe: FileType, id: &Id) -> String {
        id.to_hex().as_str().to_owned()
    }
}

impl WriteBackend for Scratch {
    fn write_bytes(
        &self,
        tpe: FileType,
        id: &Id,
        _cacheable: bool,
        content: BytesList,
    ) -> RusticResult<()> {
        let content = content.into_vec().concat();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((tpe, *id, content));
        Ok(())
    }

    fn remove(&self, tpe: FileType, id: &Id, _cacheable: bool) -> RusticResult<()> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|(t, i, _)| (t, i) != (&tpe, id));
        Ok(())
    }
}
