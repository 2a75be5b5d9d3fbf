//! File names as sqlx, golang-migrate and Flyway write them.
//!
//! | name | taken as |
//! |---|---|
//! | `1_x.sql`, `0001_x.up.sql` | migration 1 (sqlx, golang-migrate) |
//! | `V1__x.sql`, `V1.2__x.sql`, `V1_2__x.sql` | migration (Flyway) |
//! | `0001_x.down.sql` | undoes one: not used, since we go forward only |
//! | `U1__x.sql` | undoes `V1__…` (Flyway): not used; refused where that is not there |
//! | `1_x.undo.sql`, `1_x.Down.sql` and their like | undoes one, by a name that is not ours: refused |
//! | `<name>.check.sql` | the twin that asserts what `<name>` did |
//! | `R__x.sql`, `B1__x.sql` | Flyway's repeatable and baseline: refused |

use crate::{Error, Result};

/// Most parts of a dotted version.
pub(crate) const MAX_PARTS: usize = 4;

/// How tools whose names are not ours end the name of one that goes back.
const BACKWARD: &[&str] = &["down", "undo", "rollback", "revert", "downgrade"];

/// What a file's name says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FileName {
    /// A migration.
    Migration {
        /// Whose convention.
        style: Style,
        /// The version's parts, most significant first.
        version: Vec<i64>,
        /// What it does.
        description: String,
    },
    /// A check; the stem it shares with its migration.
    Check(String),
    /// Undoes a migration; Flyway's version, where its name says one.
    Undo(Option<Vec<i64>>),
}

/// Whose convention a name follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// sqlx and golang-migrate.
    Numbered,
    /// Flyway.
    Flyway,
}

/// The part of a name that a migration shares with its check.
pub(crate) fn stem(name: &str) -> &str {
    let stem = name.get(..name.len().saturating_sub(".sql".len())).unwrap_or_default();
    stem.strip_suffix(".up").or_else(|| stem.strip_suffix(".check")).unwrap_or(stem)
}

pub(crate) fn parse(name: &str) -> Result<FileName> {
    let refused = |rule: &str| Error::FileName { file: name.to_owned(), rule: rule.to_owned() };
    let Some(bare) = name.strip_suffix(".sql") else {
        return Err(refused("must end in `.sql`, in lower case"));
    };
    if let Some(stem) = bare.strip_suffix(".check") {
        return Ok(FileName::Check(stem.to_owned()));
    }
    if bare.ends_with(".down") {
        return Ok(FileName::Undo(None));
    }
    let last = bare.rsplit('.').next().filter(|last| *last != bare).unwrap_or_default();
    if BACKWARD.contains(&last.to_ascii_lowercase().as_str()) {
        return Err(refused(
            "is named like one that goes back; name it `<version>_<name>.down.sql`, which is \
             never run",
        ));
    }
    let bare = bare.strip_suffix(".up").unwrap_or(bare);
    match bare.as_bytes().first() {
        Some(b'0'..=b'9') => numbered(bare).map_err(refused),
        Some(b'V') => flyway(&bare[1..]).map_err(refused),
        Some(b'U') => match flyway(&bare[1..]).map_err(refused)? {
            FileName::Migration { version, .. } => Ok(FileName::Undo(Some(version))),
            other => Ok(other),
        },
        Some(b'R') if bare.starts_with("R__") => {
            Err(refused("is a repeatable migration, which is not supported"))
        }
        Some(b'B') => Err(refused("is a baseline migration, which is not supported")),
        _ => Err(refused("must be named `<version>_<name>.sql` or `V<version>__<name>.sql`")),
    }
}

fn numbered(bare: &str) -> Result<FileName, &'static str> {
    let (version, name) =
        bare.split_once('_').ok_or("must have a `_` between its version and its name")?;
    migration(Style::Numbered, vec![number(version)?], name)
}

fn flyway(bare: &str) -> Result<FileName, &'static str> {
    let (version, name) =
        bare.split_once("__").ok_or("must have `__` between its version and its name")?;
    let parts: Vec<i64> = version.split(['.', '_']).map(number).collect::<Result<_, _>>()?;
    if parts.len() > MAX_PARTS {
        return Err("must have a version of at most four parts");
    }
    migration(Style::Flyway, parts, name)
}

fn number(text: &str) -> Result<i64, &'static str> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("must have a version of digits");
    }
    text.parse().map_err(|_| "has a version over 9223372036854775807")
}

fn migration(style: Style, version: Vec<i64>, name: &str) -> Result<FileName, &'static str> {
    let description = name.replace(['_', '-'], " ").trim().to_owned();
    if description.is_empty() {
        return Err("must have a name after its version");
    }
    Ok(FileName::Migration { style, version, description })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(name: &str) -> Vec<i64> {
        match parse(name) {
            Ok(FileName::Migration { version, .. }) => version,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn the_names_of_three_tools_are_understood() {
        assert_eq!(version("1_init.sql"), [1]);
        assert_eq!(version("20240131120000_add_users.up.sql"), [20240131120000]);
        assert_eq!(version("000012_x.up.sql"), [12]);
        assert_eq!(version("V1__init.sql"), [1]);
        assert_eq!(version("V1.2.3__init.sql"), [1, 2, 3]);
        assert_eq!(version("V1_2__init.sql"), [1, 2]);
    }

    #[test]
    fn files_that_undo_are_not_used() {
        assert_eq!(parse("0001_x.down.sql").unwrap(), FileName::Undo(None));
        assert_eq!(parse("U1.2__x.sql").unwrap(), FileName::Undo(Some(vec![1, 2])));
    }

    #[test]
    fn files_that_undo_by_another_name_are_refused() {
        for name in ["1_x.Down.sql", "1_x.undo.sql", "1_x.rollback.sql", "V1__x.revert.sql"] {
            let error = parse(name).unwrap_err().to_string();
            assert!(error.contains("is named like one that goes back"), "{name}: {error}");
        }
    }

    #[test]
    fn names_that_say_nothing_are_refused() {
        let long = "99999999999999999999_x.sql";
        for name in [
            "init.sql",
            "1.sql",
            "1_.sql",
            "V1_x.sql",
            "Vx__y.sql",
            "V1.__x.sql",
            "V1.2.3.4.5__x.sql",
            "R__views.sql",
            "B1__x.sql",
            "1_X.SQL",
            long,
            ".sql",
            "_.sql",
            "12x_y.sql",
            "Users.sql",
            "é.sql",
        ] {
            assert!(matches!(parse(name), Err(Error::FileName { .. })), "{name}");
        }
    }

    #[test]
    fn a_check_shares_its_stem_with_its_migration() {
        assert_eq!(parse("0001_x.check.sql").unwrap(), FileName::Check("0001_x".into()));
        assert_eq!(stem("0001_x.up.sql"), "0001_x");
        assert_eq!(stem("V1.2__x.sql"), "V1.2__x");
    }
}
