//! The files of the built-in bundle. A test compares the list with the
//! directory.

/// Names and texts.
pub(crate) const FILES: &[(&str, &str)] = &[
    ("0001_settings.sql", include_str!("../bundle/0001_settings.sql")),
    ("0001_settings.check.sql", include_str!("../bundle/0001_settings.check.sql")),
    ("0002_customers.sql", include_str!("../bundle/0002_customers.sql")),
    ("0002_customers.check.sql", include_str!("../bundle/0002_customers.check.sql")),
    ("0003_files.sql", include_str!("../bundle/0003_files.sql")),
    ("0003_files.check.sql", include_str!("../bundle/0003_files.check.sql")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Bundle;

    #[test]
    fn every_file_of_the_bundle_directory_is_embedded() {
        let mut names: Vec<String> =
            std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/bundle"))
                .unwrap()
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
        names.sort();
        let mut embedded: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        embedded.sort_unstable();
        assert_eq!(names, embedded);
    }

    #[test]
    fn the_builtin_bundle_checks_every_migration() {
        let bundle = Bundle::builtin();
        assert_eq!(bundle.target(), 3);
        assert!(bundle.migrations().iter().all(|m| m.check_sql.is_some() && !m.no_transaction));
        assert_eq!(bundle.fingerprint().len(), 64);
    }
}
