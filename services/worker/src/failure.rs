//! From the crates' errors to what a step says: may it pass, or will it not?

use yuantus_operations::StepError;

/// The backup is not what its manifest says.
pub(crate) const DAMAGED: &str = "BACKUP_DAMAGED";
/// What was dumped cannot be loaded.
pub(crate) const NOT_RESTORABLE: &str = "BACKUP_NOT_RESTORABLE";

/// The bucket cannot be used, and will not be without somebody's help.
const STORAGE_FAILED: &str = "STORAGE_FAILED";

fn of<E: std::error::Error + Send + Sync + 'static>(
    transient: bool,
    (passing, lasting): (&'static str, &'static str),
    error: E,
) -> StepError {
    if transient { StepError::retry(passing, error) } else { StepError::fail(lasting, error) }
}

/// A failure of the server of the orgs' databases, or of its programs.
pub(crate) fn postgres(error: yuantus_postgres::Error) -> StepError {
    match error {
        yuantus_postgres::Error::Superseded { .. } => return StepError::Lost,
        yuantus_postgres::Error::Behind { .. } => {
            return StepError::Behind { message: error.to_string() };
        }
        _ => {}
    }
    of(error.is_transient(), ("DATABASE_UNAVAILABLE", "DATABASE_FAILED"), error)
}

/// A failure to begin a dump, or of a dump.
pub(crate) fn dumping(error: yuantus_postgres::Error) -> StepError {
    use yuantus_postgres::Error::{NotDumpable, ToolMissing, ToolVersion};
    match error {
        NotDumpable { .. } => StepError::fail("ADMINISTRATOR_LACKS_RIGHTS", error),
        ToolMissing { .. } | ToolVersion { .. } => {
            StepError::fail("CLIENT_PROGRAMS_MISSING", error)
        }
        error => postgres(error),
    }
}

/// A failure to show that a dump can be loaded: what the server refuses once, it
/// would refuse when the backup is needed.
pub(crate) fn loading_schema(error: yuantus_postgres::Error) -> StepError {
    use yuantus_postgres::Error::{Child, Statement};
    match &error {
        Child { .. } | Statement { .. } if !error.is_transient() => {
            StepError::refuse(NOT_RESTORABLE, not_restorable(&error))
        }
        _ => loading(error),
    }
}

fn not_restorable(error: &yuantus_postgres::Error) -> String {
    let mut cause = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        cause += &format!(": {inner}");
        source = inner.source();
    }
    let superuser =
        ["permission denied", "must be superuser", "must be owner", "Must be superuser"];
    let mend = if superuser.iter().any(|words| cause.contains(words)) {
        "only another administrator may make this: use one that may (a superuser), or drop the \
         object that is named"
    } else {
        "mend or drop the object that is named"
    };
    format!("the dump cannot be loaded, so it is no backup; {mend}, and back up again: {cause}")
}

/// A failure of a migration.
pub(crate) fn schema(error: yuantus_tenant_schema::Error) -> StepError {
    of(error.is_transient(), ("DATABASE_UNAVAILABLE", "MIGRATION_FAILED"), error)
}

/// A failure of the bucket. What S3 refuses may be allowed again once somebody has mended its keys,
/// its clock or its bucket, and undoing would need it too: it is tried again like what passes.
pub(crate) fn storage(error: yuantus_storage::Error) -> StepError {
    if error.is_fenced() {
        return StepError::Lost;
    }
    refused(error.is_transient(), error.is_invalid(), error)
}

fn refused<E: std::error::Error + Send + Sync + 'static>(
    transient: bool,
    invalid: bool,
    error: E,
) -> StepError {
    match (transient, invalid) {
        (true, _) => StepError::retry("STORAGE_UNAVAILABLE", error),
        (false, false) => StepError::retry(STORAGE_FAILED, error),
        (false, true) => StepError::fail(STORAGE_FAILED, error),
    }
}

/// A failure of a backup repository.
pub(crate) fn backup(error: yuantus_backup::Error) -> StepError {
    if error.is_fenced() {
        return StepError::Lost;
    }
    match error.storage_error() {
        // Not there although it was written, or the repository would not be asked for it.
        Some(source) if !source.is_not_found() => {
            refused(source.is_transient(), source.is_invalid(), error)
        }
        _ => of(error.is_transient(), ("STORAGE_UNAVAILABLE", "BACKUP_FAILED"), error),
    }
}

/// A failure to read a backup back. Damage is only what was read, twice, and is wrong; everything
/// else is a failure of the bucket or of ours, and says nothing about the backup.
pub(crate) fn reading(error: yuantus_backup::Error) -> StepError {
    use yuantus_backup::Error::{Absent, Cancelled, Panicked};
    if error.is_damage() {
        return StepError::fail(DAMAGED, error);
    }
    match error {
        Absent { .. } => StepError::retry(STORAGE_FAILED, error),
        Cancelled { .. } | Panicked { .. } => StepError::retry("BACKUP_FAILED", error),
        error => backup(error),
    }
}

/// A failure to load a dump: the server's, or that of whoever reads the dump.
pub(crate) fn loading(error: yuantus_postgres::Error) -> StepError {
    use yuantus_postgres::Error::Input;
    match error {
        Input { database, source } => match source.downcast() {
            Ok(error) => reading(error),
            Err(source) => postgres(Input { database, source }),
        },
        error => dumping(error),
    }
}

/// A failure to open or seal a secret. It says that a key or a value is not the
/// one it should be, and nothing of what the operation has made, so nothing is
/// ever undone because of it.
pub(crate) fn auth(error: yuantus_auth::Error) -> StepError {
    StepError::park("SECRET_UNUSABLE", error)
}
