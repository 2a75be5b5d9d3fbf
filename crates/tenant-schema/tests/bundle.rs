//! What is said of a bundle before any database is touched.

#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::{fs, path::Path};

use yuantus_tenant_schema::{Bundle, Error};

/// Names and contents.
type Files<'a> = &'a [(&'a str, &'a [u8])];

fn directory(files: Files<'_>) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn refused(files: Files<'_>) -> String {
    Bundle::load(directory(files).path()).unwrap_err().to_string()
}

#[test]
fn a_directory_that_is_missing_or_empty_is_named() {
    assert!(matches!(Bundle::load(Path::new("/nonexistent")), Err(Error::ReadDirectory { .. })));
    assert!(refused(&[]).contains("holds no .sql file"));
    assert!(refused(&[("README.md", b"x")]).contains("holds no .sql file"));
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let directory = directory(&[]);
    std::os::unix::fs::symlink("/nonexistent", directory.path().join("1_x.sql")).unwrap();
    let error = Bundle::load(directory.path()).unwrap_err();
    assert!(matches!(&error, Error::ReadFile { file, .. } if file == "1_x.sql"), "{error}");
}

#[test]
fn text_that_is_not_utf8_is_named_with_its_line() {
    assert_eq!(refused(&[("1_x.sql", b"SELECT 1;\n-- \xff")]), "1_x.sql:2: is not UTF-8 text");
    assert_eq!(refused(&[("1_x.sql", b"\n\nSELECT '\0'")]), "1_x.sql:3: is not UTF-8 text");
}

#[test]
fn several_statements_outside_a_transaction_are_refused() {
    let text = b"-- no-transaction\nSELECT 1;\nSELECT 2;";
    assert!(refused(&[("1_x.sql", text)]).starts_with("1_x.sql:3: must stand alone in its file"));
}

#[test]
fn order_names_and_checks_are_refused_by_name() {
    let cases: &[(Files<'_>, &str)] = &[
        (&[("1_a.sql", b""), ("3_c.sql", b"")], "migration 2 is missing: the next file is 3_c.sql"),
        (&[("1_a.sql", b""), ("01_b.sql", b"")], "01_b.sql and 1_a.sql are both version 1"),
        (&[("init.sql", b"")], "init.sql: must be named `<version>_<name>.sql`"),
        (&[("V1__a.sql", b""), ("R__b.sql", b"")], "R__b.sql: is a repeatable migration"),
        (&[("1_a.sql", b""), ("2_a.check.sql", b"SELECT 1")], "2_a.check.sql: checks a migration"),
        (
            &[("1_a.sql", b""), ("1_a.check.sql", b"DROP TABLE a")],
            "1_a.check.sql:1: must be a query",
        ),
        (&[("1_a.sql", b"SELECT 'x")], "1_a.sql:1: begins a string that does not end"),
        (
            &[("1_a.sql", b"-- migrate:up\nSELECT 1;\n-- migrate:down\nDROP TABLE a;")],
            "1_a.sql:3: begins the half that goes back, as dbmate writes it",
        ),
        (&[("1_a.sql", b"SELECT 1;\nRESET ROLE;")], "1_a.sql:2: makes the session act as another"),
        (&[("V1__a.sql", b"SELECT 1"), ("U2__b.sql", b"DROP TABLE b")], "U2__b.sql: undoes `V2__"),
    ];
    for (files, expected) in cases {
        let error = refused(files);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn a_fingerprint_follows_versions_and_texts_only() {
    let print = |name: &str, text: &str| {
        let directory = directory(&[(name, text.as_bytes())]);
        Bundle::load(directory.path()).unwrap().fingerprint().to_owned()
    };
    let first = print("1_a.sql", "SELECT 1;\n");
    assert_eq!(print("0001_b.up.sql", "\u{feff}SELECT 1;\r\n"), first);
    assert_ne!(print("1_a.sql", "SELECT 2;\n"), first);
}

#[test]
fn what_goes_back_is_not_looked_at() {
    let files: Files<'_> =
        &[("1_a.up.sql", b"SELECT 1"), ("1_a.down.sql", b"SELECT 'x"), (".1_a.sql", b"")];
    let bundle = Bundle::load(directory(files).path()).unwrap();
    assert_eq!((bundle.migrations().len(), bundle.target()), (1, 1));
    assert_eq!(bundle.migrations()[0].description, "a");
    assert_eq!((bundle.pending(0), bundle.pending(1)), (vec![1], vec![]));
}
