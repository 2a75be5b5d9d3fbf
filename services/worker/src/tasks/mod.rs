//! The tasks, one folder an operation, one file a step.

mod create_backup;
mod create_database;
mod migrate_database;
mod restore_database;
mod verify_backup;

use yuantus_operations::Registry;

use crate::Deps;

/// Every task.
pub fn registry() -> Registry<Deps> {
    Registry::new(&[
        &create_backup::CreateBackup,
        &create_database::CreateDatabase,
        &migrate_database::MigrateDatabase,
        &restore_database::RestoreDatabase,
        &verify_backup::VerifyBackup,
    ])
}

#[cfg(test)]
mod tests {
    use yuantus_domain::OperationType;

    use super::*;

    #[test]
    fn every_operation_has_a_task_with_the_steps_that_are_recorded() {
        for kind in OperationType::ALL {
            assert_eq!(registry().steps(*kind), kind.steps(), "{kind}");
        }
    }
}
